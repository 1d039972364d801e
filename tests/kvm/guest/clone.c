/*
 * Threads and processes made by clone and clone3 without the C library:
 * own stack, SETTLS, PARENT_SETTID, CHILD_CLEARTID, set_tid_address, pidfds,
 * bad arguments.
 */
#include <asm/prctl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include "guest.h"

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | \
		CLONE_THREAD | CLONE_SYSVSEM)

static volatile int ptid, ctid = 1;
static volatile long seen[4];
static long tlsblock[64];
static char stack[65536] __attribute__((aligned(16)));

/* Runs on the new stack, with no thread control block: raw calls only. */
static void *body(void)
{
	long v;

	__asm__ volatile("mov %%fs:0, %0" : "=r"(v));
	seen[0] = v;
	__asm__ volatile("syscall" : "=a"(v) : "a"(SYS_gettid) :
			 "rcx", "r11", "memory");
	seen[1] = v == ptid;
	seen[2] = 42;
	__asm__ volatile("syscall" : : "a"(SYS_exit), "D"(0) :
			 "rcx", "r11", "memory");
	return NULL;
}

static long start(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long r;

	__asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\tcall *%[body]\n1:"
			 : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10),
			 "r"(r8), [body] "b"(body) : "rcx", "r11", "memory");
	return r;
}

static void wait_cleared(void)
{
	while (ctid)
		syscall(SYS_futex, &ctid, FUTEX_WAIT, ctid, NULL, NULL, 0);
	say("tls %ld, tid %s, ran %ld\n", seen[0], seen[1] ? "right" : "wrong",
	    seen[2]);
	memset((void *)seen, 0, sizeof(seen));
}

int main(void)
{
	struct clone_args ca = {
		.flags = THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID |
			 CLONE_CHILD_CLEARTID,
		.parent_tid = (uint64_t)&ptid, .child_tid = (uint64_t)&ctid,
		.stack = (uint64_t)stack, .stack_size = sizeof(stack),
		.tls = (uint64_t)tlsblock,
	};
	int pidfd = -1, st;
	struct pollfd pfd;
	siginfo_t si;
	long r;

	tlsblock[0] = 5555;
	r = start(SYS_clone, ca.flags, (long)stack + sizeof(stack),
		  (long)&ptid, (long)&ctid, (long)tlsblock);
	CHECK(r > 0 && r == ptid);
	wait_cleared();

	ctid = 1;
	r = start(SYS_clone3, (long)&ca, sizeof(ca), 0, 0, 0);
	CHECK(r > 0 && r == ptid);
	wait_cleared();

	/* A process with a descriptor for it. */
	memset(&ca, 0, sizeof(ca));
	ca.flags = CLONE_PIDFD;
	ca.pidfd = (uint64_t)&pidfd;
	ca.exit_signal = SIGCHLD;
	r = syscall(SYS_clone3, &ca, sizeof(ca));
	if (r == 0)
		_exit(9);
	CHECK(r > 0 && pidfd > 2);
	pfd = (struct pollfd){ pidfd, POLLIN, 0 };
	CHECK(poll(&pfd, 1, 5000) == 1);
	CHECK(waitid(P_PIDFD, pidfd, &si, WEXITED) == 0);
	say("pidfd: code %d, status %d\n", si.si_code, si.si_status);

	/* A child without an exit signal is only seen with __WCLONE. */
	r = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (r == 0)
		_exit(3);
	FAILS(ECHILD, waitpid(r, &st, 0));
	CHECK(waitpid(r, &st, __WCLONE) == r);
	say("__WCLONE: %s\n", how(st));

	CHECK(syscall(SYS_set_tid_address, &ctid) == gettid());
	FAILS(EINVAL, syscall(SYS_clone, CLONE_THREAD, stack, 0, 0, 0));
	FAILS(EINVAL, syscall(SYS_clone, CLONE_SIGHAND, stack, 0, 0, 0));
	FAILS(EINVAL, syscall(SYS_clone3, &ca, 8));
	say("bad arguments refused\n");
	return 0;
}
