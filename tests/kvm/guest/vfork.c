/*
 * vfork: the child runs on the parent's memory while the parent sleeps, then
 * ends or executes; its signal dispositions are its own.
 */
#include "guest.h"

static volatile int data = 1;

static void usr1(int sig)
{
	(void)sig;
	data += 100;
}

int main(int argc, char **argv)
{
	char *args[] = { argv[0], "child", NULL };
	pid_t pid;
	int st;

	if (argc > 1) {
		say("executed, %s\n", argv[1]);
		return 23;
	}
	pid = vfork();
	if (pid == 0) {
		data = 2;
		_exit(6);
	}
	say("shared memory: %d\n", data);
	say("%s\n", how(reap(pid)));

	pid = vfork();
	if (pid == 0) {
		execv("/proc/self/exe", args);
		_exit(99);
	}
	say("%s\n", how(reap(pid)));

	/* exec that fails leaves a child that goes on. */
	pid = vfork();
	if (pid == 0) {
		execv("/does/not/exist", args);
		data = errno;
		_exit(7);
	}
	say("errno %d, %s\n", data, how(reap(pid)));

	/* The child ignores a signal; the parent's handler is still there. */
	signal(SIGUSR1, usr1);
	data = 0;
	pid = vfork();
	if (pid == 0) {
		signal(SIGUSR1, SIG_IGN);
		_exit(8);
	}
	CHECK(reap(pid) == 8 << 8);
	raise(SIGUSR1);
	say("handler ran: %d\n", data);

	/* A child killed by a fault of its own. */
	pid = vfork();
	if (pid == 0) {
		*(volatile int *)16 = 0;
		_exit(9);
	}
	say("%s\n", how(reap(pid)));

	for (int i = 0; i < 50; i++) {
		pid = vfork();
		if (pid == 0)
			_exit(i);
		CHECK(waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == i);
	}
	say("50 more\n");
	return 0;
}
