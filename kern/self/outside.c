/*
 * Signals of threads that are not in Dune mode, while others are: the
 * dispositions are the process's, so the host handler gets these as well,
 * and runs the program's handler natively.
 */
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "kern/self/self.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

static void block(const ucontext_t *uc, const struct dune_sigaction *act,
		  int sig)
{
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	mask |= act->mask;
	if (!(act->flags & SA_NODEFER))
		mask |= DUNE_SIGBIT(sig);
	dune_host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0,
			  sizeof(mask), 0, 0);
}

/* The default action: once more, without a handler. */
static void again(int sig, siginfo_t *info, ucontext_t *uc)
{
	const struct dune_sigaction dfl = { .handler = 0 };
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	mask &= ~DUNE_SIGBIT(sig);
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	dune_host_syscall(SYS_rt_sigaction, sig, (long)&dfl, 0, sizeof(mask),
			  0, 0);
	if (info->si_code <= 0)
		dune_host_syscall(SYS_rt_tgsigqueueinfo, getpid(),
				  dune_host_syscall(SYS_gettid, 0, 0, 0, 0, 0,
						    0),
				  sig, (long)info, 0, 0);
}

void dune_signal_outside(int sig, siginfo_t *info, void *ctx)
{
	struct dune_sigaction *slot = &dune_self.proc.action[sig];
	struct dune_sigaction act = *slot;
	ucontext_t *uc = ctx;

	if (act.handler == (uintptr_t)SIG_IGN && info->si_code <= 0)
		return;
	if (act.handler == (uintptr_t)SIG_DFL ||
	    act.handler == (uintptr_t)SIG_IGN) {
		again(sig, info, uc);
		return;
	}
	if (act.flags & SA_RESETHAND) {
		slot->handler = (uintptr_t)SIG_DFL;
		dune_signal_mirror(sig, slot);
	}
	block(uc, &act, sig);
	((void (*)(int, siginfo_t *, void *))(uintptr_t)act.handler)(sig, info,
								     uc);
}
