/*
 * fork in a process with threads: only the caller is in the child, which can
 * then make threads of its own; the others in the parent are not disturbed.
 */
#include "guest.h"

static volatile int stop;
static volatile long spins;
static __thread int mine;

static void *spinner(void *arg)
{
	while (!stop)
		__atomic_add_fetch(&spins, 1, __ATOMIC_RELAXED);
	return arg;
}

static void *writer(void *arg)
{
	volatile char *p = map(64 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char round = 0;

	/* Copy-on-write under our feet must not lose a store. */
	while (!stop) {
		round++;
		for (int i = 0; i < 64; i++)
			p[i * PAGE] = round;
		for (int i = 0; i < 64; i++)
			CHECK(p[i * PAGE] == (char)round);
	}
	return arg;
}

static void *three(void *arg)
{
	(void)arg;
	return (void *)3l;
}

static void *forker(void *arg)
{
	mine = 4;
	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_t t;
			void *r;

			CHECK(getpid() == gettid());
			CHECK(mine == 4);
			CHECK(pthread_create(&t, NULL, three, NULL) == 0);
			CHECK(pthread_join(t, &r) == 0);
			_exit(mine + (long)r + i);
		}
		CHECK(reap(pid) == (7 + i) << 8);
	}
	return arg;
}

int main(void)
{
	pthread_t t[4];
	long before;

	pthread_create(&t[0], NULL, spinner, NULL);
	pthread_create(&t[1], NULL, writer, NULL);
	pthread_create(&t[2], NULL, forker, NULL);
	pthread_create(&t[3], NULL, forker, NULL);
	pthread_join(t[2], NULL);
	pthread_join(t[3], NULL);
	before = spins;
	while (spins == before)
		sched_yield();
	stop = 1;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	say("16 forks beside running threads\n");
	return 0;
}
