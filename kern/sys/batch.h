/*
 * A batch: several system calls that the guest makes by one (dune/syscall.h).
 * Whoever serves it, the thread or the proxy, goes through it with the same
 * loop, and serves each call as if it had come alone.
 */
#ifndef DUNE_KERN_BATCH_H
#define DUNE_KERN_BATCH_H

#include "dune/syscall.h"
#include "kern/sys/sys.h"

_Static_assert(DUNE_NR_BATCH >= DUNE_NR_MAX && DUNE_NR_BATCH < DUNE_NR_OWN,
	       "a number of its own");
_Static_assert(sizeof(struct dune_syscall) == 64, "the guest's array");

/* So many in one go; the guest asks again for the rest. */
#define DUNE_BATCH_MOST 256

/*
 * Serves one of the calls. False: not now or not in a batch, nothing was done.
 * *ret -DUNE_ERESTART: a signal comes first, nothing was done either.
 */
typedef bool dune_batch_one(struct dune_task *task, struct dune_call *call,
			    const void *ctx, long *ret);

/*
 * Serves the batch's calls in order: the result for its rax, or -DUNE_ERESTART
 * when a signal came before the first. The array is the guest's: each call
 * is copied once and checked as the copy; only results are written to it.
 */
long dune_batch_serve(struct dune_task *task, const struct dune_call *batch,
		      dune_batch_one *one, const void *ctx);

#endif
