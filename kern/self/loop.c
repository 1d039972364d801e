/* The loop of a thread in Dune mode: run, serve, deliver signals. */
#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/self/dirty.h"
#include "kern/self/frame.h"
#include "kern/self/self.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

#define VEC_PF		14
#define EFAULT_GIVE_UP	16

void dune_self_sigreturn(struct dune_sigframe *frame)
	__attribute__((noreturn));

static long raw2(long nr, long a0, long a1)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a0), "S"(a1)
			 : "rcx", "r11", "memory");
	return ret;
}

void dune_self_native_frame(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;
	struct dune_xstate xs = dune_xstate_of(c->vm->kind.xcr0);

	memset(t->frame, 0, sizeof(*t->frame));
	if (dune_vcpu_get_xsave(c, t->xsave))
		dune_task_abort(dune_errmsg());
	dune_fpstate_seal(t->xsave, &xs);
	dune_sigframe_fill(t->frame, &c->u, &t->task.trap, t->task.sigmask,
			   &t->task.altstack, (uintptr_t)t->xsave, 0);
	if (!t->task.altstack.size)
		t->frame->uc.stack.flags = SS_DISABLE;
}

void dune_self_native(struct dune_sthread *t)
{
	const struct dune_percpu *none = NULL;
	struct dune_vcpu *c = t->task.vcpu;
	uint64_t all = ~0ul, fs = 0, gs = 0;

	dune_copy_out(c->fs_base + dune_self.block_at, &none, sizeof(none));
	/* nothing may come between this and the frame's mask */
	dune_host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8, 0,
			  0);
	dune_self_native_frame(t);
	if (t->rseq.addr)
		dune_host_syscall(SYS_rseq, t->rseq.addr, t->rseq.len, 0,
				  t->rseq.sig, 0, 0);
	t->rseq.addr = 0;
	t->active = false;
	t->pc->tid = 0;
	__atomic_fetch_sub(&dune_self.active, 1, __ATOMIC_SEQ_CST);
	dune_current = NULL;
	raw2(SYS_arch_prctl, ARCH_GET_FS, (long)&fs);
	raw2(SYS_arch_prctl, ARCH_GET_GS, (long)&gs);
	if (gs != c->gs_base)
		raw2(SYS_arch_prctl, ARCH_SET_GS, c->gs_base);
	if (fs != c->fs_base)
		raw2(SYS_arch_prctl, ARCH_SET_FS, c->fs_base);
	dune_self_sigreturn(t->frame);
}

/*
 * All CPUs forget what they have cached. With nested paging it is enough that
 * KVM loses any page it has mapped, for it then flushes all of them: the lower
 * one of the IST stack, which the guest has touched just before, and nobody
 * uses. Else, or where memory is locked, KVM forgets all it has made of the
 * tables.
 */
static long flush_all(struct dune_sthread *t)
{
	struct dune_vm *vm = t->task.vcpu->vm;

	if (vm->kind.host_pte_edits &&
	    !dune_host_syscall(SYS_madvise, (long)t->pc + DUNE_PC_IST,
			       DUNE_PAGE_SIZE, MADV_DONTNEED, 0, 0, 0))
		return 0;
	return dune_vm_forget(vm);
}

static long unwrite(struct dune_vm *vm, uint64_t at, uint64_t list)
{
	struct dune_windows w;

	if (dune_copy_in(&w, at, sizeof(w)))
		return -EFAULT;
	return dune_vm_unwrite(vm, &w, (uint64_t *)list, DUNE_LISTED_WINDOWS) ?
	       dune_vm_forget(vm) : 0;
}

/* What a hypercall answers in rax; LEAVE does not come back. */
static long serve_hcall(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;
	dune_gpa_t gpa;
	long r;

	switch (c->u.rax) {
	case DUNE_HC_LEAVE:
		c->u.rax = 0;
		if (t->task.slot_full)	/* the signal first, then again */
			return -EINTR;
		/* the stub's `ret`: its page is the guest's only */
		c->u.rip = *(const uint64_t *)(uintptr_t)c->u.rsp;
		c->u.rsp += sizeof(uint64_t);
		dune_self_native(t);
	case DUNE_HC_FILL:
		return dune_smem_fill(&dune_self.mem, c->u.rdi);
	case DUNE_HC_BACK:
		r = dune_vm_back(c->vm, c->u.rdi, &gpa);
		return r ? r : (long)gpa;
	case DUNE_HC_FLUSH:
		return flush_all(t);
	case DUNE_HC_DIRTY:
		dune_dirty_again();
		return 0;
	case DUNE_HC_ALIAS:
		return dune_self_alias();
	case DUNE_HC_UNWRITE:
		r = unwrite(c->vm, c->u.rdi, c->u.rsi);
		if (c->u.rdx)
			dune_dirty_again();
		return r;
	case DUNE_HC_POLL:
		t->pc->kick = 0;
		return 0;
	}
	return -ENOSYS;
}

