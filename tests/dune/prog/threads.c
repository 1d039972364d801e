/*
 * Threads on both sides: made in Dune mode, entering on their own, ending on
 * either side, and others outside that map and unmap meanwhile.
 */
#include "test.h"


#define MANY	100

static pthread_barrier_t all;
static __thread long local = 7;
static int destroyed;
static volatile int stop;

static void *stands(void *arg)
{
	CHECK(dune_in_dune_mode());
	CHECK(local == 7);
	local = (long)arg;
	pthread_barrier_wait(&all);
	CHECK(local == (long)arg && dune_in_dune_mode());
	errno = local;
	sched_yield();
	CHECK(errno == local);
	return arg;
}

/* n threads in Dune mode at the same time, and again. */
static void many(int n)
{
	pthread_t t[MANY];
	void *ret;
	long i;

	CHECK(n <= MANY);
	pthread_barrier_init(&all, NULL, n);
	for (i = 0; i < n; i++)
		CHECK(pthread_create(&t[i], NULL, stands, (void *)i) == 0);
	for (i = 0; i < n; i++)
		CHECK(pthread_join(t[i], &ret) == 0 && ret == (void *)i);
	pthread_barrier_destroy(&all);
}

static void cleanup(void *arg)
{
	CHECK(dune_in_dune_mode());
	++*(int *)arg;
}

static void *waits(void *fd)
{
	char c;

	pthread_cleanup_push(cleanup, &destroyed);
	CHECK(read(*(int *)fd, &c, 1) == -1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *spins(void *arg)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	*(volatile int *)arg = 1;
	for (;;)
		;
	return NULL;
}

static void *quits(void *key)
{
	pthread_setspecific(*(pthread_key_t *)key, &destroyed);
	pthread_exit((void *)5);
}

static void cancel(void)
{
	volatile int runs = 0;
	pthread_key_t key;
	pthread_t t;
	int p[2];
	void *ret;

	CHECK(pipe(p) == 0);
	CHECK(pthread_create(&t, NULL, waits, &p[0]) == 0);
	CHECK(pthread_cancel(t) == 0);
	CHECK(pthread_join(t, &ret) == 0 && ret == PTHREAD_CANCELED);
	CHECK(pthread_create(&t, NULL, spins, (void *)&runs) == 0);
	while (!runs)
		sched_yield();
	CHECK(pthread_cancel(t) == 0);
	CHECK(pthread_join(t, &ret) == 0 && ret == PTHREAD_CANCELED);
	destroyed = 0;
	CHECK(pthread_key_create(&key, cleanup) == 0);
	CHECK(pthread_create(&t, NULL, quits, &key) == 0);
	CHECK(pthread_join(t, &ret) == 0 && ret == (void *)5);
	CHECK(destroyed == 1);
}

/* Made inside, ends outside; its vCPU is not lost. */
static void *leaves(void *arg)
{
	CHECK(dune_in_dune_mode());
	OK(dune_leave());
	CHECK(!dune_in_dune_mode());
	if (arg) {
		OK(dune_enter());
		OK(dune_leave());
	}
	return arg;
}

/* Made outside, ends inside. */
static void *enters(void *arg)
{
	CHECK(!dune_in_dune_mode());
	OK(dune_enter());
	if (arg) {
		OK(dune_leave());
		OK(dune_enter());
	}
	return arg;
}

static void crossing(int n)
{
	pthread_t t;
	int i, fds = 0;

	for (i = 0; i < n; i++) {
		CHECK(pthread_create(&t, NULL, leaves, i % 2 ? &t : NULL) == 0);
		CHECK(pthread_join(t, NULL) == 0);
		OK(dune_leave());
		CHECK(pthread_create(&t, NULL, enters, i % 2 ? &t : NULL) == 0);
		CHECK(pthread_join(t, NULL) == 0);
		OK(dune_enter());
		if (!i)
			fds = descriptors();
	}
	CHECK(descriptors() == fds);
}

static void *maps_outside(void *arg)
{
	char *p;

	CHECK(!dune_in_dune_mode());
	while (!stop) {
		p = map(8 * PAGE, PROT_READ | PROT_WRITE);
		p[3 * PAGE] = 1;
		CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
		CHECK(munmap(p, 4 * PAGE) == 0);
		CHECK(munmap(p + 4 * PAGE, 4 * PAGE) == 0);
		free(memset(malloc(300000), 1, 300000));
		sched_yield();
	}
	return arg;
}

/* What the one outside has mapped is ours to use, and the other way round. */
static void together(int n)
{
	pthread_t t, in;
	char *p;
	int i;

	OK(dune_leave());
	CHECK(pthread_create(&t, NULL, maps_outside, NULL) == 0);
	OK(dune_enter());
	for (i = 0; i < n; i++) {
		p = map(5 * PAGE, PROT_READ | PROT_WRITE);
		memset(p, i, 5 * PAGE);
		CHECK(p[4 * PAGE] == (char)i);
		CHECK(munmap(p, 5 * PAGE) == 0);
		p = memset(malloc(200000), i, 200000);
		CHECK(p[199999] == (char)i);
		free(p);
		if (i % 16)
			continue;
		pthread_barrier_init(&all, NULL, 1);
		CHECK(pthread_create(&in, NULL, stands, NULL) == 0);
		CHECK(pthread_join(in, NULL) == 0);
	}
	stop = 1;
	CHECK(pthread_join(t, NULL) == 0);
}

static void child_outside(void)
{
	CHECK(!dune_in_dune_mode());
	OK(dune_enter());
	many(3);
	OK(dune_leave());
}

static void *forks_outside(void *arg)
{
	OK(dune_leave());
	CHECK(in_child(child_outside) == 0);
	return arg;
}

int main(void)
{
	pthread_t t;

	OK(dune_enter());
	many(times(MANY, 8));
	many(times(MANY, 8));
	say("many\n");
	cancel();
	say("cancel\n");
	crossing(times(50, 3));
	say("crossing\n");
	together(times(300, 10));
	say("together\n");
	CHECK(pthread_create(&t, NULL, forks_outside, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	say("fork\n");
	CHECK(pthread_create(&t, NULL, leaves, NULL) == 0);
	OK(dune_leave());
	CHECK(pthread_join(t, NULL) == 0);
	say("threads\n");
	return 0;
}
