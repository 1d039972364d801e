/*
 * The process's mappings, as /proc/self/maps tells them. By raw system calls:
 * no malloc, no stdio, no errno.
 */
#ifndef DUNE_KERN_SELF_MAPS_H
#define DUNE_KERN_SELF_MAPS_H

#include "kern/mm/region.h"

/* The parser, a character at a time: text may be cut anywhere. Pure. */
struct dune_maps {
	unsigned int field;
	unsigned int n;			/* characters of the field so far */
	bool bad;			/* not a line of the format: skipped */
	dune_gva_t start, end;
	uint32_t prot, flags;		/* as in struct dune_region */
	char name[8];			/* how it begins */
};

void dune_maps_begin(struct dune_maps *p);
/*
 * True when c has ended a well-formed line: start < end, page aligned, prot and
 * flags (FILE, SHARED, STACK, HEAP, and VDSO for vvar pages) are its.
 */
bool dune_maps_char(struct dune_maps *p, char c);

/*
 * Puts what is mapped in [DUNE_ARENA_LO, DUNE_ARENA_HI), but for the ring 0
 * area, into the empty tree rs. buf: a page or so to read into.
 * -EIO when the file cannot be read, -ENOMEM; rs is then incomplete.
 */
int dune_maps_read(struct dune_regions *rs, char *buf, size_t size);

#endif
