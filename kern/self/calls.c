/*
 * System calls of a process in Dune mode. Pointers mean the same on both sides
 * and there is nothing to check: the caller could do the same natively. So
 * all are forwarded but those that change memory, make or end threads, concern
 * signals or descriptors of ours, or the registers a vCPU has of its own.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "kern/mm/uaccess.h"
#include "kern/self/barrier.h"
#include "kern/self/clone.h"
#include "kern/self/dirty.h"
#include "kern/self/fds.h"
#include "kern/self/self.h"
#include "kern/self/softdirty.h"
#include "kern/sys/batch.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

static long arch_prctl(struct dune_task *t, struct dune_call *c)
{
	struct dune_vcpu *v = t->vcpu;
	uint64_t base;

	switch ((int)c->arg[0]) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (c->arg[1] >= DUNE_ARENA_HI)
			return -EPERM;
		if (c->arg[0] == ARCH_SET_FS)
			v->fs_base = c->arg[1];
		else
			v->gs_base = c->arg[1];
		v->edited = true;
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		base = c->arg[0] == ARCH_GET_FS ? v->fs_base : v->gs_base;
		return dune_copy_out(c->arg[1], &base, sizeof(base));
	}
	return dune_host_syscall(c->nr, c->arg[0], c->arg[1], 0, 0, 0, 0);
}

/*
 * The kernel would move a thread out of a critical section by its native rip,
 * which is always ours. So in Dune mode nothing is registered, though the C
 * library, which takes no for an answer only once, is told so: cpu_id stays
 * negative, and its users go the long way. Leaving makes up for it.
 */
static long rseq(struct dune_task *t, struct dune_call *c)
{
	struct dune_rseq *r = &dune_sthread_of(t)->rseq;

	if (c->arg[2] & DUNE_RSEQ_UNREGISTER) {
		r->addr = 0;
		return 0;
	}
	if (c->arg[2])
		return -EINVAL;
	if (r->addr)
		return -EBUSY;
	*r = (struct dune_rseq){ c->arg[0], c->arg[1], c->arg[3] };
	return 0;
}

static long open_file(struct dune_task *t, struct dune_call *c)
{
	long fd = dune_host_syscall(c->nr, c->arg[0], c->arg[1], c->arg[2],
				    c->arg[3], 0, 0);

	(void)t;
	if (fd >= 0)
		dune_softdirty_opened(c, fd);
	return fd;
}

/*
 * Faults' signals are never ignored or blocked on the host; what is executed
 * inherits what the program has set.
 */
static long execute(struct dune_task *t, struct dune_call *c)
{
	static const int faults[] = { SIGSEGV, SIGBUS };
	uint64_t blocked = t->sigmask & DUNE_SIG_FAULTS;
	const struct dune_sigaction *act;
	unsigned int i;
	long ret;

	for (i = 0; i < DUNE_ARRAY_SIZE(faults); i++) {
		act = &t->proc->action[faults[i]];
		if (act->handler == (uintptr_t)SIG_IGN)
			dune_host_syscall(SYS_rt_sigaction, faults[i],
					  (long)act, 0, 8, 0, 0);
	}
	dune_host_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&blocked, 0, 8,
			  0, 0);
	ret = dune_host_syscall(c->nr, c->arg[0], c->arg[1], c->arg[2],
				c->arg[3], c->arg[4], 0);
	dune_host_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&blocked, 0,
			  8, 0, 0);
	for (i = 0; i < DUNE_ARRAY_SIZE(faults); i++)
		dune_signal_mirror(faults[i], &t->proc->action[faults[i]]);
	return ret;
}

/*
 * A seccomp filter, or strict mode, would count for what the host side does as
 * well. So the thread leaves Dune mode, and makes the call natively.
 */
static long restrict_self(struct dune_task *t, struct dune_call *c)
{
	if (c->nr == SYS_prctl ? c->arg[0] != PR_SET_SECCOMP :
				 c->arg[0] > SECCOMP_SET_MODE_FILTER)
		return dune_host_syscall(c->nr, c->arg[0], c->arg[1],
					 c->arg[2], c->arg[3], c->arg[4], 0);
	if (dune_signal_hold(t) < 0)
		return -DUNE_ERESTART;
	t->vcpu->u.rip -= DUNE_SYSCALL_INSN;
	dune_self_native(dune_sthread_of(t));
}

static dune_sys_handler batch;

/*
 * alone: not in a batch, for it changes registers or masks, does not return,
 * or has to leave.
 */
