/*
 * The guest's part of virtual soft-dirty (kern/self/softdirty.h): bits are
 * cleared as dune_gc_scan() does it.
 */
#include "libdune/guest.h"

#include "dune/gc.h"
#include "libdune/vm.h"

#define USER_LAST	((1ul << 47) - 1)

/*
 * Large leaves that were written are split: who clears bits wants to know of
 * pages. An upcall: registers of the FPU are not saved.
 */
void dune_softdirty_clear(struct dune_tf *tf, struct dune_percpu *pc)
{
	struct dune_gc_range all = { .len = USER_LAST + 1 };
	bool told = false;

	dune_vm_scan_ranges(dune_vm_main(), &all, 1, DUNE_SCAN_DIRTY |
			    DUNE_SCAN_CLEAR | DUNE_SCAN_SPLIT, &told);
	if (!told)
		pc->hcall(DUNE_HC_DIRTY, 0, 0, 0);
	pc->finish(tf);
}
