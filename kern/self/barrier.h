/*
 * Ranges whose page faults the program resolves (dune/gc.h,
 * dune_gc_on_fault()), and system calls with a buffer there: the kernel would
 * go past the guest's tables, so the fault comes before the call, which is then
 * made again.
 */
#ifndef DUNE_KERN_SELF_BARRIER_H
#define DUNE_KERN_SELF_BARRIER_H

#include "kern/self/self.h"

#define DUNE_BARRIERS	64

/* handler is set last, and cleared first. */
struct dune_barrier {
	uint64_t lo, hi;
	void *handler;
	void *arg;
	unsigned int flags;
};

struct dune_barriers {
	unsigned int n;		/* that are set; 0: nothing to look for */
	struct dune_barrier v[DUNE_BARRIERS];
};

extern struct dune_barriers dune_barriers;

/* The one with va, or NULL. Lock-free. */
static inline struct dune_barrier *dune_barrier_at(uint64_t va)
{
	struct dune_barrier *b;

	for (b = dune_barriers.v; b < dune_barriers.v + DUNE_BARRIERS; b++)
		if (__atomic_load_n(&b->handler, __ATOMIC_ACQUIRE) &&
		    va >= b->lo && va < b->hi)
			return b;
	return NULL;
}

/*
 * Before a call is served: true when it has to wait for a fault. Then u is
 * in the trap's entry, and the trap returns to the call.
 */
bool dune_barrier_hit(struct dune_sthread *t, const struct dune_call *c);

#endif
