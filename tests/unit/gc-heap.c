/*
 * apps/gc over what Linux has: objects stay whole and where they are expected,
 * in every mode, against a model; and with dirty pages lost on purpose
 * the verifier says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "apps/gc/os.h"
#include "tests/unit/gc-barrier.h"
#include "tests/unit/gc-model.h"
#include "tests/unit/gc-os.h"

static struct model model[4];

static bool begin(const struct gc_os *os, unsigned int flags)
{
	return begin_with(os, (struct gc_options){
		.heap_max = 64ul << 20, .nursery = 256ul << 10,
		.flags = flags, .paused = barrier_paused,
	});
}

static void end(void)
{
	assert_int_equal(faults, 0);
	gc_exit();
}

/* ---- objects ---- */

static void objects_are_zero_and_stay(void **state)
{
	static const size_t size[] = { 0, 1, 8, 24, 25, 120, 121, 1000, 8000,
				       8192, 20000, 32760, 32761, 1000000 };
	static unsigned char *kept[14];
	size_t i, at;

	(void)state;
	assert_true(begin(&gc_os_protect, GC_VERIFY));
	gc_root_add(kept, 14, gc_type(8, 1));
	for (i = 0; i < 14; i++) {
		kept[i] = gc_alloc(GC_LEAF, size[i]);
		assert_non_null(kept[i]);
		assert_int_equal((uintptr_t)kept[i] % 8, 0);
		assert_true(gc_size(kept[i]) >= size[i]);
		assert_true(gc_size(kept[i]) < size[i] + 24);
		for (at = 0; at < gc_size(kept[i]); at++)
			assert_int_equal(kept[i][at], 0);
		memset(kept[i], i + 1, gc_size(kept[i]));
	}
	gc_collect(GC_MINOR);
	gc_collect(GC_FULL);
	gc_collect(GC_COMPACT);
	for (i = 0; i < 14; i++)
		for (at = 0; at < gc_size(kept[i]); at++)
			assert_int_equal(kept[i][at], i + 1);
	assert_null(gc_alloc(GC_LEAF, 1ul << 36));
	assert_null(gc_alloc(GC_LEAF, 65ul << 20));
	end();
}

static void types_and_errors(void **state)
{
	const struct gc_options none = { .os = NULL };
	struct gc_options again = { .os = &gc_os_none };
	void *root[1];

	(void)state;
	assert_int_equal(gc_init(&none), -EINVAL);
	assert_true(begin(&gc_os_none, 0));
	assert_int_equal(gc_init(&again), -EBUSY);
	assert_int_equal(gc_thread_enter(), -EBUSY);
	assert_int_equal(gc_type(0, 0), -EINVAL);
	assert_int_equal(gc_type(12, 1), -EINVAL);
	assert_int_equal(gc_type(520, 1), -EINVAL);
	assert_int_equal(gc_type(16, 4), -EINVAL);
	assert_int_equal(gc_type(16, 0), GC_LEAF);
	assert_true(gc_type(512, ~0ul) > GC_AMBIGUOUS);
	assert_int_equal(gc_root_remove(root), -ENOENT);
	assert_int_equal(gc_collect(GC_STEP), -EINVAL);
	assert_int_equal(gc_collect(GC_BEGIN), -ENOTSUP);
	end();
}

/* Not inlined, so that no pointer stays behind in the caller's frame. */
static __attribute__((noinline)) void make_garbage(size_t size, int n)
{
	while (n--)
		assert_non_null(gc_alloc(GC_AMBIGUOUS, size));
}

static void garbage_is_found(void **state)
{
	struct gc_stats s;

	(void)state;
	assert_true(begin(&gc_os_none, GC_PRECISE_STACKS));
	make_garbage(40, 10000);
	make_garbage(5000, 100);
	make_garbage(400000, 3);
	gc_collect(GC_FULL);
	gc_stats(&s);
	assert_int_equal(s.live, 0);
	assert_int_equal(s.blocks_used, 0);
	/* Ten times the heap. */
	make_garbage(1 << 20, 640);
	end();
}

