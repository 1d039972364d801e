/*
 * Touches single pages far apart: each makes the host's kernel keep records of
 * 64 MiB. Under --mem that ends long before the program's own memory does.
 */
#include <sys/resource.h>
#include "hostile.h"

#define STEP (64ul << 20)

static void child(void)
{
	for (unsigned long i = 0; i < 8192; i++) {
		char *p = mmap((void *)(0x100000000000 + i * STEP), PAGE,
			       PROT_READ | PROT_WRITE, MAP_PRIVATE |
			       MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (p == MAP_FAILED)
			_exit(2);
		p[0] = 1;
	}
	_exit(3);
}

int main(void)
{
	int st = guarded(child);

	if (WIFEXITED(st) && WEXITSTATUS(st) == 3)
		ESCAPED("8192 pages in 8192 places");
	contained("scattered pages: %s", how(st));
	return 0;
}
