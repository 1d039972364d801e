/*
 * Which file is behind an address: one question to the text of
 * /proc/self/maps. Pure.
 */
#ifndef DUNE_KERN_MAPS_H
#define DUNE_KERN_MAPS_H

#include "kern/types.h"

struct dune_mapping {
	dune_gva_t start, end;
	uint64_t offset;	/* in the file, of start */
	char path[512];		/* "" when there is none, or it is longer */
};

/* text ends with a NUL; a last line without its newline does not count. */
bool dune_maps_find(const char *text, dune_gva_t va, struct dune_mapping *m);

#endif
