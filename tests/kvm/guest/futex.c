/*
 * Futexes: wait and wake, values that changed, timeouts, bit sets, requeue,
 * priority inheritance, and one that two processes share.
 */
#include <linux/futex.h>
#include "guest.h"

static int f1, f2;
static int awake;

static long futex(int *f, int op, int val, void *ts, int *f2_, int val3)
{
	return syscall(SYS_futex, f, op, val, ts, f2_, val3);
}

static void *waiter(void *arg)
{
	futex(&f1, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	__atomic_add_fetch(&awake, 1, __ATOMIC_SEQ_CST);
	return arg;
}

static void wait_for(int n)
{
	while (__atomic_load_n(&awake, __ATOMIC_SEQ_CST) < n)
		msleep(1);
}

int main(void)
{
	struct timespec ts = { 0, 20000000 };
	pthread_t t[4];
	int *shared, n;

	f1 = 1;
	FAILS(EAGAIN, futex(&f1, FUTEX_WAIT, 0, NULL, NULL, 0));
	FAILS(ETIMEDOUT, futex(&f1, FUTEX_WAIT, 1, &ts, NULL, 0));
	FAILS(ETIMEDOUT, futex(&f1, FUTEX_WAIT_BITSET, 1, &ts, NULL, 1));
	FAILS(EINVAL, futex(&f1, FUTEX_WAIT_BITSET, 1, &ts, NULL, 0));
	FAILS(EINVAL, futex((int *)((char *)&f1 + 1), FUTEX_WAIT, 0, NULL,
			    NULL, 0));
	FAILS(EFAULT, futex((int *)16, FUTEX_WAIT, 0, NULL, NULL, 0));
	FAILS(ENOSYS, futex(&f1, 99, 0, NULL, NULL, 0));
	say("errors right\n");

	f1 = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, waiter, NULL);
	for (n = 0; n < 1; )
		n += futex(&f1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	wait_for(1);
	/* The other three: to the second futex, then awake. */
	for (n = 0; n < 3; msleep(1))
		n += futex(&f1, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)8, &f2,
			   0);
	CHECK(awake == 1);
	CHECK(futex(&f1, FUTEX_WAKE_PRIVATE, 8, NULL, NULL, 0) == 0);
	CHECK(futex(&f2, FUTEX_WAKE_PRIVATE, 8, NULL, NULL, 0) == 3);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	say("awake %d\n", awake);

	CHECK(futex(&f2, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	CHECK((f2 & FUTEX_TID_MASK) == gettid());
	FAILS(EDEADLK, futex(&f2, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
	CHECK(futex(&f2, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	CHECK(f2 == 0);
	say("pi right\n");

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	if (fork() == 0) {
		while (!__atomic_load_n(shared, __ATOMIC_SEQ_CST))
			futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(*shared);
	}
	msleep(10);
	__atomic_store_n(shared, 21, __ATOMIC_SEQ_CST);
	futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
	wait(&n);
	say("shared: %s\n", how(n));
	return 0;
}
