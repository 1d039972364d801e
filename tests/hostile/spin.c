/*
 * Never ends by itself: spins with all signals blocked and ignored in threads
 * and children, or (argument "stopped") stops itself, or ("vfork") hangs in a
 * vfork child. The run has --time.
 */
#include <sys/prctl.h>
#include "hostile.h"

static void *spin(void *arg)
{
	for (;;)
		__asm__ volatile("");
	return arg;
}

int main(int argc, char **argv)
{
	const char *how_ = argc > 1 ? argv[1] : "";
	sigset_t all;
	pthread_t t;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int i = 1; i <= 64; i++)
		signal(i, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, 0);
	say("contained: or this never ends\n");
	if (strcmp(how_, "stopped") == 0)
		raise(SIGSTOP);
	if (strcmp(how_, "vfork") == 0 && vfork() == 0)
		for (;;)
			pause();
	for (int i = 0; i < 3; i++) {
		if (fork() == 0)
			setsid();
		pthread_create(&t, NULL, spin, NULL);
	}
	spin(NULL);
}
