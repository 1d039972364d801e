/*
 * The host's side of signals: the one handler, dispositions and masks.
 *
 * Everything here uses raw system calls: the C library keeps signals 32 and
 * 33 for itself, but they are the guest's. Not by dune_hostcall_raw(): a signal
 * for the guest must not undo ours.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "kern/mm/uaccess.h"
#include "kern/raw.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

#define SIGSET_SIZE	8
#define SIGSETXID	33	/* what glibc's setuid() sends to threads */
#define HOST_ALL	(~DUNE_SIG_FAULTS)

/* The image's first byte, so that a report is good for a PIE. */
extern const char __ehdr_start[]
	__attribute__((weak, visibility("hidden")));

static const volatile sig_atomic_t no_slot;

long dune_host_syscall(long nr, long a0, long a1, long a2, long a3, long a4,
		       long a5)
{
	const struct dune_task *t = dune_current;

	return dune_hostcall_raw(nr, a0, a1, a2, a3, a4, a5,
				 t ? &t->slot_full : &no_slot);
}

static void host_sigaction(int sig, uint64_t handler, uint64_t flags)
{
	struct dune_sigaction act = {
		.handler = handler,
		.flags = flags | DUNE_SA_RESTORER,
		.restorer = (uintptr_t)dune_host_restorer,
		.mask = ~0ull,
	};

	dune_raw4(SYS_rt_sigaction, sig, (long)&act, 0, SIGSET_SIZE);
}

void dune_signal_mirror(int sig, const struct dune_sigaction *act)
{
	uint64_t flags = act->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT);
	uint64_t handler = act->handler;

	if (handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN) {
		handler = (uintptr_t)dune_host_handler;
		flags |= SA_SIGINFO | (act->flags & (SA_RESTART | SA_ONSTACK));
	} else if (DUNE_SIG_FAULTS & DUNE_SIGBIT(sig)) {
		handler = (uintptr_t)dune_host_handler;
		flags |= SA_SIGINFO | SA_RESTART;
	}
	host_sigaction(sig, handler, flags);
}

void dune_signal_requeue(const siginfo_t *info)
{
	dune_raw4(SYS_rt_tgsigqueueinfo, dune_raw3(SYS_getpid, 0, 0, 0),
		  dune_raw3(SYS_gettid, 0, 0, 0), info->si_signo, (long)info);
}

/* --- the handler; async-signal-safe from here to its end --- */

static void set_uc_mask(ucontext_t *uc, uint64_t mask)
{
	/* the kernel's sigset_t is the start of the C library's */
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
}

static char *put_str(char *p, const char *s)
{
	while (*s)
		*p++ = *s++;
	return p;
}

static char *put_hex(char *p, uint64_t n)
{
	int shift = n ? (63 - __builtin_clzll(n)) & ~3 : 0;

	p = put_str(p, "0x");
	for (; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[n >> shift & 15];
	return p;
}

void dune_signal_die_by(int sig, void *ctx)
{
	ucontext_t *uc = ctx;

	host_sigaction(sig, (uintptr_t)SIG_DFL, 0);
	set_uc_mask(uc, HOST_ALL);
	dune_raw3(SYS_tgkill, dune_raw3(SYS_getpid, 0, 0, 0),
		  dune_raw3(SYS_gettid, 0, 0, 0), sig);
}

/* A fault of the monitor's own, which is a bug. */
void dune_signal_bug(int sig, const siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];
	char line[160], *p = line;

	p = put_str(p, "dune: bug: the monitor got ");
	p = put_str(p, sig == SIGBUS ? "SIGBUS" : "SIGSEGV");
	p = put_str(p, " at rip ");
	p = put_hex(p, *rip);
	p = put_str(p, " (image+");
	p = put_hex(p, *rip - (uintptr_t)__ehdr_start);
	p = put_str(p, "), address ");
	p = put_hex(p, (uintptr_t)info->si_addr);
	*p++ = '\n';
	dune_raw3(SYS_write, STDERR_FILENO, (long)line, p - line);
	dune_signal_die_by(sig, uc);
}

/* kill(2) sent SIGSEGV or SIGBUS. Has the slot to wait, or to be dropped? */
static bool hold_back(struct dune_task *t, int sig, const siginfo_t *info)
{
	int i = sig == SIGBUS;

	if (t->proc->action[sig].handler == (uintptr_t)SIG_IGN)
		return true;
	if (!t->slot_full && !(dune_signal_blocked(t) & DUNE_SIGBIT(sig)))
		return false;
	if (!(t->held & 1 << i)) {	/* else merged, as Linux does */
		t->held_info[i] = *info;
		t->held |= 1 << i;
	}
	return true;
}

