/* Signals of the monitor before it runs a task: nobody wants them yet. */
#include "kern/task/signal.h"

void dune_signal_outside(int sig, siginfo_t *info, void *uc)
{
	if (!(DUNE_SIG_FAULTS & DUNE_SIGBIT(sig)))
		return;
	if (info->si_code > 0)
		dune_signal_bug(sig, info, uc);
	else
		dune_signal_die_by(sig, uc);
}
