/*
 * The nanny: parent of all sandboxes, so that the application is not. A child
 * that executes a program becomes one that wait(-1) sees, whatever it was
 * made as; a grandchild does not.
 *
 * It is a process, but shares memory and descriptors with the application, as
 * between vfork and exec: it costs a stack. It runs nothing but the two loops
 * here, without the C library, whose thread-local data is the keeper's; all
 * signals are blocked in it. It ends with the keeper's thread.
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/raw.h"

#define STACK	(64 * 1024)
/* A sandbox's descriptors pass through numbers from here on. */
#define ASIDE	64
#define MOST	16
/* A monitor's stack, where the application's has no limit: see limit_stack()
 * of dune-run. */
#define STACK_LIMIT (8ul << 20)

enum { IDLE, ASKED, ANSWERED };

struct dune_nanny {
	uint32_t turn;			/* futex: of the states above */
	pid_t pid;
	pid_t host;
	int pidfd;
	char *stacks;			/* its own, then its children's */
	/* the request: a program to start (exe >= 0), or a child to reap */
	int exe;
	const int *fd;
	unsigned int fds;
	pid_t child;
	int flags;			/* of waitid(2) */
	int child_fd;
	siginfo_t info;
	long result;
};

#define raw dune_raw6

/* ---- in the new child; memory is still shared ---- */

static int child_main(void *arg)
{
	struct dune_nanny *n = arg;
	static char *const argv[] = { (char *)"dune-sandbox", NULL };
	static char *const envp[] = { NULL };
	struct rlimit r;
	int aside[MOST + 1];
	unsigned int i;
	long fd;

	raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	if (raw(SYS_getppid, 0, 0, 0, 0, 0, 0) != n->pid)
		goto out;
	/* first out of each other's way, then to their places */
	for (i = 0; i <= n->fds; i++) {
		fd = raw(SYS_fcntl, i < n->fds ? n->fd[i] : n->exe, F_DUPFD,
			 ASIDE, 0, 0, 0);
		if (fd < 0)
			goto out;
		aside[i] = fd;
	}
	for (i = 0; i < n->fds; i++)
		if (raw(SYS_dup3, aside[i], i, 0, 0, 0, 0) < 0)
			goto out;
	if (raw(SYS_dup3, aside[n->fds], n->fds, O_CLOEXEC, 0, 0, 0) < 0 ||
	    raw(SYS_close_range, n->fds + 1, ~0u, 0, 0, 0, 0) < 0)
		goto out;
	if (raw(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)&r, 0, 0) == 0 &&
	    r.rlim_cur == RLIM_INFINITY) {
		r.rlim_cur = STACK_LIMIT;
		raw(SYS_prlimit64, 0, RLIMIT_STACK, (long)&r, 0, 0, 0);
	}
	raw(SYS_execveat, n->fds, (long)"", (long)argv, (long)envp,
	    AT_EMPTY_PATH, 0);
out:
	raw(SYS_exit_group, 126, 0, 0, 0, 0, 0);
	return 0;
}

/* ---- in the nanny ---- */

static void spawn(struct dune_nanny *n)
{
	/* glibc's wrapper touches nothing but the new stack and errno, which
	 * is the keeper's, who waits */
	n->result = clone(child_main, n->stacks + 2 * STACK,
			  CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, n,
			  &n->child_fd);
	if (n->result < 0)
		n->result = -errno;
}

static void __attribute__((noreturn)) serve(struct dune_nanny *n)
{
	uint32_t turn;

	for (;;) {
		while ((turn = __atomic_load_n(&n->turn, __ATOMIC_ACQUIRE)) !=
		       ASKED)
			raw(SYS_futex, (long)&n->turn, FUTEX_WAIT, turn, 0, 0,
			    0);
		if (n->exe >= 0)
			spawn(n);
		else
			n->result = raw(SYS_waitid, P_PID, n->child,
					(long)&n->info, n->flags, 0, 0);
		__atomic_store_n(&n->turn, ANSWERED, __ATOMIC_RELEASE);
		raw(SYS_futex, (long)&n->turn, FUTEX_WAKE, 1, 0, 0, 0);
	}
}

