/*
 * What collectors get (dune/gc.h): dirty bits against a model, with other
 * threads and system calls writing; faults by range, also those of system
 * calls; pages moved; the world stopped.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "test.h"
#include "dune/gc.h"

#define PAGE	4096ul
#define N	1024
#define THREADS	4

static char *mem;
static uint64_t bits[2][N / 64];

static bool bit(const uint64_t *b, unsigned int i)
{
	return b[i / 64] >> i % 64 & 1;
}

static unsigned int ones(const uint64_t *b)
{
	unsigned int i, n = 0;

	for (i = 0; i < N; i++)
		n += bit(b, i);
	return n;
}

static char *pages(size_t n)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static long scan(int flags)
{
	struct dune_gc_range r[2] = {
		{ mem, N / 2 * PAGE, bits[0], 0 },
		{ mem + N / 2 * PAGE, N / 2 * PAGE, bits[0] + N / 128, 0 },
	};
	long n = dune_gc_scan(r, 2, flags);

	CHECK(n == (long)(r[0].pages + r[1].pages));
	CHECK(n == ones(bits[0]));
	return n;
}

static void test_scan(void)
{
	unsigned int i, round, want;

	CHECK(dune_gc_track(mem, N * PAGE + 1) == -EINVAL);
	OK(dune_gc_track(mem, N * PAGE));
	/* nothing of nothing */
	OK(dune_gc_track(mem, 0));
	CHECK(scan(DUNE_SCAN_DIRTY) == N);
	scan(DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR);
	for (round = 0; round < 5; round++) {
		memset(bits[1], 0, sizeof(bits[1]));
		for (i = round; i < N; i += 3 + round * round) {
			mem[i * PAGE] = round;
			bits[1][i / 64] |= 1ul << i % 64;
		}
		want = ones(bits[1]);
		CHECK(scan(DUNE_SCAN_DIRTY) == want);
		CHECK(!memcmp(bits[0], bits[1], sizeof(bits[0])));
		CHECK(scan(DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR) == want);
		CHECK(!memcmp(bits[0], bits[1], sizeof(bits[0])));
		CHECK(scan(DUNE_SCAN_DIRTY) == 0);
	}
	/* read: accessed, not dirty */
	scan(DUNE_SCAN_ACCESSED | DUNE_SCAN_CLEAR);
	for (i = 0; i < N; i += 5)
		(void)((volatile char *)mem)[i * PAGE];
	CHECK(scan(DUNE_SCAN_DIRTY) == 0);
	CHECK(scan(DUNE_SCAN_ACCESSED) == (N + 4) / 5);
	CHECK(dune_gc_scan(NULL, 0, 0) == -EINVAL);
}

static void test_calls(void)
{
	int fd = open("/dev/zero", O_RDONLY);

	scan(DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR);
	CHECK(read(fd, mem + 7 * PAGE - 1, 2) == 2);
	CHECK(scan(DUNE_SCAN_DIRTY) == 2 && bit(bits[0], 6) && bit(bits[0], 7));
	close(fd);
}

/* ---- barriers ---- */

static unsigned int faults;

static enum dune_trap_action unprotect(struct dune_tf *tf, uint64_t va,
				       uint32_t error, void *arg)
{
	(void)tf;
	faults++;
	CHECK((char *)va >= mem && (char *)va < mem + N * PAGE);
	CHECK(arg == &faults);
	CHECK(!dune_vm_mprotect(pgroot, (void *)(va & -PAGE), PAGE,
				PERM_R | PERM_W | PERM_U));
	(void)error;
	return DUNE_TRAP_RESUME;
}

static void protect(unsigned int first, unsigned int n, int perm)
{
	struct dune_vm_range r[2] = {
		{ mem + first * PAGE, n / 2 * PAGE, perm },
		{ mem + (first + n / 2) * PAGE, (n - n / 2) * PAGE, perm },
	};

	OK(dune_vm_protect_ranges(pgroot, r, 2));
}

