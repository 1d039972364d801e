/* The TLB: gathering what an edit leaves to be flushed, flushing, CR3. */
#include "libdune/vm.h"

/* Up to so many pages are flushed one by one. */
#define ONE_BY_ONE 16

void dune_gather_init(struct dune_gather *g, ptent_t *root)
{
	g->root = root;
	g->lo = ~0ul;
	g->last = 0;
	g->n = 0;
}

/*
 * A TLB keeps only present entries, and a fault makes the CPU look again: so
 * only what takes rights away, or changes the page, needs a flush.
 */
static bool needs_flush(ptent_t old, ptent_t new)
{
	const ptent_t rights = PTE_P | PTE_W | PTE_U, bans = PTE_NX | PTE_PCD |
			       PTE_PWT | DUNE_PTE_SUPER;

	return (old & PTE_P) &&
	       (((old & ~new) & rights) || ((new & ~old) & bans) ||
		PTE_ADDR(old) != PTE_ADDR(new) ||
		((old ^ new) & PTE_PS));
}

void dune_gather_add(struct dune_gather *g, ptent_t old, ptent_t new,
		     uint64_t va, int level)
{
	struct page *pg;

	if (needs_flush(old, new)) {
		uint64_t last = va + dune_level_size(level) - 1;

		if (va < g->lo)
			g->lo = va;
		if (last > g->last)
			g->last = last;
	}
	if (level || PTE_ADDR(old) == PTE_ADDR(new))
		return;
	pg = dune_pa2page(PTE_ADDR(old));
	if (!pg)
		return;
	if (g->n == DUNE_ARRAY_SIZE(g->page))
		dune_gather_end(g);
	g->page[g->n++] = pg;
}

static void flush_local(uint64_t lo, uint64_t last)
{
	const struct dune_vm_ops *ops = &dune_vms->ops;
	uint64_t pages = (last - lo) / DUNE_PAGE_SIZE + 1;

	/* An emulated ring 0 takes as long for one address as for all. */
	if (pages > (dune_vms->flags & DUNE_VMF_SOFT ? 1 : ONE_BY_ONE)) {
		ops->set_cr3(ops->cr3());
		return;
	}
	for (; pages; pages--, lo += DUNE_PAGE_SIZE)
		ops->invlpg(lo);
}

/*
 * A software KVM keeps one shadow of a table for all CPUs. When this CPU loads
 * the root that the table belongs to, the shadow is brought in line with what
 * the guest has written, and where rights went all CPUs are flushed by KVM
 * itself. Views of ring 3 have tables of their own.
 */
static bool told_all(const ptent_t *root)
{
	const struct dune_tdesc *d = dune_root_desc(root);

	return dune_vms->flags & DUNE_VMF_SOFT && d && !d->view;
}

void dune_gather_end(struct dune_gather *g)
{
	unsigned int i;
	bool here;

	if (g->lo <= g->last) {
		dune_userview_drop(g->root, g->lo, g->last);
		here = g->root == dune_root_current();
		if (here)
			flush_local(g->lo, g->last);
		if (!here || !told_all(g->root))
			dune_vms->ops.shootdown();
	}
	for (i = 0; i < g->n; i++)
		dune_page_put(g->page[i]);
	dune_gather_init(g, g->root);
}

void dune_flush_tlb(void)
{
	if (!dune_vm_inside())
		return;
	dune_userview_drop(dune_root_current(), 0, ~0ul);
	dune_vms->ops.set_cr3(dune_vms->ops.cr3());
}

void dune_flush_tlb_one(uintptr_t va)
{
	if (!dune_vm_inside())
		return;
	dune_userview_drop(dune_root_current(), va, va);
	dune_vms->ops.invlpg(va);
}

void dune_flush_tlb_all(void)
{
	ptent_t *r;

	if (!dune_vm_inside())
		return;
	dune_vm_lock();
	for (r = dune_vm_main(); r; r = dune_root_next(r))
		dune_userview_drop_locked(r, 0, ~0ul);
	dune_vm_unlock();
	dune_vms->ops.set_cr3(dune_vms->ops.cr3());
	dune_vms->ops.shootdown();
}

/* ---- CR3 ---- */

ptent_t *dune_root_current(void)
{
	if (!dune_vm_inside())
		return NULL;
	return dune_table_at(dune_vms->ops.cr3());
}

/* A root has the shared range, or the next trap would be the last. */
static bool is_root(const ptent_t *t)
{
	const ptent_t same = ~(DUNE_PTE_FOLLOW | PTE_A);

	return t && !((dune_pte_load(&t[DUNE_VM_SHARED]) ^
		       dune_pte_load(&dune_vm_main()[DUNE_VM_SHARED])) & same);
}

int dune_load_cr3(uint64_t cr3)
{
	uint64_t pa = PTE_ADDR(cr3), area;
	ptent_t *root;

	if (!dune_vm_inside())
		return -EPERM;
	area = (uint64_t)dune_vms->area;
	if (pa >= area && pa < area + dune_vms->area_size)
		pa -= area;
	root = dune_table_at(pa);
	if (!is_root(root))
		return -EINVAL;
	if (dune_vms->flags & DUNE_VMF_PCID)
		pa |= cr3 & (CR3_NOFLUSH | CR3_PCID);
	if (!(cr3 & CR3_NOFLUSH))
		dune_userview_drop(root, 0, ~0ul);
	dune_vms->ops.set_cr3(pa);
	return 0;
}

static bool mapped(ptent_t *root, const void *p)
{
	ptent_t *e;
	int level;

	return dune_vm_shared((uint64_t)p) ||
	       (!dune_walk_leaf(root, (uint64_t)p, &e, &level) &&
		dune_pte_load(e) & PTE_P);
}

int dune_root_switch(ptent_t *root, uint64_t pcid)
{
	if (!dune_vm_inside())
		return -EPERM;
	if (!is_root(root) || pcid & ~(CR3_NOFLUSH | CR3_PCID))
		return -EINVAL;
	if (!dune_root_follows(root) &&
	    (!mapped(root, __builtin_return_address(0)) ||
	     !mapped(root, __builtin_frame_address(0))))
		return -EINVAL;
	return dune_load_cr3(dune_table_gpa(root) | pcid);
}
