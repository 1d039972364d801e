/*
 * Ring 3's tables on a software KVM.
 *
 * There ring 0 runs in ring 3 too, so all it may reach has U set: ring 3
 * proper needs tables without the supervisor's pages. Each root has a *view*,
 * a root of its own whose entries are derived from the program's, a span of
 * 2 MiB at a time when ring 3 faults in it, and dropped when the program
 * flushes: a view is a TLB, and obeys the same rules. Like the CPU's, it
 * marks the program's entries accessed and dirty, but only when it is dropped.
 *
 * What traps from ring 3 land on (stubs, IDT, TSS, stacks) is in every view for
 * the emulated ring 0 only: the ring 0 area, without U. Tables of a view go
 * with their root; other CPUs may be walking them.
 */
#include "libdune/vm.h"

#define BITS (0x000ffffffffff000ul | PTE_P | PTE_A | PTE_D | PTE_PWT | \
	      PTE_PCD | PTE_PS)

static ptent_t *view_of(const ptent_t *root)
{
	struct dune_tdesc *d = dune_root_desc(root);
	uint32_t v = d ? __atomic_load_n(&d->view, __ATOMIC_ACQUIRE) : 0;

	return v ? (ptent_t *)(dune_vms->area + dune_vms->own +
			       (v - 1) * DUNE_PAGE_SIZE) : NULL;
}

/* The ring 0 area by 2 MiB leaves, for supervisors; once, the lock held. */
static int make_shared(void)
{
	uint64_t va = (uint64_t)dune_vms->area, pa, up, down;
	ptent_t *pdpt, *pd;

	if (dune_vms->view_shared)
		return 0;
	pdpt = dune_table_new(&up);
	pd = pdpt ? dune_table_new(&down) : NULL;
	if (!pd) {
		if (pdpt)
			dune_table_free(up);
		return -ENOMEM;
	}
	for (pa = 0; pa < dune_vms->area_size; pa += DUNE_LARGE_SIZE)
		pd[dune_pte_slot(va + pa, 1)] = pa | PTE_P | PTE_W | PTE_A |
						PTE_D | PTE_PS;
	pdpt[dune_pte_slot(va, 2)] = down | PTE_P | PTE_W | PTE_A;
	dune_vms->view_shared = up | PTE_P | PTE_W | PTE_A;
	return 0;
}

static ptent_t *make_view(ptent_t *root)
{
	struct dune_tdesc *d = dune_root_desc(root);
	ptent_t *view = view_of(root);
	uint64_t gpa;

	if (view || !d)
		return view;
	if (make_shared())
		return NULL;
	view = dune_table_new(&gpa);
	if (!view)
		return NULL;
	view[DUNE_VM_SHARED] = dune_vms->view_shared;
	__atomic_store_n(&d->view, (gpa - dune_vms->own) / DUNE_PAGE_SIZE + 1,
			 __ATOMIC_RELEASE);
	return view;
}

uint64_t dune_userview_cr3(uint64_t cr3)
{
	ptent_t *root = dune_table_at(cr3), *view;

	if (!root)
		return 0;
	view = view_of(root);
	if (!view) {
		dune_vm_lock();
		view = make_view(root);
		dune_vm_unlock();
	}
	return view ? dune_table_gpa(view) : 0;
}

/* ---- dropping, with what the CPU has noted ---- */

struct drop {
	ptent_t *root;
};

static int drop_one(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	ptent_t seen = __atomic_exchange_n(e, 0, __ATOMIC_ACQ_REL), *mine, v;
	const struct drop *d = w->arg;
	uint64_t off;
	int at;

	if (!(seen & (PTE_A | PTE_D)) ||
	    dune_walk_leaf(d->root, va, &mine, &at))
		return 0;
	v = dune_pte_load(mine);
	off = va & (dune_level_size(at) - 1);
	while (v & PTE_P && at >= level &&
	       dune_leaf_pa(v, at) + off == dune_leaf_pa(seen, level))
		if (dune_pte_cas(mine, &v, v | (seen & (PTE_A | PTE_D))))
			break;
	return 0;
}

