/* 10000 calls in a row, by name: for counting exits. */
#include "guest.h"

int main(int argc, char **argv)
{
	bool parent = argc > 1 && !strcmp(argv[1], "getppid");
	pid_t expected = parent ? getppid() : getpid();

	for (int i = 0; i < 10000; i++)
		CHECK((parent ? getppid() : getpid()) == expected);
	say("all the same\n");
	return 0;
}
