/*
 * First aid for page faults: what is not the program's business.
 *
 *   not asked for yet           the host side, or the main root, fills it in
 *   a snapshot's shared page    copied
 *   PTE_U clear, ring 0 in ring 3  the entry gets its software form
 *   ring 3 on a software KVM    its own tables get what the program's say
 */
#include "libdune/vm.h"

/* 0: something was put there; else the fault stays what it is. */
static int fill(ptent_t *root, uint64_t va, const struct dune_rights *r)
{
	bool follows = dune_root_follows(root) || dune_vm_shared(va);
	ptent_t v = dune_pte_load(r->e);

	if (!follows || v & PTE_P)
		return -EFAULT;
	if (v & DUNE_PTE_HOST)
		return dune_vms->ops.fill(va);
	if (v)
		return -EFAULT;
	if (r->level)
		return dune_vm_fill_span(root, va);
	if (root == dune_vm_main() || dune_vm_shared(va))
		return -EFAULT;
	dune_vm_fill_span(dune_vm_main(), va);
	return dune_root_pull(root, va);
}

int dune_pte_fixup(ptent_t *root, uint64_t va)
{
	ptent_t *t = root, *e, v;
	int level, r = -ENOENT;

	for (level = 3; t && level >= 0; level--) {
		e = &t[dune_pte_slot(va, level)];
		v = dune_pte_load(e);
		while (v & PTE_P && !(v & PTE_U))
			if (dune_pte_cas(e, &v, v | PTE_U | DUNE_PTE_SUPER)) {
				v |= PTE_U | DUNE_PTE_SUPER;
				r = 0;
			}
		if (!(v & PTE_P) || dune_pte_leaf(v, level))
			break;
		t = dune_table_at(v);
	}
	return r;
}

static bool allowed(const struct dune_rights *r, uint32_t error, bool user)
{
	return !(user && !(r->all & PTE_U)) &&
	       !(error & DUNE_PF_WRITE && !(r->all & PTE_W)) &&
	       !(error & DUNE_PF_FETCH && r->any & PTE_NX);
}

/*
 * Ring 3 at a supervisor page: the program's handler is to find the entry as a
 * CPU has it, so that setting PTE_U opens the page. If it does not, ring 0's
 * next fault there puts things right (dune_pte_fixup()); so not where that
 * would need the page itself.
 */
static void show_plain(uint64_t va, const struct dune_rights *r, ptent_t v)
{
	if (v & DUNE_PTE_SUPER && !dune_vm_shared(va) &&
	    va - (uint64_t)dune_vms->image >= dune_vms->image_len)
		dune_pte_cas(r->e, &v, v & ~(PTE_U | DUNE_PTE_SUPER));
}

int dune_vm_fault(uint64_t va, uint32_t *error, bool user)
{
	const bool soft = dune_vms->flags & DUNE_VMF_SOFT;
	ptent_t *root = dune_root_current();
	struct dune_rights r;
	ptent_t v;

	if (!root || !dune_canonical(va) || *error & DUNE_PF_RSVD)
		return -EFAULT;
	if (dune_walk_rights(root, va, &r) == -ENOENT && !fill(root, va, &r))
		dune_walk_rights(root, va, &r);
	*error &= ~(DUNE_PF_PRESENT | DUNE_PF_USER);
	if (user)
		*error |= DUNE_PF_USER;
	v = dune_pte_load(r.e);
	if (!(v & PTE_P) || !dune_pte_leaf(v, r.level))
		return -EFAULT;
	*error |= DUNE_PF_PRESENT;
	if (*error & DUNE_PF_WRITE && v & DUNE_PTE_SNAP && v & PTE_COW &&
	    (!user || r.all & PTE_U))
		return dune_vm_break(root, va) ? -EFAULT : 0;
	if (!allowed(&r, *error, user)) {
		if (soft && user)
			show_plain(va, &r, v);
		return -EFAULT;
	}
	if (soft && user)
		return dune_userview_fault(root, va, &r);
	if (soft && !dune_pte_fixup(root, va))
		return 0;
	/* The TLB was behind the table. */
	dune_vms->ops.invlpg(va);
	return 0;
}
