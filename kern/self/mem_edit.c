/* Dune mode's memory: entries that follow the regions. */
#include "kern/self/mem_internal.h"

#include <sys/mman.h>
#include "kern/self/maps.h"

uint64_t dune_smem_rights(const struct dune_smem *m, uint32_t prot)
{
	if (!prot)
		return 0;
	return DUNE_PTE_P | DUNE_PTE_A | DUNE_PTE_D | m->super |
	       (prot & PROT_WRITE ? DUNE_PTE_W : 0) |
	       (prot & PROT_EXEC ? 0 : DUNE_PTE_NX);
}

/* Nothing is mapped at lo; above it is r. May r grow down to there? */
static uint64_t gap(const struct dune_smem *m, const struct dune_region *r,
		    dune_gva_t lo, dune_gva_t *end)
{
	dune_gva_t lowest;

	if (r->start < *end)
		*end = r->start;
	if (!(r->flags & (DUNE_R_STACK | DUNE_R_GROWSDOWN)))
		return 0;
	lowest = r->end > m->stack_room ? r->end - m->stack_room : 0;
	if (lo >= lowest)
		return DUNE_PTE_HOST;
	if (lowest < *end)
		*end = lowest;
	return 0;
}

uint64_t dune_smem_truth(struct dune_smem *m, dune_gva_t lo, dune_gva_t hi,
			 dune_gva_t *end)
{
	const struct dune_region *r = dune_region_next(&m->regions, lo);
	uint64_t rights;
	dune_gpa_t gpa;

	*end = hi;
	if (!r)
		return 0;
	if (r->start > lo)
		return gap(m, r, lo, end);
	if (r->end < hi)
		*end = r->end;
	rights = dune_smem_rights(m, r->prot);
	if (!rights)
		return 0;
	if (r->flags & DUNE_R_CAREFUL)
		return DUNE_PTE_HOST;
	if (r->flags & DUNE_R_VDSO) {
		gpa = m->vvar_gpa + (lo - m->vvar);
		return lo - m->vvar < m->vvar_size ? gpa | rights : 0;
	}
	if (dune_vm_back(m->vm, lo, &gpa))
		return DUNE_PTE_HOST;
	return gpa | rights;
}

/* ---- editing ---- */

struct edit {
	struct dune_smem *m;
	dune_gva_t lo, hi;
	enum dune_edit how;
	uint64_t rights;
};

/*
 * A page that snapshots share is never writable: whether it may be written is
 * in COW (libdune/vmedit.c). One that the program has marked COW stays so.
 */
static uint64_t with_rights(uint64_t e, uint64_t rights)
{
	e = (e & ~(DUNE_PTE_W | DUNE_PTE_NX)) | (rights & DUNE_PTE_NX);
	if (e & DUNE_PTE_SNAP)
		return rights & DUNE_PTE_W ? e | PTE_COW : e & ~PTE_COW;
	return e & PTE_COW ? e : e | (rights & DUNE_PTE_W);
}

static uint64_t restrict_to(uint64_t e, uint64_t rights)
{
	const uint64_t may_write = e & DUNE_PTE_SNAP ? PTE_COW : DUNE_PTE_W;

	if (!(e & DUNE_PTE_P))
		return e;
	if (!rights)
		return 0;
	if (!(e & may_write))
		rights &= ~DUNE_PTE_W;
	return with_rights(e, rights | (e & DUNE_PTE_NX));
}

/* A page that is present stays where it is, and whose; rights follow. */
static uint64_t merge(uint64_t e, uint64_t truth)
{
	return e & truth & DUNE_PTE_P ? with_rights(e, truth) : truth;
}

static void set_page(uint64_t *e, uint64_t truth)
{
	uint64_t old;

	do
		old = dune_entry_load(e);
	while (!dune_entry_swap(e, old, merge(old, truth)));
}

static void edit_run(const struct edit *ed, uint64_t *t, dune_gva_t lo,
		     dune_gva_t hi, uint64_t truth)
{
	const uint64_t step = truth & DUNE_PTE_P ? DUNE_PAGE_SIZE : 0;
	uint64_t *e = &t[lo / DUNE_PAGE_SIZE & 511];
	uint64_t old;

	for (; lo < hi; lo += DUNE_PAGE_SIZE, e++, truth += step) {
		if (ed->how != DUNE_EDIT_RESTRICT) {
			set_page(e, truth);
			continue;
		}
		do
			old = dune_entry_load(e);
		while (!dune_entry_swap(e, old, restrict_to(old, ed->rights)));
	}
}

static void edit_table(const struct edit *ed, uint64_t *t, dune_gva_t span)
{
	dune_gva_t lo = ed->lo > span ? ed->lo : span;
	dune_gva_t hi = span + DUNE_LARGE_SIZE, end;

	if (hi > ed->hi)
		hi = ed->hi;
	for (; lo < hi; lo = end) {
		uint64_t truth = DUNE_PTE_HOST;

		end = hi;
		if (ed->how == DUNE_EDIT_SET)
			truth = dune_smem_truth(ed->m, lo, hi, &end);
		edit_run(ed, t, lo, end, truth);
	}
}

