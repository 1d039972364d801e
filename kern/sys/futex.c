/* futex, futex_waitv, semctl: what the operation number makes of the rest. */
#include <linux/futex.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"

enum { TIMEOUT = 1, SECOND = 2 };	/* arg[3], arg[4] are followed */

static const uint8_t follows[] = {
	[FUTEX_WAIT]		= TIMEOUT,
	[FUTEX_REQUEUE]		= SECOND,
	[FUTEX_CMP_REQUEUE]	= SECOND,
	[FUTEX_WAKE_OP]		= SECOND,
	[FUTEX_LOCK_PI]		= TIMEOUT,
	[FUTEX_WAIT_BITSET]	= TIMEOUT,
	[FUTEX_WAIT_REQUEUE_PI]	= TIMEOUT | SECOND,
	[FUTEX_CMP_REQUEUE_PI]	= SECOND,
	[FUTEX_LOCK_PI2]	= TIMEOUT,
};

long dune_futex_check(const struct dune_call *c)
{
	uint32_t op = c->arg[1] & FUTEX_CMD_MASK;

	/* The kernel answers ENOSYS to what it does not know. */
	if (op >= DUNE_ARRAY_SIZE(follows))
		return -ENOSYS;
	if ((follows[op] & TIMEOUT) && !dune_range_ok(c->arg[3], 16))
		return -EFAULT;
	if ((follows[op] & SECOND) && !dune_range_ok(c->arg[4], 4))
		return -EFAULT;
	return 0;
}

long dune_sys_futex(struct dune_task *t, struct dune_call *c)
{
	long ret = dune_futex_check(c);

	(void)t;
	return ret ? ret : dune_forward_call(c);
}

long dune_sys_futex_waitv(struct dune_task *t, struct dune_call *c)
{
	struct futex_waitv v[FUTEX_WAITV_MAX];
	uint32_t n = c->arg[1];

	(void)t;
	if (!n || n > FUTEX_WAITV_MAX)
		return -EINVAL;
	if (dune_copy_in(v, c->arg[0], n * sizeof(v[0])))
		return -EFAULT;
	for (uint32_t i = 0; i < n; i++)
		if (!dune_range_ok(v[i].uaddr, 4))
			return -EFAULT;
	c->arg[0] = (uintptr_t)v;
	return dune_forward_call(c);
}

/* The fourth argument is a number or a pointer; arrays end at the guard. */
long dune_sys_semctl(struct dune_task *t, struct dune_call *c)
{
	(void)t;
	switch ((int)c->arg[2] & ~0x100 /* IPC_64 */) {
	case SETVAL:
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case IPC_RMID:
		break;
	default:
		if (!dune_range_ok(c->arg[3], 1))
			return -EFAULT;
	}
	return dune_forward_call(c);
}
