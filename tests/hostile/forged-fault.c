/*
 * Faults that are none: a signal that a program sends itself, with what the
 * kernel says of a real one. The monitor tells its own faults by that.
 */
#include <pthread.h>
#include <sys/uio.h>
#include "hostile.h"

static volatile int seen;
static volatile int going = 1;
static int self = -1;

static void handler(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	seen++;
}

/* Is in and out of the monitor all the time, and in its copies. */
static void *copies(void *arg)
{
	struct iovec iov[64];
	char c[64];

	for (int i = 0; i < 64; i++)
		iov[i] = (struct iovec){ c + i, 1 };
	while (going)
		writev(*(int *)arg, iov, 64);
	return arg;
}

static void forge(int sig, int tid)
{
	siginfo_t si = { .si_signo = sig, .si_code = SEGV_MAPERR };

	si.si_addr = (void *)0x123456;
	/* (the kernel lets a thread do it to itself alone) */
	CHECK(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &si) == 0 ||
	      tid != gettid());
	syscall(SYS_rt_sigqueueinfo, getpid(), sig, &si);
	if (self >= 0)
		syscall(SYS_pidfd_send_signal, self, sig, &si, 0);
}

/* A child whose end would be a fault of its parent's. */
static void child(int sig)
{
	pid_t pid = syscall(SYS_clone, sig, 0, NULL, NULL, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, __WALL);
}

static void *hammer(void *arg)
{
	for (int i = 0; i < 30; i++) {
		forge(SIGSEGV, *(int *)arg);
		forge(SIGBUS, *(int *)arg);
	}
	going = 0;
	return NULL;
}

int main(void)
{
	int null = open("/dev/null", O_WRONLY), tid = gettid();
	pthread_t t;

	handle(SIGSEGV, handler, 0);
	handle(SIGBUS, handler, 0);
	forge(SIGSEGV, tid);
	forge(SIGBUS, tid);
	CHECK(seen >= 2);
	child(SIGSEGV);
	child(SIGBUS);
	self = syscall(SYS_pidfd_open, getpid(), 0);
	CHECK(pthread_create(&t, NULL, hammer, &tid) == 0);
	copies(&null);
	pthread_join(t, NULL);
	contained("%d signals, and none was the monitor's", seen);
	return 0;
}
