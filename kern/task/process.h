/* What the files of task/ share among themselves. */
#ifndef DUNE_KERN_PROCESS_H
#define DUNE_KERN_PROCESS_H

#include "kern/task/task.h"

/* Arguments of clone and clone3 in one shape. */
struct dune_clone {
	uint64_t flags;		/* CLONE_*, without the exit signal */
	int exit_signal;
	dune_gva_t stack;	/* new rsp, 0: the caller's */
	dune_gva_t parent_tid, child_tid, tls, pidfd;
};

long dune_clone_thread(struct dune_task *t, const struct dune_clone *c);
long dune_clone_fork(struct dune_task *t, const struct dune_clone *c);
long dune_clone_vfork(struct dune_task *t, const struct dune_clone *c);

/* The child's registers after any kind of clone. */
void dune_clone_registers(struct dune_vcpu *child, const struct kvm_regs *u,
			  uint64_t fs_base, uint64_t gs_base,
			  const struct dune_clone *c);

/* A thread joins or leaves its process. leave returns how many are left. */
void dune_proc_join(struct dune_proc *p);
unsigned int dune_proc_leave(struct dune_proc *p);

/* /proc/PID/cmdline and environ are the program's from here on. */
void dune_show_arguments(const struct dune_mm *mm);

/* Frees what an execve left: one that failed, or a vfork child's. */
void dune_exec_done(struct dune_task *t);

/* Moves the vCPU's own counters to the process. */
void dune_task_count(struct dune_task *t);
void dune_proc_send_stats(struct dune_proc *p);

#endif
