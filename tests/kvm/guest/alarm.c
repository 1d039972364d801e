/* Executes a command that has an alarm from before: it dies of it. */
#include <sys/time.h>
#include "guest.h"

int main(int argc, char **argv)
{
	struct itimerval soon = { .it_value.tv_usec = 300000 };

	CHECK(argc > 1 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	execv(argv[1], argv + 1);
	return 127;
}
