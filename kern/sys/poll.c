/* poll and select: sets of descriptors without the monitor's. */
#include <limits.h>
#include <poll.h>
#include <sys/syscall.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/signal.h"
#include "kern/task/task.h"

/* pselect6 and ppoll also take a signal mask: that is signal.c's. */
static long run(struct dune_task *t, struct dune_call *c)
{
	if (c->nr == SYS_ppoll || c->nr == SYS_pselect6)
		return dune_sys_with_mask(t, c);
	return dune_forward_call(c);
}

/* Stands for one of the monitor's; negative, so the kernel passes over it. */
#define HIDDEN INT_MIN

/*
 * The kernel gets a copy without the monitor's descriptors, so that another
 * guest thread cannot put them back. They answer POLLNVAL, as closed ones do;
 * with such a one in the set poll does not sleep.
 */
static long poll_copy(struct dune_task *t, struct dune_call *c,
		      struct pollfd *p, uint32_t n)
{
	dune_gva_t out = c->arg[0];
	uint32_t hidden = 0;
	long ret;

	if (n && dune_copy_in(p, out, n * sizeof(*p)))
		return -EFAULT;
	for (uint32_t i = 0; i < n; i++) {
		if (p[i].fd == HIDDEN) {
			p[i].fd = -1;
		} else if (p[i].fd >= t->proc->fd_base) {
			p[i].fd = HIDDEN;
			hidden++;
		}
	}
	c->arg[0] = (uintptr_t)p;
	if (hidden)
		ret = dune_forward(SYS_poll, c->arg[0], n, 0, 0, 0, 0);
	else
		ret = run(t, c);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < n; i++) {
		if (p[i].fd == HIDDEN)
			p[i].revents = POLLNVAL;
		if (dune_copy_out(out + i * sizeof(*p) +
				  offsetof(struct pollfd, revents),
				  &p[i].revents, sizeof(p[i].revents)))
			return -EFAULT;
	}
	return ret + hidden;
}

long dune_sys_poll(struct dune_task *t, struct dune_call *c)
{
	struct dune_scratch s;
	uint32_t n = c->arg[1];
	long ret;

	/* More entries than descriptors is EINVAL in Linux, too. */
	if (n > (uint32_t)t->proc->fd_base)
		return -EINVAL;
	if (n && !c->arg[0])
		return -EFAULT;
	if (dune_scratch_get(&s, n * sizeof(struct pollfd)))
		return -ENOMEM;
	ret = poll_copy(t, c, s.p, n);
	dune_scratch_put(&s);
	return ret;
}

/*
 * select only looks at bits below its first argument: clipped, it cannot
 * reach ours. Linux clips it to the descriptors there are as well.
 */
long dune_sys_select(struct dune_task *t, struct dune_call *c)
{
	int n = c->arg[0];
	uint64_t len;

	if (n < 0)
		return -EINVAL;
	if (n > t->proc->fd_base)
		n = t->proc->fd_base;
	len = (n + 63) / 64 * 8;
	for (int i = 1; i <= 3; i++)
		if (!dune_range_ok(c->arg[i], len))
			return -EFAULT;
	c->arg[0] = n;
	return run(t, c);
}
