/*
 * Descriptors. The guest's are the host's, below fd_base; the monitor's own
 * lie above and do not exist for the guest.
 */
#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/fdtype.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"

void dune_fd_close(int fd)
{
	dune_own(SYS_close, fd);
	dune_fdtype_gone(fd, fd);
}

long dune_fd_hide(const struct dune_proc *proc, long fd)
{
	long high;

	if (fd < 0)
		return fd;
	high = dune_own(SYS_fcntl, fd, F_DUPFD_CLOEXEC, proc->fd_base);
	dune_fd_close(fd);
	return high;
}

long dune_fd_hold(const struct dune_proc *proc, int fd)
{
	return dune_own(SYS_fcntl, fd, F_DUPFD_CLOEXEC, proc->fd_base);
}

long dune_fd_result(const struct dune_proc *proc, long ret)
{
	if (ret < dune_fd_limit(proc))
		return ret;
	dune_fd_close(ret);
	return -EMFILE;
}

long dune_sys_close_range(struct dune_task *t, struct dune_call *c)
{
	uint32_t first = c->arg[0], last = c->arg[1];
	uint32_t end = t->proc->fd_base - 1;

	/*
	 * All threads of a process have one table of descriptors: its monitor's
	 * are there, and its proxy makes calls for all of them.
	 */
	if (c->arg[2] & CLOSE_RANGE_UNSHARE) {
		if (__atomic_load_n(&t->proc->threads, __ATOMIC_ACQUIRE) > 1)
			return -EINVAL;
		c->arg[2] &= ~(uint64_t)CLOSE_RANGE_UNSHARE;
	}
	if (first > last)
		return -EINVAL;
	/* Nothing of the guest's is there; the flags must still be good. */
	if (first > end)
		return c->arg[2] & ~6ul ? -EINVAL : 0;
	return dune_forward(c->nr, first, last < end ? last : end, c->arg[2],
			    0, 0, 0);
}

long dune_sys_dup_to(struct dune_task *t, struct dune_call *c)
{
	int fd = c->arg[1];

	if (fd < 0 || fd >= dune_fd_limit(t->proc))
		return -EBADF;
	return dune_forward_call(c);
}

/* How the third argument of fcntl(2) is meant. */
enum { NUMBER, MINIMUM, OTHER_FD, OWNER, OWNER_EX, FLAGS, STRUCT_IN,
       STRUCT_INOUT, STRUCT_OUT };

static const struct fcntl_cmd {
	int cmd;
	uint8_t how;
	uint8_t size;
} fcntl_cmds[] = {
	{ F_DUPFD,		MINIMUM,	0 },
	{ F_DUPFD_CLOEXEC,	MINIMUM,	0 },
	{ F_GETFD,		NUMBER,		0 },
	{ F_SETFD,		NUMBER,		0 },
	{ F_GETFL,		NUMBER,		0 },
	{ F_SETFL,		FLAGS,		0 },
	{ F_GETLK,		STRUCT_INOUT,	sizeof(struct flock) },
	{ F_SETLK,		STRUCT_IN,	sizeof(struct flock) },
	{ F_SETLKW,		STRUCT_IN,	sizeof(struct flock) },
	{ F_OFD_GETLK,		STRUCT_INOUT,	sizeof(struct flock) },
	{ F_OFD_SETLK,		STRUCT_IN,	sizeof(struct flock) },
	{ F_OFD_SETLKW,		STRUCT_IN,	sizeof(struct flock) },
	{ F_GETOWN,		NUMBER,		0 },
	{ F_SETOWN,		OWNER,		0 },
	{ F_GETOWN_EX,		STRUCT_OUT,	sizeof(struct f_owner_ex) },
	{ F_SETOWN_EX,		OWNER_EX,	sizeof(struct f_owner_ex) },
	{ F_GETSIG,		NUMBER,		0 },
	{ F_SETSIG,		NUMBER,		0 },
	{ F_GETLEASE,		NUMBER,		0 },
	{ F_SETLEASE,		NUMBER,		0 },
	{ F_NOTIFY,		NUMBER,		0 },
	{ F_GETPIPE_SZ,		NUMBER,		0 },
	{ F_SETPIPE_SZ,		NUMBER,		0 },
	{ F_ADD_SEALS,		NUMBER,		0 },
	{ F_GET_SEALS,		NUMBER,		0 },
	{ F_GET_RW_HINT,	STRUCT_OUT,	8 },
	{ F_SET_RW_HINT,	STRUCT_IN,	8 },
	{ F_GET_FILE_RW_HINT,	STRUCT_OUT,	8 },
	{ F_SET_FILE_RW_HINT,	STRUCT_IN,	8 },
	{ 17 /* F_GETOWNER_UIDS */, STRUCT_OUT,	8 },
	{ 1027 /* F_DUPFD_QUERY */, OTHER_FD, 0 },
};

