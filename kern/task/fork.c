/* fork, vfork, and the system call that moves fs and gs. */
#include "kern/task/process.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kern/broker/broker.h"
#include "kern/err.h"
#include "kern/gate/gate.h"
#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/sys/stats.h"
#include "kern/sys/sys.h"
#include "kern/task/hostcall.h"
#include "kern/task/lifeline.h"
#include "kern/task/signal.h"

#define XSAVE_MAX	8192
#define VFORK_STACK	(256 * 1024)

/* Everything of a vCPU that a child inherits. */
struct cpu_state {
	struct kvm_regs u;
	uint64_t fs_base, gs_base;
	unsigned char xsave[XSAVE_MAX] __attribute__((aligned(64)));
};

static int save_cpu(struct dune_vcpu *c, struct cpu_state *s)
{
	s->u = c->u;
	s->fs_base = c->fs_base;
	s->gs_base = c->gs_base;
	return dune_vcpu_get_xsave(c, s->xsave);
}

static void tell_tid(dune_gva_t where, pid_t tid)
{
	uint32_t v = tid;

	dune_copy_out(where, &v, sizeof(v));
}

/* In the parent, after the child exists. */
static long parent_done(struct dune_task *t, const struct dune_clone *c,
			pid_t pid)
{
	if (c->flags & CLONE_PARENT_SETTID)
		tell_tid(c->parent_tid, pid);
	if (c->flags & CLONE_PIDFD) {
		int fd = dune_fd_result(t->proc,
					syscall(SYS_pidfd_open, pid, 0));

		if (fd >= 0)
			dune_copy_out(c->pidfd, &fd, sizeof(fd));
	}
	__atomic_fetch_add(&t->proc->stats->processes, 1, __ATOMIC_RELAXED);
	return pid;
}

/* The task in its new process: alone, with an empty signal slot. */
static void child_task(struct dune_task *t, const struct dune_clone *c)
{
	t->tid = syscall(SYS_gettid);
	t->robust_list = 0;
	t->clear_child_tid = c->flags & CLONE_CHILD_CLEARTID ?
			     c->child_tid : 0;
	pthread_mutex_init(&t->proc->lock, NULL);
	t->proc->threads = 1;
	memset(t->proc->stats, 0, sizeof(*t->proc->stats));
	t->mm->faults = 0;
}

/* In the forked child: a VM of its own, the parent's vCPU state in it. */
static int child_vm(struct dune_task *t, const struct cpu_state *s,
		    const struct dune_clone *c)
{
	struct dune_vm *vm = t->mm->vm;
	int r;

	pthread_mutex_init(&t->mm->lock, NULL);
	t->vcpu = NULL;
	dune_mm_drop_vvar(t->mm);
	r = dune_vm_rebuild(vm);
	if (!r)
		r = dune_mm_forked(t->mm);
	if (!r)
		r = dune_vcpu_get(vm, &t->vcpu);
	if (!r)
		r = dune_vcpu_set_xsave(t->vcpu, s->xsave);
	if (r)
		return r;
	dune_clone_registers(t->vcpu, &s->u, s->fs_base, s->gs_base, c);
	return 0;
}

/*
 * A sandbox of a plugin host: a child of the host's like the first process, of
 * which no wait(2) tells that does not ask for it, and which ends with it.
 */
static pid_t fork_sibling(void)
{
	pid_t host = getppid();
	pid_t pid = syscall(SYS_clone, CLONE_PARENT, 0, NULL, NULL, 0);

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != host)
			_exit(0);
	}
	return pid;
}

/*
 * The C library's fork() leaves its locks free in the child, but knows no exit
 * signal other than SIGCHLD. The raw call is as good while there is one
 * thread to hold such a lock.
 */
static pid_t fork_with(struct dune_proc *p, int exit_signal)
{
	bool siblings = p->policy->siblings;

	if (exit_signal == SIGCHLD && !siblings)
		return fork();
	if (p->threads == 1)
		return siblings ? fork_sibling() :
			syscall(SYS_clone, exit_signal, 0, NULL, NULL, 0);
	errno = EINVAL;
	return -1;
}

