/* The memory calls: arguments to the owner of the address space (mm/). */
#include <sys/mman.h>

#include "kern/sys/internal.h"
#include "kern/task/task.h"

long dune_sys_mmap(struct dune_task *t, struct dune_call *c)
{
	int flags = c->arg[3], fd = c->arg[4];

	if (flags & MAP_ANONYMOUS) {
		fd = -1;
		/*
		 * a plugin has no children; its sandbox's forks are strangers
		 */
		if (t->proc->policy->siblings &&
		    (flags & MAP_TYPE) == MAP_SHARED)
			flags = (flags & ~MAP_TYPE) | MAP_PRIVATE;
	} else if (fd >= t->proc->fd_base) {
		return -EBADF;
	}
	return dune_mm_mmap(t->mm, c->arg[0], c->arg[1], c->arg[2], flags, fd,
			    c->arg[5]);
}

long dune_sys_munmap(struct dune_task *t, struct dune_call *c)
{
	return dune_mm_munmap(t->mm, c->arg[0], c->arg[1]);
}

long dune_sys_mprotect(struct dune_task *t, struct dune_call *c)
{
	return dune_mm_mprotect(t->mm, c->arg[0], c->arg[1], c->arg[2]);
}

long dune_sys_pkey_mprotect(struct dune_task *t, struct dune_call *c)
{
	/* Without keys, only the default one can be asked for. */
	if ((int)c->arg[3] != -1)
		return -EINVAL;
	return dune_sys_mprotect(t, c);
}

long dune_sys_mremap(struct dune_task *t, struct dune_call *c)
{
	return dune_mm_mremap(t->mm, c->arg[0], c->arg[1], c->arg[2],
			      c->arg[3], c->arg[4]);
}

long dune_sys_madvise(struct dune_task *t, struct dune_call *c)
{
	return dune_mm_madvise(t->mm, c->arg[0], c->arg[1], c->arg[2]);
}

long dune_sys_brk(struct dune_task *t, struct dune_call *c)
{
	return dune_mm_brk(t->mm, c->arg[0]);
}

long dune_sys_shmat(struct dune_task *t, struct dune_call *c)
{
	return dune_mm_shmat(t->mm, c->arg[0], c->arg[1], c->arg[2]);
}

long dune_sys_shmdt(struct dune_task *t, struct dune_call *c)
{
	return dune_mm_shmdt(t->mm, c->arg[0]);
}

/* A memfd grows by writing to it, past what --mem can count. */
long dune_sys_memfd(struct dune_task *t, struct dune_call *c)
{
	if (t->proc->policy->mem)
		return dune_violation(c, "memory that --mem does not count",
				      -ENOSYS);
	return dune_forward_call(c);
}