#define SIGNALS_ANOTHER "signal to another process"

/*
 * SIGIO may go to oneself only, and to the own group where all of it is the
 * sandbox's: the kernel would ask neither the broker nor, for a group, always
 * Landlock (Linux 6.12 looks at one member and takes that for all).
 */
static long set_owner(struct dune_task *t, struct dune_call *c, long pid)
{
	if (pid == 0 || pid == dune_own(SYS_getpid) ||
	    (pid == -dune_own(SYS_getpgid, 0) && dune_sys_member(t, -pid)))
		return 0;
	return dune_violation(c, SIGNALS_ANOTHER, -EPERM);
}

long dune_fd_async(struct dune_task *t, struct dune_call *c)
{
	char termios[64];
	long fd, ret;

	fd = dune_fd_hold(t->proc, c->arg[0]);
	if (fd < 0)
		return fd;
	c->arg[0] = fd;
	ret = dune_own(SYS_ioctl, fd, TCGETS, termios) ?
		dune_forward_call(c) :
		dune_violation(c, SIGNALS_ANOTHER, -EPERM);
	dune_own(SYS_close, fd);
	return ret;
}

static long set_owner_ex(struct dune_task *t, struct dune_call *c)
{
	struct f_owner_ex o;

	if (dune_copy_in(&o, c->arg[2], sizeof(o)))
		return -EFAULT;
	/* A thread of ours, our process, our group. */
	if (o.type == F_OWNER_TID) {
		if (dune_own(SYS_tgkill, dune_own(SYS_getpid), o.pid, 0))
			return -ESRCH;
	} else {
		long pid = o.pid;
		long ret = set_owner(t, c,
				     o.type == F_OWNER_PGRP ? -pid : pid);

		if (ret)
			return ret;
	}
	return dune_forward(c->nr, c->arg[0], c->arg[1], (uintptr_t)&o, 0, 0,
			    0);
}

long dune_sys_fcntl(struct dune_task *t, struct dune_call *c)
{
	const struct fcntl_cmd *f = NULL;
	int v = c->arg[2];
	long ret = 0;

	for (size_t i = 0; i < DUNE_ARRAY_SIZE(fcntl_cmds) && !f; i++)
		if (fcntl_cmds[i].cmd == (int)c->arg[1])
			f = &fcntl_cmds[i];
	if (!f)
		return -EINVAL;
	switch (f->how) {
	case NUMBER:
		break;
	case MINIMUM:
		if (v < 0 || v >= dune_fd_limit(t->proc))
			return -EINVAL;
		return dune_fd_result(t->proc, dune_forward_call(c));
	case OTHER_FD:
		ret = v < t->proc->fd_base ? 0 : -EBADF;
		break;
	case OWNER:
		ret = set_owner(t, c, v);
		break;
	case OWNER_EX:
		return set_owner_ex(t, c);
	case FLAGS:
		if (v & O_ASYNC)
			return dune_fd_async(t, c);
		break;
	default:
		ret = dune_range_ok(c->arg[2], f->size) ? 0 : -EFAULT;
	}
	if (!ret)
		ret = dune_forward_call(c);
	return ret;
}

/*
 * pipe, pipe2, socketpair: into our own pair first, since numbers in guest
 * memory could change before we have looked at them.
 */
long dune_sys_fd_pair(struct dune_task *t, struct dune_call *c)
{
	int at = c->nr == SYS_socketpair ? 3 : 0;
	dune_gva_t out = c->arg[at];
	int limit = dune_fd_limit(t->proc);
	int fd[2];
	long ret;

	if (c->nr == SYS_socketpair && (int)c->arg[0] != AF_UNIX)
		return -EOPNOTSUPP;
	c->arg[at] = (uintptr_t)fd;
	ret = dune_forward_call(c);
	if (ret)
		return ret;
	if (fd[0] >= limit || fd[1] >= limit)
		ret = -EMFILE;
	else
		ret = dune_copy_out(out, fd, sizeof(fd));
	if (ret) {
		dune_fd_close(fd[0]);
		dune_fd_close(fd[1]);
	}
	return ret;
}
