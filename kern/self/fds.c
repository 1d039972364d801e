/*
 * The library's own descriptors: /dev/kvm, the VM, its vCPUs. They have high
 * numbers, and do not exist for the program: it may well close all that it has
 * not opened.
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "kern/self/fds.h"
#include "kern/self/self.h"
#include "kern/sys/sys.h"
#include "kern/task/hostcall.h"

#define FLOOR		900
#define NONE		UINT_MAX

/* Below it there is none of ours. */
static unsigned int lowest = FLOOR;

int dune_fds_floor(void)
{
	struct rlimit lim = { FLOOR, FLOOR };
	unsigned int floor;

	dune_host_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&lim, 0,
			  0);
	/* few numbers: the upper half of them */
	floor = lim.rlim_cur > FLOOR + 100 ? FLOOR : lim.rlim_cur / 2;
	if (floor < lowest)
		lowest = floor;
	return floor;
}

static void lower(unsigned int *next, int fd, unsigned int from)
{
	if (fd >= 0 && (unsigned int)fd >= from && (unsigned int)fd < *next)
		*next = fd;
}

/* The first of ours from `from` on, or NONE. */
static unsigned int first_of_ours(unsigned int from)
{
	struct dune_vm *vm = &dune_self.vm;
	const struct dune_vcpu *c;
	unsigned int next = NONE;

	pthread_mutex_lock(&vm->lock);
	lower(&next, vm->kvm_fd, from);
	lower(&next, vm->fd, from);
	for (c = vm->all_vcpus; c; c = c->next_all)
		lower(&next, c->fd, from);
	pthread_mutex_unlock(&vm->lock);
	return next;
}

static bool is_ours(unsigned int fd)
{
	return fd >= lowest && fd != NONE && first_of_ours(fd) == fd;
}

static long forward(const struct dune_call *c)
{
	return dune_host_syscall(c->nr, c->arg[0], c->arg[1], c->arg[2],
				 c->arg[3], 0, 0);
}

long dune_fds_hide(struct dune_task *t, struct dune_call *c)
{
	(void)t;
	return is_ours(c->arg[0]) ? -EBADF : forward(c);
}

/* As a number beyond the limit: there is none to put in its place. */
long dune_fds_dup_to(struct dune_task *t, struct dune_call *c)
{
	(void)t;
	return is_ours(c->arg[1]) ? -EBADF : forward(c);
}

long dune_fds_close_range(struct dune_task *t, struct dune_call *c)
{
	const unsigned int end = c->arg[1];
	unsigned int first = c->arg[0], ours;
	long ret;

	(void)t;
	do {
		ours = first_of_ours(first);
		c->arg[0] = first;
		c->arg[1] = ours <= end && ours > first ? ours - 1 : end;
		if (ours == first)
			ret = 0;
		else
			ret = forward(c);
		first = ours + 1;
	} while (!ret && ours < end);
	return ret;
}