static void the_heap_may_be_full(void **state)
{
	void **list = NULL, **o;
	int type, n = 0;

	(void)state;
	assert_true(begin(&gc_os_protect, GC_VERIFY));
	type = gc_type(8, 1);
	gc_root_add(&list, 1, type);
	while ((o = gc_alloc(type, 100000))) {
		*o = list;
		list = o;
		n++;
	}
	assert_in_range(n, 64 * 8, 64 * 11);
	assert_null(gc_alloc(GC_LEAF, 200000));
	list = NULL;
	o = NULL;
	gc_collect(GC_FULL);
	assert_non_null(gc_alloc(type, 100000));
	end();
}

/* ---- ambiguous pointers ---- */

static void pointers_into_objects(void **state)
{
	uintptr_t *volatile inside, *p;
	uintptr_t words[2] = { 0 };
	char *volatile end_of;

	(void)state;
	assert_true(begin(&gc_os_none, GC_VERIFY));
	gc_root_add(words, 2, GC_AMBIGUOUS);
	/* The stack finds it by its middle, a root by its end. */
	p = gc_alloc(GC_LEAF, 8000);
	p[500] = 77;
	inside = p + 500;
	p = gc_alloc(GC_LEAF, 24);
	assert_int_equal(gc_size(p), 24);
	p[0] = 78;
	end_of = (char *)(p + 3);
	words[0] = (uintptr_t)end_of;
	p = gc_alloc(GC_LEAF, 100000);
	p[12499] = 79;
	words[1] = (uintptr_t)p + 99999;
	p = NULL;
	gc_collect(GC_COMPACT);
	make_garbage(8000, 4000);
	make_garbage(24, 50000);
	assert_int_equal(*inside, 77);
	assert_int_equal(((uintptr_t *)end_of)[-3], 78);
	assert_int_equal(*(uintptr_t *)(words[1] - 7), 79);
	end();
}

/* ---- moving ---- */

#define LISTS	200

static void sparse_objects_move(void **state)
{
	static uintptr_t *kept[LISTS], was[LISTS];
	struct gc_stats s;
	int i, moved = 0;

	(void)state;
	assert_true(begin(&gc_os_protect, GC_PRECISE_STACKS | GC_VERIFY));
	gc_root_add(kept, LISTS, gc_type(8, 1));
	for (i = 0; i < LISTS; i++) {
		kept[i] = gc_alloc(GC_LEAF, 24);
		kept[i][1] = i;
		was[i] = (uintptr_t)kept[i];
		make_garbage(56, 600);
	}
	gc_collect(GC_COMPACT);
	gc_stats(&s);
	for (i = 0; i < LISTS; i++) {
		assert_int_equal(kept[i][1], i);
		moved += was[i] != (uintptr_t)kept[i];
	}
	assert_true(moved > LISTS / 2);
	assert_in_range(s.blocks_used, 1, 3);
	memset(kept, 0, sizeof(kept));
	end();
}

static void large_objects_are_remapped(void **state)
{
	static uintptr_t *kept[2], *first;
	const size_t words = 3 << 17;
	struct gc_stats s;
	unsigned int os;

	(void)state;
	for (os = 0; os < N_OS; os++) {
		if (!begin(all_os[os], GC_PRECISE_STACKS | GC_VERIFY))
			continue;
		gc_root_add(kept, 2, gc_type(8, 1));
		gc_root_add(&first, 1, gc_type(8, 1));
		first = gc_alloc(GC_LEAF, 4 << 20);
		kept[0] = gc_alloc(gc_type(8, 1), words * 8);
		kept[1] = gc_alloc(GC_LEAF, 24);
		kept[1][0] = 5;
		kept[0][0] = (uintptr_t)kept[0];
		kept[0][words - 1] = (uintptr_t)kept[1];
		first = NULL;
		gc_collect(GC_COMPACT);
		gc_stats(&s);
		assert_true(s.remapped >= words * 8);
		assert_true(kept[0][0] == (uintptr_t)kept[0]);
		assert_true(kept[0][words - 1] == (uintptr_t)kept[1]);
		assert_int_equal(kept[1][0], 5);
		/* Where it is now writes are still seen: old to young. */
		gc_collect(GC_MINOR);
		kept[1] = gc_alloc(GC_LEAF, 24);
		kept[1][0] = 6;
		kept[0][words / 2] = (uintptr_t)kept[1];
		kept[1] = NULL;
		gc_collect(GC_MINOR);
		make_garbage(24, 20000);
		assert_int_equal(*(uintptr_t *)kept[0][words / 2], 6);
		memset(kept, 0, sizeof(kept));
		end();
	}
}