static void test_faults(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	int null = open("/dev/null", O_WRONLY);
	unsigned int i;
	int p[2];
	char c = 0;

	OK(dune_gc_on_fault(mem, N * PAGE, 0, unprotect, &faults));
	CHECK(dune_gc_on_fault(mem + PAGE, PAGE, 0, unprotect, NULL) ==
	      -EINVAL);
	protect(0, 64, PERM_R);
	for (i = 0; i < 64; i++) {
		CHECK(((volatile char *)mem)[i * PAGE] == mem[i * PAGE]);
		mem[i * PAGE] = 3;
		mem[i * PAGE + 1] = 3;
		CHECK(faults == i + 1);
	}
	/* a system call's buffer, over three pages */
	protect(0, 64, PERM_R);
	faults = 0;
	CHECK(read(fd, mem + 3 * PAGE - 1, PAGE + 2) == (long)PAGE + 2);
	CHECK(faults == 3 && mem[3 * PAGE] == 0);
	/* not even readable */
	protect(0, 64, PERM_NONE);
	faults = 0;
	CHECK(write(null, mem + 9 * PAGE - 1, 2) == 2);
	CHECK(faults == 2);
	CHECK(!pipe(p));
	mem[20 * PAGE] = 'x';
	protect(0, 64, PERM_NONE);
	faults = 0;
	CHECK(write(p[1], mem + 20 * PAGE, 1) == 1);
	CHECK(read(p[0], &c, 1) == 1 && c == 'x' && faults == 1);
	CHECK(access(strcpy(mem + 30 * PAGE, "/"), F_OK) == 0);
	/* resolved, the call is made once */
	faults = 0;
	CHECK(lseek(open("/dev/zero", O_RDONLY), 0, SEEK_CUR) == 0);
	CHECK(faults == 0);
	/* elsewhere nothing changes */
	CHECK(syscall(SYS_read, fd, 1ul, 1ul) == -1 && errno == EFAULT);
	protect(0, 64, PERM_R | PERM_W | PERM_U);
	OK(dune_gc_on_fault(mem, N * PAGE, 0, NULL, NULL));
	CHECK(dune_gc_on_fault(mem, N * PAGE, 0, NULL, NULL) == -EINVAL);
	close(fd);
}

static void test_move(void)
{
	char *to = pages(8);
	struct dune_vm_move m[2] = {
		{ mem + 40 * PAGE, to, PAGE },
		{ mem + 42 * PAGE, to + PAGE, PAGE },
	};
	struct dune_gc_range r = { to, 8 * PAGE, bits[1], 0 };

	to[0] = to[PAGE] = 0;
	mem[40 * PAGE] = 40;
	mem[42 * PAGE] = 42;
	OK(dune_vm_move(pgroot, m, 2));
	CHECK(to[0] == 40 && to[PAGE] == 42);
	/* its dirty bit is where it is now */
	OK(dune_gc_track(to, 8 * PAGE));
	CHECK(dune_gc_scan(&r, 1, DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR) >= 2);
	CHECK(dune_gc_scan(&r, 1, DUNE_SCAN_DIRTY) == 0);
	to[PAGE] = 43;
	CHECK(dune_gc_scan(&r, 1, DUNE_SCAN_DIRTY) == 1 && bits[1][0] == 2);
}

/* Bits of larger pages, which nobody has asked to be split. */
static void test_large(void)
{
	const size_t large = 512 * PAGE;
	char *p = pages(4 * 512), *at = p + large - (uintptr_t)p % large;
	struct dune_gc_range r = { at, 2 * large, NULL, 0 };
	const int clear = DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR;
	int i;

	at[0] = at[large] = 1;
	CHECK(dune_gc_scan(&r, 1, clear) > 0);
	for (i = 0; i < 3; i++) {
		CHECK(dune_gc_scan(&r, 1, clear) == 0);
		at[large + i * PAGE] = 1;
		at[large + (i + 1) * PAGE] = 1;
		CHECK(dune_gc_scan(&r, 1, clear) > 0);
	}
	CHECK(!munmap(p, 4 * 512 * PAGE));
}

/* ---- the world stopped ---- */

static atomic_ulong work[THREADS];
static atomic_int quit;
static int blocked[2];

