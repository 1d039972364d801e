/*
 * Calls about processes by number: signals, and settings of other processes.
 *
 * Itself, a process may always signal. For others the host kernel decides
 * where Landlock keeps signals inside the sandbox (ABI 6); before, the broker
 * knows who belongs to it. -1 would mean everything the user runs: never.
 */
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kern/broker/broker.h"
#include "kern/mm/uaccess.h"
#include "kern/report/report.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"

#define OUTSIDE "process outside the sandbox"

bool dune_sys_reachable(struct dune_task *t, int pid)
{
	return (!t->proc->policy->strict && t->proc->policy->landlock_abi >=
		DUNE_LANDLOCK_ABI_SIGNALS) || dune_sys_member(t, pid);
}

bool dune_sys_member(struct dune_task *t, int pid)
{
	if (pid == dune_own(SYS_getpid))
		return true;
	/* those of a family of plugin sandboxes are strangers */
	if (t->proc->policy->strict)
		return false;
	/* a child, if only just forked and unknown to the broker yet */
	if (pid > 0 && dune_own(SYS_waitid, P_PID, pid, 0, WEXITED | WNOHANG |
				WNOWAIT | __WALL, 0) == 0)
		return true;
	return t->proc->broker >= 0 &&
	       dune_broker_member(t->proc->broker, pid) == 0;
}

/* abort(3), which the host kernel carries out: the last moment to say where. */
static void report_abort(struct dune_task *t, int pid)
{
	if (t->proc->policy->report && pid == dune_own(SYS_getpid) &&
	    t->proc->action[SIGABRT].handler == (uint64_t)SIG_DFL)
		dune_report_fault(t, strsignal(SIGABRT));
}

/*
 * The kernel lets a process send itself a fault as if it had happened, and what
 * happens in the monitor is told by that: it comes as what it is, a signal.
 */
static long with_info(struct dune_call *c)
{
	int at = c->nr == SYS_rt_tgsigqueueinfo ? 3 : 2, sig = c->arg[at - 1];
	bool fault = sig == SIGSEGV || sig == SIGBUS;
	siginfo_t info;

	if (!c->arg[at])
		return dune_forward_call(c);
	if (dune_copy_in(&info, c->arg[at], sizeof(info)))
		return -EFAULT;
	/* to others, threads among them, the kernel says EPERM */
	if (fault && info.si_code > 0 && (at == 2 ||
	    (int)c->arg[1] == dune_own(SYS_gettid)))
		info.si_code = SI_QUEUE;
	c->arg[at] = (uintptr_t)&info;
	return dune_forward_call(c);
}

/* kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_open */
long dune_sys_kill(struct dune_task *t, struct dune_call *c)
{
	int pid = c->arg[0];

	if (c->nr == SYS_kill && pid == -1)
		return dune_violation(c, "signal to everything", -EPERM);
	if (c->nr == SYS_kill && pid == INT_MIN)
		return -ESRCH;		/* has no positive counterpart */
	if (c->nr == SYS_kill && pid <= 0)
		pid = pid ? -pid : dune_own(SYS_getpgid, 0);
	if (pid > 0 && !dune_sys_reachable(t, pid))
		return dune_violation(c, OUTSIDE, -EPERM);
	if (c->nr == SYS_tgkill && c->arg[2] == SIGABRT)
		report_abort(t, pid);
	if (c->nr == SYS_rt_sigqueueinfo || c->nr == SYS_rt_tgsigqueueinfo)
		return with_info(c);
	return dune_forward_call(c);
}

/*
 * pidfd_open gives out only what may be signalled. But before signals were
 * kept inside by Landlock, a directory of /proc would do as well.
 */
long dune_sys_pidfd_signal(struct dune_task *t, struct dune_call *c)
{
	struct statfs fs;
	long fd, ret;

	if (t->proc->policy->landlock_abi >= DUNE_LANDLOCK_ABI_SIGNALS)
		return with_info(c);
	fd = dune_fd_hold(t->proc, c->arg[0]);
	if (fd < 0)
		return fd;
	c->arg[0] = fd;
	if (dune_own(SYS_fstatfs, fd, &fs) || fs.f_type == PROC_SUPER_MAGIC)
		ret = dune_violation(c, OUTSIDE, -EPERM);
	else
		ret = with_info(c);
	dune_own(SYS_close, fd);
	return ret;
}

/* Is it the caller, its process, or another thread of it? */
static bool own(int pid)
{
	return pid == 0 ||
	       dune_own(SYS_tgkill, dune_own(SYS_getpid), pid, 0) == 0;
}

long dune_sys_tkill(struct dune_task *t, struct dune_call *c)
{
	int tid = c->arg[0];

	if (tid > 0 && !own(tid) && !dune_sys_reachable(t, tid))
		return dune_violation(c, OUTSIDE, -EPERM);
	return dune_forward_call(c);
}

/*
 * Settings may be those of any process of the sandbox: the kernel checks the
 * user only, so whether the caller may signal it is asked first. A pid that
 * changes hands between the two calls is not seen: somebody else's process
 * would get another priority or CPU.
 */
static long settings_of(struct dune_task *t, struct dune_call *c, int pid)
{
	long signal;

	if (pid <= 0 || own(pid))
		return dune_forward_call(c);
	signal = dune_own(SYS_kill, pid, 0);
	if (signal == -ESRCH)	/* a new process may get it at any time */
		return signal;
	if (signal || !dune_sys_reachable(t, pid))
		return dune_violation(c, "settings of another process",
				      -EPERM);
	return dune_forward_call(c);
}

/* sched_*: the process is the first argument */
long dune_sys_own_pid(struct dune_task *t, struct dune_call *c)
{
	return settings_of(t, c, c->arg[0]);
}

/* getpriority ... ioprio_set: what kind of number, then the number */
long dune_sys_own_who(struct dune_task *t, struct dune_call *c)
{
	bool io = c->nr == SYS_ioprio_get || c->nr == SYS_ioprio_set;
	int process = io ? 1 /* IOPRIO_WHO_PROCESS */ : PRIO_PROCESS;
	int kind = (int)c->arg[0] - process;

	/* a process, its group, its user; others are no kind */
	if (kind == 1 || kind == 2)
		return dune_violation(c, "settings of other processes",
				      -EPERM);
	return settings_of(t, c, c->arg[1]);
}
