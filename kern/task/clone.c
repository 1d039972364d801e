/* clone and clone3: arguments, and threads. fork and vfork are in fork.c. */
#include "kern/task/process.h"

#include <errno.h>
#include <limits.h>
#include <linux/sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/sys/stats.h"
#include "kern/sys/sys.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

/* Host stack of a guest thread: the monitor's own code runs on it. */
#define HOST_STACK	(256 * 1024)

#define NAMESPACES	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | \
			 CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
			 CLONE_NEWNET | 0x80 /* CLONE_NEWTIME */)
/* What a thread must share, as the C libraries ask for it. */
#define THREAD_SHARES	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND)

void dune_clone_registers(struct dune_vcpu *child, const struct kvm_regs *u,
			  uint64_t fs_base, uint64_t gs_base,
			  const struct dune_clone *c)
{
	child->u = *u;
	child->u.rax = 0;
	if (c->stack)
		child->u.rsp = c->stack;
	child->fs_base = c->flags & CLONE_SETTLS ? c->tls : fs_base;
	child->gs_base = gs_base;
	child->edited = true;
}

/* What the new host thread needs from its maker. */
struct birth {
	struct dune_task *task;
	const struct dune_clone *clone;
	long tid;
	sem_t born;
};

static void *thread_main(void *arg)
{
	struct birth *b = arg;
	struct dune_task *t = b->task;
	uint32_t tid;

	t->tid = tid = b->tid = syscall(SYS_gettid);
	dune_current = t;
	if (b->clone->flags & CLONE_CHILD_SETTID)
		dune_copy_out(b->clone->child_tid, &tid, sizeof(tid));
	if (b->clone->flags & CLONE_PARENT_SETTID)
		dune_copy_out(b->clone->parent_tid, &tid, sizeof(tid));
	sem_post(&b->born);	/* b is gone from here on */
	dune_signal_child(t);
	dune_task_loop(t);
	dune_current = NULL;
	free(t);
	return NULL;
}

static int start_host_thread(struct birth *b)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, HOST_STACK);
	err = pthread_create(&thread, &attr, thread_main, b);
	pthread_attr_destroy(&attr);
	return err;
}

static int copy_xsave(struct dune_vcpu *to, struct dune_vcpu *from)
{
	void *area = aligned_alloc(64, 8192);
	int r = area ? dune_vcpu_get_xsave(from, area) : -ENOMEM;

	if (!r)
		r = dune_vcpu_set_xsave(to, area);
	free(area);
	return r;
}

long dune_clone_thread(struct dune_task *t, const struct dune_clone *c)
{
	struct dune_task *child = calloc(1, sizeof(*child));
	struct birth b = { .task = child, .clone = c };
	long tid;

	if (!child)
		return -ENOMEM;
	if (t->proc->policy->threads &&
	    t->proc->threads >= t->proc->policy->threads) {
		free(child);
		return -EAGAIN;
	}
	/* the new thread starts with all signals blocked */
	if (dune_signal_hold(t) < 0) {
		free(child);
		return -DUNE_ERESTART;
	}
	*child = (struct dune_task) {
		.mm = t->mm, .proc = t->proc, .sigmask = t->sigmask,
		.orig_rax = -1, .altstack.flags = SS_DISABLE,
	};
	if (c->flags & CLONE_CHILD_CLEARTID)
		child->clear_child_tid = c->child_tid;
	if (dune_vcpu_get(t->mm->vm, &child->vcpu) < 0)
		goto fail;
	dune_clone_registers(child->vcpu, &t->vcpu->u, t->vcpu->fs_base,
			     t->vcpu->gs_base, c);
	if (copy_xsave(child->vcpu, t->vcpu) < 0)
		goto fail;
	sem_init(&b.born, 0, 0);
	dune_proc_join(t->proc);
	if (start_host_thread(&b) != 0) {
		dune_proc_leave(t->proc);
		goto fail;
	}
	while (sem_wait(&b.born) < 0)
		;
	tid = b.tid;	/* not child->tid: it may be gone already */
	dune_signal_release(t);
	__atomic_fetch_add(&t->proc->stats->threads, 1, __ATOMIC_RELAXED);
	return tid;
fail:
	if (child->vcpu)
		dune_vcpu_put(child->vcpu);
	free(child);
	dune_signal_release(t);
	return -EAGAIN;
}

