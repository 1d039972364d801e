/*
 * The region tree: what the program has mapped, with what protection. It is
 * the truth; guest page tables and host mappings follow it. Pure, no system
 * calls. Not thread-safe: the mm's lock is held.
 */
#ifndef DUNE_KERN_REGION_H
#define DUNE_KERN_REGION_H

#include "kern/types.h"

enum {
	DUNE_R_FILE	= 1 << 0,	/* backed by a file */
	DUNE_R_SHARED	= 1 << 1,
	DUNE_R_GROWSDOWN = 1 << 2,
	DUNE_R_STACK	= 1 << 3,	/* the first thread's stack */
	DUNE_R_HEAP	= 1 << 4,	/* brk */
	DUNE_R_VDSO	= 1 << 5,
	DUNE_R_DONTFORK	= 1 << 6,
	DUNE_R_NORESERVE = 1 << 7,
	DUNE_R_CAREFUL	= 1 << 8,	/* touch on the host before mapping */
	DUNE_R_NOEXEC	= 1 << 9,	/* file of a noexec mount */
	DUNE_R_HUGE	= 1 << 10,	/* large pages on the host and here */
	DUNE_R_SPARSE	= 1 << 11,	/* never made HUGE by us */
	DUNE_R_SHM	= 1 << 12,	/* System V shared memory */
	DUNE_R_COMMIT	= 1 << 13,	/* counted; kept by region.c */
};

/* [start, end), page aligned; never empty. */
struct dune_region {
	dune_gva_t start, end;
	uint32_t prot;			/* PROT_READ | PROT_WRITE | PROT_EXEC */
	uint32_t flags;
};

struct dune_regions {
	struct dune_region *v;		/* sorted by start */
	size_t n, cap;
	uint64_t committed;		/* bytes in COMMIT regions */
};

void dune_regions_init(struct dune_regions *rs);
void dune_regions_free(struct dune_regions *rs);

/*
 * Makes room so that the next calls, which together add at most `extra`
 * regions, cannot fail. Insert and remove add at most two. -ENOMEM.
 */
int dune_regions_reserve(struct dune_regions *rs, size_t extra);

/* The region holding va, or NULL. */
struct dune_region *dune_region_find(struct dune_regions *rs, dune_gva_t va);
/* The first region with end > va, or NULL. */
struct dune_region *dune_region_next(struct dune_regions *rs, dune_gva_t va);

/*
 * Inserts [start, start + len), replacing whatever was there; neighbours with
 * equal prot and flags are joined when both are anonymous and private.
 * -ENOMEM leaves the tree as it was.
 */
int dune_region_insert(struct dune_regions *rs, dune_gva_t start,
		       uint64_t len, uint32_t prot, uint32_t flags);
/* Removes the range, splitting regions at its ends. -ENOMEM: unchanged. */
int dune_region_remove(struct dune_regions *rs, dune_gva_t start,
		       uint64_t len);
/*
 * Changes prot over the range; -ENOMEM when part of it is not mapped (Linux's
 * answer), after changing what comes before the hole, as Linux does.
 */
int dune_region_protect(struct dune_regions *rs, dune_gva_t start,
			uint64_t len, uint32_t prot);
/* Sets and clears flag bits over the range. */
int dune_region_flags(struct dune_regions *rs, dune_gva_t start,
		      uint64_t len, uint32_t set, uint32_t clear);
/* Is every byte of the range mapped with at least prot? Overflow-safe. */
bool dune_region_covers(struct dune_regions *rs, dune_gva_t start,
			uint64_t len, uint32_t prot);
/* Is what the error code of a page fault (DUNE_PF_*) tells of allowed? */
bool dune_region_allows(const struct dune_region *r, uint32_t error);
/*
 * Is the range free, and is what Linux keeps free below a GROWSDOWN region
 * (1 MiB) not touched? Overflow-safe.
 */
bool dune_region_free(struct dune_regions *rs, dune_gva_t start, uint64_t len);
/*
 * Does a region that grows down to `to` keep that distance to what is mapped
 * below? Not asked of what grows itself, or has no rights.
 */
bool dune_region_may_grow(struct dune_regions *rs, dune_gva_t to);
/*
 * The highest free range (as above) of len bytes inside [lo, hi) whose start is
 * aligned; 0 when there is none.
 */
dune_gva_t dune_region_hole_below(struct dune_regions *rs, dune_gva_t lo,
				  dune_gva_t hi, uint64_t len,
				  uint64_t align);
/*
 * What --mem counts: the bytes of regions that are, or once were, writable
 * and not a shared file's. Constant time.
 */
uint64_t dune_regions_committed(const struct dune_regions *rs);
/* The same for what lies in a range. */
uint64_t dune_regions_committed_in(struct dune_regions *rs, dune_gva_t start,
				   uint64_t len);
/* Would a new region be counted? */
bool dune_region_commits(uint32_t prot, uint32_t flags);

#endif
