/*
 * x86-64 four-level page tables, edited from the host (SDM vol. 3, 4.5; APM
 * vol. 2, 5.3). Pure: table pages come from two callbacks, so it is tested
 * without a VM. Not thread-safe: the mm's lock is held.
 *
 * Non-leaf entries only ever go from empty to present (table pages are never
 * freed); the one exception is a 2 MiB leaf of which a part goes, after which
 * the caller must make KVM forget.
 */
#ifndef DUNE_KERN_PAGETABLE_H
#define DUNE_KERN_PAGETABLE_H

#include "kern/types.h"

#define DUNE_PTE_P	(1ul << 0)
#define DUNE_PTE_W	(1ul << 1)
#define DUNE_PTE_U	(1ul << 2)
#define DUNE_PTE_A	(1ul << 5)
#define DUNE_PTE_D	(1ul << 6)
#define DUNE_PTE_PS	(1ul << 7)
#define DUNE_PTE_NX	(1ul << 63)
#define DUNE_PTE_ADDR	0x000ffffffffff000ul

#define DUNE_PT_ENTRIES	512

/* Which entry of a root maps va. */
static inline unsigned int dune_pt_root_slot(dune_gva_t va)
{
	return va >> 39 & (DUNE_PT_ENTRIES - 1);
}

struct dune_pt {
	dune_gpa_t root;
	/* a zeroed table page, or NULL */
	void *(*alloc)(void *ctx, dune_gpa_t *gpa);
	/* host address of the table page at gpa */
	void *(*host)(void *ctx, dune_gpa_t gpa);
	void *ctx;
};

/* Makes an empty root. -ENOMEM. */
int dune_pt_init(struct dune_pt *pt);

/* The leaf entry that maps va, 0 when none; *large (may be NULL): 2 MiB. */
uint64_t dune_pt_lookup(const struct dune_pt *pt, dune_gva_t va,
			bool *large);

/*
 * Maps the page at va to gpa with flags (P is added). Overwrites a 4 KiB
 * leaf. Inside a 2 MiB leaf: -EEXIST. -ENOMEM.
 */
int dune_pt_map(struct dune_pt *pt, dune_gva_t va, dune_gpa_t gpa,
		uint64_t flags);
/*
 * The same for the pages of [va, va + len) to gpa onwards. On an error what
 * comes before is mapped.
 */
int dune_pt_map_range(struct dune_pt *pt, dune_gva_t va, uint64_t len,
		      dune_gpa_t gpa, uint64_t flags);
/*
 * The same for one 2 MiB leaf; va and gpa aligned. -EEXIST when a table of
 * 4 KiB entries is already there (it stays), even an empty one.
 */
int dune_pt_map_large(struct dune_pt *pt, dune_gva_t va, dune_gpa_t gpa,
		      uint64_t flags);

/*
 * Clears all entries of [va, va + len), page aligned. A 2 MiB leaf partly in
 * the range goes as a whole and *forget is set to true (never to false): the
 * caller must make KVM forget, and a fault brings back what is left of it.
 */
void dune_pt_unmap(struct dune_pt *pt, dune_gva_t va, uint64_t len,
		   bool *forget);

/* Gives present entries of the range new flags (not 0); *forget as above. */
void dune_pt_protect(struct dune_pt *pt, dune_gva_t va, uint64_t len,
		     uint64_t flags, bool *forget);

#endif