/* Nobody took the trap whose frame is at rsp: resolved, or a signal. */
static void serve_fault(struct dune_sthread *t)
{
	struct dune_task *task = &t->task;
	struct dune_vcpu *c = task->vcpu;
	const struct dune_tf *tf = (const void *)(uintptr_t)c->u.rsp;
	enum dune_fault fault = DUNE_FAULT_OK;

	c->trap_vector = c->u.rsi;
	c->trap_error = tf->err;
	c->trap_cr2 = c->u.rdx;
	dune_tf_load(tf, &c->u);
	c->edited = true;
	if (tf->cs & 3)
		dune_self_to_user(t);
	if (c->trap_vector == VEC_PF) {
		fault = dune_smem_fault(&dune_self.mem, c->trap_cr2,
					c->trap_error);
		if (fault == DUNE_FAULT_OK)
			return;
	}
	if (t->pc->in_user)
		dune_self_to_kernel(t);
	dune_signal_trap(task, fault);
}

static void serve_port(struct dune_sthread *t)
{
	/* as natively without ioperm(2) */
	t->task.trap.number = 13;
	t->task.trap.error = 0;
	t->task.vcpu->edited = true;
	dune_signal_force(&t->task, SIGSEGV, SI_KERNEL, 0);
}

/* hlt: until there is a signal. */
static void wait_for_signal(struct dune_sthread *t)
{
	uint64_t mask = t->task.sigmask & ~DUNE_SIG_FAULTS;

	dune_host_syscall(SYS_rt_sigsuspend, (long)&mask, 8, 0, 0, 0, 0);
}

/* The CPU's frame is still on the IST stack. */
static const char *overflow(const struct dune_sthread *t)
{
	const uint64_t *f = (const uint64_t *)((uintptr_t)t->pc +
					       DUNE_PC_IST_TOP) - 7;
	bool entry = f[2] - (uintptr_t)t->pc < DUNE_PC_SIZE;

	dune_err(-EIO, "%s; the last: vector %lu, error %#lx, rip %#lx, "
		 "cr2 %#lx", entry ? "a trap in the trap entry: the handler "
		 "stack, or the thread's block, is not mapped" :
		 "the handler stack is used up: traps in trap handlers",
		 f[0], f[1], f[2], t->pc->cr2);
	return dune_errmsg();
}

static void serve(struct dune_sthread *t, enum dune_self_exit e,
		  unsigned int efaults)
{
	switch (e) {
	case DUNE_SELF_HCALL:
		t->task.vcpu->u.rax = serve_hcall(t);
		break;
	case DUNE_SELF_FAULT:
		serve_fault(t);
		break;
	case DUNE_SELF_PORT:
		serve_port(t);
		break;
	case DUNE_SELF_HLT:
		wait_for_signal(t);
		break;
	case DUNE_SELF_EFAULT:
		if (efaults > EFAULT_GIVE_UP ||
		    dune_smem_efault(&dune_self.mem))
			dune_task_abort("KVM cannot reach a page of memory");
		break;
	case DUNE_SELF_OVERFLOW:
		dune_task_abort(overflow(t));
	case DUNE_SELF_DEAD:
		dune_task_abort(dune_errmsg());
	case DUNE_SELF_SYSCALL:
	case DUNE_SELF_INTR:
		break;
	}
}

static void deliver(struct dune_sthread *t, bool restart)
{
	struct dune_task *task = &t->task;

	if (t->pc->hold && task->slot_full) {
		t->pc->kick = 1;
		t->deliverable = restart;	/* a call is never held */
	}
	while ((restart || task->slot_full) && t->deliverable) {
		dune_vcpu_unkick(task->vcpu);
		t->pc->kick = 0;
		if (t->pc->in_user && task->slot_full)
			dune_self_to_kernel(t);
		dune_signal_deliver(task, restart);
		restart = false;
	}
}

/* The stack pointer has moved: it may be a signal's frame. */
static void mark_frame(const struct dune_sthread *t)
{
	const struct dune_vcpu *c = t->task.vcpu;
	struct dune_xstate xs = dune_xstate_of(c->vm->kind.xcr0);

	dune_dirty_mark(c->u.rsp, sizeof(struct dune_sigframe) + xs.size +
			DUNE_FP_MAGIC2_SIZE);
}

void dune_self_loop(struct dune_sthread *t)
{
	unsigned int efaults = 0;

	for (;;) {
		bool restart = false;
		enum dune_self_exit e = dune_self_run(t);
		uint64_t rsp = t->task.vcpu->u.rsp;
		int saved = errno;

		efaults = e == DUNE_SELF_EFAULT ? efaults + 1 : 0;
		t->task.orig_rax = -1;
		if (e == DUNE_SELF_SYSCALL)
			restart = dune_self_call(t);
		else
			serve(t, e, efaults);
		dune_vcpu_unkick(t->task.vcpu);
		deliver(t, restart);
		if (dune_self.tracking && t->task.vcpu->u.rsp != rsp)
			mark_frame(t);
		errno = saved;
	}
}
