/*
 * System calls in quick succession, so that they are served without exits where
 * that is on: results, registers and flags, effects that belong to the thread,
 * and all of it among signals, threads, fork, vfork and execve.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "guest.h"

/* Where one CPU does it all, and that an emulated one, less must do. */
#define ROUNDS		(alone ? 50 : 400)
#define INTERVAL	(alone ? 20000 : 5000)	/* us */
#define BURST		(alone ? 16 : 64)	/* wakes whoever serves them */

static volatile long alarms;
static volatile sig_atomic_t pipes;
static __thread volatile int pipes_here;
static const char *dir;
static bool alone;

static void on_alarm(int sig, siginfo_t *si, void *uc)
{
	int e = errno;

	(void)sig, (void)si, (void)uc;
	alarms++;
	CHECK(getppid() > 0);
	errno = e;
}

static void on_pipe(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	pipes++;
	pipes_here++;
}

static void burst(void)
{
	for (int i = 0; i < BURST; i++)
		CHECK(getppid() > 0);
}

/* Numbered lines, in order and each once, whatever interrupts the calls. */
static void *writer(void *arg)
{
	long who = (long)arg;
	char name[256], line[64], seen[64];
	struct stat st;
	off_t at = 0;
	int fd;

	snprintf(name, sizeof(name), "%s/lines-%ld", dir, who);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	for (int i = 0; i < ROUNDS; i++) {
		int n = snprintf(line, sizeof(line), "%ld: line %d\n", who, i);

		CHECK(write(fd, line, n) == n);
		CHECK(pread(fd, seen, n, at) == n && !memcmp(line, seen, n));
		at += n;
		CHECK(lseek(fd, 0, SEEK_CUR) == at);
	}
	CHECK(fstat(fd, &st) == 0 && st.st_size == at);
	CHECK(stat(name, &st) == 0 && st.st_size == at);
	CHECK(close(fd) == 0);
	FAILS(EBADF, write(fd, "x", 1));
	CHECK(unlink(name) == 0);
	return NULL;
}

static void storm(int threads)
{
	struct itimerval it = { { 0, INTERVAL }, { 0, INTERVAL } };
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	pthread_t t[4];

	handle(SIGALRM, on_alarm, SA_RESTART);
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	for (long i = 1; i < threads; i++)
		CHECK(pthread_create(&t[i], NULL, writer, (void *)i) == 0);
	writer(NULL);
	for (int i = 1; i < threads; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	while (!alarms)
		burst();
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	say("storm of %d: written as it should be\n", threads);
}

/* All registers but rax, rcx and r11 stay; those are what Linux makes them. */
static void registers(void)
{
	for (int i = 0; i < 64; i++) {
		/* carry, parity, zero, sign, overflow in turn */
		unsigned long flags = 0x202 | (i & 1) | (i & 2 ? 0x4 : 0) |
				      (i & 4 ? 0x40 : 0) | (i & 8 ? 0x80 : 0) |
				      (i & 16 ? 0x800 : 0);
		unsigned long r[9], after, rcx, r11, here;

		__asm__ volatile(
			"	mov $0x101, %%rdi; mov $0x202, %%rsi\n"
			"	mov $0x303, %%rdx; mov $0x404, %%r8\n"
			"	mov $0x505, %%r9;  mov $0x606, %%r10\n"
			"	mov $0x707, %%r12; mov $0x808, %%r13\n"
			"	mov $0x909, %%rbx\n"
			"	movq $0x77, -128(%%rsp)\n"
			"	movq $0x78, -8(%%rsp)\n"
			"	mov $110, %%eax\n"
			"	lea -256(%%rsp), %%rsp\n"
			"	push %[flags]\n"
			"	popf\n"
			"	lea 256(%%rsp), %%rsp\n"
			"	syscall\n"
			"1:	mov %%rdi, (%[r]);    mov %%rsi, 8(%[r])\n"
			"	mov %%rdx, 16(%[r]);  mov %%r8, 24(%[r])\n"
			"	mov %%r9, 32(%[r]);   mov %%r10, 40(%[r])\n"
			"	mov %%r12, 48(%[r]);  mov %%r13, 56(%[r])\n"
			"	mov %%rbx, 64(%[r])\n"
			"	mov %%rcx, %[rcx];    mov %%r11, %[r11]\n"
			"	lea -256(%%rsp), %%rsp\n"
			"	pushf\n"
			"	pop %%rcx\n"
			"	lea 256(%%rsp), %%rsp\n"
			"	mov %%rcx, %[after]\n"
			"	lea 1b(%%rip), %%rcx; mov %%rcx, %[here]\n"
			"	mov -128(%%rsp), %%rcx; add -8(%%rsp), %%rcx\n"
			"	cmp $0xef, %%rcx; je 2f; ud2\n"
			"2:\n"
			: [rcx] "=m"(rcx), [r11] "=m"(r11), [after] "=m"(after),
			  [here] "=m"(here), "=m"(r)
			: [r] "r"(r), [flags] "r"(flags)
			: "rax", "rcx", "r11", "rdi", "rsi", "rdx", "r8", "r9",
			  "r10", "r12", "r13", "rbx", "cc", "memory");
		for (int k = 0; k < 9; k++)
			CHECK(r[k] == 0x101ul * (k + 1));
		CHECK((after & 0x8d5) == (flags & 0x8d5));
		CHECK((r11 & 0x8d5) == (flags & 0x8d5));
		CHECK(rcx == here);
	}
	say("registers: kept\n");
}

/* SIGPIPE is the calling thread's. */
static void *pipe_thread(void *arg)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	for (int i = 0; i < 10; i++) {
		char c = 'x';

		burst();
		CHECK(write(fds[1], &c, 1) == 1);
		CHECK(read(fds[0], &c, 1) == 1 && c == 'x');
	}
	close(fds[0]);
	for (int i = 1; i <= 10; i++) {
		burst();
		FAILS(EPIPE, write(fds[1], "x", 1));
		CHECK(pipes_here == i);
	}
	close(fds[1]);
	return arg;
}

