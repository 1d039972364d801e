/*
 * Verifies that memory spread so thinly that each page needs a page table of
 * its own, more tables than a small program's, can be used; also after fork.
 */
#include "guest.h"

#define STEP	(2ul << 20)	/* what one page table maps */
#define PLACES	1300

static char *at(char *p, size_t i)
{
	return p + i * STEP + i % 500 * PAGE;
}

int main(void)
{
	char *p = mmap(NULL, (PLACES + 1) * STEP, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pid_t pid;

	CHECK(p != MAP_FAILED);
	CHECK(madvise(p, (PLACES + 1) * STEP, MADV_NOHUGEPAGE) == 0);
	for (size_t i = 0; i < PLACES; i++)
		*at(p, i) = i;
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < PLACES; i++)
			CHECK(*at(p, i) == (char)i);
		for (size_t i = 0; i < PLACES; i += 100)
			*at(p, i) = 'c';
		_exit(0);
	}
	CHECK(reap(pid) == 0);
	for (size_t i = 0; i < PLACES; i++)
		CHECK(*at(p, i) == (char)i);
	say("tables\n");
	return 0;
}
