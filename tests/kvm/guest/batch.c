/*
 * Batches of system calls (dune_syscall_batch()): results in order, calls that
 * wait or are for the thread alone among them, signals between them and in
 * them, errors, places that are not there. With a number: so many batches of 64,
 * for counting exits.
 */
#include <poll.h>
#include <setjmp.h>
#include <sys/uio.h>
#include "../../../libdune/include/dune/syscall.h"
#include "guest.h"

#define C(number, ...) { .nr = SYS_##number, .arg = { __VA_ARGS__ }, .ret = 77 }
#define P(pointer) ((uint64_t)(pointer))

static volatile sig_atomic_t signals;

static int run(struct dune_syscall *c, unsigned int n, unsigned int flags)
{
	int e = errno, made = dune_syscall_batch(c, n, flags);

	CHECK(errno == e);
	return made;
}

#define RUN(c)	run((c), sizeof(c) / sizeof((c)[0]), 0)

static void on_signal(int sig)
{
	struct dune_syscall c[] = { C(getppid), C(getpid), C(gettid) };

	(void)sig;
	signals++;
	CHECK(RUN(c) == 3 && c[2].ret == gettid());
}

static void who(void)
{
	struct dune_syscall c[] = {
		C(getppid), C(getpid), C(gettid), C(getuid), C(getpgrp),
		C(getcpu), C(sched_yield),
	};

	CHECK(RUN(c) == 7);
	CHECK(c[0].ret == getppid() && c[1].ret == getpid());
	CHECK(c[2].ret == gettid() && c[3].ret == getuid());
	CHECK(c[4].ret == getpgrp() && !c[5].ret && !c[6].ret);
}

static void *thread(void *arg)
{
	for (int i = 0; i < 20; i++)
		who();
	return arg;
}

/* A file's whole life, and what comes back in buffers. */
static void file(void)
{
	int fd = memfd_create("batch", 0);
	char a[8] = "", b[8] = "";
	struct iovec v = { b, 4 };
	struct stat st;
	struct dune_syscall c[] = {
		C(pwrite64, fd, P("abcdefgh"), 8, 0), C(lseek, fd, 2, SEEK_SET),
		C(read, fd, P(a), 3), C(readv, fd, P(&v), 1),
		C(fstat, fd, P(&st)), C(dup, fd), C(close, fd), C(close, fd),
	};

	CHECK(fd >= 0 && RUN(c) == 8);
	CHECK(c[0].ret == 8 && c[1].ret == 2 && c[2].ret == 3);
	CHECK(c[3].ret == 3 && !strcmp(a, "cde") && !strcmp(b, "fgh"));
	CHECK(!c[4].ret && st.st_size == 8 && c[5].ret > fd);
	CHECK(!c[6].ret && c[7].ret == -EBADF);
	close(c[5].ret);
}

