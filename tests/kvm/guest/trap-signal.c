/* Breakpoints while a timer's signals come: each is told once, in its place. */
#include <sys/time.h>
#include <ucontext.h>
#include "guest.h"

#define ROUNDS	5000

extern char after_int3[];

static volatile long traps, misplaced, alarms;

static void on_trap(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;

	(void)sig;
	(void)info;
	traps++;
	if (uc->uc_mcontext.gregs[REG_RIP] != (long)after_int3)
		misplaced++;
}

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_trap,
				.sa_flags = SA_SIGINFO };
	/* an emulated machine would serve nothing but the timer */
	long us = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 300 : 5000;
	struct itimerval it = { { 0, us }, { 0, us } };
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	long i;

	sigaction(SIGTRAP, &sa, NULL);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &it, NULL);
	for (i = 0; i < ROUNDS || alarms < 10; i++)
		__asm__ volatile("int3\n"
				 ".globl after_int3\n"
				 "after_int3: nop");
	setitimer(ITIMER_REAL, &off, NULL);
	if (traps != i)
		say("%ld of %ld, misplaced %ld, alarms %ld\n", traps, i,
		    misplaced, alarms);
	CHECK(traps == i);
	CHECK(misplaced == 0);
	say("trap-signal: all told\n");
	return 0;
}
