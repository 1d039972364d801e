/*
 * sigaltstack: handlers run there, nested ones go on there, a stack overflow is
 * handled there, SS_AUTODISARM, errors.
 */
#include <setjmp.h>
#include "guest.h"

static char alt[65536] __attribute__((aligned(16)));
static volatile int on_alt, nested_on_alt;
static sigjmp_buf env;
static volatile char *fault;

static bool inside(const void *p)
{
	return (char *)p >= alt && (char *)p < alt + sizeof(alt);
}

static void handler(int sig, siginfo_t *si, void *uc)
{
	stack_t ss;
	char here;

	(void)si, (void)uc;
	if (sig == SIGUSR2) {
		nested_on_alt = inside(&here);
		return;
	}
	on_alt = inside(&here);
	CHECK(sigaltstack(NULL, &ss) == 0);
	CHECK(ss.ss_sp == alt);
	say("ss_flags %d\n", ss.ss_flags);
	if (ss.ss_flags == SS_ONSTACK)
		FAILS(EPERM, sigaltstack(&ss, NULL));
	raise(SIGUSR2);
}

static void overflow(int sig, siginfo_t *si, void *uc)
{
	char here;

	(void)sig, (void)uc;
	CHECK(inside(&here));
	fault = si->si_addr;
	siglongjmp(env, 1);
}

static int __attribute__((noinline)) deep(int n)
{
	volatile char frame[1000];

	frame[0] = n;
	return n < 0 ? 0 : deep(n + 1) + frame[0];
}

static void *in_thread(void *arg)
{
	stack_t ss;

	CHECK(sigaltstack(NULL, &ss) == 0);
	CHECK(ss.ss_flags == SS_DISABLE);
	return arg;
}

int main(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, old;
	pthread_t t;

	CHECK(sigaltstack(&ss, &old) == 0);
	say("was %d\n", old.ss_flags);
	handle(SIGUSR1, handler, SA_ONSTACK);
	handle(SIGUSR2, handler, 0);
	raise(SIGUSR1);
	say("on altstack %d, nested %d\n", on_alt, nested_on_alt);
	raise(SIGUSR2);
	say("without SA_ONSTACK %d\n", nested_on_alt);

	handle(SIGSEGV, overflow, SA_ONSTACK);
	for (volatile int i = 0; i < 3; i++) {
		if (sigsetjmp(env, 1) == 0)
			deep(0);
		CHECK(fault && !inside((void *)fault));
	}
	say("stack overflow caught 3 times\n");

	/* A new thread has none, the old one keeps its own. */
	pthread_create(&t, NULL, in_thread, NULL);
	pthread_join(t, NULL);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == alt);

	ss.ss_size = 100;
	FAILS(ENOMEM, sigaltstack(&ss, NULL));
	ss.ss_size = sizeof(alt);
	ss.ss_flags = 77;
	FAILS(EINVAL, sigaltstack(&ss, NULL));
	FAILS(EFAULT, syscall(SYS_sigaltstack, 16, NULL));

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
	ss.ss_flags = SS_AUTODISARM;
	CHECK(sigaltstack(&ss, NULL) == 0);
	CHECK(sigaltstack(NULL, &old) == 0);
	say("autodisarm %s\n", old.ss_flags == (int)SS_AUTODISARM ? "kept" :
	    "lost");
	ss.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&ss, NULL) == 0);
	raise(SIGUSR2);
	say("disabled\n");
	return 0;
}
