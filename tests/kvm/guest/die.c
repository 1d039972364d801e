/*
 * Ends as its argument says: `die exit N`, `die signal N`, `die segv`, or not
 * at all: `die spin`, `die block` (spins with all signals blocked),
 * `die sleep`, `die cling` (sleeps, and does not want to end with its parent).
 */
#include "guest.h"
#include <sys/prctl.h>

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
	if (strcmp(what, "cling") == 0) {
		CHECK(prctl(PR_GET_PDEATHSIG, &n) == 0 && n == 0);
		CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
		CHECK(prctl(PR_GET_PDEATHSIG, &n) == 0 && n == SIGUSR1);
		FAILS(EINVAL, prctl(PR_SET_PDEATHSIG, 65));
		CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
		say("clings\n");
	}
	if (strcmp(what, "sleep") == 0 || strcmp(what, "cling") == 0)
		for (;;)
			pause();
	if (strcmp(what, "block") == 0) {
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
	}
	for (;;)
		__asm__ volatile("pause");
}
