/*
 * What sthreads may and may not do: a context for each case, many of them in
 * the same recycled tables; what one leaves the next does not find; threads.
 */
#include "wedge.h"

#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		printf("FAILED %s:%d: %s\n", __FILE__, __LINE__, #cond); \
		exit(1);						\
	}								\
} while (0)

#define NONE		(-1)
#define DE		0
#define GP		13
#define PF		14
#define PATTERN		0x5a5a1234deadbeeful

static int global = 7;
static tag_t shared;

/* ---- run by sthreads ---- */

static void *read_int(void *arg)
{
	return (void *)(long)*(volatile int *)arg;
}

static void *write_int(void *arg)
{
	*(volatile int *)arg = 9;
	return NULL;
}

static void *read_global(void *arg)
{
	(void)arg;
	return (void *)(long)*(volatile int *)&global;
}

static void *grow(void *arg)
{
	return smalloc(arg, 100);
}

struct rw {
	long fd, r, w, fault, pid;
	char text[16];
};

static void *read_write(void *arg)
{
	struct rw *a = arg;

	a->w = sthread_call(SYS_write, a->fd, (long)a->text, 5);
	a->r = sthread_call(SYS_read, a->fd, (long)a->text, 5);
	a->fault = sthread_call(SYS_write, a->fd, (long)&global, 4);
	a->pid = sthread_call(SYS_getpid, 0, 0, 0);
	return NULL;
}

/* A file of its own; as the C library opens files. */
static void *leave_open(void *arg)
{
	register long flags __asm__("rdx") = O_RDONLY;
	register long mode __asm__("r10") = 0;
	long fd = SYS_openat;

	__asm__ volatile("syscall" : "+a"(fd) : "D"(AT_FDCWD), "S"(arg),
			 "r"(flags), "r"(mode) : "rcx", "r11", "memory");
	return (void *)fd;
}

static void *read_file(void *arg)
{
	long fd = (long)leave_open(arg), n;

	n = sthread_call(SYS_read, fd, (long)arg, 100);
	if (sthread_call(SYS_close, fd, 0, 0) ||
	    sthread_call(SYS_read, fd, (long)arg, 1) != -EPERM)
		return NULL;
	return (void *)n;
}

static void *reader(void *arg)
{
	char c[3] = "";
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (sthread_call(SYS_read, (long)arg, (long)c + i, 1) != 1)
			return NULL;
	return (void *)(long)(c[0] * 256 + c[1]);
}

static void *writer(void *arg)
{
	return (void *)sthread_call(SYS_write, (long)arg, (long)"ab", 2);
}

static void *divide(void *arg)
{
	volatile long zero = 0;

	return (void *)((long)arg / zero);
}

static void *privileged(void *arg)
{
	__asm__ volatile("cli");
	return arg;
}

/* Fills much of its stack, its TLS too. */
static void *leave_traces(void *arg)
{
	volatile uint64_t room[4000];
	unsigned int i;

	for (i = 0; i < 4000; i++)
		room[i] = PATTERN;
	errno = 99;
	return room[17] == PATTERN ? arg : NULL;
}

static void *find_traces(void *arg)
{
	uint64_t *at = __builtin_frame_address(0), here;
	uint64_t *lo = (uint64_t *)(((uint64_t)at & ~0xffful) - 0x8000);
	uint64_t found = errno;

	(void)arg;
	here = (uint64_t)__builtin_frame_address(0);
	for (; (uint64_t)lo < here; lo++)
		found += *(volatile uint64_t *)lo == PATTERN;
	return (void *)found;
}

static void *recurse(void *arg)
{
	volatile char room[4096];

	room[0] = 1;
	if (room[0] && recurse(arg))
		room[1] = room[0];
	return (void *)(long)room[1];
}

/* ---- the program ---- */

/* The vector that ended it. */
static int run(const sc_t *sc, void *(*fn)(void *), void *arg, void **ret)
{
	sthread_t st;
	int vector = NONE;

	CHECK(sthread_create(&st, sc, fn, arg) == 0);
	if (sthread_trapped(st))
		vector = sthread_trapped(st)->vector;
	CHECK(sthread_join(st, ret) == (vector == NONE ? 0 : -EFAULT));
	return vector;
}