/* ---- system calls ---- */

/* What the kernel writes into an old object is written; or it says EFAULT. */
static void the_kernel_writes_into_old_objects(void **state)
{
	static uintptr_t *old;
	uintptr_t *young;
	unsigned int os;
	int fds[2], i, type;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	for (os = 0; os < N_OS; os++) {
		if (!begin(all_os[os], GC_PRECISE_STACKS | GC_VERIFY))
			continue;
		type = gc_type(8, 1);
		gc_root_add(&old, 1, type);
		old = gc_alloc(type, 4000 * sizeof(*old));
		for (i = 0; i < 100; i++) {
			gc_collect(i % 2 ? GC_MINOR : GC_FULL);
			young = gc_alloc(GC_LEAF, 24);
			young[0] = i;
			assert_int_equal(write(fds[1], &young, 8), 8);
			n = read(fds[0], &old[i * 37], 8);
			if (all_os[os] == &gc_os_protect) {
				assert_true(n < 0 && errno == EFAULT);
				assert_int_equal(read(fds[0], &young, 8), 8);
				continue;
			}
			assert_int_equal(n, 8);
			gc_collect(GC_MINOR);
			assert_int_equal(*(uintptr_t *)old[i * 37], i);
		}
		old = NULL;
		end();
	}
	close(fds[0]);
	close(fds[1]);
}

/* ---- against the model ---- */

static const struct {
	unsigned int flags;
	long steps, every, compact;
} modes[] = {
	{ GC_VERIFY, 30000, 3000, 0 },
	{ GC_VERIFY, 10000, 1000, 997 },
	{ GC_VERIFY | GC_AUTO_COMPACT | GC_INCREMENTAL, 30000, 3000, 0 },
	{ GC_VERIFY | GC_PRECISE_STACKS | GC_AUTO_COMPACT, 30000, 3000, 0 },
	{ GC_VERIFY | GC_STRESS | GC_INCREMENTAL, 1500, 100, 0 },
	{ GC_VERIFY | GC_STRESS | GC_INCREMENTAL | GC_PRECISE_STACKS, 1500,
	  100, 0 },
};
#define N_MODES	(sizeof(modes) / sizeof(*modes))

static void run_model(const struct gc_os *os, unsigned int mode)
{
	struct model *m = model;

	if (!begin(os, modes[mode].flags))
		return;
	assert_int_equal(model_begin(m, mode + 1, gc_type(16, 2)), 0);
	m->compact = modes[mode].compact;
	if (!model_run(m, modes[mode].steps, modes[mode].every))
		fail_msg("%s, mode %u: %s", os->name, mode, m->wrong);
	assert_true(m->checked > 10000);
	model_end(m);
	end();
}

static void like_the_model(void **state)
{
	unsigned int os, mode;

	(void)state;
	for (os = 0; os < N_OS; os++)
		for (mode = 0; mode < N_MODES; mode++)
			run_model(all_os[os], mode);
}

static void *thread(void *m)
{
	assert_int_equal(gc_thread_enter(), 0);
	model_run(m, 10000, 2000);
	gc_thread_leave();
	return NULL;
}

static void run_threads(const struct gc_os *os, unsigned int flags)
{
	pthread_t t[4];
	int i;

	if (!begin(os, flags))
		return;
	for (i = 0; i < 4; i++) {
		model_begin(&model[i], i + 10, gc_type(16, 2));
		assert_int_equal(pthread_create(&t[i], NULL, thread, &model[i]),
				 0);
	}
	gc_blocking_begin();
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	gc_blocking_end();
	gc_collect(GC_FULL);
	for (i = 0; i < 4; i++) {
		if (model[i].wrong || !model_check(&model[i]))
			fail_msg("%s, thread %d: %s", os->name, i,
				 model[i].wrong);
		model_end(&model[i]);
	}
	end();
}

static void threads_like_their_models(void **state)
{
	unsigned int os;

	(void)state;
	for (os = 0; os < N_OS; os++) {
		run_threads(all_os[os], GC_VERIFY | GC_AUTO_COMPACT);
		run_threads(all_os[os], GC_VERIFY | GC_INCREMENTAL);
		run_threads(all_os[os], GC_VERIFY | GC_PRECISE_STACKS |
			    GC_INCREMENTAL | GC_AUTO_COMPACT);
	}
}

