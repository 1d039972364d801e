/*
 * Entries of the main root, edited by the host side while guest threads edit
 * them and CPUs mark them: by compare and exchange only. Tables are complete
 * before they are linked and are never freed. Pure: pages come from dune_pt's
 * callbacks. The host side's callers hold the smem's lock.
 */
#ifndef DUNE_KERN_SELF_ENTRY_H
#define DUNE_KERN_SELF_ENTRY_H

#include "kern/vm/pagetable.h"

/* Pages for tables, and one that lost the race for its place. */
struct dune_tables {
	struct dune_pt *pt;
	void *spare;
	dune_gpa_t spare_gpa;
};

/* A zeroed page, NULL when there is none; and one back, zeroed again. */
uint64_t *dune_table_take(struct dune_tables *t, dune_gpa_t *gpa);
void dune_table_give(struct dune_tables *t, uint64_t *page, dune_gpa_t gpa);

/* What a present entry above the leaves is: the leaves have the rights. */
static inline uint64_t dune_table_entry(dune_gpa_t gpa)
{
	return gpa | DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_U | DUNE_PTE_A;
}

static inline uint64_t dune_entry_load(const uint64_t *e)
{
	return __atomic_load_n(e, __ATOMIC_RELAXED);
}

/* False when *e is not `old` any more. */
static inline bool dune_entry_swap(uint64_t *e, uint64_t old, uint64_t to)
{
	return __atomic_compare_exchange_n(e, &old, to, false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/*
 * The entry where the walk for va ends: a leaf, or one that is not present.
 * Its level in *level (0: 4 KiB). In *rights (may be NULL) P, W and U as all
 * levels together grant them, and NX if one forbids.
 */
uint64_t *dune_entry_find(const struct dune_pt *pt, dune_gva_t va,
			  int *level, uint64_t *rights);

/*
 * The directory entry of va's 2 MiB, with the tables above it made. NULL and
 * *full when there is no page left; NULL when a 1 GiB leaf or some entry of
 * the program's is in the way.
 */
uint64_t *dune_entry_dir(struct dune_tables *t, dune_gva_t va, bool *full);

/*
 * Calls visit for every large leaf (level 1 or 2) and every directory entry
 * with a page table (level 1) that maps any of [lo, hi). va: its start.
 */
typedef void dune_entry_visit(void *ctx, uint64_t *e, int level,
			      dune_gva_t va);
void dune_entry_walk(const struct dune_pt *pt, dune_gva_t lo, dune_gva_t hi,
		     dune_entry_visit *visit, void *ctx);

#endif