void dune_host_handler(int sig, siginfo_t *info, void *ctx)
{
	struct dune_task *t = dune_current;
	ucontext_t *uc = ctx;
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];

	if ((DUNE_SIG_FAULTS & DUNE_SIGBIT(sig)) && info->si_code > 0 &&
	    dune_uaccess_fixup(*rip)) {
		/* in a copy from or to the guest */
		*rip = dune_uaccess_fixup(*rip);
		return;
	}
	if (!t) {
		dune_signal_outside(sig, info, uc);
		return;
	}
	if (DUNE_SIG_FAULTS & DUNE_SIGBIT(sig)) {
		if (info->si_code > 0) {
			dune_signal_bug(sig, info, uc);
			return;
		}
		if (hold_back(t, sig, info))
			return;
	}
	t->slot = *info;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	t->slot_full = 1;
	if (t->vcpu)
		dune_vcpu_kick(t->vcpu);
	/* no second signal before this one is delivered */
	set_uc_mask(uc, HOST_ALL);
	if ((uintptr_t)*rip >= (uintptr_t)dune_hostcall_start &&
	    (uintptr_t)*rip <= (uintptr_t)dune_hostcall_insn)
		*rip = (uintptr_t)dune_hostcall_abort;
}

/* --- masks --- */

static void host_mask(uint64_t mask)
{
	dune_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, SIGSET_SIZE);
}

long dune_signal_try_mask(struct dune_task *task, uint64_t mask)
{
	mask &= ~DUNE_SIG_FAULTS;
	return dune_hostcall_raw(SYS_rt_sigprocmask, SIG_SETMASK,
				 (long)&mask, 0, SIGSET_SIZE, 0, 0,
				 &task->slot_full);
}

bool dune_signal_unhold(struct dune_task *task)
{
	bool moved = false;
	int i;

	if (!task->held || task->slot_full)
		return false;
	/* everything blocked: slot and held stand still */
	host_mask(~0ull);
	for (i = 0; i < 2 && !moved && !task->slot_full; i++) {
		int sig = i ? SIGBUS : SIGSEGV;

		if (!(task->held & 1 << i) ||
		    (dune_signal_blocked(task) & DUNE_SIGBIT(sig)))
			continue;
		task->slot = task->held_info[i];
		task->held &= ~(1 << i);
		task->slot_full = moved = true;
		dune_vcpu_kick(task->vcpu);
	}
	host_mask(task->slot_full ? HOST_ALL :
		  task->sigmask & ~DUNE_SIG_FAULTS);
	return moved;
}

void dune_signal_open(struct dune_task *task)
{
	dune_signal_try_mask(task, task->sigmask);
	dune_signal_unhold(task);
}

void dune_signal_setmask(struct dune_task *task, uint64_t mask)
{
	task->sigmask = mask & ~DUNE_SIG_KERNEL;
	dune_signal_open(task);
}

long dune_signal_hold(struct dune_task *task)
{
	return dune_signal_try_mask(task, HOST_ALL);
}

void dune_signal_release(struct dune_task *task)
{
	dune_signal_open(task);
}

/* --- beginnings --- */

int dune_signal_init(struct dune_task *task)
{
	struct dune_sigaction old, *act;
	uint64_t mask = 0;
	int sig;

	dune_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, SIGSET_SIZE);
	for (sig = 1; sig <= DUNE_NSIG; sig++) {
		act = &task->proc->action[sig];
		memset(act, 0, sizeof(*act));
		if (DUNE_SIG_KERNEL & DUNE_SIGBIT(sig))
			continue;
		if (dune_raw4(SYS_rt_sigaction, sig, 0, (long)&old,
			      SIGSET_SIZE))
			return -EINVAL;
		if (old.handler == (uintptr_t)SIG_IGN)
			act->handler = old.handler;
		if (old.handler != act->handler ||
		    DUNE_SIG_FAULTS & DUNE_SIGBIT(sig))
			dune_signal_mirror(sig, act);
	}
	task->slot_full = 0;
	task->held = 0;
	task->temp_mask_set = false;
	task->sigmask = mask;
	host_mask(mask & ~DUNE_SIG_FAULTS);
	return 0;
}

void dune_signal_mirror_setxid(struct dune_proc *p)
{
	dune_signal_mirror(SIGSETXID, &p->action[SIGSETXID]);
}

void dune_signal_child(struct dune_task *child)
{
	struct dune_proc *p = child->proc;

	child->slot_full = 0;
	child->held = 0;
	child->temp_mask_set = false;
	pthread_mutex_lock(&p->lock);
	dune_signal_mirror_setxid(p);
	pthread_mutex_unlock(&p->lock);
	dune_signal_open(child);
}