long dune_clone_fork(struct dune_task *t, const struct dune_clone *c)
{
	struct cpu_state s;
	pid_t pid, self = getpid();
	int err;

	if (save_cpu(t->vcpu, &s) < 0)
		return -ENOMEM;
	/* first: a call that is restarted must not be counted twice */
	if (dune_signal_hold(t) < 0)
		return -DUNE_ERESTART;
	if (t->proc->policy->procs && dune_broker_fork(t->proc->broker) < 0) {
		dune_signal_release(t);
		return -EAGAIN;
	}
	/* so that the child finds them free and what they guard whole */
	pthread_mutex_lock(&t->mm->lock);
	pthread_mutex_lock(&t->mm->vm->lock);
	pthread_mutex_lock(&t->proc->lock);
	pid = fork_with(t->proc, c->exit_signal);
	err = errno;
	if (pid == 0) {
		if (dune_lifeline_hold(t->proc->lifeline,
				       &t->proc->lifeline_held) < 0 ||
		    child_vm(t, &s, c) < 0)
			dune_task_abort(dune_errmsg());
		t->proc->vfork_child = false;
		child_task(t, c);
		dune_gate_forked(t);
		if (c->flags & CLONE_CHILD_SETTID)
			tell_tid(c->child_tid, t->tid);
		if (t->proc->broker >= 0) {
			dune_broker_attach(t->proc->broker);
			dune_broker_born(t->proc->broker, self);
		}
		dune_signal_child(t);
		return 0;
	}
	pthread_mutex_unlock(&t->proc->lock);
	pthread_mutex_unlock(&t->mm->vm->lock);
	pthread_mutex_unlock(&t->mm->lock);
	dune_signal_release(t);
	return pid < 0 ? -err : parent_done(t, c, pid);
}

/* What a vfork child runs on: its own task and proc, its parent's mm. */
struct vfork {
	struct dune_task task;
	struct dune_proc proc;
	struct dune_stats stats;
	const struct dune_clone *clone;
	struct cpu_state cpu;
};

static int vfork_main(void *arg)
{
	struct vfork *v = arg;
	struct dune_task *t = &v->task;

	dune_current = t;
	child_task(t, v->clone);
	if (dune_lifeline_hold(t->proc->lifeline, &t->proc->lifeline_held) < 0)
		dune_task_abort(dune_errmsg());
	if (t->proc->broker >= 0)
		dune_broker_born(t->proc->broker, getppid());
	if (v->clone->flags & CLONE_CHILD_SETTID)
		tell_tid(v->clone->child_tid, t->tid);
	dune_clone_registers(t->vcpu, &v->cpu.u, v->cpu.fs_base,
			     v->cpu.gs_base, v->clone);
	dune_signal_child(t);
	dune_task_loop(t);
	return 0;
}

/*
 * The child shares the parent's mm, so KVM lets it use the parent's vCPU; the
 * parent's thread sleeps in clone until the child executes or ends.
 */
long dune_clone_vfork(struct dune_task *t, const struct dune_clone *c)
{
	struct vfork *v;
	char *stack;
	pid_t pid;
	int err;

	v = aligned_alloc(64, (sizeof(*v) + 63) & ~63ul);
	stack = mmap(NULL, VFORK_STACK, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (!v || stack == MAP_FAILED || save_cpu(t->vcpu, &v->cpu) < 0) {
		err = ENOMEM;
		pid = -1;
		goto out;
	}
	v->clone = c;
	v->task = *t;
	v->task.exec = NULL;
	v->proc = *t->proc;
	v->proc.vfork_child = true;
	v->proc.stats = &v->stats;
	v->task.proc = &v->proc;
	if (dune_signal_hold(t) < 0) {
		err = DUNE_ERESTART;
		pid = -1;
		goto out;
	}
	if (t->proc->policy->procs && dune_broker_fork(t->proc->broker) < 0) {
		dune_signal_release(t);
		err = EAGAIN;
		pid = -1;
		goto out;
	}
	dune_gate_detach(t);
	pid = clone(vfork_main, stack + VFORK_STACK,
		    CLONE_VM | CLONE_VFORK | c->exit_signal, v);
	err = errno;
	/* the child used this thread's vCPU and thread-local data */
	dune_current = t;
	dune_exec_done(&v->task);
	t->vcpu->u = v->cpu.u;
	t->vcpu->fs_base = v->cpu.fs_base;
	t->vcpu->gs_base = v->cpu.gs_base;
	t->vcpu->edited = true;
	t->vcpu->user_mode = true;
	if (dune_vcpu_set_xsave(t->vcpu, v->cpu.xsave) < 0)
		dune_task_abort(dune_errmsg());
	dune_gate_attach(t);
	dune_signal_release(t);
out:
	if (stack != MAP_FAILED)
		munmap(stack, VFORK_STACK);
	free(v);
	return pid < 0 ? -err : parent_done(t, c, pid);
}

#define ARCH_SET_GS	0x1001
#define ARCH_SET_FS	0x1002
#define ARCH_GET_FS	0x1003
#define ARCH_GET_GS	0x1004
#define TASK_SIZE	0x7ffffffff000ul

long dune_sys_arch_prctl(struct dune_task *t, struct dune_call *c)
{
	uint64_t addr = c->arg[1];

	switch (c->arg[0]) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (addr >= TASK_SIZE)
			return -EPERM;
		if (c->arg[0] == ARCH_SET_FS)
			t->vcpu->fs_base = addr;
		else
			t->vcpu->gs_base = addr;
		t->vcpu->edited = true;
		return 0;
	case ARCH_GET_FS:
		return dune_copy_out(addr, &t->vcpu->fs_base, 8);
	case ARCH_GET_GS:
		return dune_copy_out(addr, &t->vcpu->gs_base, 8);
	default:
		return -EINVAL;
	}
}
