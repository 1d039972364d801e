/* Threads and processes made in Dune mode, and the end of a thread. */
#include "kern/self/clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/self/fds.h"
#include "kern/self/self.h"
#include "kern/sys/sys.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

long dune_self_spawn(uint64_t flags, uint64_t ptid, uint64_t ctid,
		     uint64_t tls, struct dune_sigframe *frame);
long dune_self_thread(uint64_t flags, void *stack, uint64_t ptid,
		      uint64_t ctid, uint64_t tls,
		      void (*main)(struct dune_sthread *),
		      struct dune_sthread *t);
void dune_self_exit(void *addr, size_t len, long status)
	__attribute__((noreturn));

/* Arguments of clone and its kin in one shape. */
struct birth {
	uint64_t flags;		/* with the exit signal */
	uint64_t stack;		/* new rsp, 0: the caller's */
	uint64_t ptid, ctid, tls;
};

static long parse_clone3(const struct dune_call *c, struct birth *b)
{
	struct clone_args a;
	uint64_t size = c->arg[1];

	memset(&a, 0, sizeof(a));
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > sizeof(a))
		return -E2BIG;
	if (dune_copy_in(&a, c->arg[0], size))
		return -EFAULT;
	/* what clone(2) cannot say; glibc then uses clone(2) */
	if (a.set_tid_size || (a.flags & (CLONE_INTO_CGROUP |
					  CLONE_CLEAR_SIGHAND)) ||
	    (a.exit_signal & ~(uint64_t)CSIGNAL))
		return -ENOSYS;
	*b = (struct birth) {
		.flags = a.flags | a.exit_signal,
		.stack = a.stack ? a.stack + a.stack_size : 0,
		.ptid = a.flags & CLONE_PIDFD ? a.pidfd : a.parent_tid,
		.ctid = a.child_tid, .tls = a.tls,
	};
	if ((a.flags & CLONE_PIDFD) && (a.flags & CLONE_PARENT_SETTID))
		return -ENOSYS;
	return 0;
}

static long parse(const struct dune_call *c, struct birth *b)
{
	switch (c->nr) {
	case SYS_clone3:
		return parse_clone3(c, b);
	case SYS_fork:
		*b = (struct birth) { .flags = SIGCHLD };
		return 0;
	case SYS_vfork:
		*b = (struct birth) {
			.flags = SIGCHLD | CLONE_VM | CLONE_VFORK,
		};
		return 0;
	}
	*b = (struct birth) {
		.flags = c->arg[0], .stack = c->arg[1], .ptid = c->arg[2],
		.ctid = c->arg[3], .tls = c->arg[4],
	};
	return 0;
}

/* ---- a thread ---- */

static void thread_main(struct dune_sthread *t)
{
	dune_current = &t->task;
	t->task.tid = dune_host_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
	t->pc->tid = t->task.tid;
	dune_signal_child(&t->task);
	dune_self_loop(t);
}

static int copy_xsave(struct dune_vcpu *to, struct dune_vcpu *from)
{
	uint8_t area[8192] __attribute__((aligned(64)));
	int r = dune_vcpu_get_xsave(from, area);

	return r ? r : dune_vcpu_set_xsave(to, area);
}

static long clone_thread(struct dune_sthread *parent, const struct birth *b)
{
	struct dune_vcpu *from = parent->task.vcpu, *c;
	struct dune_sthread *t;
	long tid;

	if (!(b->flags & CLONE_SETTLS))
		return -EINVAL;
	if (dune_sthread_new(&t))
		return -EAGAIN;
	c = t->task.vcpu;
	c->u = from->u;
	c->u.rax = 0;
	if (b->stack)
		c->u.rsp = b->stack;
	c->fs_base = b->tls;
	c->gs_base = from->gs_base;
	c->edited = true;
	t->pc->kern_fs = t->pc->user_fs = b->tls;
	dune_copy_out(b->tls + dune_self.block_at, &t->pc, sizeof(t->pc));
	t->task.sigmask = parent->task.sigmask;
	t->task.altstack = (struct dune_sigstack) { .flags = SS_DISABLE };
	if (copy_xsave(c, from)) {
		dune_sthread_free(t);
		return -EAGAIN;
	}
	/* the new thread starts with all signals blocked */
	if (dune_signal_hold(&parent->task) < 0) {
		dune_sthread_free(t);
		return -DUNE_ERESTART;
	}
	t->active = true;
	__atomic_fetch_add(&dune_self.active, 1, __ATOMIC_SEQ_CST);
	tid = dune_self_thread(b->flags, t, b->ptid, b->ctid, b->tls,
			       thread_main, t);
	if (tid < 0) {
		__atomic_fetch_sub(&dune_self.active, 1, __ATOMIC_SEQ_CST);
		dune_sthread_free(t);
	}
	dune_signal_release(&parent->task);
	return tid;
}

long dune_self_exit_thread(struct dune_task *task, struct dune_call *call)
{
	struct dune_sthread *t = dune_sthread_of(task);
	void *addr;
	size_t len;

	if (dune_signal_hold(task) < 0)
		return -DUNE_ERESTART;
	dune_current = NULL;
	t->pc->tid = 0;
	__atomic_fetch_sub(&dune_self.active, 1, __ATOMIC_SEQ_CST);
	dune_sthread_release(t);
	dune_sthread_memory(t, &addr, &len);
	dune_self_exit(addr, len, call->arg[0]);
}