static const struct own {
	long nr;
	dune_sys_handler *serve;
	bool alone;
} own[] = {
	{ DUNE_NR_BATCH, batch, true },
	{ SYS_rt_sigaction, dune_sys_rt_sigaction, false },
	{ SYS_rt_sigprocmask, dune_sys_rt_sigprocmask, true },
	{ SYS_rt_sigreturn, dune_sys_rt_sigreturn, true },
	{ SYS_rt_sigsuspend, dune_sys_rt_sigsuspend, true },
	{ SYS_sigaltstack, dune_sys_sigaltstack, true },
	{ SYS_ppoll, dune_sys_with_mask, true },
	{ SYS_pselect6, dune_sys_with_mask, true },
	{ SYS_epoll_pwait, dune_sys_with_mask, true },
	{ SYS_epoll_pwait2, dune_sys_with_mask, true },
	{ SYS_arch_prctl, arch_prctl, false },
	{ SYS_rseq, rseq, false },
	{ SYS_clone, dune_self_clone, true },
	{ SYS_clone3, dune_self_clone, true },
	{ SYS_fork, dune_self_clone, true },
	{ SYS_vfork, dune_self_clone, true },
	{ SYS_execve, execute, true },
	{ SYS_execveat, execute, true },
	{ SYS_prctl, restrict_self, true },
	{ SYS_seccomp, restrict_self, true },
	{ SYS_exit, dune_self_exit_thread, true },
	{ SYS_close, dune_fds_hide, false },
	{ SYS_dup, dune_fds_hide, false },
	{ SYS_fcntl, dune_fds_hide, false },
	{ SYS_fstat, dune_fds_hide, false },
	{ SYS_newfstatat, dune_fds_hide, false },
	{ SYS_dup2, dune_fds_dup_to, false },
	{ SYS_dup3, dune_fds_dup_to, false },
	{ SYS_close_range, dune_fds_close_range, false },
	{ SYS_open, open_file, false },
	{ SYS_openat, open_file, false },
	{ SYS_openat2, open_file, false },
};

static const struct own *find(long nr)
{
	unsigned int i;

	for (i = 0; i < DUNE_ARRAY_SIZE(own); i++)
		if (own[i].nr == nr)
			return &own[i];
	return NULL;
}

static long serve(struct dune_task *t, struct dune_call *c)
{
	const struct own *o = find(c->nr);

	if (o)
		return o->serve(t, c);
	if (dune_smem_is_call(c->nr))
		return dune_smem_call(&dune_self.mem, c->nr, c->arg);
	return dune_host_syscall(c->nr, c->arg[0], c->arg[1], c->arg[2],
				 c->arg[3], c->arg[4], c->arg[5]);
}

static bool one_of_batch(struct dune_task *t, struct dune_call *c,
			 const void *ctx, long *ret)
{
	const struct own *o = find(c->nr);

	(void)ctx;
	/* nor where its buffers are looked at before and after */
	if ((o && o->alone) || dune_self.tracking || dune_barriers.n)
		return false;
	*ret = t->slot_full ? -DUNE_ERESTART : serve(t, c);
	return true;
}

static long batch(struct dune_task *t, struct dune_call *c)
{
	return dune_batch_serve(t, c, one_of_batch, NULL);
}

/* Somebody looks at dirty bits, maybe by the files of soft-dirty. */
static long tracked(struct dune_sthread *s, struct dune_call *c, bool *clear)
{
	long ret;

	dune_dirty_begin(s, c);
	if (!dune_softdirty_call(c, &ret, clear))
		ret = serve(&s->task, c);
	dune_dirty_end(s);
	return ret;
}

bool dune_self_call(struct dune_sthread *s)
{
	struct dune_task *t = &s->task;
	struct kvm_regs *u = &t->vcpu->u;
	struct dune_call call = {
		.nr = (long)u->rax,
		.arg = { u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9 },
	};
	bool clear = false;
	long ret;

	t->orig_rax = call.nr;
	if (dune_barriers.n && dune_barrier_hit(s, &call))
		return false;
	ret = dune_self.tracking ? tracked(s, &call, &clear) : serve(t, &call);
	if (ret == -DUNE_ERESTART && t->orig_rax != -1)
		return true;
	/* fork's child has another vCPU by now */
	t->vcpu->u.rax = ret;
	if (clear)
		dune_self_upcall(s, dune_self.clear_dirty);
	return false;
}
