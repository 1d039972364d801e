/* What the page-table code and the emulator get from Dune mode. */
#include "libdune/guest.h"

#include <errno.h>
#include <string.h>
#include "kern/err.h"
#include "libdune/attach.h"
#include "libdune/vm.h"

static bool inside(void)
{
	return dune_guest_cpu() != NULL;
}

static void hold(bool on)
{
	struct dune_percpu *pc = dune_guest_cpu();

	if (on)
		pc->hold++;
	else if (--pc->hold == 0 && pc->kick)
		pc->hcall(DUNE_HC_POLL, 0, 0, 0);
}

static void decline(void)
{
	dune_guest_of(dune_guest_cpu())->declined = true;
}

static const struct dune_vm_ops ops = {
	.inside = inside,
	.fill = dune_guest_fill,
	.back = dune_guest_back,
	.cr3 = dune_guest_cr3,
	.set_cr3 = dune_guest_set_cr3,
	.invlpg = dune_guest_invlpg,
	.shootdown = dune_guest_shootdown,
	.hold = hold,
	.decline = decline,
};

int dune_attach_tables(void)
{
	struct dune_vm_ops mine = ops;
	struct dune_vm_setup s = {
		.ops = &mine,
		.area = dune_self.vm.ring0,
		.area_size = DUNE_RING0_SIZE,
		.own = DUNE_RING0_OWN,
		.own_size = DUNE_RING0_BLOCKS - DUNE_RING0_OWN,
		.root = dune_self.vm.pt.root,
		.image = (void *)dune_self.image,
		.image_len = dune_self.image_len,
	};

	if (!dune_self.vm.kind.host_pte_edits) {
		mine.alias = dune_guest_alias;
		mine.unwrite = dune_guest_unwrite;
	}
	if (!dune_guest_native())
		s.flags |= DUNE_VMF_SOFT;
	if (dune_kind_pcid(&dune_self.vm.kind))
		s.flags |= DUNE_VMF_PCID;
	if (dune_kind_1g(&dune_self.vm.kind))
		s.flags |= DUNE_VMF_GB;
	dune_self.changed = dune_vm_changed;
	return dune_vm_attach(&s);
}
