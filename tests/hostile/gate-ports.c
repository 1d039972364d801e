/*
 * Port I/O straight at the gate: forged system calls and forged traps of every
 * vector, with the stack pointing anywhere. At most the child is hurt.
 */
#include "hostile.h"

static unsigned int port;
static unsigned long stack;

static void out(void)
{
	__asm__ volatile("mov %%rsp, %%rbp\n\tmov %1, %%rsp\n\t"
			 "out %%eax, %%dx\n\tmov %%rbp, %%rsp" : :
			 "d"(port), "r"(stack), "a"(SYS_getppid),
			 "c"(0), "D"(0), "S"(0) :
			 "rbp", "rbx", "r8", "r9", "r10", "r11", "memory");
}

static void child(void)
{
	/* A forged frame on our own stack: kernel selectors, wild addresses. */
	unsigned long forged[64] = { 0, 0xffffffff81000000ul, 0x10, 0x3202,
				     RING0 + 64, 0x18, 0x400000, 8, 2, RING0 };
	unsigned long stacks[] = { (unsigned long)forged, RING0 + 0x1000,
				   0xffff800000000000ul, 0x7fffffffe000ul };
	int n = 0;

	try_init();
	for (int i = 0; i < 4; i++) {
		stack = stacks[i];
		n += TRY(out());
	}
	_exit(n ? 1 : 0);
}

int main(void)
{
	int died = 0, done = 0, st;

	for (port = 0; port < 0xb0; port++) {
		st = guarded(child);
		if (WIFSIGNALED(st))
			died++;
		else if (WEXITSTATUS(st) == 1)
			done++;
	}
	for (unsigned int p[] = { 0x60, 0x64, 0xcf8, 0xcfc, 0x3f8, 0x510,
				  0xffff }, i = 0; i < 7; i++) {
		port = p[i];
		guarded(child);
	}
	CHECK(getpid() > 0 && getppid() > 0);
	contained("forged calls and traps stay in the child");
	say("# %d ports end the child, %d are taken\n", died, done);
	return 0;
}
