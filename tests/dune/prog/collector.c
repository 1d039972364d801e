/*
 * apps/gc over the page tables of Dune mode: objects against a model, in every
 * mode, with threads, over fork; and with dirty pages or writes unseen on
 * purpose the verifier says so. tests/unit/gc-heap.c is the same over Linux.
 *
 *	collector model|stress|threads|fork|calls|remap|lossy|final|weak
 */
#include "test.h"

#include "apps/gc/os.h"
#include "tests/unit/gc-barrier.h"
#include "tests/unit/gc-final.h"
#include "tests/unit/gc-model.h"
#include "tests/unit/gc-weak.h"

static struct model model[4];
static long faults;
static int bad_status;		/* 0: count; else the child's end */

static void bad(const char *what, const void *object)
{
	if (bad_status)
		_exit(bad_status);
	if (!faults++)
		say("%p: %s\n", object, what);
}

static void begin(unsigned int flags)
{
	struct gc_options o = {
		.os = &gc_os_dune, .heap_max = 64ul << 20,
		.nursery = 256ul << 10, .flags = flags | GC_VERIFY, .bad = bad,
		.paused = barrier_paused,
	};

	faults = 0;
	CHECK(!gc_init(&o));
}

static void end(void)
{
	CHECK(!faults);
	gc_exit();
}

static void well(const char *wrong)
{
	if (wrong)
		say("%s\n", wrong);
	CHECK(!wrong);
}

/* compact: see struct model. */
static void run(unsigned int seed, unsigned int flags, long steps, long compact)
{
	struct model *m = model;

	begin(flags);
	CHECK(!model_begin(m, seed, gc_type(16, 2)));
	m->compact = compact;
	if (!model_run(m, steps, steps / 20))
		say("flags %u: %s\n", flags, m->wrong);
	CHECK(!m->wrong);
	model_end(m);
	end();
}

static void test_model(void)
{
	const long steps = times(60000, 10000);

	run(1, 0, steps, 0);
	run(2, GC_AUTO_COMPACT | GC_INCREMENTAL, steps, 0);
	run(3, GC_AUTO_COMPACT | GC_PRECISE_STACKS, steps, 0);
	run(6, 0, steps / 10, 997);
}

static void test_stress(void)
{
	const long steps = times(1500, 200);

	run(4, GC_STRESS | GC_INCREMENTAL, steps, 0);
	run(5, GC_STRESS | GC_INCREMENTAL | GC_PRECISE_STACKS, steps, 0);
}

static void *thread(void *m)
{
	CHECK(!gc_thread_enter());
	model_run(m, times(20000, 3000), 1000);
	gc_thread_leave();
	return NULL;
}

static void with_threads(unsigned int flags)
{
	pthread_t t[4];
	int i;

	begin(flags);
	for (i = 0; i < 4; i++) {
		CHECK(!model_begin(&model[i], i + 10, gc_type(16, 2)));
		CHECK(!pthread_create(&t[i], NULL, thread, &model[i]));
	}
	gc_blocking_begin();
	for (i = 0; i < 4; i++)
		CHECK(!pthread_join(t[i], NULL));
	gc_blocking_end();
	CHECK(!gc_collect(GC_FULL));
	for (i = 0; i < 4; i++) {
		if (model[i].wrong)
			say("thread %d: %s\n", i, model[i].wrong);
		CHECK(!model[i].wrong && model_check(&model[i]));
		model_end(&model[i]);
	}
	end();
}

static void *outside(void *arg)
{
	(void)arg;
	OK(dune_leave());
	CHECK(gc_thread_enter() == -EPERM);
	OK(dune_enter());
	CHECK(!gc_thread_enter());
	gc_thread_leave();
	return NULL;
}

static void test_threads(void)
{
	pthread_t t;

	with_threads(GC_AUTO_COMPACT);
	with_threads(GC_INCREMENTAL);
	with_threads(GC_INCREMENTAL | GC_PRECISE_STACKS | GC_AUTO_COMPACT);
	begin(GC_INCREMENTAL);
	well(barrier_test());
	end();
	begin(GC_INCREMENTAL | GC_PRECISE_STACKS);
	well(barrier_test());
	end();
	begin(0);
	CHECK(!pthread_create(&t, NULL, outside, NULL));
	gc_blocking_begin();
	CHECK(!pthread_join(t, NULL));
	gc_blocking_end();
	end();
}

