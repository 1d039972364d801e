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

/*
 * Mappings of a page that grow down: by touching what is below, or by having
 * the kernel write there. The child's memory is its own to use up.
 */
static long grow(int kernels)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	const long step = 256 << 10;
	long got = 0;

	try_init();
	for (long i = 0; i < 24; i++) {
		char *p = mmap((char *)0x200000000000 + i * 16 * MIB, PAGE, RW,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN |
			       MAP_FIXED, -1, 0), *at;

		if (p == MAP_FAILED)
			break;
		for (at = p - step; at > p - 7 * MIB; at -= step)
			if (kernels ? pread(fd, at, step, 0) != step :
			    !TRY(at[0] = 1))
				break;
		got += p - at - step;
	}
	return got;
}

static void grow_by(void)
{
	_exit(grow(0) > 80 * MIB);
}

static void grow_by_kernel(void)
{
	_exit(grow(1) > 80 * MIB);
}

int main(void)
{
	long anon, brk_ = 0, none = 0;
	char *p;

	if (guarded(grow_by))
		ESCAPED("by what grows down");
	if (guarded(grow_by_kernel))
		ESCAPED("by what the kernel lets grow down");
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