static void memory(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	struct dune_syscall c[] = {
		C(mprotect, P(p), PAGE, PROT_READ | PROT_WRITE),
		C(mprotect, P(p + PAGE), PAGE, PROT_READ),
		C(munmap, P(p + 2 * PAGE), PAGE),
		C(mprotect, P(p + 2 * PAGE), PAGE, PROT_READ),
		C(mmap, P(p + 2 * PAGE), PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
	};

	CHECK(RUN(c) == 5 && !c[0].ret && !c[1].ret && !c[2].ret);
	CHECK(c[3].ret == -ENOMEM && c[4].ret == (int64_t)P(p + 2 * PAGE));
	p[0] = p[2 * PAGE] = p[PAGE] + 1;
	munmap(p, 4 * PAGE);
}

static void stops(void)
{
	struct dune_syscall c[] = {
		C(getppid), C(close, -1), C(getppid), C(close, -2),
	};

	CHECK(run(c, 4, DUNE_BATCH_STOP) == 2);
	CHECK(c[0].ret == getppid() && c[1].ret == -EBADF && c[2].ret == 77);
	CHECK(run(c, 4, 0) == 4 && c[2].ret == getppid());
	CHECK(run(c, 4, 8) == -EINVAL && run(c, -1u, 0) == -EINVAL);
	CHECK(run(c, 0, 0) == 0 && run(NULL, 0, DUNE_BATCH_STOP) == 0);
	c[3].ret = 77;
	CHECK(run(c, 1, 0) == 1 && run(c + 3, 1, DUNE_BATCH_STOP) == 1);
	CHECK(c[3].ret == -EBADF);
}

/* What is not made with others, in their midst. */
static void alone(void)
{
	sigset_t set, old, now;
	struct dune_syscall c[] = {
		C(getppid), C(rt_sigprocmask, SIG_BLOCK, P(&set), P(&old), 8),
		C(getppid), C(kill, getpid(), SIGUSR1), C(rt_sigpending, P(&now), 8),
		C(rt_sigprocmask, SIG_SETMASK, P(&old), 0, 8), C(getppid),
		{ .nr = 4000 }, { .nr = -1 }, { .nr = DUNE_NR_BATCH }, C(fork),
	};

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	memset(&now, 0, sizeof(now));
	signals = 0;
	CHECK(RUN(c) == 11);
	if (!c[10].ret)
		_exit(3);
	CHECK(how(reap(c[10].ret)) && !c[1].ret && !c[3].ret && !c[4].ret);
	CHECK(sigismember(&now, SIGUSR1) && signals == 1);
	CHECK(c[6].ret == getppid() && c[7].ret == -ENOSYS);
	CHECK(c[8].ret == -ENOSYS && c[9].ret <= 0);
}

/* The reader of what the batch itself has to wait for. */
static void *reader(void *arg)
{
	int *fd = arg;
	char c;

	CHECK(read(fd[0], &c, 1) == 1 && c == 'a');
	CHECK(write(fd[3], "b", 1) == 1);
	return NULL;
}

static void waits(void)
{
	struct timespec ms = { 0, 1000000 };
	int fd[4];
	char got = 0;
	pthread_t t;

	CHECK(!pipe(fd) && !pipe(fd + 2));
	CHECK(!pthread_create(&t, NULL, reader, fd));
	{
		struct pollfd p = { fd[2], POLLIN, 0 };
		struct dune_syscall c[] = {
			C(getppid), C(write, fd[1], P("a"), 1),
			C(poll, P(&p), 1, -1), C(read, fd[2], P(&got), 1),
			C(nanosleep, P(&ms), 0), C(getppid),
		};

		CHECK(RUN(c) == 6 && c[1].ret == 1 && c[2].ret == 1);
		CHECK(c[3].ret == 1 && got == 'b' && !c[4].ret);
		CHECK(c[5].ret == getppid());
	}
	pthread_join(t, NULL);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
}

static volatile sig_atomic_t answered;

static void *knock(void *arg)
{
	pthread_t *to = arg;

	while (!answered) {
		pthread_kill(*to, SIGUSR1);
		usleep(2000);
	}
	return NULL;
}

/* Interrupted and not, as handlers say; and a pipe without a reader. */
static void interrupted(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };
	pthread_t t, me = pthread_self();
	struct timespec long_time = { 100, 0 };
	char got = 0;
	int fd[2];

	CHECK(!sigaction(SIGUSR1, &sa, NULL) && !pipe(fd));
	struct dune_syscall c[] = {
		C(getppid), C(read, fd[0], P(&got), 1), C(getppid),
		C(nanosleep, P(&long_time), 0), C(getppid),
	};

	signals = 0;
	if (flags) {
		/* the read goes on after each, until there is a byte */
		pid_t pid = fork();

		if (!pid) {
			for (int i = 0; i < 3; i++) {
				usleep(5000);
				kill(getppid(), SIGUSR1);
			}
			usleep(5000);
			CHECK(write(fd[1], "x", 1) == 1);
			_exit(0);
		}
		CHECK(run(c, 3, 0) == 3 && c[1].ret == 1 && got == 'x');
		CHECK(reap(pid) == 0 && signals >= 1);
		CHECK(c[0].ret == getppid() && c[2].ret == getppid());
	} else {
		CHECK(!pthread_create(&t, NULL, knock, &me));
		CHECK(RUN(c) == 5 && c[1].ret == -EINTR && c[3].ret == -EINTR);
		CHECK(c[2].ret == getppid() && c[4].ret == getppid());
		answered = 1;
		pthread_join(t, NULL);
	}
	close(fd[0]);
	close(fd[1]);
}

