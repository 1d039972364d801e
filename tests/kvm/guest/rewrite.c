/*
 * System calls again and again from the same places, so that the monitor
 * rewrites the places where it does: results stay, signals see the program's
 * own addresses, and code that is changed, mapped elsewhere, jumped into or
 * stepped through does what it says.
 *
 *   rewrite DIR [original]	original: its code must be what its file says
 */
#include <sys/time.h>
#include <sys/ucontext.h>
#include "guest.h"

#define HOT	(alone ? 150 : 500)
#define TF	0x100

extern char __executable_start[], etext[];

static bool alone;
static const char *dir;
static pid_t parent;
static volatile long handled, steps;
static __thread volatile bool cleaned;

/* ---- calls ---- */

static void calls(int n)
{
	char name[256], buf[8];
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), "%s/file-%d", dir, (int)gettid());
	fd = open(name, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && write(fd, "01234567", 8) == 8);
	for (int i = 0; i < n; i++) {
		CHECK(syscall(SYS_getppid) == parent);
		CHECK(getppid() == parent);
		CHECK(lseek(fd, i % 8, SEEK_SET) == i % 8);
		CHECK(read(fd, buf, 1) == 1 && buf[0] == '0' + i % 8);
		CHECK(pread(fd, buf, 3, i % 4) == 3 && buf[2] == '2' + i % 4);
		CHECK(fstat(fd, &st) == 0 && st.st_size == 8);
		FAILS(EBADF, syscall(SYS_fcntl, 9999, F_GETFL));
		CHECK(getpid() > 1);
	}
	CHECK(close(fd) == 0 && unlink(name) == 0);
}

static void *calls_thread(void *arg)
{
	calls((long)arg);
	return NULL;
}

static void threads(void)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, calls_thread, (void *)(HOT / 10l));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	say("threads: done\n");
}

static void processes(void)
{
	pid_t me = getpid(), old = parent, pid;

	parent = me;
	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (pid == 0) {
			/* at once, on a vCPU that has never seen it */
			calls(3);
			threads();
			_exit(5);
		}
		CHECK(WEXITSTATUS(reap(pid)) == 5);
		pid = vfork();
		if (pid == 0)
			_exit(getppid() == me ? 6 : 1);
		CHECK(WEXITSTATUS(reap(pid)) == 6);
	}
	parent = old;
	say("processes: done\n");
}

/* ---- signals ---- */

