/* The ends of threads and processes. */
#include "kern/task/task.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/broker/broker.h"
#include "kern/err.h"
#include "kern/gate/gate.h"
#include "kern/mm/uaccess.h"
#include "kern/report/report.h"
#include "kern/sys/stats.h"
#include "kern/sys/sys.h"
#include "kern/task/hostcall.h"
#include "kern/task/process.h"
#include "kern/task/signal.h"

/* As the kernel's limit on robust lists that were made circular on purpose. */
#define ROBUST_LIMIT 2048
#define ROBUST_HEAD 24		/* bytes of struct robust_list_head */

#define STATUS_OURS 125

void dune_task_count(struct dune_task *t)
{
	struct dune_stats *s = t->proc->stats;

	__atomic_fetch_add(&s->exits, t->vcpu->exits, __ATOMIC_RELAXED);
	t->vcpu->exits = 0;
	dune_gate_count(t);
}

void dune_proc_send_stats(struct dune_proc *p)
{
	struct dune_task *t = dune_current;

	if (!p->policy->stat || p->broker < 0)
		return;
	if (t && t->vcpu)
		dune_task_count(t);
	if (t)
		p->stats->faults += __atomic_exchange_n(&t->mm->faults, 0,
							__ATOMIC_RELAXED);
	dune_broker_stats(p->broker, p->stats, sizeof(*p->stats));
	memset(p->stats, 0, sizeof(*p->stats));
}

/*
 * One futex of a dead thread's robust list. Not a compare-and-swap: a waiter
 * who sets its bit meanwhile is woken all the same.
 */
static void robust_death(struct dune_task *t, dune_gva_t word)
{
	uint32_t v;

	if ((word & 3) || dune_copy_in(&v, word, sizeof(v)) < 0 ||
	    (v & FUTEX_TID_MASK) != (uint32_t)t->tid)
		return;
	v = (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	if (dune_copy_out(word, &v, sizeof(v)) == 0)
		syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/*
 * The end of one thread in a process that lives on. The kernel must not walk
 * the guest's list here: it would follow it into the monitor's memory. When the
 * whole process dies there is nothing left to protect, and the kernel's own
 * walk, which even SIGKILL does not skip, does the right thing.
 */
static void robust_walk(struct dune_task *t)
{
	struct { uint64_t next; int64_t offset; uint64_t pending; } head;
	uint64_t entry, next;
	unsigned int n;

	syscall(SYS_set_robust_list, NULL, ROBUST_HEAD);
	if (!t->robust_list ||
	    dune_copy_in(&head, t->robust_list, sizeof(head)) < 0)
		return;
	entry = head.next;
	for (n = 0; n < ROBUST_LIMIT && entry != t->robust_list; n++) {
		if (dune_copy_in(&next, entry & ~1ul, sizeof(next)) < 0)
			break;
		if (entry != head.pending)
			robust_death(t, (entry & ~1ul) + head.offset);
		entry = next;
	}
	if (head.pending)
		robust_death(t, (head.pending & ~1ul) + head.offset);
}

void dune_task_exit_group(int status)
{
	dune_proc_send_stats(dune_current->proc);
	for (;;)
		syscall(SYS_exit_group, status);
}

/* Signals that a program's own fault brings. */
#define FAULT_SIGNALS (DUNE_SIGBIT(SIGSEGV) | DUNE_SIGBIT(SIGBUS) | \
		       DUNE_SIGBIT(SIGILL) | DUNE_SIGBIT(SIGFPE) | \
		       DUNE_SIGBIT(SIGTRAP) | DUNE_SIGBIT(SIGABRT))

void dune_task_die(int sig)
{
	/* the kernel's struct sigaction, all zero: SIG_DFL */
	struct dune_sigaction dfl = { .handler = 0 };
	uint64_t set = DUNE_SIGBIT(sig);

	if (dune_current->proc->policy->report && (set & FAULT_SIGNALS))
		dune_report_fault(dune_current, strsignal(sig));
	dune_proc_send_stats(dune_current->proc);
	syscall(SYS_rt_sigaction, sig, &dfl, NULL, sizeof(set));
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof(set));
	for (;;)
		syscall(SYS_exit_group, 128 + sig);
}

void dune_task_abort(const char *what)
{
	char line[DUNE_ERR_MAX + 64];
	int n = snprintf(line, sizeof(line), "dune-run: internal error: %s\n",
			 what);

	if (n > 0 && write(STDERR_FILENO, line,
			   n < (int)sizeof(line) ? n : (int)sizeof(line)) < 0)
		n = 0;
	for (;;)
		syscall(SYS_exit_group, STATUS_OURS);
}

/* Who joins this thread may go on. */
static void clear_tid(struct dune_task *t)
{
	const uint32_t zero = 0;

	if (t->clear_child_tid &&
	    dune_copy_out(t->clear_child_tid, &zero, sizeof(zero)) == 0)
		syscall(SYS_futex, t->clear_child_tid, FUTEX_WAKE, 1, NULL,
			NULL, 0);
}

void dune_proc_join(struct dune_proc *p)
{
	pthread_mutex_lock(&p->lock);
	p->threads++;
	pthread_mutex_unlock(&p->lock);
}

unsigned int dune_proc_leave(struct dune_proc *p)
{
	unsigned int left;

	pthread_mutex_lock(&p->lock);
	left = --p->threads;
	pthread_mutex_unlock(&p->lock);
	return left;
}

long dune_sys_exit(struct dune_task *t, struct dune_call *c)
{
	struct dune_proc *p = t->proc;
	int status = (int)c->arg[0];
	bool leader = t->tid == getpid();

	/* a signal that is here already is still this thread's */
	if (dune_signal_hold(t) < 0)
		return -DUNE_ERESTART;
	if (leader)
		p->leader_status = status;
	robust_walk(t);
	dune_task_count(t);
	if (dune_proc_leave(p) == 0)
		/* what wait(2) sees is the first thread's status */
		dune_task_exit_group(p->leader_status);
	t->exiting = true;
	dune_gate_detach(t);
	clear_tid(t);
	dune_vcpu_put(t->vcpu);
	if (leader)
		for (;;)
			syscall(SYS_exit, status);
	return 0;
}

long dune_sys_exit_group(struct dune_task *t, struct dune_call *c)
{
	(void)t;
	dune_task_exit_group((int)c->arg[0]);
}

long dune_sys_set_tid_address(struct dune_task *t, struct dune_call *c)
{
	t->clear_child_tid = c->arg[0];
	return t->tid;
}

long dune_sys_set_robust_list(struct dune_task *t, struct dune_call *c)
{
	if (c->arg[1] != ROBUST_HEAD)
		return -EINVAL;
	t->robust_list = c->arg[0];
	/* a vfork child's death must not touch its parent's memory */
	if (!t->proc->vfork_child)
		syscall(SYS_set_robust_list, t->robust_list, ROBUST_HEAD);
	return 0;
}

long dune_sys_get_robust_list(struct dune_task *t, struct dune_call *c)
{
	const uint64_t len = ROBUST_HEAD;

	if (c->arg[0] != 0 && (pid_t)c->arg[0] != t->tid)
		return -EPERM;
	if (dune_copy_out(c->arg[1], &t->robust_list, 8) < 0 ||
	    dune_copy_out(c->arg[2], &len, sizeof(len)) < 0)
		return -EFAULT;
	return 0;
}