static void threads_in_barriers_keep_what_they_have(void **state)
{
	static const unsigned int stacks[] = { 0, GC_PRECISE_STACKS };
	const char *wrong;
	unsigned int os, i;

	(void)state;
	for (os = 0; os < N_OS; os++)
		for (i = 0; i < 2; i++) {
			if (all_os[os] == &gc_os_none ||
			    !begin(all_os[os], stacks[i] | GC_INCREMENTAL |
				   GC_VERIFY))
				continue;
			wrong = barrier_test();
			if (wrong)
				fail_msg("%s: %s", all_os[os]->name, wrong);
			end();
		}
}

static void a_child_goes_on(void **state)
{
	unsigned int os;
	int status;
	pid_t pid;

	(void)state;
	for (os = 0; os < N_OS; os++) {
		if (!begin(all_os[os], GC_VERIFY | GC_INCREMENTAL))
			continue;
		model_begin(model, 99, gc_type(16, 2));
		assert_true(model_run(model, 10000, 1000));
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			_exit(!model_run(model, 20000, 1000) || faults);
		assert_true(model_run(model, 20000, 1000));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		model_end(model);
		end();
	}
}

/* ---- dirty bits and barriers decide ---- */

static void say_and_end(const char *what, const void *object)
{
	(void)what, (void)object;
	_exit(42);
}

/* While it is marked, the only pointer to something goes where marking was. */
static bool hide(void)
{
	static uintptr_t *x, *y;
	int type = gc_type(16, 3);

	x = y = NULL;
	gc_root_add(&x, 1, type);
	gc_root_add(&y, 1, type);
	x = gc_alloc(type, 16);
	x[0] = (uintptr_t)gc_alloc(GC_LEAF, 16);
	*(uintptr_t *)x[0] = 17;
	gc_collect(GC_FULL);
	if (gc_collect(GC_BEGIN))
		return false;
	y = (uintptr_t *)x[0];
	x[0] = 0;
	gc_collect(GC_MINOR);
	make_garbage(16, 100000);
	return *y == 17;
}

static int lossy_child(const struct gc_os *os, unsigned int lossy, bool blind)
{
	struct gc_options o = {
		.os = os, .heap_max = 64ul << 20, .nursery = 256ul << 10,
		.flags = GC_VERIFY | (blind ? GC_PRECISE_STACKS : 0),
		.bad = say_and_end,
	};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (gc_init(&o))
			_exit(77);
		gc_test_lossy = lossy;
		gc_test_blind = blind;
		if (blind)
			_exit(!hide());
		model_begin(model, 7, gc_type(16, 2));
		_exit(!model_run(model, 100000, 1000));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void marking_sees_what_is_overwritten(void **state)
{
	struct gc_stats s;
	unsigned int os;

	(void)state;
	for (os = 1; os < N_OS; os++) {
		if (!begin(all_os[os], GC_VERIFY | GC_PRECISE_STACKS))
			continue;
		assert_true(hide());
		gc_stats(&s);
		assert_int_equal(s.faults, 1);
		end();
	}
}

static void what_is_not_seen_is_noticed(void **state)
{
	unsigned int os;

	(void)state;
	for (os = 1; os < N_OS; os++) {
		int whole = lossy_child(all_os[os], 0, false);

		if (whole == 77)
			continue;
		assert_int_equal(whole, 0);
		assert_int_equal(lossy_child(all_os[os], 1, false), 42);
		assert_int_equal(lossy_child(all_os[os], 20, false), 42);
		assert_int_equal(lossy_child(all_os[os], 0, true), 42);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_and_errors),
		cmocka_unit_test(objects_are_zero_and_stay),
		cmocka_unit_test(garbage_is_found),
		cmocka_unit_test(the_heap_may_be_full),
		cmocka_unit_test(pointers_into_objects),
		cmocka_unit_test(sparse_objects_move),
		cmocka_unit_test(large_objects_are_remapped),
		cmocka_unit_test(the_kernel_writes_into_old_objects),
		cmocka_unit_test(like_the_model),
		cmocka_unit_test(threads_like_their_models),
		cmocka_unit_test(threads_in_barriers_keep_what_they_have),
		cmocka_unit_test(a_child_goes_on),
		cmocka_unit_test(marking_sees_what_is_overwritten),
		cmocka_unit_test(what_is_not_seen_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