static void on_signal(int sig, siginfo_t *si, void *uc)
{
	unsigned long rip = ((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
	int e = errno;

	(void)sig, (void)si;
	/* (its code is all in here: it is linked statically) */
	CHECK(rip >= (unsigned long)__executable_start &&
	      rip < (unsigned long)etext);
	CHECK(getppid() == parent);
	handled++;
	errno = e;
}

static void storm(void)
{
	struct itimerval it = { { 0, 2000 }, { 0, 2000 } };
	struct itimerval off = { { 0, 0 }, { 0, 0 } };

	handle(SIGALRM, on_signal, SA_RESTART);
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	while (handled < (alone ? 5 : 50))
		calls(10);
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	say("signals: in the program's own code\n");
}

static int fds[2];

static void *reader(void *arg)
{
	char c;

	CHECK(read(fds[0], &c, 1) == 1 && c == 'x');
	return arg;
}

static void restart(void)
{
	pthread_t t;

	CHECK(pipe(fds) == 0);
	handle(SIGUSR1, on_signal, SA_RESTART);
	pthread_create(&t, NULL, reader, NULL);
	for (int i = 0; i < 20; i++) {
		pthread_kill(t, SIGUSR1);
		msleep(1);
	}
	CHECK(write(fds[1], "x", 1) == 1);
	pthread_join(t, NULL);
	say("restart: nothing lost\n");
}

static void on_cancel(void *arg)
{
	*(bool *)arg = true;
}

/* The unwinder must find its way out of the call. */
static void *cancelled(void *arg)
{
	char c;

	pthread_cleanup_push(on_cancel, arg);
	read(fds[0], &c, 1);
	pthread_cleanup_pop(0);
	return arg;
}

static void cancel(void)
{
	bool done = false;
	pthread_t t;
	void *ret;

	pthread_create(&t, NULL, cancelled, &done);
	msleep(5);
	pthread_cancel(t);
	pthread_join(t, &ret);
	CHECK(ret == PTHREAD_CANCELED && done);
	say("cancellation: unwound\n");
}

/* ---- code of its own ---- */

/* getppid, or what is behind the call at once: a jump into its middle */
#define MAYBE(name) \
	long name(long call); \
	__asm__(".text\n" \
		".balign 4096\n" \
		".globl " #name "\n" \
		#name ":\n" \
		"	mov	$-38, %rax\n" \
		"	test	%rdi, %rdi\n" \
		"	je	1f\n" \
		"	mov	$110, %eax\n" \
		"	syscall\n" \
		"1:	cmp	$-4095, %rax\n" \
		"	jae	2f\n" \
		"	ret\n" \
		"2:	mov	$-1, %rax\n" \
		"	ret\n" \
		".balign 4096\n")

MAYBE(maybe);
MAYBE(stepwise);

static void jumped_into(void)
{
	for (int i = 0; i < HOT; i++)
		CHECK(maybe(1) == parent);
	for (int i = 0; i < 300; i++)
		CHECK(maybe(0) == -1);
	for (int i = 0; i < HOT; i++)
		CHECK(maybe(1) == parent);
	say("jumps into the middle: where they belong\n");
}

static void reprotected(void)
{
	char *page = (char *)maybe, copy[64];

	CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	for (int i = 0; i < HOT / 10; i++)
		CHECK(maybe(1) == parent && maybe(0) == -1);
	memcpy(copy, page, sizeof(copy));
	memcpy(page, copy, sizeof(copy));
	CHECK(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0);
	for (int i = 0; i < HOT; i++)
		CHECK(maybe(1) == parent);
	CHECK(madvise(page, PAGE, MADV_DONTNEED) == 0);
	for (int i = 0; i < HOT / 10; i++)
		CHECK(maybe(1) == parent && maybe(0) == -1);
	CHECK(mprotect(page, PAGE, PROT_READ) == 0);
	CHECK(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(maybe(1) == parent);
	say("protection and pages changed: still right\n");
}

/* mov nr, %eax; syscall; cmp $-4095, %rax; ret */
static void put_code(unsigned char *p, int nr)
{
	static const unsigned char code[] = {
		0xb8, 0, 0, 0, 0, 0x0f, 0x05,
		0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0xc3,
	};

	memcpy(p, code, sizeof(code));
	p[1] = nr;
}

static long run_code(unsigned char *p)
{
	return ((long (*)(void))p)();
}

/* At every place in a word, in one thread and in two. */
static void *run_all(void *code)
{
	for (int n = 0; n < HOT / 4; n++)
		for (int i = 0; i < 16; i++)
			CHECK(run_code((unsigned char *)code + 33 * i) ==
			      parent);
	return NULL;
}

static unsigned char *map_code(int nr, void *at)
{
	unsigned char page[PAGE];
	char name[256];
	void *p;
	int fd;

	memset(page, 0xcc, sizeof(page));
	for (int i = 0; i < 16; i++)
		put_code(page + 33 * i, nr);
	snprintf(name, sizeof(name), "%s/code-%d", dir, nr);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0700);
	CHECK(fd >= 0 && write(fd, page, PAGE) == PAGE);
	p = mmap(at, PAGE, PROT_READ | PROT_EXEC,
		 MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, 0);
	CHECK(p != MAP_FAILED);
	close(fd);
	return p;
}

static void loaded(void)
{
	unsigned char *p = map_code(SYS_getppid, NULL), *q;
	pthread_t t;

	run_all(p);
	/* another library comes to lie there, and the first one again */
	map_code(SYS_getuid, p);
	for (int i = 0; i < HOT; i++)
		CHECK(run_code(p) == (long)getuid());
	map_code(SYS_getppid, p);
	run_all(p);
	q = map_code(SYS_getppid, NULL);
	pthread_create(&t, NULL, run_all, q);
	run_all(q);
	pthread_join(t, NULL);
	CHECK(munmap(p, PAGE) == 0 && munmap(q, PAGE) == 0);
	say("loaded code: as loaded\n");
}

static void generated(void)
{
	unsigned char *p = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);

	for (int n = 0; n < 3; n++) {
		put_code(p, n & 1 ? SYS_getuid : SYS_getppid);
		if (n)
			CHECK(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
		for (int i = 0; i < HOT / 2; i++)
			CHECK(run_code(p) == (n & 1 ? (long)getuid() : parent));
		CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) ==
		      0);
	}
	say("generated code: as generated\n");
}

/* ---- step by step ---- */

static void on_step(int sig, siginfo_t *si, void *uc)
{
	unsigned long rip = ((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];

	(void)sig, (void)si;
	CHECK(rip >= (unsigned long)__executable_start &&
	      rip < (unsigned long)etext);
	steps++;
}

static void stepped(void)
{
	long ret = 0;

	for (int i = 0; i < HOT; i++)
		CHECK(stepwise(1) == parent);
	handle(SIGTRAP, on_step, 0);
	for (int i = 0; i < 3; i++) {
		__asm__ volatile(
			"	lea -128(%%rsp), %%rsp\n"
			"	pushf\n"
			"	orl %[tf], (%%rsp)\n"
			"	popf\n"
			"	call stepwise\n"
			"	pushf\n"
			"	andl %[clear], (%%rsp)\n"
			"	popf\n"
			"	lea 128(%%rsp), %%rsp\n"
			: "=&a"(ret)
			: "D"(1l), [tf] "i"(TF), [clear] "i"(~TF)
			: "rcx", "r11", "cc", "memory");
		CHECK(ret == parent);
	}
	CHECK(steps >= 3 * 8);
	say("steps: through it, and out\n");
}

/* ---- what its file says ---- */

static void original(const char *self)
{
	unsigned long start = (unsigned long)__executable_start;
	unsigned long page = (unsigned long)maybe;
	char *code = map(PAGE, PROT_READ | PROT_WRITE);
	int fd = open(self, O_RDONLY);

	/* (one segment after the other, at their places in the file) */
	CHECK(fd >= 0 && pread(fd, code, PAGE, page - start) == PAGE);
	CHECK(!memcmp(code, (void *)page, PAGE));
	say("code: as in its file\n");
}

int main(int argc, char **argv)
{
	dir = argv[1];
	alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;
	parent = getppid();
	calls(HOT);
	threads();
	processes();
	storm();
	restart();
	cancel();
	jumped_into();
	if (argc > 2)
		original(argv[0]);
	reprotected();
	loaded();
	generated();
	stepped();
	return 0;
}