/* Constants of the program's own are an sthread's to see, other files not. */
static void files(void)
{
	static const int constant = 3;
	int fd = open("/proc/self/exe", O_RDONLY);
	void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	sc_t none;
	void *ret;

	sc_init(&none);
	CHECK(fd >= 0 && map != MAP_FAILED);
	CHECK(run(&none, read_int, map, &ret) == PF);
	CHECK(run(&none, read_int, (void *)&constant, &ret) == NONE);
	CHECK(ret == (void *)3);
	munmap(map, 4096);
	close(fd);
}

static void memory(void)
{
	int *p = smalloc(shared, sizeof(*p)), *heap = malloc(sizeof(*heap));
	sc_t none, r, rw;
	void *ret;

	*p = *heap = 5;
	sc_init(&none);
	sc_init(&r);
	sc_init(&rw);
	CHECK(sc_mem_add(&r, shared, PROT_READ) == 0);
	CHECK(sc_mem_add(&rw, shared, PROT_READ | PROT_WRITE) == 0);
	CHECK(sc_mem_add(&rw, shared, PROT_WRITE) == -EINVAL);

	CHECK(run(&r, read_int, p, &ret) == NONE && ret == (void *)5);
	CHECK(run(&r, write_int, p, &ret) == PF && *p == 5);
	CHECK(run(&rw, write_int, p, &ret) == NONE && *p == 9);
	/* the same tables again: what the last one had is gone */
	CHECK(run(&none, read_int, p, &ret) == PF && !ret);
	CHECK(run(&r, write_int, p, &ret) == PF);
	CHECK(run(&rw, read_int, heap, &ret) == PF);
	CHECK(run(&rw, read_global, NULL, &ret) == PF);
	CHECK(run(&rw, grow, shared, &ret) == NONE);
	CHECK(ret > (void *)shared && (char *)ret < (char *)shared + TAG_SIZE);
	CHECK(!smalloc(shared, TAG_SIZE) && !smalloc(shared, -1ul));
	free(heap);
}

static void calls(void)
{
	struct rw *a = smalloc(shared, sizeof(*a));
	int fd[2], file;
	char path[] = "/tmp/wedge.XXXXXX";
	sc_t sc;

	file = mkstemp(path);
	CHECK(file >= 0 && !unlink(path) && !pipe(fd));
	sc_init(&sc);
	CHECK(sc_mem_add(&sc, shared, PROT_READ | PROT_WRITE) == 0);
	*a = (struct rw){ .fd = file, .text = "hello" };
	CHECK(run(&sc, read_write, a, NULL) == NONE);
	CHECK(a->w == -EPERM && a->r == -EPERM && a->pid == -EPERM);

	CHECK(sc_fd_add(&sc, file, FD_W) == 0);
	CHECK(sc_sys_add(&sc, SYS_getpid) == 0);
	CHECK(sc_sys_add(&sc, SYS_socket) == -ENOTSUP);
	CHECK(sc_sys_add(&sc, SYS_write) == -ENOTSUP);
	CHECK(run(&sc, read_write, a, NULL) == NONE);
	CHECK(a->w == 5 && a->r == -EPERM && a->fault == -EFAULT);
	CHECK(a->pid == getpid());

	CHECK(sc_fd_add(&sc, fd[0], FD_R) == 0);
	CHECK(write(fd[1], "abcde", 5) == 5);
	a->fd = fd[0];
	CHECK(run(&sc, read_write, a, NULL) == NONE);
	CHECK(a->w == -EPERM && a->r == 5 && !memcmp(a->text, "abcde", 5));
	close(file);
	close(fd[0]);
	close(fd[1]);
}

