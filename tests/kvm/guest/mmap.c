/*
 * mmap and munmap: anonymous, fixed, no-replace, hints, partial unmapping,
 * populate, huge reservations, bad arguments; untouched memory reads as zero.
 */
#include <sys/resource.h>
#include "guest.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* How many of the n pages are mapped, told by mincore(2). */
static int mapped(char *p, int n)
{
	unsigned char v;
	int c = 0;

	for (int i = 0; i < n; i++)
		c += mincore(p + i * PAGE, PAGE, &v) == 0;
	return c;
}

int main(void)
{
	char *p, *q, *big;
	long sum = 0;

	p = map(16 * PAGE, RW);
	for (unsigned int i = 0; i < 16 * PAGE; i++)
		sum += p[i];
	say("zeroes: %ld\n", sum);
	for (int i = 0; i < 16; i++)
		p[i * PAGE] = i;
	CHECK(munmap(p + 4 * PAGE, 2 * PAGE) == 0);
	CHECK(munmap(p + 15 * PAGE, PAGE) == 0);
	CHECK(munmap(p + 4 * PAGE, 2 * PAGE) == 0);	/* a hole: fine */
	say("mapped after holes: %d of 16\n", mapped(p, 16));

	/* Fixed: into the hole, over what is there; the rest stays. */
	q = mmap(p + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(q == p + 4 * PAGE && q[0] == 0);
	q = mmap(p + 7 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(q == p + 7 * PAGE && q[0] == 0);
	CHECK(p[6 * PAGE] == 6 && p[8 * PAGE] == 8);
	FAILS(EEXIST, mmap(p + 8 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE,
			   -1, 0));
	CHECK(p[8 * PAGE] == 8);
	q = mmap(p + 5 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(q == p + 5 * PAGE);
	/* A hint that is taken, and one that is not free. */
	CHECK(munmap(p + 5 * PAGE, PAGE) == 0);
	q = mmap(p + 5 * PAGE, PAGE, RW, ANON, -1, 0);
	CHECK(q == p + 5 * PAGE);
	q = mmap(p + 5 * PAGE, PAGE, RW, ANON, -1, 0);
	CHECK(q != MAP_FAILED && q != p + 5 * PAGE);
	say("fixed and hints\n");

	FAILS(EINVAL, mmap(NULL, 0, RW, ANON, -1, 0));
	FAILS(EINVAL, mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	FAILS(EINVAL, mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
	FAILS(EINVAL, syscall(SYS_mmap, 0, PAGE, RW, ANON, -1, 1));
	FAILS(EBADF, mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0));
	FAILS(ENOMEM, mmap(NULL, 1ul << 47, RW, ANON, -1, 0));
	FAILS(ENOMEM, mmap(NULL, -PAGE, RW, ANON, -1, 0));
	FAILS(EINVAL, munmap(p + 1, PAGE));
	FAILS(EINVAL, munmap(p, 0));
	FAILS(EINVAL, munmap((void *)(1ul << 47), PAGE));
	FAILS(EINVAL, munmap(p, 1ul << 50));
	say("errors right\n");

	/* An address that no program has, and what does not fit below 4 GiB. */
	q = mmap((void *)0x10000000, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(q == (void *)0x10000000);
	q[0] = 1;
	q = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	CHECK(q != MAP_FAILED && (unsigned long)q < 1ul << 31);
	q[0] = 1;

	/* 64 GiB reserved, a little of it used. */
	big = mmap(NULL, 64ul << 30, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	CHECK(big != MAP_FAILED);
	for (unsigned long i = 0; i < 64; i += 9) {
		q = big + (i << 30) + 123 * PAGE;
		CHECK(mprotect(q, 3 * PAGE, RW) == 0);
		memset(q, i, 3 * PAGE);
		CHECK(q[2 * PAGE] == (char)i);
	}
	CHECK(munmap(big, 64ul << 30) == 0);
	say("64 GiB\n");

	p = mmap(NULL, 64 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 64; i++)
		p[i * PAGE]++;
	/* 64 MiB touched: large pages on the way, then a hole in the middle. */
	p = map(64 << 20, RW);
	for (unsigned long i = 0; i < 64ul << 20; i += PAGE)
		p[i] = i >> 12;
	CHECK(munmap(p + (31 << 20) + PAGE, PAGE) == 0);
	CHECK(mapped(p + (31 << 20), 3) == 2);
	for (unsigned long i = 0; i < 64ul << 20; i += PAGE)
		if (i != (31 << 20) + PAGE)
			CHECK(p[i] == (char)(i >> 12));
	say("64 MiB with a hole\n");
	return 0;
}
