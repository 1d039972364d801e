/*
 * What remains of a process that has ended: its VM and the monitor's memory.
 *
 * A parent is told of a child's end when the last thread has let go of its
 * memory and descriptors. With them goes the VM: shadow pages, files in
 * debugfs, and two grace periods of SRCU to sleep through; most of a
 * millisecond, and on a busy machine several, that everybody who waits for a
 * short program waits for. So a process that shares the memory, and with it the
 * mapping of the vCPU that keeps the VM, lives until the parent knows, and the
 * kernel takes things apart at *its* end.
 *
 * Nobody may see a difference, so all that others can see goes before: the
 * descriptors (locks, the other ends of pipes, the broker), the guest's memory
 * (shared mappings, files, its size) and the working directory. The helper is
 * behind the same walls, has no descriptor, and does nothing but wait.
 */
#include "kern/task/remains.h"

#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/task/process.h"

#define HELPER_STACK 8192

/* Has the helper let go of the descriptors, which it shares at first? */
static bool alone;

/* As the file's head says: until the whole of our parent is dead. */
static int helper(void *arg)
{
	pid_t ended = (intptr_t)arg;
	struct pollfd p = { .events = POLLIN };

	/* a table of its own, with nothing in it */
	if (syscall(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) == 0) {
		__atomic_store_n(&alone, true, __ATOMIC_RELEASE);
		/* signals to the process group or the terminal's find nobody */
		syscall(SYS_setsid);
		p.fd = syscall(SYS_pidfd_open, ended, 0);
		/* still our parent: so it is the process of that number */
		if (p.fd >= 0 && syscall(SYS_getppid) == ended)
			syscall(SYS_poll, &p, 1, -1);
	}
	syscall(SYS_exit_group, 0);
	return 0;
}

/*
 * Not with other threads, which run until exit_group and would see it; nor in a
 * vfork's child, whose memory is its parent's and goes on. A plugin host counts
 * its children.
 */
static bool may_leave(const struct dune_proc *p)
{
	return p->threads <= 1 && !p->vfork_child && !p->policy->siblings;
}

void dune_remains_leave(struct dune_task *t)
{
	static char stack[HELPER_STACK] __attribute__((aligned(16)));
	const uint64_t all = ~0ul;

	if (!may_leave(t->proc))
		return;
	/* none may find the program half gone */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
	if (chdir("/") || clone(helper, stack + sizeof(stack),
				CLONE_VM | CLONE_FILES,
				(void *)(intptr_t)getpid()) < 0)
		return;
	/* the kernel's own walk would find no list any more */
	dune_robust_walk(t);
	munmap((void *)DUNE_ARENA_LO, DUNE_ARENA_HI - DUNE_ARENA_LO);
	/*
	 * One number after the other, up to ours, which takes longer than all
	 * the rest: only where the end of this process would not close them.
	 */
	if (!__atomic_load_n(&alone, __ATOMIC_ACQUIRE))
		syscall(SYS_close_range, 0, ~0u, 0);
}
