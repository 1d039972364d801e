/*
 * Resource limits. Most are the host's own. Four would strike the monitor
 * instead of the guest, so they are kept in the process (and through execve):
 *
 *   RLIMIT_NOFILE  the monitor's descriptors lie above fd_base, which is the
 *                  hard limit the guest sees; enforced where descriptors are
 *                  made
 *   RLIMIT_AS      the arena alone is 80 TiB of address space; what is limited
 *                  instead is private writable memory, as by --mem
 *   RLIMIT_DATA    the monitor has private writable memory of its own
 *   RLIMIT_STACK   "unlimited" makes the host kernel put the next monitor's
 *                  mappings where the arena is; the next program's stack is
 *                  made that long
 */
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"

/* Which resource each of dune_limits.v is. */
static const int kept[DUNE_KEPT_LIMITS] = {
	[DUNE_LIMIT_NOFILE] = RLIMIT_NOFILE, [DUNE_LIMIT_AS] = RLIMIT_AS,
	[DUNE_LIMIT_DATA] = RLIMIT_DATA, [DUNE_LIMIT_STACK] = RLIMIT_STACK,
};

int dune_fd_limit(const struct dune_proc *proc)
{
	uint64_t soft = __atomic_load_n(&proc->limits.v[DUNE_LIMIT_NOFILE].cur,
					__ATOMIC_RELAXED);

	if (!__atomic_load_n(&proc->limits.v[DUNE_LIMIT_NOFILE].set,
			     __ATOMIC_ACQUIRE) ||
	    soft > (uint64_t)proc->fd_base)
		return proc->fd_base;
	return soft;
}

static uint64_t own_limit(const struct dune_limits *l, int i)
{
	return l->v[i].set ? l->v[i].cur : RLIM_INFINITY;
}

void dune_limits_apply(struct dune_mm *mm, const struct dune_limits *l)
{
	uint64_t as = own_limit(l, DUNE_LIMIT_AS);
	uint64_t data = own_limit(l, DUNE_LIMIT_DATA);

	__atomic_store_n(&mm->rlimit, as < data ? as : data, __ATOMIC_RELAXED);
	__atomic_store_n(&mm->rlimit_stack, own_limit(l, DUNE_LIMIT_STACK),
			 __ATOMIC_RELAXED);
}

static long keep(struct dune_task *t, int i, dune_gva_t set, dune_gva_t get)
{
	struct dune_proc *proc = t->proc;
	struct dune_limit *k = &proc->limits.v[i];
	struct rlimit old, new;
	long ret = 0;

	if (set && dune_copy_in(&new, set, sizeof(new)))
		return -EFAULT;
	pthread_mutex_lock(&proc->lock);
	if (k->set) {
		old = (struct rlimit){ k->cur, k->max };
	} else if (kept[i] == RLIMIT_NOFILE) {
		old.rlim_cur = old.rlim_max = proc->fd_base;
	} else {
		ret = dune_own(SYS_prlimit64, 0, kept[i], 0, &old);
	}
	if (!ret && set) {
		if (new.rlim_cur > new.rlim_max) {
			ret = -EINVAL;
		} else if (new.rlim_max > old.rlim_max) {
			ret = -EPERM;
		} else {
			__atomic_store_n(&k->cur, new.rlim_cur,
					 __ATOMIC_RELAXED);
			k->max = new.rlim_max;
			__atomic_store_n(&k->set, true, __ATOMIC_RELEASE);
			/* a vfork child's hold from its execve on */
			if (!proc->vfork_child)
				dune_limits_apply(t->mm, &proc->limits);
		}
	}
	pthread_mutex_unlock(&proc->lock);
	if (!ret && get)
		ret = dune_copy_out(get, &old, sizeof(old));
	return ret;
}

long dune_sys_rlimit(struct dune_task *t, struct dune_call *c)
{
	struct dune_call p = *c;

	/* All three as prlimit64(pid, resource, set, get). */
	if (c->nr != SYS_prlimit64) {
		bool set = c->nr == SYS_setrlimit;

		if (!c->arg[1])
			return -EFAULT;
		p.nr = SYS_prlimit64;
		p.arg[0] = 0;
		p.arg[1] = c->arg[0];
		p.arg[2] = set ? c->arg[1] : 0;
		p.arg[3] = set ? 0 : c->arg[1];
	}
	if ((int)p.arg[0] < 0)
		return -ESRCH;
	if ((int)p.arg[0] != 0 && (int)p.arg[0] != dune_own(SYS_getpid))
		return dune_violation(c, "limits of another process", -EPERM);
	for (int i = 0; i < DUNE_KEPT_LIMITS; i++)
		if (kept[i] == (int)p.arg[1])
			return keep(t, i, p.arg[2], p.arg[3]);
	return dune_forward_call(&p);
}
