/*
 * Faults of dune_copy_in() and its kin land where uaccess says; others end the
 * program.
 */
#ifndef CATCH_FAULTS_H
#define CATCH_FAULTS_H

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>
#include "kern/mm/uaccess.h"

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	greg_t *rip = &((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RIP];
	uintptr_t to = dune_uaccess_fixup(*rip);

	(void)info;
	if (to)
		*rip = to;
	else
		signal(sig, SIG_DFL);
}

/* In each test that faults: cmocka sets its own handlers around each. */
static inline void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault,
				.sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

#endif
