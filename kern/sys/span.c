/* How many bytes a pointer of a system call covers. */
#include "kern/mm/uaccess.h"
#include "kern/sys/sys.h"

bool dune_sys_span(const struct dune_argspec *a, const uint64_t arg[6],
		   uint64_t *len)
{
	uint64_t v = arg[a->n];
	uint32_t v32;

	switch ((enum dune_lenrule)a->rule) {
	case DUNE_L_NONE:
		*len = 1;
		return true;
	case DUNE_L_BYTES:
		*len = a->size;
		return true;
	case DUNE_L_ARG:
		*len = v;
		return true;
	case DUNE_L_ARG32:
		*len = (uint32_t)v;
		return true;
	case DUNE_L_ARG_X:
		return !__builtin_mul_overflow(v, a->size, len);
	case DUNE_L_ARG32_X:
		*len = (uint64_t)(uint32_t)v * a->size;
		return true;
	case DUNE_L_PAGES:
		*len = v / DUNE_PAGE_SIZE + !!(v % DUNE_PAGE_SIZE);
		return true;
	case DUNE_L_PTR32:
		/*
		 * The kernel writes no more than the longest address there
		 * is, whatever the number says by then.
		 */
		if (v && dune_copy_in(&v32, v, sizeof(v32)))
			return false;
		*len = v && v32 < a->size ? v32 : a->size;
		return true;
	}
	return false;
}
