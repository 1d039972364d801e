/*
 * What every hostile program uses. Each tries one way out; it prints what
 * contained it and ends with status 0, or "ESCAPED: how" and status 1.
 *
 * Never run these natively as root: some would succeed.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <setjmp.h>
#include <sys/ioctl.h>
#include <ucontext.h>
#include "../kvm/guest/guest.h"

#define contained(...) do {						\
	say("contained: " __VA_ARGS__);					\
	say("\n");							\
} while (0)

#define ESCAPED(...) do {						\
	say("ESCAPED: " __VA_ARGS__);					\
	say("\n");							\
	_exit(1);							\
} while (0)

#define REFUSED(what, call) do {					\
	errno = 0;							\
	if ((long)(call) >= 0)						\
		ESCAPED("%s", what);					\
} while (0)

/* Where a program's own memory ends and others' may begin; kern/layout.h. */
#define ARENA_HI	0x500000000000ul
#define RING0		0x501000000000ul
#define GATE		0x508000000000ul	/* entry code, then its mailbox */
#define VVAR		0x502000000000ul
#define USER_END	0x7ffffffff000ul

/* Addresses of all kinds that are not the program's. */
static const unsigned long outside[] = {
	ARENA_HI, ARENA_HI - 4, ARENA_HI + PAGE, RING0, RING0 + 1, RING0 + PAGE,
	RING0 + 0x10000, RING0 + 0x100000, VVAR, VVAR + PAGE,
	0x550000000000ul, 0x555555554000ul, 0x5555555a0000ul, 0x560000000000ul,
	0x7f0000000000ul, 0x7ffff7fc0000ul, 0x7ffff7ff8000ul, 0x7fffffffd000ul,
	USER_END - PAGE, USER_END - 4, USER_END, 0x7ffffffffff8ul,
	0x800000000000ul, 0xffff800000000000ul, 0xffffffff81000000ul,
	0xffffffffff600000ul, -PAGE, -8ul, -1ul,
};
#define OUTSIDE (sizeof(outside) / sizeof(outside[0]))

/*
 * TRY(statement): did it run without a fault? The handler leaves by longjmp
 * and has a stack of its own, so that any rsp will do.
 */
static sigjmp_buf try_env;
static volatile int try_sig;
static char try_stack[65536] __attribute__((aligned(16)));

static inline void try_handler(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	try_sig = sig;
	siglongjmp(try_env, 1);
}

static inline void try_init(void)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	stack_t ss = { .ss_sp = try_stack, .ss_size = sizeof(try_stack) };

	CHECK(sigaltstack(&ss, NULL) == 0);
	for (int i = 0; i < 5; i++)
		handle(sigs[i], try_handler, SA_ONSTACK);
}

#define TRY(...) __extension__ ({					\
	int ok_;							\
	try_sig = 0;							\
	if (sigsetjmp(try_env, 1) == 0) {				\
		__VA_ARGS__;						\
		ok_ = 1;						\
	} else {							\
		ok_ = 0;						\
	}								\
	ok_;								\
})

/* f in a child that cannot hang: how it ended. */
static inline int guarded(void (*f)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(5);
		f();
		_exit(0);
	}
	return reap(pid);
}

#endif
