/* 10000 calls in a row, by name: for counting exits. */
#include "guest.h"

static void identity(bool parent)
{
	pid_t expected = parent ? getppid() : getpid();

	for (int i = 0; i < 10000; i++)
		CHECK((parent ? getppid() : getpid()) == expected);
}

/* Four calls a round, of memory and of handlers. */
static void memory(void)
{
	struct sigaction old;

	for (int i = 0; i < 2500; i++) {
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(p != MAP_FAILED);
		*p = 1;
		CHECK(!mprotect(p, 4096, PROT_READ));
		CHECK(!sigaction(SIGUSR1, NULL, &old));
		CHECK(!munmap(p, 4096));
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "memory"))
		memory();
	else
		identity(!strcmp(what, "getppid"));
	say("all the same\n");
	return 0;
}