/* What a large leaf becomes; 0 when it cannot say what is to be said. */
static uint64_t edit_leaf(const struct edit *ed, uint64_t e, int level,
			  dune_gva_t va)
{
	dune_gva_t to = va + (DUNE_PAGE_SIZE << 9 * level), end;
	uint64_t truth;

	if (va < ed->lo || to > ed->hi || ed->how == DUNE_EDIT_HOLD)
		return 0;
	if (ed->how == DUNE_EDIT_RESTRICT)
		return restrict_to(e, ed->rights);
	truth = dune_smem_truth(ed->m, va, to, &end);
	return end == to && truth & DUNE_PTE_P ? merge(e, truth) : 0;
}

static void visit(void *ctx, uint64_t *e, int level, dune_gva_t va)
{
	const struct edit *ed = ctx;
	const struct dune_pt *pt = ed->m->tables.pt;
	uint64_t old;

	do {
		old = dune_entry_load(e);
		if (!(old & DUNE_PTE_P))
			return;
		if (!(old & DUNE_PTE_PS)) {
			/* the program may have split a 1 GiB leaf just now */
			if (level == 1)
				edit_table(ed, pt->host(pt->ctx, old &
							DUNE_PTE_ADDR), va);
			return;
		}
	} while (!dune_entry_swap(e, old, edit_leaf(ed, old, level, va)));
}

void dune_smem_edit(struct dune_smem *m, dune_gva_t lo, dune_gva_t hi,
		    enum dune_edit how, uint32_t prot)
{
	const dune_gva_t ring0 = DUNE_RING0_GVA;
	const dune_gva_t ring0_end = ring0 + DUNE_RING0_SIZE;
	struct edit ed = {
		.m = m, .how = how, .rights = dune_smem_rights(m, prot),
	};

	ed.lo = lo;
	ed.hi = hi < ring0 ? hi : ring0;
	dune_entry_walk(m->tables.pt, ed.lo, ed.hi, visit, &ed);
	ed.lo = lo > ring0_end ? lo : ring0_end;
	ed.hi = hi < DUNE_ARENA_HI ? hi : DUNE_ARENA_HI;
	dune_entry_walk(m->tables.pt, ed.lo, ed.hi, visit, &ed);
}

/* ---- reading the mappings again ---- */

/* What the text does not tell, and we have learnt. */
static void carry_over(struct dune_regions *to, const struct dune_region *r)
{
	const struct dune_region *n;

	if (r->flags & DUNE_R_CAREFUL)
		dune_region_flags(to, r->start, r->end - r->start,
				  DUNE_R_CAREFUL, 0);
	if (!(r->flags & DUNE_R_GROWSDOWN))
		return;
	/* it may have grown */
	n = dune_region_find(to, r->end - 1);
	if (n)
		dune_region_flags(to, n->start, r->end - n->start,
				  DUNE_R_GROWSDOWN, 0);
}

/* What entries depend on, and how far it goes. */
static uint32_t key(struct dune_regions *rs, dune_gva_t va, dune_gva_t *end)
{
	const uint32_t flags = DUNE_R_CAREFUL | DUNE_R_VDSO;
	const struct dune_region *r = dune_region_next(rs, va);

	*end = r ? r->end : DUNE_ARENA_HI;
	if (r && r->start > va)
		*end = r->start;
	if (!r || r->start > va)
		return 0;
	return r->prot | (r->flags & flags);
}

static bool set_changed(struct dune_smem *m, struct dune_regions *old)
{
	dune_gva_t va = 0, end, end2;
	bool any = false;

	for (; va < DUNE_ARENA_HI; va = end) {
		uint32_t was = key(old, va, &end);
		uint32_t is = key(&m->regions, va, &end2);

		if (end2 < end)
			end = end2;
		if (was == is)
			continue;
		dune_smem_edit(m, va, end, DUNE_EDIT_SET, 0);
		dune_smem_changed(m, va, end - va, !was || !is);
		any = true;
	}
	return any;
}

int dune_smem_resync(struct dune_smem *m, bool *changed)
{
	struct dune_regions was = m->regions;
	bool any;
	size_t i;
	int err;

	m->fresh.n = 0;
	m->fresh.committed = 0;
	err = dune_maps_read(&m->fresh, m->text, sizeof(m->text));
	if (err)
		return err;
	for (i = 0; i < was.n; i++)
		carry_over(&m->fresh, &was.v[i]);
	m->regions = m->fresh;
	m->fresh = was;
	any = set_changed(m, &m->fresh);
	if (changed)
		*changed = any;
	return 0;
}
