/*
 * How a process in Dune mode ends by a signal, and what happens when its
 * guest cannot go on.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/raw.h"
#include "kern/self/self.h"
#include "kern/task/hostcall.h"

__thread struct dune_task *dune_current;

/*
 * The signal is queued for this thread, its default action restored, and the
 * thread goes on natively where the guest stands: it dies there, so that a core
 * dump or a debugger shows the program and nothing of ours.
 */
void dune_task_die(int sig)
{
	struct dune_sigaction dfl = { .handler = 0 };
	uint64_t all = ~0ull;
	struct dune_task *t = dune_current;
	siginfo_t info = t->slot;

	dune_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof(all));
	dune_raw4(SYS_rt_sigaction, sig, (long)&dfl, 0, sizeof(all));
	if (info.si_signo != sig) {
		memset(&info, 0, sizeof(info));
		info.si_signo = sig;
		info.si_code = SI_USER;
	}
	dune_raw4(SYS_rt_tgsigqueueinfo, dune_raw3(SYS_getpid, 0, 0, 0),
		  dune_raw3(SYS_gettid, 0, 0, 0), sig, (long)&info);
	t->sigmask &= ~DUNE_SIGBIT(sig);
	dune_self_native(dune_sthread_of(t));
}

/*
 * There is no guest to go back to, and no caller to return to: the one place
 * where the library writes, to descriptor 2, before the process ends by
 * SIGABRT.
 */
void dune_task_abort(const char *what)
{
	static const char head[] = "dune: Dune mode cannot go on: ";
	struct dune_sigaction dfl = { .handler = 0 };
	uint64_t set = DUNE_SIGBIT(SIGABRT);

	dune_raw3(SYS_write, 2, (long)head, sizeof(head) - 1);
	dune_raw3(SYS_write, 2, (long)what, strlen(what));
	dune_raw3(SYS_write, 2, (long)"\n", 1);
	dune_raw4(SYS_rt_sigaction, SIGABRT, (long)&dfl, 0, sizeof(set));
	dune_raw4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&set, 0, sizeof(set));
	dune_raw3(SYS_tgkill, dune_raw3(SYS_getpid, 0, 0, 0),
		  dune_raw3(SYS_gettid, 0, 0, 0), SIGABRT);
	for (;;)
		dune_raw3(SYS_exit_group, 128 + SIGABRT, 0, 0);
}
