/* Weak references of apps/gc over what Linux has: see gc-weak.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include "tests/unit/gc-weak.h"
#include "tests/unit/gc-os.h"

static void null_when_dead(void **state)
{
	unsigned int os;

	(void)state;
	for (os = 0; os < N_OS; os++) {
		if (!begin_small(all_os[os], 0))
			continue;
		well(weak_all(all_os[os] != &gc_os_none));
		gc_exit();
	}
}

static struct weak_many many[4];

static void many_at_random(void **state)
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
			weak_type = gc_type(sizeof(struct ball), 1);
			many[0] = (struct weak_many){ .random = i };
			well(weak_run(many, flags[i] & GC_STRESS ? 300 : 5000));
			gc_exit();
		}
}

static void *thread(void *m)
{
	const char *wrong;

	if (gc_thread_enter())
		return "cannot enter";
	wrong = weak_run(m, 3000);
	gc_thread_leave();
	return (void *)wrong;
}

static void in_threads(void **state)
{
	pthread_t t[4];
	void *wrong;
	int i;

	(void)state;
	assert_true(begin_small(&gc_os_protect, GC_INCREMENTAL));
	weak_type = gc_type(sizeof(struct ball), 1);
	for (i = 0; i < 4; i++) {
		many[i] = (struct weak_many){ .random = i };
		pthread_create(&t[i], NULL, thread, &many[i]);
	}
	gc_blocking_begin();
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &wrong);
		well(wrong);
	}
	gc_blocking_end();
	gc_exit();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_when_dead),
		cmocka_unit_test(many_at_random),
		cmocka_unit_test(in_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
