/*
 * Ends as its argument says: `die exit N`, `die signal N`, `die segv`, or not
 * at all: `die spin`, `die block` (spins with all signals blocked),
 * `die sleep`, `die cling` (sleeps, and does not want to end with its parent),
 * `die brood` (leaves processes of all kinds).
 */
#include "guest.h"
#include <spawn.h>
#include <sys/prctl.h>

static void __attribute__((noreturn)) block(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;)
		__asm__ volatile("pause");
}

/* A child, one whose parent is gone, one executed, one of vfork. */
static void brood(char *self)
{
	char *const argv[] = { self, "sleep", NULL };
	pid_t pid;

	CHECK(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		setsid();
		if (fork() == 0)
			block();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		if (vfork() == 0)
			block();
		_exit(0);
	}
	if (fork() == 0)
		for (;;)
			pause();
	say("brood\n");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "exit";
	int n = argc > 2 ? atoi(argv[2]) : 0;

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
		say("cling\n");
	}
	if (strcmp(what, "brood") == 0)
		brood(argv[0]);
	if (strcmp(what, "sleep") == 0 || strcmp(what, "brood") == 0 ||
	    strcmp(what, "cling") == 0)
		for (;;)
			pause();
	if (strcmp(what, "block") == 0)
		block();
	for (;;)
		__asm__ volatile("pause");
}
