/*
 * Storms: threads in Dune mode that map, unmap, protect, move and touch memory,
 * make threads and children, edit page tables, while signals rain on all of
 * them. In the end all memory has the contents it should have, nothing hangs,
 * and the process has the descriptors, mappings and table pages that it had.
 */
#include "test.h"

#include <sys/time.h>
#include "dune/pgtable.h"

#define MAX_THREADS	200
#define BLOCK		(8 * PAGE)

static int rounds;
static unsigned long signals, traps;

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
	return *seed >> 33;
}

/* ---- what rains ---- */

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
	int saved = errno;

	(void)sig, (void)info, (void)ctx;
	errno = 1234;
	__atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
	errno = saved;
}

static enum dune_trap_action on_ud(struct dune_tf *tf, unsigned int vector,
				   uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	__atomic_fetch_add(&traps, 1, __ATOMIC_RELAXED);
	tf->rip += 2;
	return DUNE_TRAP_RESUME;
}

static void ud2(void)
{
	__asm__ volatile("ud2");
}

static void begin_rain(long usec)
{
	const struct itimerval often = { { 0, usec }, { 0, usec } };

	handle(SIGALRM, on_signal, SA_RESTART);
	handle(SIGUSR1, on_signal, SA_RESTART);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
}

static void end_rain(void)
{
	const struct itimerval off = { { 0, 0 }, { 0, 0 } };

	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

/* Neither a trap nor a signal takes the place of another. */
static unsigned long breaks;

static enum dune_trap_action on_break(struct dune_tf *tf, unsigned int vector,
				      uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	CHECK(tf->rbx == breaks);
	breaks++;
	return DUNE_TRAP_RESUME;
}

static void traps_in_the_rain(unsigned long n)
{
	unsigned long i, before = traps;

	breaks = 0;
	begin_rain(200);
	for (i = 0; i < n; i++) {
		__asm__ volatile("int3" : : "b"(i) : "memory");
		ud2();
	}
	end_rain();
	CHECK(breaks == n && traps - before == n);
}

/* ---- a thread's own memory, and what should be in it ---- */

struct own {
	char *at;
	size_t len;
	uint64_t tag;
	bool readonly;
};

static void fill(struct own *o, uint64_t tag)
{
	size_t i;

	o->tag = tag;
	for (i = 0; i < o->len; i += PAGE)
		*(uint64_t *)(o->at + i) = tag + i;
}

static void check(const struct own *o)
{
	size_t i;

	for (i = 0; i < o->len; i += PAGE)
		CHECK(*(uint64_t *)(o->at + i) == o->tag + i);
}

static void set_writable(struct own *o, bool yes)
{
	CHECK(mprotect(o->at, o->len, PROT_READ | (yes ? PROT_WRITE : 0)) == 0);
	o->readonly = !yes;
}

static void step(struct own *o, uint64_t *seed)
{
	size_t len = (next(seed) % 16 + 1) * PAGE;
	void *p;

	if (!o->at) {
		o->len = len;
		o->at = map(len, PROT_READ | PROT_WRITE);
		fill(o, next(seed));
		return;
	}
	check(o);
	switch (next(seed) % 6) {
	case 0:
		CHECK(munmap(o->at, o->len) == 0);
		o->at = NULL;
		return;
	case 1:
		set_writable(o, o->readonly);
		return;
	case 2:
		if (o->readonly)
			set_writable(o, true);
		p = mremap(o->at, o->len, len, MREMAP_MAYMOVE);
		CHECK(p != MAP_FAILED);
		o->at = p;
		if (len > o->len)
			memset(o->at + o->len, 0, len - o->len);
		o->len = len;
		fill(o, next(seed));
		return;
	case 3:
		if (o->readonly)
			return;
		CHECK(madvise(o->at, o->len, MADV_DONTNEED) == 0);
		CHECK(*(uint64_t *)o->at == 0);
		fill(o, next(seed));
		return;
	case 4:
		p = malloc(len);
		CHECK(p);
		memset(p, 1, len);
		free(p);
		ud2();
		return;
	case 5:
		/* a wish of the program's own, and back */
		OK(dune_vm_mprotect(pgroot, o->at, o->len, PERM_R));
		check(o);
		OK(dune_vm_mprotect(pgroot, o->at, o->len, PERM_R |
				    (o->readonly ? 0 : PERM_W)));
		return;
	}
}

static void mapper(int n)
{
	uint64_t seed = n * 77;
	struct own own[4] = { { .at = NULL } };
	int i;

	OK(dune_enter());
	for (i = 0; i < rounds; i++)
		step(&own[next(&seed) % 4], &seed);
	for (i = 0; i < 4; i++)
		if (own[i].at) {
			check(&own[i]);
			CHECK(munmap(own[i].at, own[i].len) == 0);
		}
}

/* In and out, in and out. */
static void comer(int n)
{
	int i;

	(void)n;
	for (i = 0; i < rounds / 4; i++) {
		OK(dune_enter());
		ud2();
		OK(dune_leave());
	}
}

/* Children of a process whose other threads are at it. */
static void forker(int n)
{
	uint64_t seed = 5;
	struct own own = { .at = NULL };
	int i, k, status;
	pid_t pid;

	(void)n;
	OK(dune_enter());
	for (i = 0; i < rounds / 100 + 2; i++) {
		pid = fork();
		if (!pid) {
			for (k = 0; k < 20; k++)
				step(&own, &seed);
			ud2();
			_exit(dune_in_dune_mode() ? 33 : 1);
		}
		status = reap(pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 33);
	}
}

/* ---- all at once ---- */

static pthread_t target[MAX_THREADS];
static int finished;

struct start {
	void (*f)(int n);
	int n;
};

static void *run(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	s.f(s.n);
	__atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void start(int i, void (*f)(int n))
{
	struct start *s = malloc(sizeof(*s));

	CHECK(s);
	*s = (struct start){ f, i };
	CHECK(pthread_create(&target[i], NULL, run, s) == 0);
}

/* Signals to each of n threads by name, until they have finished. */
static void join(int n, bool rain)
{
	int i;

	while (__atomic_load_n(&finished, __ATOMIC_SEQ_CST) < n) {
		for (i = 0; rain && i < n; i++)
			pthread_kill(target[i], SIGUSR1);
		usleep(1000);
	}
	for (i = 0; i < n; i++)
		CHECK(pthread_join(target[i], NULL) == 0);
	finished = 0;
}

static void storm(void)
{
	static void (*const who[])(int n) = {
		mapper, mapper, mapper, comer, forker,
	};
	const int n = sizeof(who) / sizeof(who[0]);
	int i;

	begin_rain(1000);
	for (i = 0; i < n; i++)
		start(i, who[i]);
	join(n, true);
	end_rain();
}

/* ---- many ---- */

static pthread_barrier_t all_here;

static void one_of_many(int n)
{
	char *p = map(PAGE, PROT_READ | PROT_WRITE);

	OK(dune_enter());
	*p = n;
	pthread_barrier_wait(&all_here);
	ud2();
	CHECK(*p == (char)n);
	CHECK(munmap(p, PAGE) == 0);
	pthread_barrier_wait(&all_here);
}

static void many(int n)
{
	const unsigned long before = traps;
	int i;

	CHECK(pthread_barrier_init(&all_here, NULL, n) == 0);
	for (i = 0; i < n; i++)
		start(i, one_of_many);
	join(n, false);
	pthread_barrier_destroy(&all_here);
	CHECK(traps - before == (unsigned long)n);
}

/* ---- what it leaves ---- */

struct left {
	int fds;
	uint64_t tables, pages;
};

static struct left what_is_left(void)
{
	struct dune_page_counts c;

	dune_page_counts(&c);
	return (struct left){ descriptors(), c.tables_used, c.used };
}

int main(void)
{
	struct left before = { 0 }, after;
	int round;

	rounds = times(400, 24);
	OK(dune_trap_set(DUNE_VEC_UD, 0, on_ud, NULL));
	OK(dune_trap_set(DUNE_VEC_BP, 0, on_break, NULL));
	for (round = 0; round < 3; round++) {
		/* threads that enter, then threads that begin inside */
		if (round) {
			OK(dune_enter());
			traps_in_the_rain(times(3000, 300));
		}
		storm();
		many(times(round ? MAX_THREADS : 20, 8));
		OK(dune_in_dune_mode() ? dune_leave() : 0);
		after = what_is_left();
		if (round == 2)
			CHECK(after.fds <= before.fds &&
			      after.tables == before.tables &&
			      after.pages == before.pages);
		before = after;
		say("storm %d\n", round);
	}
	CHECK(signals && traps);
	say("after the storm\n");
	return 0;
}
