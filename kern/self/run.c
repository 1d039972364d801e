/*
 * One KVM_RUN of a thread in Dune mode: registers in, the reason out.
 *
 * The guest is the program itself, so rip can be anywhere. In the stubs
 * (guest.S) the registers are half way between the program's and ours: there
 * a state is completed here, or left alone until the guest asks (kick).
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "kern/err.h"
#include "kern/self/frame.h"
#include "kern/self/self.h"
#include "kern/vm/ring0.h"

extern const char dune_guest_code[], dune_guest_syscall_out[],
	dune_guest_hcall_out[], dune_guest_return[], dune_guest_poll_out[],
	dune_guest_restore[], dune_guest_restore_iret[],
	dune_guest_fault_out[], dune_guest_overflow_out[],
	dune_guest_gate[], dune_guest_gate_int3[], dune_guest_gate_end[],
	dune_guest_soft_bp[], dune_guest_soft_to_user[],
	dune_guest_soft_to_user_end[], dune_guest_to_user[],
	dune_guest_user[], dune_guest_user_end[], dune_guest_user_poll_out[];

#define RFLAGS_ALWAYS	2ul
#define RED_ZONE	128

/* Raw: errno is the program's. */
static long kvm_run(int fd)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_ioctl), "D"((long)fd), "S"((long)KVM_RUN),
			   "d"(0l)
			 : "rcx", "r11", "memory");
	return ret;
}

static void prepare(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;
	struct kvm_run *run = c->run;

	if (c->edited) {
		struct kvm_sregs *s = &run->s.regs.sregs;

		run->s.regs.regs = c->u;
		run->s.regs.regs.rflags |= RFLAGS_ALWAYS;
		dune_block_segments(c->vm, t->pc->in_user, s);
		s->fs.base = c->fs_base;
		s->gs.base = c->gs_base;
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	} else if (run->s.regs.regs.rax != c->u.rax ||
		   run->s.regs.regs.rflags != c->u.rflags) {
		/* a call's result, and the flags that its entry has changed */
		run->s.regs.regs.rax = c->u.rax;
		run->s.regs.regs.rflags = c->u.rflags | RFLAGS_ALWAYS;
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	}
	c->edited = false;
}

/* The trap frame at rsp is what the program's registers will be. */
static void load_frame(struct dune_vcpu *c, dune_gva_t at)
{
	const struct dune_tf *tf = (const void *)(uintptr_t)at;

	dune_tf_load(tf, &c->u);
	c->edited = true;
}

/* KVM leaves rip at the `out` or after it; here always after. */
static bool at_out(struct dune_sthread *t, const char *label)
{
	struct dune_vcpu *c = t->task.vcpu;
	dune_gva_t out = dune_block_label(t->pc, label);

	if (c->u.rip != out && c->u.rip != out + DUNE_OUT_LEN)
		return false;
	c->u.rip = out + DUNE_OUT_LEN;
	return true;
}

/* Is rip in [from, to) of the stubs? */
static bool within(const struct dune_sthread *t, const char *from,
		   const char *to)
{
	return t->task.vcpu->u.rip - dune_block_label(t->pc, from) <
	       (uint64_t)(to - from);
}

/* In emulated ring 0, because of the gate's int3. */
static bool in_gate_trap(const struct dune_sthread *t)
{
	const uint64_t *rip = (const uint64_t *)((uintptr_t)t->pc +
						 DUNE_PC_IST_TOP) - 5;
	dune_gva_t off = t->task.vcpu->u.rip - (uintptr_t)t->pc;

	return (within(t, dune_guest_soft_bp, dune_guest_soft_to_user) ||
		(off - DUNE_PC_TRAPS) / DUNE_PC_TRAP_SIZE == DUNE_VEC_BP) &&
	       *rip == dune_block_label(t->pc, dune_guest_gate_int3) + 1;
}

/* On the way to ring 3, the frame in rbx; see to_user in guest.S. */
static bool becoming_user(const struct dune_sthread *t)
{
	if (within(t, dune_guest_gate_int3, dune_guest_gate_int3 + 2) ||
	    in_gate_trap(t))
		return (uint32_t)t->task.vcpu->u.rax == DUNE_GATE_USER;
	return within(t, dune_guest_user, dune_guest_user_end) ||
	       within(t, dune_guest_soft_to_user, dune_guest_soft_to_user_end);
}

