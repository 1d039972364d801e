/* Many threads: each with a sandbox of its own, all in one, in few slots. */
#include <pthread.h>

#include "tests/plugin/plugin.h"

#define CALLS 200

static struct dune_sandbox *shared;
static struct dune_function nop;

static void *alone(void *arg)
{
	int n = (int)(intptr_t)arg, v = 0, i;
	struct dune_sandbox *box = make(OPTIONS(0));
	struct dune_function f;

	load(box, "good");
	f = function(dune_sandbox_object(box, 0), "counter");
	for (i = 0; i < CALLS; i++)
		MUST(call_int(&f, &v, n));
	IS(v, CALLS * n);
	MUST(dune_sandbox_snapshot(box));
	for (i = 0; i < 3; i++) {
		MUST(call_int(&f, &v, n));
		IS(v, (CALLS + 1) * n);
		MUST(dune_sandbox_reset(box));
	}
	dune_sandbox_destroy(box);
	return NULL;
}

static void *together(void *arg)
{
	int v = 0, i, n = (int)(intptr_t)arg;

	for (i = 0; i < CALLS; i++) {
		MUST(call_int(&nop, &v, n * 1000 + i));
		IS(v, n * 1000 + i);
	}
	return NULL;
}

static void *resetter(void *arg)
{
	int i, v;

	for (i = 0; i < 5; i++) {
		MUST(dune_sandbox_reset(shared));
		MUST(call_int(&nop, &v, i));
	}
	return arg;
}

static void run(void *(*fn)(void *), int n, void *(*other)(void *))
{
	pthread_t t[32], o;
	int i;

	for (i = 0; i < n; i++)
		pthread_create(&t[i], NULL, fn, (void *)(intptr_t)i);
	if (other) {
		pthread_create(&o, NULL, other, NULL);
		pthread_join(o, NULL);
	}
	for (i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	run(alone, 6, NULL);
	/* one at a time, then as many as there are slots */
	for (int callers = 1; callers <= 4; callers += 3) {
		shared = make(OPTIONS(.callers = callers));
		load(shared, "good");
		nop = function(dune_sandbox_object(shared, 0), "nop");
		run(together, 6, NULL);
		MUST(dune_sandbox_snapshot(shared));
		run(together, 6, resetter);
		dune_sandbox_destroy(shared);
	}
	return end();
}
