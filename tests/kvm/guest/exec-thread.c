/*
 * execve while other threads run, called by the first thread or by another:
 * all others end, and the new image is the process's first thread.
 */
#include "guest.h"

static char *args[] = { "exec-thread", "second", NULL };

static void *spinner(void *arg)
{
	for (;;)
		__asm__ volatile("pause");
	return arg;
}

static void *caller(void *arg)
{
	execv("/proc/self/exe", args);
	return arg;
}

static void start(void *(*f)(void *), int n)
{
	pthread_t t;

	while (n-- > 0)
		CHECK(pthread_create(&t, NULL, f, NULL) == 0);
}

static void from_first(void)
{
	start(spinner, 3);
	caller(NULL);
}

static void from_other(void)
{
	start(spinner, 3);
	start(caller, 1);
	spinner(NULL);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		CHECK(getpid() == gettid());
		say("second image, first thread\n");
		return 3;
	}
	say("%s\n", how(in_child(from_first)));
	say("%s\n", how(in_child(from_other)));
	return 0;
}
