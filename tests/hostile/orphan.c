/*
 * Leaves a daemon behind: a grandchild in a session of its own, deaf to all
 * signals. It lives on as it would outside, but not where a time limit was set:
 * then nothing may be left when the run is over; the runner looks.
 */
#include "hostile.h"

int main(void)
{
	sigset_t all;

	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			sigfillset(&all);
			sigprocmask(SIG_BLOCK, &all, NULL);
			close(0);
			close(1);
			close(2);
			for (;;)
				sleep(1);
		}
		_exit(0);
	}
	wait(NULL);
	contained("unless the runner finds it");
	return 0;
}