static int nanny_main(void *arg)
{
	/* the kernel's struct: SIG_DFL, so that children leave a status */
	const uint64_t dfl[4] = { 0 };
	struct dune_nanny *n = arg;

	raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	raw(SYS_rt_sigaction, SIGCHLD, (long)dfl, 0, 8, 0, 0);
	raw(SYS_prctl, PR_SET_NAME, (long)"dune-nanny", 0, 0, 0, 0);
	if (raw(SYS_getppid, 0, 0, 0, 0, 0, 0) != n->host)
		raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
	serve(n);
}

/* ---- in the keeper ---- */

static long ask(struct dune_nanny *n)
{
	const struct timespec second = { .tv_sec = 1 };
	struct pollfd end = { .fd = n->pidfd, .events = POLLIN };

	__atomic_store_n(&n->turn, ASKED, __ATOMIC_RELEASE);
	raw(SYS_futex, (long)&n->turn, FUTEX_WAKE, 1, 0, 0, 0);
	while (__atomic_load_n(&n->turn, __ATOMIC_ACQUIRE) != ANSWERED) {
		raw(SYS_futex, (long)&n->turn, FUTEX_WAIT, ASKED,
		    (long)&second, 0, 0);
		if (poll(&end, 1, 0) > 0)
			return dune_err(-EIO, "sandboxes: their parent process "
					"%d has been killed", n->pid);
	}
	n->turn = IDLE;
	return n->result;
}

int dune_nanny_create(struct dune_nanny **out)
{
	struct dune_nanny *n = calloc(1, sizeof(*n));

	if (!n)
		return dune_err(-ENOMEM, "engine: out of memory");
	n->stacks = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	n->host = getpid();
	if (n->stacks == MAP_FAILED) {
		free(n);
		return dune_err(-ENOMEM, "engine: out of memory");
	}
	n->pid = clone(nanny_main, n->stacks + STACK,
		       CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_PIDFD, n,
		       &n->pidfd);
	if (n->pid < 0) {
		int err = -errno;

		munmap(n->stacks, 2 * STACK);
		free(n);
		return dune_err(err, "engine: cannot make a process: %s; end "
				"others or raise ulimit -u", strerror(-err));
	}
	*out = n;
	return 0;
}

void dune_nanny_destroy(struct dune_nanny *n)
{
	siginfo_t info;

	syscall(SYS_pidfd_send_signal, n->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, n->pidfd, &info, WEXITED | __WALL) < 0 &&
	       errno == EINTR)
		;
	close(n->pidfd);
	munmap(n->stacks, 2 * STACK);
	free(n);
}

pid_t dune_nanny_pid(const struct dune_nanny *n)
{
	return n->pid;
}

pid_t dune_nanny_spawn(struct dune_nanny *n, int exe, const int *fd,
		       unsigned int fds, int *pidfd)
{
	long pid;

	n->exe = exe;
	n->fd = fd;
	n->fds = fds;
	pid = ask(n);
	*pidfd = n->child_fd;
	if (pid < 0 && pid != -EIO)
		dune_err(pid, "a sandbox's process: %s; end other processes "
			 "or raise ulimit -u", strerror(-pid));
	return pid;
}

int dune_nanny_wait(struct dune_nanny *n, pid_t pid, bool keep, int *code,
		    int *status)
{
	int r;

	n->exe = -1;
	n->child = pid;
	n->flags = WEXITED | (keep ? WNOWAIT : 0);
	memset(&n->info, 0, sizeof(n->info));
	r = ask(n);
	if (!r) {
		*code = n->info.si_code;
		*status = n->info.si_status;
	}
	return r;
}