static void broken_pipe(void)
{
	int fd[2];

	CHECK(!pipe(fd));
	close(fd[0]);
	signal(SIGPIPE, on_signal);
	struct dune_syscall c[] = {
		C(getppid), C(write, fd[1], P("a"), 1), C(getppid),
	};
	signals = 0;
	CHECK(RUN(c) == 3 && c[1].ret == -EPIPE && c[2].ret == getppid());
	CHECK(signals == 1);
	close(fd[1]);
}

static sigjmp_buf back;

static void on_fault(int sig)
{
	siglongjmp(back, sig);
}

/* An array whose end is not there, or cannot take results. */
static void edge(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dune_syscall *c = (void *)(p + PAGE - 2 * sizeof(*c));
	int fd[2];
	char got[4];

	CHECK(p != MAP_FAILED && !pipe(fd) && !munmap(p + PAGE, PAGE));
	signal(SIGSEGV, on_fault);
	c[0] = c[1] = (struct dune_syscall)C(write, fd[1], P("z"), 1);
	if (sigsetjmp(back, 1) == 0) {
		dune_syscall_batch(c, 3, 0);
		CHECK(!"reached");
	}
	CHECK(c[0].ret == 1 && c[1].ret == 1);
	CHECK(read(fd[0], got, 4) == 2);
	CHECK(!mprotect(p, PAGE, PROT_READ));
	if (sigsetjmp(back, 1) == 0) {
		dune_syscall_batch(c, 2, 0);
		CHECK(!"reached");
	}
	/* made once, as natively, where only the result had no place */
	CHECK(read(fd[0], got, 4) == 1);
	signal(SIGSEGV, SIG_DFL);
	munmap(p, PAGE);
	close(fd[0]);
	close(fd[1]);
}

/* More than goes at once, in order. */
static void many(void)
{
	static struct dune_syscall c[1000];
	static char line[1000], seen[1000];
	int fd = memfd_create("many", 0);

	for (int i = 0; i < 1000; i++) {
		line[i] = 'a' + i % 23;
		c[i] = (struct dune_syscall)C(write, fd, P(&line[i]), 1);
	}
	CHECK(run(c, 1000, 0) == 1000);
	CHECK(pread(fd, seen, 1000, 0) == 1000 && !memcmp(seen, line, 1000));
	close(fd);
}

static void count(const char *what)
{
	static struct dune_syscall c[64];
	pid_t parent = getppid();
	int n = atoi(what);

	for (int i = 0; i < 64; i++)
		c[i] = (struct dune_syscall)C(getppid);
	while (n--)
		CHECK(run(c, 64, 0) == 64 && c[63].ret == parent);
}

int main(int argc, char **argv)
{
	pthread_t t;

	if (argc > 1) {
		count(argv[1]);
		return 0;
	}
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 20; i++) {
		who();
		file();
		memory();
		stops();
	}
	say("results\n");
	CHECK(!pthread_create(&t, NULL, thread, NULL));
	thread(NULL);
	pthread_join(t, NULL);
	alone();
	say("alone\n");
	waits();
	interrupted(0);
	interrupted(SA_RESTART);
	broken_pipe();
	say("signals\n");
	edge();
	many();
	say("edges\n");
	return 0;
}
