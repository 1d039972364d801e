/* Compartments: Wedge (apps/wedge), as in section 6.3 of the paper. */
#include "apps/wedge/wedge.h"
#include "bench/mode/mode.h"

static void *nothing(void *arg)
{
	return arg;
}

static int64_t run_sthread(unsigned long n)
{
	static bool ready;
	int64_t t;
	sc_t sc;

	if (!ready) {
		int err = sthread_init();

		if (err)
			return err;
		ready = true;
	}
	sc_init(&sc);
	t = bench_now();
	while (n--) {
		sthread_t st;
		int err = sthread_create(&st, &sc, nothing, NULL);

		if (!err)
			err = sthread_join(st, NULL);
		if (err)
			return err;
	}
	return bench_now() - t;
}

const struct bench_case mode_wedge[] = {
	{ "sthread", "sthread_create() and sthread_join() of Wedge",
	  run_sthread, 0 },
	{ 0 },
};
