/*
 * Virtual soft-dirty: a process's own clear_refs and pagemap tell what was
 * written, by the program, by system calls, in signal frames; what is new is
 * dirty; descriptors are as any; a forked child has its own.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test.h"

#define PAGE	4096ul
#define N	1024	/* pages: two large ones at least */
#define DIRTY	(1ul << 55)

static int clear_fd, map_fd;
static char *mem;

static bool dirty_by(int fd, const void *p)
{
	uint64_t word = 0;

	CHECK(pread(fd, &word, 8, (uintptr_t)p / PAGE * 8) == 8);
	return word & DIRTY;
}

static bool dirty(const void *p)
{
	return dirty_by(map_fd, p);
}

static uint64_t words[N];

/* Dirty pages among n; words says which. */
static unsigned int count(const char *p, unsigned int n)
{
	unsigned int i, sum = 0;

	CHECK(pread(map_fd, words, n * 8, (uintptr_t)p / PAGE * 8) == n * 8);
	for (i = 0; i < n; i++)
		sum += !!(words[i] & DIRTY);
	return sum;
}

static void clear(void)
{
	CHECK(write(clear_fd, "4\n", 2) == 2);
}

static void open_files(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", getpid());
	clear_fd = open(path, O_WRONLY | O_CLOEXEC);
	map_fd = open("/proc/self/pagemap", O_RDONLY);
	CHECK(clear_fd >= 0 && map_fd >= 0);
	CHECK(fcntl(clear_fd, F_GETFD) == FD_CLOEXEC);
}

static void test_pages(void)
{
	unsigned int i, round;

	memset(mem, 1, N * PAGE);
	CHECK(count(mem, N) == N);
	for (round = 0; round < 3; round++) {
		clear();
		CHECK(count(mem, N) == 0);
		for (i = round; i < N; i += 7 + round)
			mem[i * PAGE + i % PAGE]++;
		count(mem, N);
		for (i = 0; i < N; i++)
			CHECK(!!(words[i] & DIRTY) ==
			      (i >= round && (i - round) % (7 + round) == 0));
	}
	clear();
	/* reading is not writing */
	for (i = 0; i < N; i++)
		CHECK(((volatile char *)mem)[i * PAGE + 1]);
	CHECK(count(mem, N) == 0);
	/* what was never written since it was mapped */
	CHECK(dirty(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS, -1, 0)));
}

/* Ways to read the file: a stream, parts of words, vectors. */
static void test_reads(void)
{
	uint64_t more[4];
	struct iovec v[2] = { { words, 24 }, { more, 16 } };
	off_t at = (uintptr_t)mem / PAGE * 8;
	unsigned char bytes[16];
	int fd;

	clear();
	mem[2 * PAGE] = mem[4 * PAGE] = 1;
	CHECK(lseek(map_fd, at, SEEK_SET) == at);
	CHECK(read(map_fd, words, 24) == 24);
	CHECK(!(words[0] & DIRTY) && !(words[1] & DIRTY) && words[2] & DIRTY);
	CHECK(read(map_fd, words, 16) == 16);
	CHECK(!(words[0] & DIRTY) && words[1] & DIRTY);
	CHECK(lseek(map_fd, 0, SEEK_CUR) == at + 40);
	memset(words, 0, sizeof(words));
	CHECK(preadv(map_fd, v, 2, at) == 40);
	CHECK(!(words[0] & DIRTY) && words[2] & DIRTY);
	CHECK(!(more[0] & DIRTY) && more[1] & DIRTY);
	/* the kernel wants whole words */
	CHECK(pread(map_fd, bytes, 8, at + 4) < 0);
	/* the rest of the word is the host's: present */
	CHECK(words[2] >> 63);
	fd = dup(map_fd);
	CHECK(dirty_by(fd, mem + 2 * PAGE) && !dirty_by(fd, mem));
	close(fd);
	fd = open("/proc/thread-self/pagemap", O_RDONLY);
	CHECK(dirty_by(fd, mem + 2 * PAGE) && !dirty_by(fd, mem));
	close(fd);
	/* the number again, another file */
	CHECK(open("/dev/zero", O_RDONLY) == fd);
	CHECK(read(fd, words, 16) == 16 && !words[0] && !words[1]);
	close(fd);
}

