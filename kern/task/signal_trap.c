/*
 * What fault is what signal: Linux's arch/x86/kernel/traps.c and mm/fault.c
 * as a program sees them.
 */
#include <errno.h>
#include <string.h>
#include "kern/task/signal.h"

#define RFLAGS_TF	(1u << 8)

/* bits of a page fault's error code */
#define PF_PROT		1u
#define PF_USER		4u
#define USER_END	0x7ffffffff000ull	/* Linux's TASK_SIZE_MAX */

/* in an XSAVE area */
#define OFF_FCW		0
#define OFF_FSW		2
#define OFF_MXCSR	24

enum vector {
	V_DE = 0, V_DB = 1, V_BP = 3, V_OF = 4, V_BR = 5, V_UD = 6, V_NM = 7,
	V_NP = 11, V_SS = 12, V_GP = 13, V_PF = 14, V_MF = 16, V_AC = 17,
	V_XM = 19,
};

/* Which of the exceptions that are not masked happened; 0: none, run on. */
static int fpe_code(struct dune_vcpu *vcpu, int vector)
{
	uint8_t area[DUNE_XSAVE_MAX] __attribute__((aligned(64)));
	uint32_t mxcsr, err;
	uint16_t fcw, fsw;

	if (vcpu->vm->kind.xsave_size > sizeof(area) ||
	    dune_vcpu_get_xsave(vcpu, area))
		dune_task_abort("cannot read the FPU state");
	if (vector == V_MF) {
		memcpy(&fcw, area + OFF_FCW, sizeof(fcw));
		memcpy(&fsw, area + OFF_FSW, sizeof(fsw));
		err = fsw & ~fcw;
	} else {
		memcpy(&mxcsr, area + OFF_MXCSR, sizeof(mxcsr));
		err = mxcsr & ~(mxcsr >> 7);
	}
	if (err & 0x01)
		return FPE_FLTINV;
	if (err & 0x04)
		return FPE_FLTDIV;
	if (err & 0x08)
		return FPE_FLTOVF;
	if (err & 0x12)		/* underflow, denormal */
		return FPE_FLTUND;
	if (err & 0x20)
		return FPE_FLTRES;
	return 0;
}

static void page_fault(struct dune_task *t, enum dune_fault fault)
{
	uint64_t addr = t->vcpu->trap_cr2;

	t->trap.error |= PF_USER;
	if (addr >= USER_END)
		t->trap.error |= PF_PROT;
	t->trap.cr2 = addr;
	switch (fault) {
	case DUNE_FAULT_OK:
		break;
	case DUNE_FAULT_MAPERR:
		dune_signal_force(t, SIGSEGV, SEGV_MAPERR, addr);
		break;
	case DUNE_FAULT_ACCERR:
		dune_signal_force(t, SIGSEGV, SEGV_ACCERR, addr);
		break;
	case DUNE_FAULT_BUS:
		dune_signal_force(t, SIGBUS, BUS_ADRERR, addr);
		break;
	case DUNE_FAULT_OOM:
		dune_task_die(SIGKILL);	/* as by Linux's OOM killer */
	}
}

void dune_signal_trap(struct dune_task *task, enum dune_fault fault)
{
	struct dune_vcpu *vcpu = task->vcpu;
	uint64_t rip = vcpu->u.rip;
	int vector = vcpu->trap_vector, code;
	bool again = vector != V_DB && vector != V_BP && vector != V_OF;

	/*
	 * A signal that came just before a faulting instruction goes first:
	 * the instruction faults again when the handler has returned. A
	 * trap's instruction is over and cannot wait.
	 */
	if (task->slot_full && again) {
		dune_signal_deliver(task, false);
		return;
	}

	task->trap.number = vector;
	task->trap.error = 0;
	switch (vector) {
	case V_DE:
		dune_signal_force(task, SIGFPE, FPE_INTDIV, rip);
		break;
	case V_DB:
		code = vcpu->u.rflags & RFLAGS_TF ? TRAP_TRACE : TRAP_BRKPT;
		dune_signal_force(task, SIGTRAP, code, rip);
		break;
	case V_BP:
		dune_signal_force(task, SIGTRAP, SI_KERNEL, 0);
		break;
	case V_UD:
		dune_signal_force(task, SIGILL, ILL_ILLOPN, rip);
		break;
	case V_NM:		/* a feature that is switched off: XFD */
		dune_signal_force(task, SIGILL, ILL_ILLOPC, rip);
		break;
	case V_MF:
	case V_XM:
		code = fpe_code(vcpu, vector);
		if (code)
			dune_signal_force(task, SIGFPE, code, rip);
		break;
	case V_AC:
		dune_signal_force(task, SIGBUS, BUS_ADRALN, 0);
		break;
	case V_PF:
		task->trap.error = vcpu->trap_error;
		page_fault(task, fault);
		break;
	case V_NP:
	case V_SS:
		task->trap.error = vcpu->trap_error;
		dune_signal_force(task, SIGBUS, SI_KERNEL, 0);
		break;
	case V_GP:
		task->trap.error = vcpu->trap_error;
		/* fall through */
	default:
		dune_signal_force(task, SIGSEGV, SI_KERNEL, 0);
	}
}
