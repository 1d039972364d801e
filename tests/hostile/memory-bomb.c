/*
 * Takes all the memory it can get, by every way there is; the run's --mem is
 * 64 MiB.
 */
#include "hostile.h"

#define MIB (1l << 20)
#define RW (PROT_READ | PROT_WRITE)

static long eat(int flags, long step)
{
	long got = 0;
	char *p;

	while (got < 512 * MIB) {
		p = mmap(NULL, step, RW, flags, -1, 0);
		if (p == MAP_FAILED)
			break;
		for (long i = 0; i < step; i += PAGE)
			p[i] = 1;
		got += step;
	}
	return got;
}

int main(void)
{
	long anon, brk_ = 0, none = 0;
	char *p;

	anon = eat(MAP_PRIVATE | MAP_ANONYMOUS, MIB);
	if (anon > 80 * MIB)
		ESCAPED("%ld MiB by mmap", anon / MIB);
	while (brk_ < 512 * MIB && sbrk(MIB) != (void *)-1)
		brk_ += MIB;
	if (anon + brk_ > 80 * MIB)
		ESCAPED("%ld MiB more by brk", brk_ / MIB);
	/* Reserved, then made writable. */
	p = mmap(NULL, 1024 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_NORESERVE, -1, 0);
	for (; p != MAP_FAILED && none < 512 * MIB; none += MIB) {
		if (mprotect(p + none, MIB, RW) < 0)
			break;
		memset(p + none, 1, MIB);
	}
	if (anon + brk_ + none > 96 * MIB)
		ESCAPED("%ld MiB more by mprotect", none / MIB);
	contained("no more than --mem");
	return 0;
}
