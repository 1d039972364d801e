/*
 * No descriptor left, no file size left: the monitor still serves, forks, makes
 * threads and executes.
 */
#include <sys/resource.h>
#include "hostile.h"

static void *nothing(void *arg)
{
	return arg;
}

int main(int argc, char **argv)
{
	struct rlimit rl = { 0, 0 };
	pthread_t t;
	pid_t pid;
	int fd, n = 0, last = -1;

	(void)argv;
	if (argc > 1)
		return 33;
	while ((fd = dup(0)) >= 0 && n < 100000) {
		last = fd;
		n++;
	}
	CHECK(errno == EMFILE);
	CHECK(pthread_create(&t, NULL, nothing, NULL) == 0);
	pthread_join(t, NULL);
	pid = fork();
	if (pid == 0) {
		execv("/proc/self/exe", (char *[]){ "x", "y", NULL });
		_exit(44);
	}
	if (pid > 0) {
		int st = reap(pid);

		if (st != 33 << 8 && st != 44 << 8)
			ESCAPED("child: %s", how(st));
	}
	close(last);
	CHECK(dup(0) == last);
	setrlimit(RLIMIT_NOFILE, &rl);
	pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		reap(pid);
	contained("%s descriptors", n > 10 ? "many" : "few");
	setrlimit(RLIMIT_FSIZE, &rl);
	setrlimit(RLIMIT_MEMLOCK, &rl);
	setrlimit(RLIMIT_STACK, &rl);
	setrlimit(RLIMIT_SIGPENDING, &rl);
	pid = fork();
	if (pid > 0)
		reap(pid);
	if (pid == 0)
		_exit(0);
	return 0;
}
