/* dune/gc.h: handlers of page faults, by range. Runs in trap handlers. */
#include "libdune/guest.h"

#include <errno.h>
#include "dune/gc.h"
#include "kern/err.h"
#include "kern/self/barrier.h"

_Static_assert(DUNE_BARRIERS == DUNE_GC_HANDLERS, "dune/gc.h");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static enum dune_trap_action on_fault(struct dune_tf *tf, unsigned int vector,
				      uint64_t va, void *arg)
{
	struct dune_barrier *b = dune_barrier_at(va);
	dune_gc_fault *fn;

	(void)vector;
	(void)arg;
	if (!b)
		return DUNE_TRAP_PASS;
	fn = (dune_gc_fault *)__atomic_load_n(&b->handler, __ATOMIC_ACQUIRE);
	return fn ? fn(tf, va, tf->err, b->arg) : DUNE_TRAP_PASS;
}

/* The range's place, or a free one for it; NULL: it is not possible. */
static struct dune_barrier *place(uint64_t lo, uint64_t hi, int *err)
{
	struct dune_barrier *b, *empty = NULL;

	*err = -ENOMEM;
	for (b = dune_barriers.v; b < dune_barriers.v + DUNE_BARRIERS; b++) {
		if (!b->handler) {
			empty = empty ? empty : b;
		} else if (b->lo == lo && b->hi == hi) {
			return b;
		} else if (b->lo < hi && lo < b->hi) {
			*err = -EINVAL;
			return NULL;
		}
	}
	return empty;
}

static int use_vector(void)
{
	unsigned int flags = DUNE_TRAP_NOFPU, i;

	for (i = 0; i < DUNE_BARRIERS; i++)
		if (dune_barriers.v[i].handler)
			flags &= dune_barriers.v[i].flags;
	return dune_trap_set(DUNE_VEC_PF, flags, on_fault, NULL);
}

static int set(uint64_t lo, uint64_t hi, unsigned int flags,
	       dune_gc_fault *handler, void *arg)
{
	struct dune_barrier *b;
	int err;

	b = place(lo, hi, &err);
	if (!b)
		return err;
	if (!handler && !b->handler)
		return -EINVAL;
	dune_barriers.n += !!handler - !!b->handler;
	__atomic_store_n(&b->handler, NULL, __ATOMIC_SEQ_CST);
	b->lo = lo;
	b->hi = hi;
	b->arg = arg;
	b->flags = flags;
	__atomic_store_n(&b->handler, (void *)handler, __ATOMIC_SEQ_CST);
	return use_vector();
}

int dune_gc_on_fault(void *va, size_t len, unsigned int flags,
		     dune_gc_fault *handler, void *arg)
{
	uint64_t lo = (uint64_t)va;
	int r;

	if (!dune_in_dune_mode())
		return -EPERM;
	if ((lo | len) & ~DUNE_PAGE_MASK || !len || lo + len < lo ||
	    flags & ~(unsigned int)DUNE_TRAP_NOFPU)
		return dune_err(-EINVAL, "dune_gc_on_fault: the range is of "
				"whole pages; flags are DUNE_TRAP_NOFPU or 0");
	pthread_mutex_lock(&lock);
	r = set(lo, lo + len, flags, handler, arg);
	pthread_mutex_unlock(&lock);
	return r;
}