/* The gate's own int3 is not to come: it is done here, or once more. */
static void drop_exception(const struct dune_sthread *t)
{
	struct kvm_vcpu_events ev;

	if (ioctl(t->task.vcpu->fd, KVM_GET_VCPU_EVENTS, &ev))
		return;
	ev.exception.injected = 0;
	ev.exception.pending = 0;
	ioctl(t->task.vcpu->fd, KVM_SET_VCPU_EVENTS, &ev);
}

/* rip is in the stubs. Is u the program's state, or can it be made so? */
static bool settle_stubs(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;

	if (c->u.rip == dune_block_label(t->pc, dune_guest_syscall_out) +
			DUNE_OUT_LEN) {
		c->u.rip = c->u.rcx;
		c->u.rflags = c->u.r11;
		c->edited = true;
	} else if (becoming_user(t)) {
		drop_exception(t);
		load_frame(c, c->u.rbx);
		dune_self_to_user(t);
	} else if (within(t, dune_guest_return, dune_guest_restore_iret)) {
		load_frame(c, c->u.rsp);
	} else if (within(t, dune_guest_restore_iret,
			  dune_guest_restore_iret + 1)) {
		load_frame(c, c->u.rsp - DUNE_TF_IRET);
	} else if (within(t, dune_guest_gate_int3 + 1,
			  dune_guest_gate_int3 + 2)) {
		drop_exception(t);
		c->u.rip--;
		c->edited = true;
	} else {
		/* code of ring 0, like any other */
		return within(t, dune_guest_gate, dune_guest_gate_end) ||
		       c->u.rip == dune_block_label(t->pc,
						    dune_guest_hcall_out) +
				   DUNE_OUT_LEN;
	}
	return true;
}

/*
 * Stopped by a signal: is u the program's state? In the return path it is made
 * so from the frame that is being loaded; in the entry path the guest goes on,
 * and asks when it returns.
 */
static void settle(struct dune_sthread *t)
{
	t->deliverable = true;
	if (t->task.vcpu->u.rip - (uintptr_t)t->pc - DUNE_PC_STUBS >=
	    2 * DUNE_PAGE_SIZE ?
	    !dune_vcpu_exception_waits(t->task.vcpu) : settle_stubs(t))
		return;
	t->deliverable = false;
	t->pc->kick = 1;
}

static enum dune_self_exit left_by_port(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;

	switch (c->run->io.port) {
	case DUNE_PORT_SYSCALL:
		if (!at_out(t, dune_guest_syscall_out))
			break;
		c->u.rip = c->u.rcx;
		c->u.rflags = c->u.r11;
		/* what the fast way back would not restore */
		c->edited = c->u.r11 & DUNE_FMASK ||
			    (!c->vm->kind.native_ring0 &&
			     !c->run->s.regs.sregs.cs.dpl);
		return DUNE_SELF_SYSCALL;
	case DUNE_PORT_HCALL:
		if (at_out(t, dune_guest_hcall_out))
			return DUNE_SELF_HCALL;
		if (!at_out(t, dune_guest_poll_out) &&
		    !at_out(t, dune_guest_user_poll_out))
			break;
		t->pc->kick = 0;
		settle(t);
		return DUNE_SELF_INTR;
	case DUNE_PORT_FAULT:
		if (!at_out(t, dune_guest_fault_out))
			break;
		return DUNE_SELF_FAULT;
	case DUNE_PORT_OVERFLOW:
		if (!at_out(t, dune_guest_overflow_out))
			break;
		return DUNE_SELF_OVERFLOW;
	}
	return DUNE_SELF_PORT;
}

/* What the stubs of a software KVM change with the ring. */
static void soft_ring(struct dune_sthread *t, uint64_t cr3, uint16_t ports)
{
	if (t->task.vcpu->vm->kind.native_ring0)
		return;
	t->task.vcpu->run->s.regs.sregs.cr3 = cr3;
	*(uint16_t *)((char *)t->pc + DUNE_PC_IOMAP) = ports;
}

