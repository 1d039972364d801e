/*
 * The vsyscall page: emulated or faulting, never the host's. Then exec with
 * arguments that make no sense.
 */
#include "hostile.h"

static unsigned long at;

static void call(void)
{
	long r = ((long (*)(void *, void *))at)(NULL, NULL);

	_exit(r < 0 ? 3 : 0);
}

static void read_it(void)
{
	_exit(*(volatile char *)at & 0);
}

int main(int argc, char **argv)
{
	static const unsigned long offs[] = { 0, 0x400, 0x800, 1, 0xc00 };
	static char *many[100000];
	char *self = "/proc/self/exe", *big;
	int st;

	if (argc > 1)
		return 9;
	for (int i = 0; i < 5; i++) {
		at = 0xffffffffff600000ul + offs[i];
		st = guarded(call);
		if (WIFSIGNALED(st) ? WTERMSIG(st) != SIGSEGV : st != 0)
			ESCAPED("vsyscall + %#lx: %s", offs[i], how(st));
		guarded(read_it);
	}
	contained("vsyscall");

	big = map(4 << 20, PROT_READ | PROT_WRITE);
	memset(big, 'x', (4 << 20) - 1);
	REFUSED("4 MiB string", execve(self, (char *[]){ "x", big, 0 }, NULL));
	for (int i = 0; i < 99999; i++)
		many[i] = big + (4 << 20) - 200;
	REFUSED("20 MiB of strings", execve(self, many, many));
	REFUSED("wild string", execve(self, (char *[]){ "x", (char *)RING0, 0 },
				      NULL));
	REFUSED("wild array", execve(self, (char **)RING0, NULL));
	REFUSED("wild environment", execve(self, argv, (char **)-8l));
	/* An array that runs into the end of a mapping. */
	big = map(2 * PAGE, PROT_READ | PROT_WRITE);
	munmap(big + PAGE, PAGE);
	for (unsigned int i = 0; i < PAGE / 8; i++)
		((char **)big)[i] = "x";
	REFUSED("open array", execve(self, (char **)big, NULL));
	memset(big, '/', PAGE);
	REFUSED("open path", execve(big, argv, NULL));
	contained("exec");
	return 0;
}