static void files_of_their_own(void)
{
	char *path = smalloc(shared, 128);
	sc_t sc;
	void *ret;

	sc_init(&sc);
	CHECK(sc_mem_add(&sc, shared, PROT_READ | PROT_WRITE) == 0);
	strcpy(path, "/proc/self/comm");
	CHECK(run(&sc, read_file, path, &ret) == NONE && !ret);
	CHECK(sc_sys_add(&sc, SYS_open) == 0);
	CHECK(sc_sys_add(&sc, SYS_close) == 0);
	CHECK(run(&sc, read_file, path, &ret) == NONE && (long)ret > 3);
	CHECK(strchr(path, '\n'));
	strcpy(path, "/proc/self/comm");
	CHECK(run(&sc, leave_open, path, &ret) == NONE && (long)ret > 2);
	CHECK(fcntl((int)(long)ret, F_GETFD) == -1);
	CHECK(run(&sc, leave_open, (void *)&global, &ret) == NONE);
	CHECK((long)ret == -EFAULT);
}

/* Readers are there first, and joined first. */
static void waiting(void)
{
	sthread_t st[3];
	int fd[2];
	sc_t r, w;
	void *ret;

	CHECK(!pipe(fd));
	sc_init(&r);
	sc_init(&w);
	CHECK(sc_fd_add(&r, fd[0], PROT_READ) == 0);
	CHECK(sc_fd_add(&w, fd[1], PROT_WRITE) == 0);
	CHECK(sthread_create(&st[0], &r, reader, (void *)(long)fd[0]) == 0);
	CHECK(sthread_create(&st[1], &w, writer, (void *)(long)fd[1]) == 0);
	CHECK(sthread_create(&st[2], &r, divide, NULL) == 0);
	CHECK(sthread_join(st[0], &ret) == 0);
	CHECK(ret == (void *)('a' * 256 + 'b'));
	CHECK(sthread_join(st[1], &ret) == 0 && ret == (void *)2);
	CHECK(sthread_join(st[2], NULL) == -EFAULT);

	/* each gets a byte, and needs two */
	CHECK(sthread_create(&st[0], &r, reader, (void *)(long)fd[0]) == 0);
	CHECK(sthread_create(&st[1], &r, reader, (void *)(long)fd[0]) == 0);
	CHECK(write(fd[1], "abcd", 4) == 4);
	CHECK(sthread_join(st[1], &ret) == 0 && ret);
	CHECK(sthread_join(st[0], &ret) == 0 && ret);
	close(fd[0]);
	close(fd[1]);
}

static void traps(void)
{
	sc_t none;
	void *ret;

	sc_init(&none);
	CHECK(run(&none, divide, (void *)1, &ret) == DE);
	CHECK(run(&none, privileged, NULL, &ret) == GP);
	CHECK(run(&none, recurse, NULL, &ret) == PF);
	CHECK(run(&none, (void *(*)(void *))8, NULL, &ret) == PF);
	CHECK(run(&none, read_int, (void *)(1ul << 63), &ret) == GP);
}

static void recycling(void)
{
	sc_t none;
	void *ret;
	int i;

	sc_init(&none);
	for (i = 0; i < 50; i++) {
		CHECK(run(&none, leave_traces, (void *)3, &ret) == NONE);
		CHECK(ret == (void *)3);
		CHECK(run(&none, find_traces, NULL, &ret) == NONE);
		CHECK(ret == NULL);
	}
}

static void *many(void *arg)
{
	sc_t sc;
	void *ret;
	int i;

	sc_init(&sc);
	CHECK(sc_mem_add(&sc, shared, PROT_READ) == 0);
	for (i = 0; i < 30; i++) {
		CHECK(run(&sc, read_int, arg, &ret) == NONE);
		CHECK(ret == (void *)(long)*(int *)arg);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[3];
	int *p, i;

	for (i = 0; i < 3; i++) {
		p = smalloc(shared, sizeof(*p));
		*p = i + 100;
		CHECK(!pthread_create(&t[i], NULL, many, p));
	}
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	if (sthread_init()) {
		printf("%s\n", dune_errmsg());
		return 77;
	}
	shared = tag_new();
	CHECK(shared);
	files();
	memory();
	calls();
	files_of_their_own();
	waiting();
	traps();
	recycling();
	threads();
	printf("all as granted\n");
	return 0;
}
