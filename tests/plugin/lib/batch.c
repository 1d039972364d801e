/* Functions to be called many at a time, honest ones and others. */
#include <pthread.h>
#include <stdint.h>

/* The transfer heap, behind the channel's slots. */
#define HEAP ((volatile uint32_t *)(0x200000000000 + 17 * 4096))

int host_step(int x);

static int sum;

int total(int x) { return sum += x; }
/* Leaves what it likes in the upper half of rax. */
uint64_t untidy(int x) { return 0xdeadbeef00000000 | (uint32_t)x; }
long six(long a, long b, long c, long d, long e, long f)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f;
}
int step(int x) { return host_step(x); }
int crash(int *p) { return *p; }

static void *scribbler(void *arg)
{
	unsigned int seed = 1;

	for (;;) {
		seed = seed * 1103515245 + 12345;
		HEAP[seed / 65536 % 1024] = seed;
	}
	return arg;
}

/* Over all of a batch, while it runs. */
int scribble(int x)
{
	pthread_t t;

	return pthread_create(&t, 0, scribbler, 0) ? -1 : x;
}

/* A batch that is at the heap's beginning has done so many. */
int claim(int n) { return HEAP[1] = n; }