/* Tables stay: only leaves go. */
void dune_userview_drop_locked(ptent_t *root, uint64_t lo, uint64_t last)
{
	struct drop d = { root };
	struct dune_walk w = {
		.root = view_of(root), .lo = lo, .last = last,
		.visit = drop_one, .arg = &d,
	};

	if (w.root)
		dune_walk(&w);
}

void dune_userview_drop(ptent_t *root, uint64_t lo, uint64_t last)
{
	if (!root || !view_of(root))
		return;
	dune_vm_lock();
	dune_userview_drop_locked(root, lo, last);
	dune_vm_unlock();
}

static void free_tables(ptent_t e, int level)
{
	ptent_t *t = dune_table_at(e), v;
	unsigned int i;

	for (i = 0; i < 512; i++) {
		v = dune_pte_load(&t[i]);
		if (level && v & PTE_P && !dune_pte_leaf(v, level) &&
		    !(level == 3 && i == DUNE_VM_SHARED))
			free_tables(v, level - 1);
	}
	dune_table_free(PTE_ADDR(e));
}

/* The root is in use by nobody any more. */
void dune_userview_free(ptent_t *root)
{
	ptent_t *view = view_of(root);

	if (!view)
		return;
	dune_root_desc(root)->view = 0;
	free_tables(dune_table_gpa(view), 3);
}

/* ---- deriving ---- */

/* What ring 3 sees of leaf v; all, any: of the entries above it. */
static ptent_t derived(ptent_t v, ptent_t all, ptent_t any)
{
	if (!(v & PTE_P) || !dune_pte_user(v))
		return 0;
	return (v & BITS) | PTE_U | (v & all & PTE_W) | ((v | any) & PTE_NX);
}

/* A table of 4 KiB entries: the whole span, for the price of one fault. */
static int derive_table(ptent_t *view, uint64_t va,
			const struct dune_rights *r)
{
	const ptent_t *from = r->e - dune_pte_slot(va, 0);
	ptent_t *to;
	unsigned int i;
	int err;

	err = dune_walk_create(view, va, 0, &to);
	if (err)
		return err;
	to -= dune_pte_slot(va, 0);
	for (i = 0; i < 512; i++) {
		ptent_t v = dune_pte_load(&from[i]);

		/* the upper entries' rights, not those of the one at va */
		__atomic_store_n(&to[i], derived(v, r->up_all, r->up_any),
				 __ATOMIC_RELEASE);
	}
	return 0;
}

/* A larger leaf: as 2 MiB, or by pages where the view has a table. */
static int derive_large(ptent_t *view, uint64_t va,
			const struct dune_rights *r)
{
	ptent_t v = dune_pte_load(r->e), *to, e;
	uint64_t first = va & DUNE_LARGE_MASK;
	unsigned int i;
	int err;

	v = derived(v, r->up_all, r->up_any);
	if (r->level == 2)
		v = (v & ~0x3fffe000ul) |
		    (first & (dune_level_size(2) - 1));
	err = dune_walk_create(view, va, 1, &to);
	if (err)
		return err;
	e = dune_pte_load(to);
	if (!(e & PTE_P) || dune_pte_leaf(e, 1)) {
		__atomic_store_n(to, v, __ATOMIC_RELEASE);
		return 0;
	}
	to = dune_table_at(e);
	e = (v & ~(PTE_PS | PTE_PAT_PS)) | (v & PTE_PAT_PS ? PTE_PAT : 0);
	for (i = 0; i < 512; i++)
		__atomic_store_n(&to[i], e + i * DUNE_PAGE_SIZE,
				 __ATOMIC_RELEASE);
	return 0;
}

int dune_userview_fault(ptent_t *root, uint64_t va,
			const struct dune_rights *r)
{
	uint64_t first = va & DUNE_LARGE_MASK;
	ptent_t *view;
	int err = -ENOMEM;

	dune_vm_lock();
	view = make_view(root);
	if (view) {
		dune_userview_drop_locked(root, first,
					  first + DUNE_LARGE_SIZE - 1);
		err = r->level ? derive_large(view, va, r) :
				 derive_table(view, va, r);
	}
	dune_vm_unlock();
	return err ? -EFAULT : 0;
}
