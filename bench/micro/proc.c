/* Processes, threads, signals, and switching between them. */
#include "bench/micro/micro.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t run_fork(unsigned long n)
{
	int64_t t = bench_now();

	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			return -errno;
	}
	return bench_now() - t;
}

static int64_t run_forkbig(unsigned long n)
{
	static char *p;

	if (!p) {
		p = bench_map(64 << 20, 0);
		if (!p)
			return -errno;
		memset(p, 1, 64 << 20);
	}
	return run_fork(n);
}

/* This program again, doing next to nothing. */
static pid_t spawn(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/proc/self/exe", "micro", "getpid", "--ops", "1", NULL);
		_exit(127);
	}
	return pid;
}

static int64_t run_forkexec(unsigned long n)
{
	int64_t t = bench_now();

	while (n--) {
		pid_t pid = spawn();
		int status;

		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return -errno;
		if (status)
			return -ENOEXEC;
	}
	return bench_now() - t;
}

static void *nothing(void *arg)
{
	return arg;
}

static int64_t run_thread(unsigned long n)
{
	int64_t t = bench_now();
	pthread_t id;

	while (n--) {
		int err = pthread_create(&id, NULL, nothing, NULL);

		if (err)
			return -err;
		pthread_join(id, NULL);
	}
	return bench_now() - t;
}

static void echo(int in, int out)
{
	char c;

	while (read(in, &c, 1) == 1)
		if (write(out, &c, 1) != 1)
			break;
}

/* A byte to and fro between two processes on one CPU: two switches. */
static int64_t run_pipe(unsigned long n)
{
	int a[2], b[2];
	char c = 0;
	int64_t t;
	pid_t pid;

	bench_one_cpu();
	if (pipe(a) || pipe(b))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		close(a[1]);
		close(b[0]);
		echo(a[0], b[1]);
		_exit(0);
	}
	close(a[0]);
	close(b[1]);
	/* The first round waits until the other is there. */
	t = bench_now();
	for (unsigned long i = 0; i <= n; i++) {
		if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1)
			return -EIO;
		if (!i)
			t = bench_now();
	}
	t = bench_now() - t;
	close(a[1]);
	close(b[0]);
	waitpid(pid, NULL, 0);
	return t;
}

static uint32_t turn;

static void futex(int op, uint32_t val)
{
	syscall(SYS_futex, &turn, op, val, NULL, NULL, 0);
}

/* Gives the turn to the other and waits until it comes back. */
static void pass(uint32_t mine, uint32_t theirs)
{
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine)
		futex(FUTEX_WAIT_PRIVATE, theirs);
	__atomic_store_n(&turn, theirs, __ATOMIC_RELEASE);
	futex(FUTEX_WAKE_PRIVATE, 1);
}

static void *other(void *arg)
{
	for (unsigned long n = (unsigned long)arg; n--;)
		pass(1, 0);
	return NULL;
}

static int64_t run_futex(unsigned long n)
{
	pthread_t id;
	int64_t t;
	int err;

	bench_one_cpu();
	turn = 0;
	err = pthread_create(&id, NULL, other, (void *)(n + 2));
	if (err)
		return -err;
	/* The second one waits until the other is there. */
	pass(0, 1);
	pass(0, 1);
	t = bench_now();
	for (unsigned long i = 0; i < n; i++)
		pass(0, 1);
	t = bench_now() - t;
	pthread_join(id, NULL);
	return t;
}

static void on_signal(int sig)
{
	(void)sig;
}

static int64_t run_signal(unsigned long n)
{
	int64_t t;

	signal(SIGUSR1, on_signal);
	t = bench_now();
	while (n--)
		raise(SIGUSR1);
	return bench_now() - t;
}

const struct bench_case bench_proc[] = {
	{ "fork", "fork(2), the child exits, waitpid(2)", run_fork, 0 },
	{ "forkbig", "the same with 64 MiB of touched memory", run_forkbig, 0 },
	{ "forkexec", "vfork(2), execve(2) of a static program, waitpid(2)",
	  run_forkexec, 0 },
	{ "thread", "pthread_create(3) and pthread_join(3)", run_thread, 0 },
	{ "pipe", "a byte to another process and back, on one CPU", run_pipe,
	  0 },
	{ "futex", "a turn to another thread and back, on one CPU", run_futex,
	  0 },
	{ "signal", "raise(3) to a handler and back", run_signal, 0 },
	{ 0 },
};
