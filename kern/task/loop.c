/* The loop: enter the guest, serve what made it leave, deliver signals. */
#include "kern/task/task.h"

#include <errno.h>
#include "kern/err.h"
#include "kern/gate/gate.h"
#include "kern/gate/sites.h"
#include "kern/report/report.h"
#include "kern/sys/stats.h"
#include "kern/sys/sys.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

__thread struct dune_task *dune_current;

#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_GP 13
#define VECTOR_PF 14

/* KVM_RUN may fail this often in a row before the page is looked into. */
#define EFAULT_RETRY	1
#define EFAULT_GIVE_UP	16

/* Serves one system call; true if it is to be restarted. */
static bool serve_call(struct dune_task *t)
{
	struct kvm_regs *u = &t->vcpu->u;
	struct dune_call call = {
		.nr = (int)u->rax,
		.arg = { u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9 },
	};
	long ret;

	t->orig_rax = call.nr;
	dune_gate_exit(t, &call);
	ret = dune_sys_dispatch(t, &call);
	/* (rt_sigreturn may bring back any rax; it sets orig_rax to -1) */
	if (ret == -DUNE_ERESTART && t->orig_rax != -1)
		return true;
	/* fork's child has another vCPU by now */
	t->vcpu->u.rax = ret;
	return false;
}

/* Serves a fault or trap; true: a call was made with it that is to restart. */
static bool serve_trap(struct dune_task *t)
{
	struct dune_vcpu *c = t->vcpu;
	enum dune_fault fault = DUNE_FAULT_OK;

	if (c->trap_vector == VECTOR_PF) {
		fault = dune_mm_fault(t->mm, c->trap_cr2, c->trap_error);
		if (fault == DUNE_FAULT_OK)
			return false;
	}
	if ((c->trap_vector == VECTOR_BP || c->trap_vector == VECTOR_GP) &&
	    dune_site_stray(t))
		return false;
	if (c->trap_vector == VECTOR_DB && dune_site_step(t)) {
		if (serve_call(t))
			return true;
		/* in a fork's child nothing has stepped */
		if (t->exiting || t->vcpu != c)
			return false;
	}
	dune_signal_trap(t, fault);
	return false;
}

/*
 * KVM could not reach a host page. Mostly another thread has just unmapped
 * it, and running on ends in a page fault; otherwise the file behind
 * it is too short, and the fault handler has to look before it maps.
 */
static void serve_efault(struct dune_task *t, unsigned int in_a_row)
{
	if (in_a_row > EFAULT_GIVE_UP)
		dune_task_abort("KVM cannot reach a page of guest memory");
	if (in_a_row > EFAULT_RETRY && dune_mm_careful(t->mm) < 0)
		dune_task_abort(dune_errmsg());
}

void dune_task_loop(struct dune_task *t)
{
	unsigned int efaults = 0;

	dune_current = t;
	dune_gate_attach(t);
	while (!t->exiting) {
		bool restart = false;
		enum dune_exit e = dune_vcpu_run(t->vcpu);

		efaults = e == DUNE_EXIT_EFAULT ? efaults + 1 : 0;
		t->orig_rax = -1;
		switch (e) {
		case DUNE_EXIT_SYSCALL:
			restart = serve_call(t);
			break;
		case DUNE_EXIT_TRAP:
			restart = serve_trap(t);
			break;
		case DUNE_EXIT_INTR:
			dune_vcpu_unkick(t->vcpu);
			break;
		case DUNE_EXIT_EFAULT:
			serve_efault(t, efaults);
			break;
		case DUNE_EXIT_DEAD:
			dune_report_fault(t, dune_errmsg());
			dune_task_abort(dune_errmsg());
		}
		while ((restart || t->slot_full) && t->vcpu->user_mode &&
		       !t->exiting) {
			/* before, so that a kick from now on is kept */
			dune_vcpu_unkick(t->vcpu);
			dune_site_leave(t);
			dune_signal_deliver(t, restart);
			restart = false;
		}
	}
}
