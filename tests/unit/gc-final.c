/* Finalizers of apps/gc over what Linux has: see gc-final.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include "tests/unit/gc-final.h"
#include "tests/unit/gc-os.h"

static void called_once_when_dead(void **state)
{
	unsigned int os;

	(void)state;
	for (os = 0; os < N_OS; os++) {
		if (!begin_small(all_os[os], 0))
			continue;
		well(final_all(all_os[os] != &gc_os_none));
		gc_exit();
	}
}

static struct final_many many[4];

static void all_of_many(void **state)
{
	static const unsigned int flags[] = {
		0, GC_AUTO_COMPACT, GC_INCREMENTAL, GC_STRESS | GC_INCREMENTAL,
	};
	unsigned int os, i;

	(void)state;
	for (os = 0; os < N_OS; os++)
		for (i = 0; i < 4; i++) {
			if (!begin_small(all_os[os], flags[i]))
				continue;
			many[0] = (struct final_many){ .random = i };
			final_run(many, flags[i] & GC_STRESS ? 200 : 3000);
			well(final_end(many));
			gc_exit();
		}
}

static void *thread(void *m)
{
	if (gc_thread_enter())
		return NULL;
	final_run(m, 2000);
	gc_thread_leave();
	return m;
}

static void in_threads(void **state)
{
	pthread_t t[4];
	void *done;
	int i;

	(void)state;
	assert_true(begin_small(&gc_os_protect, GC_INCREMENTAL));
	for (i = 0; i < 4; i++) {
		many[i] = (struct final_many){ .random = i };
		pthread_create(&t[i], NULL, thread, &many[i]);
	}
	gc_blocking_begin();
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &done);
		assert_ptr_equal(done, &many[i]);
	}
	gc_blocking_end();
	for (i = 0; i < 4; i++)
		well(final_end(&many[i]));
	gc_exit();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(called_once_when_dead),
		cmocka_unit_test(all_of_many),
		cmocka_unit_test(in_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
