/*
 * Shared by mem.c, mem_edit.c and memcalls.c. Everything here wants the
 * smem's lock held.
 */
#ifndef DUNE_KERN_SELF_MEM_INTERNAL_H
#define DUNE_KERN_SELF_MEM_INTERNAL_H

#include "kern/self/mem.h"

/* How entries of spans that have a table, or a large leaf, are edited. */
enum dune_edit {
	DUNE_EDIT_HOLD,		/* all of them HOST: a change is under way */
	DUNE_EDIT_RESTRICT,	/* present ones lose what prot does not allow */
	DUNE_EDIT_SET,		/* what `regions` says */
};

/*
 * Edits [lo, hi), page aligned, but never the ring 0 area. A large leaf that
 * cannot say it becomes an empty directory entry. prot: RESTRICT's.
 */
void dune_smem_edit(struct dune_smem *m, dune_gva_t lo, dune_gva_t hi,
		    enum dune_edit how, uint32_t prot);

/* Tells m->changed, if there is one. */
static inline void dune_smem_changed(struct dune_smem *m, dune_gva_t va,
				     uint64_t len, bool gone)
{
	m->changes++;
	if (m->changed && len)
		m->changed(va, len, gone);
}

/* The rights of an entry; 0: none. */
uint64_t dune_smem_rights(const struct dune_smem *m, uint32_t prot);

/*
 * What `regions` say about [lo, ...): the entry of lo's page, and in *end how
 * far the same goes, hi at most. A present one's address counts on from page to
 * page. The range must not cross a window. HOST also when there is no slot
 * left.
 */
uint64_t dune_smem_truth(struct dune_smem *m, dune_gva_t lo, dune_gva_t hi,
			 dune_gva_t *end);

/*
 * Reads the mappings again and sets the entries where they have changed behind
 * our back. *changed (may be NULL): was there any? -EIO, -ENOMEM: nothing
 * changed.
 */
int dune_smem_resync(struct dune_smem *m, bool *changed);

static inline bool dune_smem_is_ring0(dune_gva_t va)
{
	return va - DUNE_RING0_GVA < DUNE_RING0_SIZE;
}

#endif