static void broken_pipe(void)
{
	pthread_t t;

	handle(SIGPIPE, on_pipe, 0);
	CHECK(pthread_create(&t, NULL, pipe_thread, NULL) == 0);
	pthread_join(t, NULL);
	CHECK(pipes_here == 0 && pipes == 10);
	pipe_thread(NULL);
	say("broken pipe: %d signals\n", (int)pipes);
}

static void identity(pid_t parent)
{
	burst();
	for (int i = 0; i < BURST; i++) {
		CHECK(getpid() == (pid_t)syscall(SYS_gettid));
		CHECK(getpid() != parent && getppid() == parent);
	}
}

static void processes(void)
{
	int fd = open("/dev/null", O_RDONLY);
	pid_t me = getpid(), pid;

	for (int i = 0; i < 5; i++) {
		burst();
		pid = fork();
		if (pid == 0) {
			identity(me);
			CHECK(close(fd) == 0);
			_exit(7);
		}
		burst();
		CHECK(WEXITSTATUS(reap(pid)) == 7);
		CHECK(getpid() == me && fcntl(fd, F_GETFD) == 0);
		pid = vfork();
		if (pid == 0) {
			/* it has descriptors of its own */
			identity(me);
			if (close(fd) || fcntl(fd, F_GETFD) != -1)
				_exit(1);
			_exit(8);
		}
		CHECK(WEXITSTATUS(reap(pid)) == 8);
		burst();
		CHECK(getpid() == me && fcntl(fd, F_GETFD) == 0);
	}
	close(fd);
	say("fork and vfork: each its own\n");
}

/* Devices that never wait, and one that does not take anything. */
static void devices(void)
{
	int zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
	char buf[64];

	CHECK(zero >= 0 && full >= 0);
	for (int i = 0; i < BURST; i++) {
		memset(buf, 1, sizeof(buf));
		CHECK(read(zero, buf, sizeof(buf)) == sizeof(buf) && !buf[63]);
		CHECK(write(zero, buf, sizeof(buf)) == sizeof(buf));
		FAILS(ENOSPC, write(full, buf, 1));
	}
	close(zero);
	close(full);
	say("devices: read and written\n");
}

/* A blocking read must not keep others from being served. */
static int gap[2];

static void *reader(void *arg)
{
	char c;

	burst();
	CHECK(read(gap[0], &c, 1) == 1);
	return arg;
}

static void blocking(void)
{
	pthread_t t;

	CHECK(pipe(gap) == 0);
	CHECK(pthread_create(&t, NULL, reader, NULL) == 0);
	for (int i = 0; i < 20; i++)
		burst();
	CHECK(write(gap[1], "x", 1) == 1);
	pthread_join(t, NULL);
	say("blocking read: nobody waited\n");
}