static void test_calls(void)
{
	char *a = mem + 10 * PAGE, *b = mem + 20 * PAGE;
	struct iovec v[2] = { { a, 8 }, { b, 8 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	int fd = open("/dev/zero", O_RDONLY), s[2];

	clear();
	CHECK(read(fd, a + PAGE - 4, 8) == 8);
	CHECK(dirty(a) && dirty(a + PAGE) && !dirty(a + 2 * PAGE));
	CHECK(!dirty(a - PAGE));
	clear();
	CHECK(readv(fd, v, 2) == 16);
	CHECK(dirty(a) && dirty(b) && count(mem, N) == 2);
	clear();
	CHECK(!fstat(fd, (struct stat *)a));
	CHECK(dirty(a) && count(mem, N) == 1);
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	CHECK(write(s[0], "123456789abc", 12) == 12);
	clear();
	CHECK(recvmsg(s[1], &m, 0) == 12);
	CHECK(dirty(a) && dirty(b) && count(mem, N) == 2);
	clear();
	CHECK(write(s[0], a, 12) == 12);
	CHECK(count(mem, N) == 0);
	close(s[0]);
	close(s[1]);
	close(fd);
}

static void test_mappings(void)
{
	char *p = mem + 100 * PAGE, *q;

	clear();
	CHECK(!madvise(p, 4 * PAGE, MADV_DONTNEED));
	CHECK(count(mem, N) == 4 && dirty(p) && dirty(p + 3 * PAGE));
	clear();
	CHECK(mmap(p, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	CHECK(count(mem, N) == 2 && dirty(p));
	clear();
	q = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS, -1, 0);
	CHECK(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     p) == p);
	CHECK(dirty(p) && dirty(p + PAGE) && count(mem, N) == 2);
	clear();
	/* rights are not contents */
	CHECK(!mprotect(p, 2 * PAGE, PROT_READ));
	CHECK(!mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE));
	CHECK(count(mem, N) == 0);
	memset(p, 1, 4 * PAGE);
}

static volatile int signals;

static void handler(int sig)
{
	(void)sig;
	signals++;
}

static void test_signal(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t st = { .ss_sp = mem + 200 * PAGE, .ss_size = 16 * PAGE };

	CHECK(!sigaltstack(&st, NULL) && !sigaction(SIGUSR1, &sa, NULL));
	clear();
	CHECK(!raise(SIGUSR1) && signals == 1);
	CHECK(dirty(mem + 215 * PAGE));
	CHECK(count(mem, N) == count(st.ss_sp, 16));
	st.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&st, NULL));
}

/* A pipe whose reader waits while the bits are cleared, and after. */
static int waiting[2];

static void *reader(void *at)
{
	CHECK(read(waiting[0], at, 8) == 8);
	return NULL;
}

static void test_call_under_way(void)
{
	char *a = mem + 300 * PAGE;
	pthread_t t;
	int i;

	CHECK(!pipe(waiting));
	CHECK(!pthread_create(&t, NULL, reader, a));
	/* in the call, at some time: then the bit is set, again and again */
	do
		clear();
	while (!dirty(a));
	for (i = 0; i < 3; i++) {
		clear();
		CHECK(dirty(a) && count(mem, N) == 1);
	}
	CHECK(write(waiting[1], "12345678", 8) == 8);
	CHECK(!pthread_join(t, NULL));
	CHECK(dirty(a));
	clear();
	CHECK(count(mem, N) == 0);
}

/* Another thread writes: its translations are flushed as well. */
static volatile unsigned int turn;

static void *writer(void *arg)
{
	unsigned int i, n = times(200, 20);

	(void)arg;
	for (i = 0; i < n; i++) {
		while (turn != 2 * i + 1)
			sched_yield();
		mem[(400 + i % 8) * PAGE]++;
		turn = 2 * i + 2;
	}
	return NULL;
}

static void test_threads(void)
{
	unsigned int i, n = times(200, 20);
	pthread_t t;

	CHECK(!pthread_create(&t, NULL, writer, NULL));
	for (i = 0; i < n; i++) {
		clear();
		CHECK(!dirty(mem + (400 + i % 8) * PAGE));
		turn = 2 * i + 1;
		while (turn != 2 * i + 2)
			sched_yield();
		CHECK(dirty(mem + (400 + i % 8) * PAGE));
		CHECK(count(mem, N) == 1);
	}
	CHECK(!pthread_join(t, NULL));
}

static void test_fork(void)
{
	int old = map_fd, status;
	pid_t pid;

	clear();
	mem[3 * PAGE] = 1;
	pid = fork();
	if (!pid) {
		open_files();
		CHECK(dirty(mem + 3 * PAGE) && !dirty(mem + 5 * PAGE));
		clear();
		CHECK(count(mem, N) == 0);
		mem[5 * PAGE] = 1;
		CHECK(dirty(mem + 5 * PAGE) && count(mem, N) == 1);
		/* the parent's file */
		CHECK(map_fd != old);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
	CHECK(dirty(mem + 3 * PAGE) && !dirty(mem + 5 * PAGE));
}

int main(void)
{
	uint64_t word;
	int fd;

	OK(dune_enter());
	mem = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED);
	mem[0] = 1;
	/* nobody asked yet: the file says what the host says */
	fd = open("/proc/self/pagemap", O_RDONLY);
	CHECK(pread(fd, &word, 8, (uintptr_t)mem / PAGE * 8) == 8);
	CHECK(word >> 63);
	close(fd);
	open_files();
	CHECK(dirty(mem));
	test_pages();
	test_reads();
	test_calls();
	test_mappings();
	test_signal();
	test_call_under_way();
	test_threads();
	test_fork();
	say("soft-dirty\n");
	return 0;
}
