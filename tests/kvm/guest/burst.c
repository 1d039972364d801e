/* 10000 calls in a row (100 long ones), by name: for counting exits. */
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

/* Copies of files, small ones and then large ones. */
static void copies(size_t size, int n)
{
	int from = memfd_create("from", 0), to = memfd_create("to", 0);

	CHECK(from >= 0 && to >= 0 && !ftruncate(from, size));
	while (n--) {
		loff_t in = 0, out = 0;

		CHECK(syscall(SYS_copy_file_range, from, &in, to, &out,
			      1ul << 30, 0) == (long)size);
	}
	close(from);
	close(to);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "memory"))
		memory();
	else if (!strcmp(what, "copies"))
		copies(4096, 10000);
	else if (!strcmp(what, "long"))
		copies(2 << 20, 100);
	else
		identity(!strcmp(what, "getppid"));
	say("all the same\n");
	return 0;
}