static void *worker(void *arg)
{
	atomic_ulong *mine = arg;

	while (!quit)
		(*mine)++;
	return NULL;
}

static void *sleeper(void *arg)
{
	char c;

	(void)arg;
	CHECK(read(blocked[0], &c, 1) == 1);
	return NULL;
}

static int look(int tid, const struct dune_tf *regs, const void *sp, void *arg)
{
	CHECK(tid > 0 && tid != getpid() && regs->rip && regs->rsp);
	CHECK((const char *)sp <= (const char *)regs->rsp);
	++*(int *)arg;
	return 0;
}

static void test_stop(void)
{
	unsigned long before[THREADS];
	pthread_t t[THREADS + 1];
	int i, round, seen;

	CHECK(dune_gc_stop(SIGKILL) == -EINVAL);
	CHECK(dune_gc_stop(0) == -EINVAL);
	CHECK(dune_gc_stop(SIGRTMIN + 5) == 0);
	CHECK(dune_gc_stop(SIGRTMIN + 5) == -EBUSY);
	OK(dune_gc_resume());
	CHECK(dune_gc_resume() == -EPERM);
	CHECK(!pipe(blocked));
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t[i], NULL, worker, &work[i]));
	CHECK(!pthread_create(&t[THREADS], NULL, sleeper, NULL));
	for (round = 0; round < times(20, 5); round++) {
		CHECK(dune_gc_stop(SIGRTMIN + 5) == THREADS + 1);
		seen = 0;
		CHECK(!dune_gc_each_stopped(look, &seen));
		CHECK(seen == THREADS + 1);
		for (i = 0; i < THREADS; i++)
			before[i] = work[i];
		/* bits of the stopped threads' writes are all there */
		scan(DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR);
		for (i = 0; i < 100; i++)
			sched_yield();
		for (i = 0; i < THREADS; i++)
			CHECK(work[i] == before[i]);
		OK(dune_gc_resume());
		while (work[round % THREADS] == before[round % THREADS])
			sched_yield();
	}
	quit = 1;
	CHECK(write(blocked[1], "x", 1) == 1);
	for (i = 0; i <= THREADS; i++)
		CHECK(!pthread_join(t[i], NULL));
	CHECK(dune_gc_stop(SIGRTMIN + 5) == 0);
	OK(dune_gc_resume());
}

/* Nothing is lost between writers and who scans while they write. */
#define WRITERS	2

static atomic_int written;	/* writers that are done */

struct word {
	int of[WRITERS];
};

static struct word *word(unsigned int i)
{
	return (struct word *)(mem + (500 + i) * PAGE);
}

static void *writer(void *arg)
{
	int n = times(300, 40), me = (int)(intptr_t)arg, i, round;

	for (round = 0; round < n; round++)
		for (i = 0; i < 64; i++)
			((volatile struct word *)word(i))->of[me]++;
	written++;
	return NULL;
}

static void test_concurrent(void)
{
	static struct word copy[64];
	pthread_t t[WRITERS];
	unsigned int i, k;
	bool last;

	memset(mem + 500 * PAGE, 0, 64 * PAGE);
	scan(DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR);
	for (k = 0; k < WRITERS; k++)
		CHECK(!pthread_create(&t[k], NULL, writer,
				      (void *)(intptr_t)k));
	do {
		last = written == WRITERS;
		scan(DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR);
		for (i = 0; i < 64; i++)
			if (bit(bits[0], 500 + i))
				copy[i] = *word(i);
	} while (!last);
	for (k = 0; k < WRITERS; k++)
		CHECK(!pthread_join(t[k], NULL));
	for (i = 0; i < 64 * WRITERS; i++)
		CHECK(copy[i / WRITERS].of[i % WRITERS] == times(300, 40));
}

int main(void)
{
	CHECK(dune_gc_track(NULL, PAGE) == -EPERM);
	CHECK(dune_gc_stop(SIGUSR1) == -EPERM);
	OK(dune_enter());
	mem = pages(N);
	memset(mem, 1, N * PAGE);
	test_scan();
	test_calls();
	test_faults();
	test_stop();
	test_concurrent();
	test_move();
	test_large();
	say("collected\n");
	return 0;
}
