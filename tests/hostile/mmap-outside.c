/*
 * Maps, unmaps, protects and advises ranges that are not the program's, up to
 * all that lies above it at once: nothing is gained, nobody is hurt.
 */
#include <sys/prctl.h>
#include "hostile.h"

#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
	char *own = map(PAGE, RW), *p;
	int fds[2];
	char c;

	CHECK(pipe(fds) == 0);
	for (unsigned int i = 0; i < OUTSIDE; i++) {
		unsigned long a = outside[i] & ~(PAGE - 1);
		char *q = (char *)a;

		if (a < ARENA_HI)
			continue;
		p = mmap(q, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0);
		if (p != MAP_FAILED)
			ESCAPED("mapped at %#lx", a);
		p = mmap(q, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p != MAP_FAILED && (unsigned long)p >= ARENA_HI)
			ESCAPED("hint gave %p", p);
		munmap(q, PAGE);
		munmap(q, USER_END - a);
		munmap(own + PAGE, USER_END - (unsigned long)own);
		mprotect(q, PAGE, RW | PROT_EXEC);
		mprotect(q, USER_END - a, PROT_NONE);
		madvise(q, USER_END - a, MADV_DONTNEED);
		madvise(q, USER_END - a, MADV_REMOVE);
		mlock(q, PAGE);
		msync(q, PAGE, MS_SYNC);
		p = mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
		if (p != MAP_FAILED)
			ESCAPED("moved %#lx", a);
		p = mremap(own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
		if (p != MAP_FAILED)
			ESCAPED("moved to %#lx", a);
		syscall(SYS_brk, a);
		syscall(SYS_remap_file_pages, a, PAGE, 0, 0, 0);
		prctl(PR_SET_MM, PR_SET_MM_BRK, a, 0, 0);
		prctl(PR_SET_VMA, 0, a, PAGE, "name");
		REFUSED("MAP_GROWSDOWN", mmap(q, PAGE, RW, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0) ==
			MAP_FAILED ? -1 : 0);
	}
	own[0] = 1;
	for (int i = 0; i < 10; i++) {
		CHECK(write(fds[1], "x", 1) == 1 && read(fds[0], &c, 1) == 1);
		pid_t pid = fork();

		if (pid == 0)
			_exit(own[0]);
		CHECK(reap(pid) == 1 << 8);
	}
	contained("no mapping outside, nothing lost");
	return 0;
}