void dune_self_to_kernel(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;
	struct dune_percpu *pc = t->pc;
	dune_gva_t at = (pc->trap_rsp & ~15ul) - sizeof(struct dune_tf);
	struct dune_tf *tf = (void *)(uintptr_t)at;

	dune_tf_save(tf, &c->u);
	pc->user_fs = c->fs_base;
	c->fs_base = pc->kern_fs;
	pc->in_user = 0;
	soft_ring(t, pc->kern_cr3, DUNE_IOMAP_OPEN);
	/* goes on by loading the frame for ring 3 again */
	c->u.rdi = at;
	c->u.rip = dune_block_label(pc, dune_guest_to_user);
	c->u.rsp = at - RED_ZONE;
	c->edited = true;
}

/* Where a trap would put its frame: below what is in use (guest.S). */
static dune_gva_t frame_place(const struct dune_sthread *t)
{
	const struct dune_percpu *pc = t->pc;
	dune_gva_t rsp = t->task.vcpu->u.rsp, top = pc->trap_rsp;

	if (rsp - pc->hstack_lo < pc->hstack_size)
		top = rsp - RED_ZONE;
	return (top & ~15ul) - sizeof(struct dune_tf);
}

void dune_self_upcall(struct dune_sthread *t,
		      void (*fn)(struct dune_tf *, struct dune_percpu *))
{
	struct dune_vcpu *c = t->task.vcpu;
	dune_gva_t at = frame_place(t);
	struct dune_tf *tf = (void *)(uintptr_t)at;

	dune_tf_save(tf, &c->u);
	if (c->vm->kind.native_ring0) {
		tf->cs = DUNE_SELF_KERN_CS;
		tf->ss = DUNE_SELF_KERN_SS;
	}
	t->pc->hold++;
	c->u.rdi = at;
	c->u.rsi = (uintptr_t)t->pc;
	c->u.rip = (uintptr_t)fn;
	/* as after a call */
	c->u.rsp = (at & ~15ul) - sizeof(uint64_t);
	c->u.rflags = RFLAGS_ALWAYS;
	c->edited = true;
}

void dune_self_to_user(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;

	t->pc->in_user = 1;
	c->fs_base = t->pc->user_fs;
	soft_ring(t, t->pc->user_cr3, DUNE_IOMAP_SHUT);
	c->edited = true;
}

static enum dune_self_exit dead(struct dune_vcpu *c, const char *what,
				uint64_t detail)
{
	dune_err(-EIO, "%s (%#lx) at rip %#llx, rsp %#llx, cr3 %#llx", what,
		 detail, c->u.rip, c->u.rsp, c->run->s.regs.sregs.cr3);
	return DUNE_SELF_DEAD;
}

static enum dune_self_exit left(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;
	const struct kvm_run *run = c->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return left_by_port(t);
	case KVM_EXIT_INTR:
		settle(t);
		return DUNE_SELF_INTR;
	case KVM_EXIT_HLT:
		return DUNE_SELF_HLT;
	case KVM_EXIT_MMIO:
		return dead(c, "a page-table entry points where no memory is",
			    run->mmio.phys_addr);
	case KVM_EXIT_SHUTDOWN:
		return dead(c, "triple fault: trap tables, stack or CR3 are "
			    "not usable", c->u.rflags);
	case KVM_EXIT_FAIL_ENTRY:
		return dead(c, "the CPU refused the guest's state",
			    run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return dead(c, "KVM cannot run or emulate the instruction",
			    run->internal.suberror);
	default:
		return dead(c, "KVM stopped for a reason not handled",
			    run->exit_reason);
	}
}

enum dune_self_exit dune_self_run(struct dune_sthread *t)
{
	struct dune_vcpu *c = t->task.vcpu;
	long r;

	prepare(t);
	/* else what waited then is still to come */
	if (t->deliverable)
		c->entered = c->run->s.regs.regs;
	r = kvm_run(c->fd);
	c->exits++;
	c->run->kvm_dirty_regs = 0;
	c->u = c->run->s.regs.regs;
	c->fs_base = c->run->s.regs.sregs.fs.base;
	c->gs_base = c->run->s.regs.sregs.gs.base;
	t->deliverable = true;
	if (r >= 0)
		return left(t);
	if (r == -EINTR || r == -EAGAIN) {
		settle(t);
		return DUNE_SELF_INTR;
	}
	if (r == -EFAULT) {
		settle(t);
		return DUNE_SELF_EFAULT;
	}
	return dead(c, "KVM_RUN failed", -r);
}
