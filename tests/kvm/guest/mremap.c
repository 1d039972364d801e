/*
 * mremap, madvise, mlock, mincore: contents follow a move, what is cut off is
 * gone, DONTNEED gives zeroes (files: the file's contents), DONTFORK, errors.
 */
#include <setjmp.h>
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf env;

static void leave(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	siglongjmp(env, sig * 10 + si->si_code);
}

static int touch(char *p)
{
	int r = sigsetjmp(env, 1);

	if (r == 0)
		(void)*(volatile char *)p;
	return r;
}

static char *forkless;

static void child(void)
{
	_exit(touch(forkless) ? 1 : 0);
}

int main(void)
{
	char *p, *q, *r;
	int fd;

	handle(SIGSEGV, leave, 0);
	p = map(64 * PAGE, RW);
	for (int i = 0; i < 64; i++)
		p[i * PAGE] = i;
	/* Shrink, grow in place where nothing is, move where something is. */
	CHECK(mremap(p, 64 * PAGE, 32 * PAGE, 0) == p);
	CHECK(touch(p + 32 * PAGE) == 111 && p[31 * PAGE] == 31);
	CHECK(mremap(p, 32 * PAGE, 48 * PAGE, 0) == p);
	CHECK(p[31 * PAGE] == 31 && p[40 * PAGE] == 0);
	FAILS(ENOMEM, mremap(p, 16 * PAGE, 17 * PAGE, 0));
	q = mremap(p, 16 * PAGE, 4096 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	for (int i = 0; i < 16; i++)
		CHECK(q[i * PAGE] == i);
	CHECK(q[4095 * PAGE] == 0 && p[16 * PAGE] == 16);
	CHECK(touch(p) == 111 && touch(p + 15 * PAGE) == 111);
	q[100] = 77;
	say("moved\n");

	r = map(8 * PAGE, RW);
	r[0] = 9;
	CHECK(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     r + 2 * PAGE) == r + 2 * PAGE);
	CHECK(r[0] == 9 && r[2 * PAGE + 100] == 77 && r[3 * PAGE] == 1);
	CHECK(touch(q) == 111 && q[2 * PAGE] == 2);
	FAILS(EINVAL, mremap(r, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     r + 1));
	FAILS(EINVAL, mremap(r + 1, PAGE, PAGE, 0));
	FAILS(EINVAL, mremap(r, PAGE, 0, 0));
	FAILS(EFAULT, mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	say("fixed\n");

	/* Protection comes along. */
	p = map(4 * PAGE, RW);
	p[0] = 5;
	CHECK(mprotect(p, 4 * PAGE, PROT_NONE) == 0);
	map(PAGE, RW);
	q = mremap(p, 4 * PAGE, 400 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && touch(q) == 112);
	CHECK(mprotect(q, PAGE, PROT_READ) == 0 && q[0] == 5);

	p = map(1024 * PAGE, RW);
	memset(p, 6, 1024 * PAGE);
	CHECK(madvise(p + PAGE, 1022 * PAGE, MADV_DONTNEED) == 0);
	CHECK(p[0] == 6 && p[PAGE] == 0 && p[1000 * PAGE] == 0 &&
	      p[1023 * PAGE] == 6);
	p[PAGE] = 8;
	CHECK(p[PAGE] == 8);
	CHECK(madvise(p, 1024 * PAGE, MADV_WILLNEED) == 0);
	CHECK(madvise(p, 1024 * PAGE, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	CHECK(p[PAGE] == 8);
	FAILS(EINVAL, madvise(p + 1, PAGE, MADV_DONTNEED));
	FAILS(EINVAL, madvise(p, PAGE, 12345));
	munmap(p + 9 * PAGE, PAGE);
	FAILS(ENOMEM, madvise(p + 8 * PAGE, 3 * PAGE, MADV_DONTNEED));
	say("DONTNEED\n");

	fd = memfd_create("x", MFD_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, "file", 4, 0) == 4);
	q = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK(q != MAP_FAILED);
	q[0] = 'F';
	CHECK(madvise(q, PAGE, MADV_DONTNEED) == 0);
	say("%.4s\n", q);

	forkless = map(PAGE, RW);
	CHECK(madvise(forkless, PAGE, MADV_DONTFORK) == 0);
	say("DONTFORK: %s\n", how(in_child(child)));
	return 0;
}
