/*
 * POSIX threads: 64 at once, mutex, condition variable, barrier, once,
 * thread-local storage, cancellation, return values.
 */
#include "guest.h"

#define N 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long count, onces, turn, gone;
static __thread long tls = 7;
static pthread_key_t key;

static void first(void)
{
	onces++;
}

static void destroyed(void *p)
{
	__atomic_add_fetch(&gone, (long)p, __ATOMIC_RELAXED);
}

static void *adder(void *arg)
{
	CHECK(tls == 7);
	tls = (long)arg;
	pthread_setspecific(key, (void *)1);
	pthread_once(&once, first);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 1000; i++) {
		pthread_mutex_lock(&lock);
		count++;
		pthread_mutex_unlock(&lock);
	}
	CHECK(tls == (long)arg);
	return (void *)(tls * 2);
}

static void *player(void *arg)
{
	long me = (long)arg;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < 200; i++) {
		while (turn != me)
			pthread_cond_wait(&cond, &lock);
		turn = !me;
		pthread_cond_broadcast(&cond);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(void)
{
	pthread_t t[N];
	void *ret;
	long sum = 0;

	pthread_key_create(&key, destroyed);
	pthread_barrier_init(&barrier, NULL, N);
	for (long i = 0; i < N; i++)
		CHECK(pthread_create(&t[i], NULL, adder, (void *)i) == 0);
	for (int i = 0; i < N; i++) {
		CHECK(pthread_join(t[i], &ret) == 0);
		sum += (long)ret;
	}
	say("count %ld, once %ld, returned %ld, destroyed %ld\n", count, onces,
	    sum, gone);
	CHECK(tls == 7);

	for (long i = 0; i < 2; i++)
		CHECK(pthread_create(&t[i], NULL, player, (void *)i) == 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	say("ping-pong ended, turn %ld\n", turn);

	CHECK(pthread_create(&t[0], NULL, sleeper, NULL) == 0);
	CHECK(pthread_cancel(t[0]) == 0);
	CHECK(pthread_join(t[0], &ret) == 0);
	say("cancelled: %s\n", ret == PTHREAD_CANCELED ? "yes" : "no");

	/* One after the other: stacks and vCPUs are used again. */
	for (int i = 0; i < 100; i++) {
		pthread_barrier_init(&barrier, NULL, 1);
		CHECK(pthread_create(&t[0], NULL, adder, NULL) == 0);
		pthread_join(t[0], NULL);
	}
	say("count %ld\n", count);
	return 0;
}
