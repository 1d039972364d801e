/*
 * Delivery: a signal in the slot, or a fault, becomes a frame on the guest's
 * stack. The order of the steps is Linux's.
 */
#include <errno.h>
#include <string.h>
#include "kern/mm/uaccess.h"
#include "kern/sys/stats.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

#define RFLAGS_TF	(1u << 8)
#define RFLAGS_DF	(1u << 10)
#define RFLAGS_RF	(1u << 16)


#define TRAP_SS		12
#define TRAP_GP		13

static bool is_handler(const struct dune_sigaction *act)
{
	return act->handler != (uintptr_t)SIG_DFL &&
	       act->handler != (uintptr_t)SIG_IGN;
}

/* The disposition sig meets now; a one-shot handler is used up. */
static void take_action(struct dune_proc *p, int sig,
			struct dune_sigaction *act)
{
	pthread_mutex_lock(&p->lock);
	*act = p->action[sig];
	if (is_handler(act) && (act->flags & SA_RESETHAND)) {
		p->action[sig].handler = (uintptr_t)SIG_DFL;
		dune_signal_mirror(sig, &p->action[sig]);
	}
	pthread_mutex_unlock(&p->lock);
}

/* The FPU state at place, and the initial one for the handler. */
static int push_fpstate(struct dune_vcpu *vcpu, dune_gva_t place,
			const struct dune_xstate *xs)
{
	uint8_t area[DUNE_XSAVE_MAX] __attribute__((aligned(64)));

	if (vcpu->vm->kind.xsave_size > sizeof(area) ||
	    xs->size > sizeof(area) - DUNE_FP_MAGIC2_SIZE ||
	    dune_vcpu_get_xsave(vcpu, area))
		dune_task_abort("cannot save the FPU state for a signal");
	dune_fpstate_seal(area, xs);
	if (dune_copy_out(place, area, xs->size + DUNE_FP_MAGIC2_SIZE))
		return -EFAULT;
	if (dune_vcpu_set_xsave(vcpu, NULL))
		dune_task_abort("cannot reset the FPU state for a signal");
	return 0;
}

