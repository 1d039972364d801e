/* Batches of system calls: the loop through the guest's array. */
#include "kern/sys/batch.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "kern/mm/uaccess.h"
#include "kern/task/hostcall.h"

/*
 * A copy of the call at `at`. Its result must have a place before it is made,
 * for it cannot be made again.
 */
static int take(struct dune_call *c, dune_gva_t at)
{
	struct dune_syscall s;

	if (dune_copy_in(&s, at, sizeof(s)) ||
	    dune_touch(at + offsetof(struct dune_syscall, ret), true))
		return -EFAULT;
	memset(c, 0, sizeof(*c));
	c->nr = (int)s.nr;
	memcpy(c->arg, s.arg, sizeof(c->arg));
	return 0;
}

long dune_batch_serve(struct dune_task *task, const struct dune_call *batch,
		      dune_batch_one *one, const void *ctx)
{
	uint64_t calls = (unsigned int)batch->arg[1], flags = batch->arg[2], i;
	dune_gva_t at = batch->arg[0];
	struct dune_call c;
	long ret;

	if (flags & ~(uint64_t)DUNE_BATCH_STOP || at % sizeof(uint64_t))
		return -EINVAL;
	if (calls > DUNE_BATCH_MOST)
		calls = DUNE_BATCH_MOST;
	for (i = 0; i < calls; i++, at += sizeof(struct dune_syscall)) {
		if (take(&c, at))
			return i ? (long)i : -EFAULT;
		if (!one(task, &c, ctx, &ret))
			return i;
		if (ret == -DUNE_ERESTART)
			return i ? (long)i : ret;
		/* gone meanwhile: by another thread, natively a fault */
		dune_store_out(at + offsetof(struct dune_syscall, ret), ret);
		if (flags & DUNE_BATCH_STOP && ret < 0 && ret >= -4095)
			return i + 1;
	}
	return i;
}
