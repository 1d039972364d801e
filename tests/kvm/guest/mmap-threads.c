/*
 * Threads that map, protect and unmap while others use memory: each one's
 * stores stay, and what a thread unmapped faults in all of them.
 */
#include <setjmp.h>
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)

static volatile int stop, fault_seen;
static char *volatile victim;
static __thread sigjmp_buf env;
static __thread volatile int expecting;

static void segv(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	CHECK(expecting);
	siglongjmp(env, 1);
}

static void *mapper(void *arg)
{
	for (int i = 0; i < 400; i++) {
		int n = 1 + i % 7;
		char *p = map(n * PAGE, RW);

		memset(p, (long)arg, n * PAGE);
		CHECK(mprotect(p, PAGE, PROT_READ) == 0);
		CHECK(p[0] == (char)(long)arg);
		CHECK(p[n * PAGE - 1] == (char)(long)arg);
		CHECK(munmap(p, n * PAGE) == 0);
	}
	return NULL;
}

static void *toucher(void *arg)
{
	volatile unsigned long *p = map(256 * PAGE, RW);
	unsigned long round = 0;

	while (!stop) {
		round++;
		for (int i = 0; i < 256; i++)
			p[i * PAGE / 8] = round;
		for (int i = 0; i < 256; i++)
			CHECK(p[i * PAGE / 8] == round);
	}
	return arg;
}

static void *reader(void *arg)
{
	while (!victim)
		;
	expecting = 1;
	if (sigsetjmp(env, 1) == 0)
		for (;;)
			(void)*(volatile char *)victim;
	expecting = 0;
	__atomic_add_fetch(&fault_seen, 1, __ATOMIC_SEQ_CST);
	return arg;
}

int main(void)
{
	pthread_t t[6];
	char *p;

	handle(SIGSEGV, segv, 0);
	for (long i = 0; i < 6; i++)
		CHECK(pthread_create(&t[i], NULL, i < 4 ? mapper : toucher,
				     (void *)(i + 1)) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	stop = 1;
	for (int i = 4; i < 6; i++)
		pthread_join(t[i], NULL);
	say("storm over\n");

	p = map(PAGE, RW);
	p[0] = 1;
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, reader, NULL);
	victim = p;
	msleep(20);
	CHECK(munmap(p, PAGE) == 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	say("unmapped for %d others\n", fault_seen);
	return 0;
}