static int status_of(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_fork(void)
{
	const long steps = times(20000, 4000);
	pid_t pid;

	begin(GC_INCREMENTAL);
	CHECK(!model_begin(model, 99, gc_type(16, 2)));
	CHECK(model_run(model, steps / 2, 1000));
	pid = fork();
	if (!pid)
		_exit(!model_run(model, steps, 1000) || faults);
	CHECK(model_run(model, steps, 1000));
	CHECK(status_of(pid) == 0);
	model_end(model);
	end();
}

/* What the kernel writes into old objects is written: no EFAULT, and seen. */
static void test_calls(void)
{
	static uintptr_t *old, *young;
	int type, fds[2], i;
	struct gc_stats s;

	begin(GC_PRECISE_STACKS);
	type = gc_type(8, 1);
	CHECK(!pipe(fds) && !gc_root_add(&old, 1, type));
	old = gc_alloc(type, 4000 * sizeof(*old));
	for (i = 0; i < times(100, 20); i++) {
		CHECK(!gc_collect(i % 2 ? GC_MINOR : GC_FULL));
		young = gc_alloc(GC_LEAF, 24);
		young[0] = i;
		CHECK(write(fds[1], &young, 8) == 8);
		CHECK(read(fds[0], &old[i * 37], 8) == 8);
		CHECK(!gc_collect(GC_MINOR));
		CHECK(*(uintptr_t *)old[i * 37] == (uintptr_t)i);
	}
	/* A call overwrites the last pointer that marking would have found. */
	CHECK(!gc_root_add(&young, 1, type) && !gc_collect(GC_BEGIN));
	young = (uintptr_t *)old[0];
	CHECK(write(fds[1], "\0\0\0\0\0\0\0", 8) == 8);
	CHECK(read(fds[0], &old[0], 8) == 8 && !old[0]);
	CHECK(!gc_collect(GC_MINOR) && *young == 0);
	gc_stats(&s);
	CHECK(s.faults > 0);
	end();
}

/*
 * Large objects move by their entries, and stay whole, and are seen; leaves are
 * where system calls find them.
 */
static void test_remap(void)
{
	static uintptr_t *first, *big, *leaf;
	const size_t words = times(3 << 17, 3 << 15);
	const size_t bytes = words * sizeof(*big);
	struct gc_stats s;
	int type, fds[2];
	size_t i;

	begin(GC_PRECISE_STACKS);
	type = gc_type(8, 1);
	CHECK(!gc_root_add(&first, 1, type) && !gc_root_add(&big, 1, type));
	CHECK(!gc_root_add(&leaf, 1, type));
	first = gc_alloc(GC_LEAF, 3 * bytes);
	memset(first, 1, 3 * bytes);
	big = gc_alloc(type, bytes);
	leaf = gc_alloc(GC_LEAF, bytes);
	for (i = 0; i < words; i++) {
		big[i] = (uintptr_t)big;
		leaf[i] = i;
	}
	first = NULL;
	CHECK(!gc_collect(GC_COMPACT));
	gc_stats(&s);
	CHECK(s.remapped >= bytes && s.copied >= bytes);
	for (i = 0; i < words; i++)
		CHECK(big[i] == (uintptr_t)big && leaf[i] == i);
	CHECK(!pipe(fds) && write(fds[1], &leaf[words / 2], 8) == 8);
	CHECK(read(fds[0], &leaf[5], 8) == 8 && leaf[5] == words / 2);

	CHECK(!gc_collect(GC_MINOR));
	first = gc_alloc(GC_LEAF, 24);
	first[0] = 6;
	big[words / 4] = (uintptr_t)first;
	first = NULL;
	CHECK(!gc_collect(GC_MINOR));
	CHECK(*(uintptr_t *)big[words / 4] == 6);
	/* Where it was others are now. */
	big = NULL;
	CHECK(!gc_collect(GC_FULL));
	for (i = 0; i < 6; i++) {
		big = gc_alloc(GC_LEAF, bytes);
		CHECK(big && !big[0] && !big[words - 1]);
		memset(big, 0xff, bytes);
	}
	CHECK(leaf[5] == words / 2 && leaf[words - 1] == words - 1);
	end();
}

/* While it is marked, the only pointer to something goes where marking was. */
static bool hide(void)
{
	static uintptr_t *x, *y;
	int type = gc_type(16, 3), i;

	CHECK(!gc_root_add(&x, 1, type) && !gc_root_add(&y, 1, type));
	x = gc_alloc(type, 16);
	x[0] = (uintptr_t)gc_alloc(GC_LEAF, 16);
	*(uintptr_t *)x[0] = 17;
	CHECK(!gc_collect(GC_FULL) && !gc_collect(GC_BEGIN));
	y = (uintptr_t *)x[0];
	x[0] = 0;
	CHECK(!gc_collect(GC_MINOR));
	for (i = 0; i < 20000; i++)
		gc_alloc(GC_LEAF, 16);
	return *y == 17;
}

static int blind(bool yes)
{
	pid_t pid = fork();

	if (pid)
		return status_of(pid);
	bad_status = 42;
	begin(GC_PRECISE_STACKS);
	gc_test_blind = yes;
	_exit(!hide());
}

static int lossy(unsigned int every)
{
	const long steps = times(100000, 20000);
	pid_t pid = fork();

	if (pid)
		return status_of(pid);
	bad_status = 42;
	begin(0);
	gc_test_lossy = every;
	CHECK(!model_begin(model, 7, gc_type(16, 2)));
	_exit(!model_run(model, steps, steps / 10));
}

static void test_lossy(void)
{
	CHECK(lossy(0) == 0);
	CHECK(lossy(1) == 42);
	CHECK(lossy(20) == 42);
	CHECK(blind(false) == 0);
	CHECK(blind(true) == 42);
}

/* ---- finalizers ---- */

static struct final_many many[4];

static void *make_many(void *m)
{
	CHECK(!gc_thread_enter());
	final_run(m, times(2000, 300));
	gc_thread_leave();
	return NULL;
}

static void test_final(void)
{
	pthread_t t[4];
	int i;

	begin(GC_PRECISE_STACKS);
	well(final_all(true));
	end();
	begin(GC_PRECISE_STACKS | GC_INCREMENTAL | GC_AUTO_COMPACT);
	for (i = 0; i < 4; i++) {
		many[i].random = i;
		CHECK(!pthread_create(&t[i], NULL, make_many, &many[i]));
	}
	gc_blocking_begin();
	for (i = 0; i < 4; i++)
		CHECK(!pthread_join(t[i], NULL));
	gc_blocking_end();
	for (i = 0; i < 4; i++)
		well(final_end(&many[i]));
	end();
}

/* ---- weak references ---- */

static struct weak_many weaks[4];

static void *weak_thread(void *m)
{
	CHECK(!gc_thread_enter());
	well(weak_run(m, times(2000, 300)));
	gc_thread_leave();
	return NULL;
}

static void test_weak(void)
{
	pthread_t t[4];
	int i;

	begin(GC_PRECISE_STACKS);
	well(weak_all(true));
	end();
	begin(GC_PRECISE_STACKS | GC_INCREMENTAL | GC_AUTO_COMPACT);
	weak_type = gc_type(sizeof(struct ball), 1);
	for (i = 0; i < 4; i++) {
		weaks[i].random = i;
		CHECK(!pthread_create(&t[i], NULL, weak_thread, &weaks[i]));
	}
	gc_blocking_begin();
	for (i = 0; i < 4; i++)
		CHECK(!pthread_join(t[i], NULL));
	gc_blocking_end();
	end();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*test)(void);
	} tests[] = {
		{ "model", test_model }, { "stress", test_stress },
		{ "threads", test_threads }, { "fork", test_fork },
		{ "calls", test_calls }, { "remap", test_remap },
		{ "lossy", test_lossy }, { "final", test_final },
		{ "weak", test_weak },
	};
	size_t i;

	OK(dune_enter());
	for (i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		if (argc == 2 && !strcmp(argv[1], tests[i].name)) {
			tests[i].test();
			say("%s: well\n", argv[1]);
			return 0;
		}
	return 2;
}
