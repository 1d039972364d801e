/*
 * Code made at run time: written then executed, from RW to RX and back many
 * times, rewritten in place (also while another thread runs it), through two
 * mappings of one file, unmapped and mapped again with other code.
 */
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)

typedef int fn(void);

/* mov $v, %eax; ret */
static void emit(volatile unsigned char *p, int v)
{
	p[0] = 0xb8;
	for (int i = 0; i < 4; i++)
		p[1 + i] = v >> (8 * i);
	p[5] = 0xc3;
}

static volatile int stop, started;

static void *runner(void *arg)
{
	fn *f = (fn *)arg;

	while (!stop) {
		int v = f();

		CHECK(v == 0x01010101 || v == 0x02020202);
		started = 1;
	}
	return NULL;
}

int main(void)
{
	unsigned char *p = map(PAGE, RW), *q, *w;
	pthread_t t;
	int fd;

	for (int i = 0; i < 200; i++) {
		emit(p, i);
		CHECK(mprotect(p, PAGE, RX) == 0);
		CHECK(((fn *)p)() == i);
		CHECK(mprotect(p, PAGE, RW) == 0);
	}
	say("RW to RX and back 200 times\n");

	q = map(PAGE, RW | PROT_EXEC);
	for (int i = 0; i < 1000; i++) {
		emit(q + i % 50 * 16, i);
		CHECK(((fn *)(q + i % 50 * 16))() == i);
	}
	say("self-modifying\n");

	/* One aligned store flips the operand under a running thread. */
	emit(q + 3, 0x01010101);
	pthread_create(&t, NULL, runner, q + 3);
	while (!started)
		sched_yield();
	for (int i = 0; i < 2000; i++) {
		*(volatile uint32_t *)(q + 4) = 0x02020202;
		*(volatile uint32_t *)(q + 4) = 0x01010101;
	}
	stop = 1;
	pthread_join(t, NULL);
	say("modified under a running thread\n");

	fd = memfd_create("code", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
	w = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	p = mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0);
	CHECK(w != MAP_FAILED && p != MAP_FAILED);
	for (int i = 0; i < 100; i++) {
		emit(w, i);
		CHECK(((fn *)p)() == i);
	}
	say("two mappings\n");

	p = map(PAGE, RW | PROT_EXEC);
	for (int i = 0; i < 100; i++) {
		CHECK(munmap(p, PAGE) == 0);
		CHECK(mmap(p, PAGE, RW | PROT_EXEC, MAP_PRIVATE | MAP_FIXED |
			   MAP_ANONYMOUS, -1, 0) == p);
		emit(p, -i);
		CHECK(((fn *)p)() == -i);
	}
	say("mapped anew 100 times\n");

	/* Execute-only data: PROT_EXEC implies readable on x86. */
	CHECK(mprotect(p, PAGE, PROT_EXEC) == 0);
	CHECK(((fn *)p)() == -99);
	say("execute-only\n");
	return 0;
}
