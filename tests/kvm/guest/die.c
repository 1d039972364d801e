/*
 * Ends as its argument says: `die exit N`, `die signal N`, `die segv`, or not
 * at
 * all: `die spin`, `die block` (spins with all signals blocked), `die sleep`.
 */
#include "guest.h"

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "exit";
	int n = argc > 2 ? atoi(argv[2]) : 0;
	sigset_t all;

	if (strcmp(what, "exit") == 0)
		return n;
	if (strcmp(what, "signal") == 0)
		raise(n);
	if (strcmp(what, "segv") == 0)
		*(volatile int *)8 = 1;
	if (strcmp(what, "sleep") == 0)
		for (;;)
			pause();
	if (strcmp(what, "block") == 0) {
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
	}
	for (;;)
		__asm__ volatile("pause");
}
