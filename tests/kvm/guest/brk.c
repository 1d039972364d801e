/*
 * brk: grows, shrinks, gives zeroes again after shrinking, keeps its exact
 * value, refuses what collides; malloc uses it.
 */
#include "guest.h"

int main(void)
{
	char *base = sbrk(0), *p;

	CHECK(syscall(SYS_brk, 0) == (long)base);
	CHECK(sbrk(10 * PAGE) == base);
	memset(base, 'x', 10 * PAGE);
	CHECK(syscall(SYS_brk, base + 5) == (long)base + 5);
	CHECK(base[4] == 'x');
	CHECK(syscall(SYS_brk, base + 10 * PAGE) == (long)(base + 10 * PAGE));
	p = (char *)(((unsigned long)base + 5 + PAGE - 1) & ~(PAGE - 1));
	for (; p < base + 10 * PAGE; p++)
		CHECK(*p == 0);
	say("shrunk and grown\n");

	/* Where something is mapped in the way the break stays. */
	p = (char *)(((unsigned long)base & ~(PAGE - 1)) + 100 * PAGE);
	p = mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK(syscall(SYS_brk, p + PAGE) == (long)(base + 10 * PAGE));
	CHECK(munmap(p, PAGE) == 0);
	/* Below the start, and beyond everything. */
	CHECK(syscall(SYS_brk, 16) == (long)(base + 10 * PAGE));
	CHECK(syscall(SYS_brk, 1ul << 47) == (long)(base + 10 * PAGE));
	say("limits\n");

	if (fork() == 0) {
		CHECK(sbrk(PAGE) == base + 10 * PAGE);
		base[10 * PAGE] = 1;
		_exit(0);
	}
	wait(NULL);
	CHECK(sbrk(0) == base + 10 * PAGE);
	CHECK(sbrk(32 << 20) == base + 10 * PAGE);
	for (unsigned long i = 0; i < 32ul << 20; i += PAGE)
		base[10 * PAGE + i] = 1;
	CHECK(sbrk(-(32 << 20)) != (void *)-1);
	for (int i = 1; i < 20000; i++) {
		p = malloc(i);
		p[i - 1] = 1;
		if (i % 3)
			free(p);
	}
	say("malloc\n");
	return 0;
}
