/* The system calls about signals that cannot simply be forwarded. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include "kern/mm/uaccess.h"
#include "kern/sys/sys.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

#define SIGSET_SIZE		8
#define TRAP_GP			13
#define SA_EXPOSE_TAGBITS	0x800ul

/* Flags that Linux keeps; others read back as 0, so they can be probed. */
#define SA_KNOWN (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | \
		  (uint64_t)SA_ONSTACK | SA_RESTART | SA_NODEFER | \
		  (uint32_t)SA_RESETHAND | SA_EXPOSE_TAGBITS | \
		  DUNE_SA_RESTORER)

long dune_sys_rt_sigaction(struct dune_task *t, struct dune_call *c)
{
	struct dune_sigaction act, old, *slot;
	int sig = (int)c->arg[0];

	if (c->arg[3] != SIGSET_SIZE)
		return -EINVAL;
	if (c->arg[1] && dune_copy_in(&act, c->arg[1], sizeof(act)))
		return -EFAULT;
	if (sig < 1 || sig > DUNE_NSIG ||
	    (c->arg[1] && (DUNE_SIGBIT(sig) & DUNE_SIG_KERNEL)))
		return -EINVAL;
	/* what came before the call is for the old handler */
	if (t->slot_full)
		return -DUNE_ERESTART;

	slot = &t->proc->action[sig];
	pthread_mutex_lock(&t->proc->lock);
	old = *slot;
	if (c->arg[1]) {
		act.flags &= SA_KNOWN;
		act.mask &= ~DUNE_SIG_KERNEL;
		*slot = act;
		dune_signal_mirror(sig, slot);
	}
	pthread_mutex_unlock(&t->proc->lock);

	if (c->arg[2] && dune_copy_out(c->arg[2], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

long dune_sys_rt_sigprocmask(struct dune_task *t, struct dune_call *c)
{
	uint64_t set, old = t->sigmask, mask = old;

	if (c->arg[3] != SIGSET_SIZE)
		return -EINVAL;
	if (c->arg[1]) {
		if (dune_copy_in(&set, c->arg[1], sizeof(set)))
			return -EFAULT;
		switch ((int)c->arg[0]) {
		case SIG_BLOCK:
			mask |= set;
			break;
		case SIG_UNBLOCK:
			mask &= ~set;
			break;
		case SIG_SETMASK:
			mask = set;
			break;
		default:
			return -EINVAL;
		}
		mask &= ~DUNE_SIG_KERNEL;
	}
	if (mask != old) {
		if (dune_signal_try_mask(t, mask))
			return -DUNE_ERESTART;
		t->sigmask = mask;
		dune_signal_unhold(t);
	}
	if (c->arg[2] && dune_copy_out(c->arg[2], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

static long set_altstack(struct dune_task *t, const struct dune_sigstack *ss)
{
	uint32_t mode = (uint32_t)ss->flags & ~DUNE_SS_AUTODISARM;

	if (dune_on_altstack(&t->altstack, t->vcpu->u.rsp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode != SS_DISABLE && ss->size < DUNE_MINSIGSTKSZ)
		return -ENOMEM;
	t->altstack = *ss;
	t->altstack.pad = 0;
	if (mode == SS_DISABLE)
		t->altstack.sp = t->altstack.size = 0;
	return 0;
}

long dune_sys_sigaltstack(struct dune_task *t, struct dune_call *c)
{
	struct dune_sigstack old = t->altstack, ss;
	long ret;

	old.flags &= DUNE_SS_AUTODISARM;
	if (!old.size)
		old.flags |= SS_DISABLE;
	else if (dune_on_altstack(&t->altstack, t->vcpu->u.rsp))
		old.flags |= SS_ONSTACK;

	if (c->arg[0]) {
		if (dune_copy_in(&ss, c->arg[0], sizeof(ss)))
			return -EFAULT;
		ret = set_altstack(t, &ss);
		if (ret)
			return ret;
	}
	if (c->arg[1] && dune_copy_out(c->arg[1], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

/* The FPU state at addr in the guest's frame; 0: the initial one. */
static long pop_fpstate(struct dune_vcpu *vcpu, dune_gva_t addr)
{
	uint8_t area[DUNE_XSAVE_MAX] __attribute__((aligned(64)));
	struct dune_xstate xs = dune_xstate_of(vcpu->vm->kind.xcr0);
	uint32_t size;

	if (!addr)
		return dune_vcpu_set_xsave(vcpu, NULL);
	if (vcpu->vm->kind.xsave_size > sizeof(area) ||
	    xs.size > sizeof(area) - DUNE_FP_MAGIC2_SIZE || (addr & 15) ||
	    dune_copy_in(area, addr, DUNE_FXSAVE_SIZE))
		return -EFAULT;
	size = dune_fpstate_size(area, &xs);
	if (size > DUNE_FXSAVE_SIZE) {
		/* xrstor wants 64 bytes' alignment; sizes are in `area` now */
		if ((addr & 63) ||
		    dune_copy_in(area + DUNE_FXSAVE_SIZE,
				 addr + DUNE_FXSAVE_SIZE,
				 size + DUNE_FP_MAGIC2_SIZE -
				 DUNE_FXSAVE_SIZE))
			return -EFAULT;
	}
	if (dune_fpstate_open(area, size, sizeof(area), &xs))
		return -EINVAL;
	return dune_vcpu_set_xsave(vcpu, area);
}

long dune_sys_rt_sigreturn(struct dune_task *t, struct dune_call *c)
{
	size_t len = offsetof(struct dune_sigframe, info);
	struct dune_vcpu *vcpu = t->vcpu;
	struct dune_sigframe frame;
	uint64_t mask;
	int selector;

	(void)c;
	/* the handler's `ret` took pretcode off the stack */
	if (dune_copy_in(&frame, vcpu->u.rsp - sizeof(uint64_t), len)) {
		t->orig_rax = -1;
		dune_signal_bad_frame(t, 0);
		goto out;
	}
	mask = frame.uc.sigmask & ~DUNE_SIG_KERNEL;
	if (dune_signal_try_mask(t, mask))
		return -DUNE_ERESTART;
	t->sigmask = mask;
	t->orig_rax = -1;		/* nothing to restart any more */

	dune_sigframe_regs(&frame.uc.mc, &vcpu->u);
	vcpu->edited = true;
	if (pop_fpstate(vcpu, frame.uc.mc.fpstate)) {
		dune_signal_bad_frame(t, 0);
	} else {
		set_altstack(t, &frame.uc.stack);	/* errors: ignored */
		selector = dune_sigframe_bad_selector(&frame.uc);
		if (selector >= 0) {
			t->trap.number = TRAP_GP;
			t->trap.error = selector & ~3;
			dune_signal_bad_frame(t, 0);
		}
	}
	dune_signal_settle(t);
out:
	dune_signal_open(t);
	return vcpu->u.rax;
}

/*
 * Makes mask the one in force for the call that follows. -DUNE_ERESTART: a
 * signal came before it; -EINTR: the mask let a held one through.
 */
static long begin_mask(struct dune_task *t, uint64_t mask)
{
	if (t->slot_full)
		return -DUNE_ERESTART;
	t->temp_mask = mask & ~DUNE_SIG_KERNEL;
	t->temp_mask_set = true;
	return dune_signal_unhold(t) ? -EINTR : 0;
}

/* Makes the call; keeps temp_mask only for a signal that it let through. */
static long call_masked(struct dune_task *t, long nr, const uint64_t *arg)
{
	long ret;

	/*
	 * EINTR without a signal for the guest: a SIGSEGV or SIGBUS by kill(2)
	 * that it blocks or ignores.
	 */
	do {
		ret = dune_host_syscall(nr, arg[0], arg[1], arg[2], arg[3],
					arg[4], arg[5]);
	} while (ret == -EINTR && !t->slot_full);
	if (ret != -EINTR)
		t->temp_mask_set = false;
	return ret;
}

long dune_sys_rt_sigsuspend(struct dune_task *t, struct dune_call *c)
{
	uint64_t mask, arg[6] = { (uintptr_t)&mask, SIGSET_SIZE };
	long ret;

	if (c->arg[1] != SIGSET_SIZE)
		return -EINVAL;
	if (dune_copy_in(&mask, c->arg[0], sizeof(mask)))
		return -EFAULT;
	ret = begin_mask(t, mask);
	if (ret)
		return ret;
	mask &= ~DUNE_SIG_FAULTS;
	return call_masked(t, SYS_rt_sigsuspend, arg);
}

long dune_sys_with_mask(struct dune_task *t, struct dune_call *c)
{
	struct { uint64_t mask, size; } six;	/* pselect6's last argument */
	uint64_t *at, *size, mask, arg[6];
	long ret;

	memcpy(arg, c->arg, sizeof(arg));
	if (c->nr == SYS_pselect6) {
		memset(&six, 0, sizeof(six));
		if (arg[5] && dune_copy_in(&six, arg[5], sizeof(six)))
			return -EFAULT;
		arg[5] = (uintptr_t)&six;
		at = &six.mask;
		size = &six.size;
	} else if (c->nr == SYS_ppoll) {
		at = &arg[3];
		size = &arg[4];
	} else {
		at = &arg[4];
		size = &arg[5];
	}

	/* with a wrong size the host finds the errno: it is not followed */
	if (!*at || *size != SIGSET_SIZE)
		return dune_host_syscall(c->nr, arg[0], arg[1], arg[2],
					 arg[3], arg[4], arg[5]);
	if (dune_copy_in(&mask, *at, sizeof(mask)))
		return -EFAULT;
	*at = (uintptr_t)&mask;
	ret = begin_mask(t, mask);
	if (ret)
		return ret;
	mask &= ~DUNE_SIG_FAULTS;
	return call_masked(t, c->nr, arg);
}