/* A read that waits until a signal ends it: nothing else would. */
static void waits(int fd)
{
	struct itimerval it = { { 0, INTERVAL }, { 0, INTERVAL } };
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	char buf[64];

	handle(SIGALRM, on_alarm, 0);
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	burst();
	FAILS(EINTR, read(fd, buf, sizeof(buf)));
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

/* One number, by turns a file and something that waits. */
static void replaced(void)
{
	int file = open("/dev/zero", O_RDWR), fd = dup(file), p[2], i;
	char buf[64];

	CHECK(file >= 0 && fd >= 0 && pipe(p) == 0);
	for (i = 0; i < 5; i++) {
		burst();
		for (int k = 0; k < 4; k++)
			CHECK(read(fd, buf, sizeof(buf)) == sizeof(buf));
		switch (i) {
		case 0:
			CHECK(dup2(p[0], fd) == fd);
			break;
		case 1:
			CHECK(dup3(p[0], fd, O_CLOEXEC) == fd);
			break;
		case 2:
			CHECK(close(fd) == 0 && dup(p[0]) == fd);
			break;
		case 3:
			CHECK(close_range(fd, fd, 0) == 0);
			CHECK(fcntl(p[0], F_DUPFD, fd) == fd);
			break;
		case 4:
			CHECK(close(fd) == 0 && eventfd(0, 0) == fd);
			break;
		}
		waits(fd);
		CHECK(dup2(file, fd) == fd);
	}
	close(fd);
	FAILS(EBADF, read(fd, buf, sizeof(buf)));
	close(file);
	close(p[0]);
	close(p[1]);
	say("replaced: judged by what they are\n");
}

/* Sockets that wait, that do not, and that are told not to this once. */
static void sockets(void)
{
	struct linger linger = { 1, 0 };
	char buf[64] = "";
	int s[2], d[2], n, on = 1;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, d) == 0);
	burst();
	waits(s[0]);
	for (int i = 0; i < 10; i++) {
		FAILS(EAGAIN, recv(s[0], buf, 8, MSG_DONTWAIT));
		CHECK(write(s[1], "12345678", 8) == 8);
		CHECK(ioctl(s[0], FIONREAD, &n) == 0 && n == 8);
		CHECK(recv(s[0], buf, 2, 0) == 2 && !memcmp(buf, "12", 2));
		CHECK(read(s[0], buf, 2) == 2 && !memcmp(buf, "34", 2));
		CHECK(recv(s[0], buf, 4, MSG_WAITALL) == 4);
		CHECK(!memcmp(buf, "5678", 4));
		/* nothing is read, not even a message */
		CHECK(send(d[1], "x", 1, 0) == 1);
		CHECK(read(d[0], buf, 0) == 0);
		CHECK(read(d[0], buf, 8) == 1);
	}
	CHECK(ioctl(s[0], FIONBIO, &on) == 0);
	FAILS(EAGAIN, read(s[0], buf, 8));
	FAILS(EAGAIN, recv(s[0], buf, 8, 0));
	on = 0;
	CHECK(ioctl(s[0], FIONBIO, &on) == 0);
	waits(s[0]);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &linger,
			 sizeof(linger)) == 0);
	CHECK(shutdown(s[1], SHUT_RDWR) == 0);
	CHECK(read(s[0], buf, 8) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(close(s[i]) == 0 && close(d[i]) == 0);
	say("sockets: waited for and not\n");
}

/* Locks belong to the process, whoever asks for them. */
static void locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_len = 1 };
	char name[256];
	pid_t pid;
	int fd;

	snprintf(name, sizeof(name), "%s/lock", dir);
	fd = open(name, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	burst();
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	pid = fork();
	if (pid == 0) {
		burst();
		FAILS(EAGAIN, fcntl(fd, F_SETLK, &l));
		CHECK(fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_WRLCK &&
		      l.l_pid == getppid());
		_exit(3);
	}
	CHECK(WEXITSTATUS(reap(pid)) == 3);
	CHECK(unlink(name) == 0);
	FAILS(ENOENT, unlink(name));
	close(fd);
	say("locks: the process's\n");
}

static void *in_call(void *arg)
{
	for (;;)
		getppid();
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t;

	dir = argv[1];
	alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;
	if (argc > 2) {
		burst();
		say("executed: %s\n", argv[2]);
		/* and gone while another thread is in the middle of calls */
		pthread_create(&t, NULL, in_call, NULL);
		burst();
		return 0;
	}
	burst();
	registers();
	storm(1);
	storm(3);
	broken_pipe();
	processes();
	devices();
	blocking();
	replaced();
	sockets();
	locks();
	pthread_create(&t, NULL, in_call, NULL);
	burst();
	execl(argv[0], argv[0], dir, "again", NULL);
	CHECK(0);
}
