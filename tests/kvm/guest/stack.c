/*
 * The stack grows by being touched: deep recursion, a jump of many pages at
 * once, 64 threads' stacks, a growsdown mapping; the limit holds.
 */
#include <sys/resource.h>
#include "guest.h"

static int __attribute__((noinline)) deep(int n)
{
	volatile char frame[2000];

	frame[0] = n;
	return n == 0 ? 0 : deep(n - 1) + (frame[0] == (char)n);
}

static void __attribute__((noinline)) leap(void)
{
	volatile char frame[5 << 20];

	frame[0] = 1;		/* 5 MiB below all that was touched */
	frame[sizeof(frame) - 1] = 2;
	say("leap %d\n", frame[0] + frame[sizeof(frame) - 1]);
}

static void too_deep(void)
{
	deep(100000000);
}

static void *thread(void *arg)
{
	return (void *)(long)deep((long)arg);
}

int main(void)
{
	struct rlimit rl;
	pthread_t t[64];
	char *p;
	long sum = 0;

	CHECK(getrlimit(RLIMIT_STACK, &rl) == 0);
	if (in_child(leap))
		return 1;
	say("deep %d\n", deep(3000));
	say("limit: %s\n", how(in_child(too_deep)));
	for (long i = 0; i < 64; i++)
		CHECK(pthread_create(&t[i], NULL, thread, (void *)i) == 0);
	for (int i = 0; i < 64; i++) {
		void *r;

		pthread_join(t[i], &r);
		sum += (long)r;
	}
	say("threads %ld\n", sum);

	p = map(512 * PAGE, PROT_NONE);
	CHECK(munmap(p, 512 * PAGE) == 0);
	p = mmap(p + 500 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 20; i++)
		p[-i * (long)PAGE] = i;
	say("growsdown %d\n", p[-19 * (long)PAGE]);
	return 0;
}