static int push_frame(struct dune_task *t, const siginfo_t *info,
		      const struct dune_sigaction *act)
{
	struct dune_vcpu *vcpu = t->vcpu;
	struct dune_xstate xs = dune_xstate_of(vcpu->vm->kind.xcr0);
	size_t len = offsetof(struct dune_sigframe, info);
	struct dune_sigframe frame;
	struct dune_sigplace at;

	if (!(act->flags & DUNE_SA_RESTORER) ||
	    !dune_sigframe_place(&at, vcpu->u.rsp, act->flags, &t->altstack,
				 &xs))
		return -EFAULT;
	/* the mask to return to is the one from before a sigsuspend */
	dune_sigframe_fill(&frame, &vcpu->u, &t->trap, t->sigmask,
			   &t->altstack, at.fpstate, act->restorer);
	if (act->flags & SA_SIGINFO) {
		frame.info = *info;
		len = sizeof(frame);
	}
	if (dune_copy_out(at.frame, &frame, len) ||
	    push_fpstate(vcpu, at.fpstate, &xs))
		return -EFAULT;

	vcpu->u.rdi = info->si_signo;
	vcpu->u.rsi = at.frame + offsetof(struct dune_sigframe, info);
	vcpu->u.rdx = at.frame + offsetof(struct dune_sigframe, uc);
	vcpu->u.rax = 0;
	vcpu->u.rsp = at.frame;
	vcpu->u.rip = act->handler;
	vcpu->u.rflags &= ~(uint64_t)(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
	vcpu->edited = true;
	return 0;
}

/* Starts act's handler. The host's mask is the caller's business. */
static void run_handler(struct dune_task *t, const siginfo_t *info,
			const struct dune_sigaction *act)
{
	uint64_t mask = dune_signal_blocked(t) | act->mask;

	if (push_frame(t, info, act)) {
		dune_signal_bad_frame(t, info->si_signo);
		return;
	}
	if (!(act->flags & SA_NODEFER))
		mask |= DUNE_SIGBIT(info->si_signo);
	t->sigmask = mask & ~DUNE_SIG_KERNEL;
	t->temp_mask_set = false;
	if ((uint32_t)t->altstack.flags & DUNE_SS_AUTODISARM)
		t->altstack = (struct dune_sigstack){ .flags = SS_DISABLE };
	if (t->proc->stats)
		__atomic_fetch_add(&t->proc->stats->signals, 1,
				   __ATOMIC_RELAXED);
}

/* Where dune_task_die() finds out why. */
static void die_of(struct dune_task *t, const siginfo_t *info)
{
	t->slot = *info;
	dune_task_die(info->si_signo);
}

/* A fault's signal, without the look at where the handler begins. */
static void force(struct dune_task *t, int sig, int code, uint64_t addr)
{
	struct dune_sigaction act;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_addr = (void *)(uintptr_t)addr;

	if (dune_signal_blocked(t) & DUNE_SIGBIT(sig))
		die_of(t, &info);
	take_action(t->proc, sig, &act);
	if (!is_handler(&act))
		die_of(t, &info);
	run_handler(t, &info, &act);
}

void dune_signal_bad_frame(struct dune_task *t, int sig)
{
	if (sig == SIGSEGV)
		dune_task_die(SIGSEGV);
	force(t, SIGSEGV, SI_KERNEL, 0);
}

void dune_signal_settle(struct dune_task *t)
{
	const struct kvm_regs *u = &t->vcpu->u;

	/* each round takes guest stack or a one-shot handler: it ends */
	while (!dune_canonical(u->rip) || !dune_canonical(u->rsp)) {
		t->trap.error = 0;
		if (!dune_canonical(u->rip)) {
			t->trap.number = TRAP_GP;
			force(t, SIGSEGV, SI_KERNEL, 0);
		} else {
			t->trap.number = TRAP_SS;
			force(t, SIGBUS, SI_KERNEL, 0);
		}
	}
}

void dune_signal_force(struct dune_task *task, int sig, int code,
		       uint64_t addr)
{
	force(task, sig, code, addr);
	dune_signal_settle(task);
	dune_signal_open(task);
	/* one that came meanwhile: its frame nests, or it is blocked now */
	dune_signal_deliver(task, false);
}

/*
 * The disposition went back to the default after the signal was taken. What
 * does not kill, the host can still do: stopping is its business.
 */
static void default_action(const siginfo_t *info)
{
	switch (info->si_signo) {
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
		break;
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		dune_signal_requeue(info);
		break;
	default:
		dune_task_die(info->si_signo);
	}
}

static void deliver_one(struct dune_task *t)
{
	struct dune_sigaction act;
	siginfo_t info;
	uint64_t bit;

	/* the handler of this thread wrote it before slot_full */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	info = t->slot;
	bit = DUNE_SIGBIT(info.si_signo);
	if ((dune_signal_blocked(t) & bit) && !(DUNE_SIG_FAULTS & bit)) {
		/* a fault's handler came in between, with a stricter mask */
		dune_signal_requeue(&info);
	} else if (dune_signal_blocked(t) & bit) {
		t->held_info[info.si_signo == SIGBUS] = info;
		t->held |= 1 << (info.si_signo == SIGBUS);
	} else {
		take_action(t->proc, info.si_signo, &act);
		if (is_handler(&act))
			run_handler(t, &info, &act);
		else if (act.handler == (uintptr_t)SIG_DFL)
			default_action(&info);
	}
	t->temp_mask_set = false;
	dune_signal_settle(t);
	t->slot_full = 0;
	/* the next pending signal may come at once: its frame nests */
	dune_signal_open(t);
}

void dune_signal_deliver(struct dune_task *task, bool restart)
{
	struct kvm_regs *u = &task->vcpu->u;

	if (restart) {
		u->rip -= DUNE_SYSCALL_INSN;
		u->rax = task->orig_rax;
		task->vcpu->edited = true;
		/* the call did not begin, so its mask did not, either */
		task->temp_mask_set = false;
		task->orig_rax = -1;
	}
	while (task->slot_full)
		deliver_one(task);
}
