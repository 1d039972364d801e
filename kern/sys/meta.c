/*
 * Calls that change metadata: owner, mode, times, extended attributes, and
 * size by name. Landlock covers none of them (size from its third ABI on), so
 * the policy's write rules are applied here.
 *
 * By name: the target is opened with O_PATH, following symlinks or not as the
 * call does; where that descriptor really leads decides; then the call is
 * made on /proc/self/fd/N, which is that very file whatever has happened to
 * the name since. The descriptor is out of the guest's reach.
 *
 * By descriptor: the same, on what it is open on. Not by a duplicate of it,
 * for closing that would drop the program's record locks on the file.
 *
 * Watches of inotify, which tell the names of files and who uses them, are
 * outside Landlock as well: the same again, with the read rules.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/sys/numbers.h"
#include "kern/sys/path.h"
#include "kern/task/task.h"

#define RULE "metadata outside --rw"

static const struct metacall {
	short nr;
	uint8_t path;		/* which argument is the name */
	uint8_t flags;		/* which holds AT_ flags, 0: none */
	bool nofollow;
	short follow_nr;	/* the same call on a name to be followed */
	bool by_fd;		/* not a name, but a descriptor */
} metacalls[] = {
	{ SYS_truncate,		0, 0, false,	SYS_truncate, false },
	{ SYS_chmod,		0, 0, false,	SYS_chmod, false },
	{ SYS_fchmodat,		1, 0, false,	SYS_fchmodat, false },
	{ __NR_fchmodat2,	1, 3, false,	SYS_fchmodat, false },
	{ SYS_chown,		0, 0, false,	SYS_chown, false },
	{ SYS_lchown,		0, 0, true,	SYS_chown, false },
	{ SYS_fchownat,		1, 4, false,	SYS_fchownat, false },
	{ SYS_utime,		0, 0, false,	SYS_utime, false },
	{ SYS_utimes,		0, 0, false,	SYS_utimes, false },
	{ SYS_futimesat,	1, 0, false,	SYS_futimesat, false },
	{ SYS_utimensat,	1, 3, false,	SYS_utimensat, false },
	{ SYS_setxattr,		0, 0, false,	SYS_setxattr, false },
	{ SYS_lsetxattr,	0, 0, true,	SYS_setxattr, false },
	{ SYS_removexattr,	0, 0, false,	SYS_removexattr, false },
	{ SYS_lremovexattr,	0, 0, true,	SYS_removexattr, false },
	{ SYS_fchmod,		0, 0, false,	SYS_chmod, true },
	{ SYS_fchown,		0, 0, false,	SYS_chown, true },
	{ SYS_fsetxattr,	0, 0, false,	SYS_setxattr, true },
	{ SYS_fremovexattr,	0, 0, false,	SYS_removexattr, true },
};

/* The lifeline's mode keeps it from being opened for writing. */
static bool is_lifeline(struct dune_task *t, const char *real)
{
	char own[sizeof("pipe:[]") + 20];

	return t->proc->lifeline &&
	       dune_fd_path(t->proc->lifeline, own, sizeof(own)) == 0 &&
	       strcmp(real, own) == 0;
}

/*
 * Is the mode, owner ... of what fd is open on the program's to change? Being
 * open for writing is not enough: so is /dev/null, and so are the caller's
 * files on descriptors 0, 1 and 2. What has no name (pipes, memfds) is.
 * write false: may it be read?
 */
static bool allowed(struct dune_task *t, long fd, bool write)
{
	char real[DUNE_PATH_MAX];

	if (dune_fd_path(fd, real, sizeof(real)))
		return false;
	if (real[0] != '/')
		return !is_lifeline(t, real);
	return strncmp(real, "/memfd:", 7) == 0 ||
	       dune_policy_path_allowed(t->proc->policy, real, write);
}

/* What the guest's descriptor is open on. */
static long of_fd(struct dune_task *t, int fd)
{
	char link[40];
	long ret;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ret = dune_own(SYS_openat, AT_FDCWD, link, O_PATH | O_CLOEXEC);
	return ret == -ENOENT ? -EBADF : dune_fd_hide(t->proc, ret);
}

/* Opens the target; out of the guest's reach. */
static long target(struct dune_task *t, const struct dune_call *c,
		   const struct metacall *m)
{
	uint64_t flags = m->flags ? c->arg[m->flags] : 0;
	int dirfd = m->path ? (int)c->arg[0] : AT_FDCWD;
	bool nofollow = m->nofollow || (flags & AT_SYMLINK_NOFOLLOW);
	char path[DUNE_PATH_MAX];
	long n;

	if (m->by_fd)
		return of_fd(t, c->arg[0]);
	if (flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!c->arg[m->path]) {
		/* utimensat and futimesat: the descriptor itself */
		if (c->nr != SYS_utimensat && c->nr != SYS_futimesat)
			return -EFAULT;
		return of_fd(t, dirfd);
	}
	n = dune_copy_string(path, c->arg[m->path], sizeof(path));
	if (n < 0)
		return n;
	if (!n && (flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD)
		return of_fd(t, dirfd);
	if (!n && (flags & AT_EMPTY_PATH))
		strcpy(path, ".");
	return dune_fd_hide(t->proc,
			    dune_own(SYS_openat, dirfd, path, O_PATH |
				     O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0)));
}

long dune_sys_meta(struct dune_task *t, struct dune_call *c)
{
	const struct metacall *m = metacalls;
	char link[40];
	long fd, ret;

	while (m->nr != c->nr)
		m++;
	fd = target(t, c, m);
	if (fd < 0)
		return fd;
	if (allowed(t, fd, true)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%ld", fd);
		c->nr = m->follow_nr;
		c->arg[m->path] = (uintptr_t)link;
		if (m->flags)
			c->arg[m->flags] = 0;
		ret = dune_forward_call(c);
	} else {
		ret = dune_violation(c, RULE, -EACCES);
	}
	dune_own(SYS_close, fd);
	return ret;
}

/* inotify_add_watch */
long dune_sys_watch(struct dune_task *t, struct dune_call *c)
{
	bool nofollow = c->arg[2] & IN_DONT_FOLLOW;
	char path[DUNE_PATH_MAX], link[40];
	long fd, ret;

	ret = dune_copy_string(path, c->arg[1], sizeof(path));
	if (ret < 0)
		return ret;
	fd = dune_fd_hide(t->proc,
			  dune_own(SYS_openat, AT_FDCWD, path, O_PATH |
				   O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0)));
	if (fd < 0)
		return fd;
	if (allowed(t, fd, false)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%ld", fd);
		c->arg[1] = (uintptr_t)link;
		c->arg[2] &= ~(uint64_t)IN_DONT_FOLLOW;
		ret = dune_forward_call(c);
	} else {
		ret = dune_violation(c, "watch outside --ro and --rw", -EACCES);
	}
	dune_own(SYS_close, fd);
	return ret;
}
