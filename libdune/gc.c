/* dune/gc.h: what was written since the last look. */
#include "libdune/guest.h"

#include <errno.h>
#include "dune/gc.h"
#include "libdune/vm.h"

int dune_gc_track(void *va, size_t len)
{
	if (!dune_in_dune_mode())
		return -EPERM;
	if (((uint64_t)va | len) & ~DUNE_PAGE_MASK)
		return -EINVAL;
	__atomic_store_n(&dune_self.tracking, true, __ATOMIC_SEQ_CST);
	return dune_vm_split(pgroot, va, len);
}

/* Not large leaves split on the way: that is dune_gc_track()'s. */
long dune_gc_scan(struct dune_gc_range *range, size_t n, int flags)
{
	bool told = false;
	long r;

	if (flags & DUNE_SCAN_SPLIT)
		return -EINVAL;
	r = dune_vm_scan_ranges(pgroot, range, n, flags, &told);
	if (r > 0 && !told && flags & DUNE_SCAN_CLEAR &&
	    flags & DUNE_SCAN_DIRTY &&
	    __atomic_load_n(&dune_self.active, __ATOMIC_SEQ_CST) > 1)
		dune_guest_cpu()->hcall(DUNE_HC_DIRTY, 0, 0, 0);
	return r;
}