/* ---- a process ---- */

static const uint32_t kept_msrs[] = {
	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000102,
};

struct cpu_state {
	struct kvm_regs u;
	uint64_t fs_base, gs_base;
	struct kvm_sregs sregs;
	uint8_t xsave[8192] __attribute__((aligned(64)));
	union {
		struct kvm_msrs head;
		char room[sizeof(struct kvm_msrs) +
			  DUNE_ARRAY_SIZE(kept_msrs) *
			  sizeof(struct kvm_msr_entry)];
	} msrs;
};

static int save(struct dune_vcpu *c, struct cpu_state *s)
{
	unsigned int i;

	s->u = c->u;
	s->fs_base = c->fs_base;
	s->gs_base = c->gs_base;
	s->sregs = c->run->s.regs.sregs;
	memset(&s->msrs, 0, sizeof(s->msrs));
	s->msrs.head.nmsrs = DUNE_ARRAY_SIZE(kept_msrs);
	for (i = 0; i < DUNE_ARRAY_SIZE(kept_msrs); i++)
		s->msrs.head.entries[i].index = kept_msrs[i];
	/* how many it knows, from the first on */
	i = ioctl(c->fd, KVM_GET_MSRS, &s->msrs);
	s->msrs.head.nmsrs = i <= DUNE_ARRAY_SIZE(kept_msrs) ? i : 0;
	return dune_vcpu_get_xsave(c, s->xsave);
}

static int load(struct dune_sthread *t, struct cpu_state *s)
{
	struct dune_vcpu *c = t->task.vcpu;

	c->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	c->run->s.regs.sregs = s->sregs;
	c->u = s->u;
	c->u.rax = 0;
	c->fs_base = s->fs_base;
	c->gs_base = s->gs_base;
	c->edited = true;
	if (ioctl(c->fd, KVM_SET_SREGS, &s->sregs) < 0)
		return dune_err(-EIO, "KVM_SET_SREGS: %s", strerror(errno));
	ioctl(c->fd, KVM_SET_MSRS, &s->msrs);
	return dune_vcpu_set_xsave(c, s->xsave);
}

/* In the child: the VM is the parent's, and there is one thread. */
static void rebuild(struct dune_sthread *t, struct cpu_state *s)
{
	struct dune_sthread *other, *next;

	pthread_mutex_init(&dune_self.lock, NULL);
	pthread_mutex_init(&dune_self.proc.lock, NULL);
	dune_smem_forked(&dune_self.mem);
	t->task.vcpu = NULL;
	for (other = dune_self.threads; other; other = next) {
		next = other->next;
		other->task.vcpu = NULL;
		if (other != t)
			dune_sthread_free(other);
	}
	dune_self.active = 1;
	dune_self.vm.fd_floor = dune_fds_floor();
	if (dune_vm_rebuild(&dune_self.vm) ||
	    dune_vcpu_get(&dune_self.vm, &t->task.vcpu) || load(t, s))
		dune_task_abort(dune_errmsg());
}

static long clone_fork(struct dune_sthread *t, const struct birth *b)
{
	struct cpu_state s;
	long pid;

	if (save(t->task.vcpu, &s))
		return -ENOMEM;
	if (dune_signal_hold(&t->task) < 0)
		return -DUNE_ERESTART;
	pid = dune_host_syscall(SYS_clone, b->flags & ~(uint64_t)CLONE_SETTLS,
				0, b->ptid, b->ctid, 0, 0);
	if (pid == -DUNE_ERESTART) {
		dune_signal_release(&t->task);
		return pid;
	}
	if (pid) {
		dune_signal_release(&t->task);
		return pid;
	}
	rebuild(t, &s);
	if (b->stack)
		t->task.vcpu->u.rsp = b->stack;
	if (b->flags & CLONE_SETTLS)
		t->task.vcpu->fs_base = b->tls;
	t->task.tid = dune_host_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
	t->pc->tid = t->task.tid;
	dune_signal_child(&t->task);
	return 0;
}

/* It shares our memory, so not our vCPU: natively, until it executes. */
static long clone_native(struct dune_sthread *t, const struct birth *b)
{
	struct dune_vcpu *c = t->task.vcpu;
	struct kvm_regs u = c->u;
	long pid;

	if (!(b->flags & CLONE_VFORK))
		return -EINVAL;
	if (dune_signal_hold(&t->task) < 0)
		return -DUNE_ERESTART;
	c->u.rax = 0;
	if (b->stack)
		c->u.rsp = b->stack;
	dune_self_native_frame(t);
	c->u = u;
	dune_current = NULL;	/* of the child, as long as it shares it */
	pid = dune_self_spawn(b->flags, b->ptid, b->ctid, b->tls, t->frame);
	dune_current = &t->task;
	dune_signal_release(&t->task);
	return pid;
}

long dune_self_clone(struct dune_task *task, struct dune_call *c)
{
	struct dune_sthread *t = dune_sthread_of(task);
	struct birth b;
	long r = parse(c, &b);

	if (r)
		return r;
	if (b.flags & CLONE_THREAD)
		return clone_thread(t, &b);
	if (b.flags & CLONE_VM)
		return clone_native(t, &b);
	return clone_fork(t, &b);
}