static long do_clone(struct dune_task *t, const struct dune_clone *c)
{
	uint64_t flags = c->flags & ~(uint64_t)CLONE_DETACHED;

	if (flags & NAMESPACES)
		return -EPERM;
	if (flags & CLONE_THREAD) {
		if ((flags & THREAD_SHARES) != THREAD_SHARES ||
		    (flags & CLONE_VFORK))
			return -EINVAL;
		/* a vfork child shares its vCPU's VM with its parent */
		if (t->proc->vfork_child)
			return -EAGAIN;
		return dune_clone_thread(t, c);
	}
	if (flags & (CLONE_SIGHAND | CLONE_PARENT | CLONE_FS | CLONE_FILES |
		     CLONE_PTRACE | CLONE_IO))
		return -EINVAL;
	/* a fault of the monitor's own would look like these two */
	if (c->exit_signal > DUNE_NSIG || c->exit_signal == SIGSEGV ||
	    c->exit_signal == SIGBUS)
		return -EINVAL;
	if ((flags & CLONE_VM) && (flags & CLONE_VFORK))
		return dune_clone_vfork(t, c);
	if (flags & CLONE_VM)
		return -EINVAL;
	return dune_clone_fork(t, c);
}

long dune_sys_clone(struct dune_task *t, struct dune_call *call)
{
	struct dune_clone c = {
		.flags = call->arg[0] & ~(uint64_t)CSIGNAL,
		.exit_signal = call->arg[0] & CSIGNAL,
		.stack = call->arg[1],
		.parent_tid = call->arg[2],
		.child_tid = call->arg[3],
		.tls = call->arg[4],
	};

	/* clone(2): the pidfd goes where the parent's tid would */
	if (c.flags & CLONE_PIDFD) {
		if (c.flags & (CLONE_PARENT_SETTID | CLONE_THREAD))
			return -EINVAL;
		c.pidfd = call->arg[2];
	}
	return do_clone(t, &c);
}

long dune_sys_clone3(struct dune_task *t, struct dune_call *call)
{
	struct clone_args a;
	uint64_t size = call->arg[1];
	unsigned char rest[64];

	memset(&a, 0, sizeof(a));
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > sizeof(a) + sizeof(rest))
		return -E2BIG;
	if (dune_copy_in(&a, call->arg[0], size < sizeof(a) ? size :
			 sizeof(a)) < 0)
		return -EFAULT;
	if (size > sizeof(a)) {
		uint64_t i, n = size - sizeof(a);

		if (dune_copy_in(rest, call->arg[0] + sizeof(a), n) < 0)
			return -EFAULT;
		for (i = 0; i < n; i++)
			if (rest[i])
				return -E2BIG;
	}
	/* choosing tids and cgroups takes privileges nobody has here */
	if (a.set_tid_size || (a.flags & CLONE_INTO_CGROUP))
		return -EPERM;
	if ((a.flags & CSIGNAL) || a.exit_signal > DUNE_NSIG ||
	    (a.stack == 0) != (a.stack_size == 0))
		return -EINVAL;
	return do_clone(t, &(struct dune_clone) {
		.flags = a.flags,
		.exit_signal = (a.flags & CLONE_THREAD) ? 0 : a.exit_signal,
		.stack = a.stack + a.stack_size,
		.parent_tid = a.parent_tid,
		.child_tid = a.child_tid,
		.tls = a.tls,
		.pidfd = a.pidfd,
	});
}

long dune_sys_fork(struct dune_task *t, struct dune_call *call)
{
	const struct dune_clone c = { .exit_signal = SIGCHLD };

	(void)call;
	return dune_clone_fork(t, &c);
}

long dune_sys_vfork(struct dune_task *t, struct dune_call *call)
{
	const struct dune_clone c = {
		.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD,
	};

	(void)call;
	return dune_clone_vfork(t, &c);
}
