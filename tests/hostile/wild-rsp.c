/*
 * rsp anywhere: pushes fault, system calls and faults are served all the same,
 * a signal that finds no stack ends the process.
 */
#include "hostile.h"

static const unsigned long stacks[] = {
	0, 8, 0x400000, ARENA_HI, ARENA_HI - 8, RING0, RING0 + 0x800, VVAR,
	0x550000000000ul, 0x7fffffffe000ul, 0x800000000000ul,
	0xffff800000000000ul, 0xffffffff81000000ul, -8ul, -1ul, 7,
};

static unsigned long sp;

static void push(void)
{
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tpush %%rax\n\t"
			 "mov %%rbx, %%rsp" : : "r"(sp) : "rbx", "memory");
}

static void call(void)
{
	long r = SYS_getppid;

	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %1, %%rsp\n\tsyscall\n\t"
			 "mov %%rbx, %%rsp" : "+a"(r) : "r"(sp) :
			 "rbx", "rcx", "r11", "memory");
	CHECK(r > 0);
}

static void fault(void)
{
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tud2" : :
			 "r"(sp) : "rbx", "memory");
}

/* No alternate stack: the frame does not fit anywhere. */
static void no_stack(void)
{
	stack_t off = { .ss_flags = SS_DISABLE };
	long r = SYS_kill, pid = getpid();

	sigaltstack(&off, NULL);
	handle(SIGUSR1, try_handler, 0);
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %1, %%rsp\n\tsyscall\n\t"
			 "1: pause\n\tjmp 1b" : "+a"(r) : "r"(sp), "D"(pid),
			 "S"(SIGUSR1) : "rbx", "rcx", "r11", "memory");
}

static void bad_altstack(void)
{
	/* not so large that one at the program's start ends in its heap */
	stack_t ss = { .ss_sp = (void *)sp, .ss_size = 1 << 16 };

	if (sigaltstack(&ss, NULL) < 0)
		_exit(3);
	signal(SIGSEGV, SIG_DFL);
	handle(SIGUSR1, try_handler, SA_ONSTACK);
	raise(SIGUSR1);
}

static void bad_handler(void)
{
	signal(SIGSEGV, SIG_DFL);
	handle(SIGUSR1, (void *)sp, 0);
	raise(SIGUSR1);
}

int main(void)
{
	int st;

	try_init();
	for (unsigned int i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		sp = stacks[i];
		if (TRY(push()))
			ESCAPED("push at %#lx", sp);
		if (!TRY(call()))
			ESCAPED("no system call at %#lx", sp);
		if (TRY(fault()) || try_sig != SIGILL)
			ESCAPED("ud2 at %#lx: signal %d", sp, try_sig);
		st = guarded(no_stack);
		if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGSEGV)
			ESCAPED("signal at %#lx: %s", sp, how(st));
		if (sp < PAGE)
			continue;
		st = guarded(bad_altstack);
		/* -8 + size wraps around: the frame lands nowhere either. */
		if (st != 3 << 8 && (!WIFSIGNALED(st) ||
				     WTERMSIG(st) != SIGSEGV))
			ESCAPED("altstack at %#lx: %s", sp, how(st));
		if (sp == 0x400000)
			continue;
		st = guarded(bad_handler);
		if (!WIFSIGNALED(st) || WTERMSIG(st) == SIGALRM)
			if (sp < RING0 || sp > VVAR)
				ESCAPED("handler at %#lx: %s", sp, how(st));
	}
	contained("any rsp");
	return 0;
}
