/*
 * Names: which are forwarded as the guest wrote them, and which are not.
 *
 * What is below /proc would show the monitor. A name that is lexically there
 * is copied in, and it is the copy that the kernel gets, if anyone. Where
 * another thread changes the name after that look, or a symlink leads there,
 * the kernel still lets nothing be read: no rule of Landlock covers files
 * of /proc. Metadata (stat, readlink) is outside Landlock and stays visible.
 */
#include "kern/sys/path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"

/* Links of /proc/PID that lead out of /proc. */
static bool leads_out(const char *out, size_t len)
{
	static const char *const links[] = { "cwd", "root", "exe" };
	const char *name = memrchr(out, '/', len), *dir;

	if (!name || strncmp(out, "/proc/", 6))
		return false;
	len -= name + 1 - out;
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(links); i++)
		if (len == strlen(links[i]) && !memcmp(name + 1, links[i], len))
			return true;
	dir = memrchr(out, '/', name - out);
	return dir && name - dir == 3 && !memcmp(dir, "/fd", 3);
}

/* Lexically normal, absolute: false when it cannot be told. */
static bool normal(char *out, size_t size, const char *path)
{
	size_t len = 0;

	if (*path != '/')
		return false;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 0) {
			path++;
			continue;
		}
		if (leads_out(out, len))
			return false;
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (len && out[--len] != '/')
				;
		} else if (!(n == 1 && path[0] == '.')) {
			if (len + n + 2 > size)
				return false;
			out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n;
	}
	out[len] = 0;
	return true;
}

/* A decimal number up to the next / or the end; -1 when it is not one. */
static int number(const char *s, const char **end)
{
	unsigned long v = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + *s - '0';
		if (v > INT_MAX)
			return -1;
	}
	if (*s == '/')
		s++;
	else if (*s)
		return -1;
	*end = s;
	return v;
}

/* Does path start with the component(s) dir? The rest of it, or NULL. */
static const char *below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strncmp(path, dir, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path[n] ? path + n + 1 : path + n;
}

void dune_procname_parse(struct dune_procname *n, const char *path, pid_t self,
			 pid_t thread)
{
	char flat[DUNE_PATH_MAX];
	const char *s, *t;
	int pid;

	memset(n, 0, offsetof(struct dune_procname, rest) + 1);
	if (!normal(flat, sizeof(flat), path))
		return;
	s = below(flat, "/dev/fd");
	if (s && *s) {
		n->who = DUNE_PROC_SELF;
		snprintf(n->rest, sizeof(n->rest), "fd/%s", s);
		return;
	}
	s = below(flat, "/proc");
	if (!s)
		return;
	t = below(s, "mounts");
	if (t || below(s, "net")) {
		/* links to self/mounts and self/net */
		n->who = DUNE_PROC_SELF;
	} else if ((t = below(s, "self"))) {
		n->who = DUNE_PROC_SELF;
		s = t;
	} else if ((t = below(s, "thread-self"))) {
		n->who = DUNE_PROC_SELF;
		n->tid = thread;
		s = t;
	} else if ((pid = number(s, &t)) >= 0) {
		n->who = pid == self ? DUNE_PROC_SELF : DUNE_PROC_OTHER;
		n->pid = pid;
		s = t;
	} else {
		n->who = DUNE_PROC_GLOBAL;
	}
	if (n->who != DUNE_PROC_GLOBAL && (t = below(s, "task")) &&
	    (pid = number(t, &t)) >= 0) {
		n->tid = pid;
		s = t;
	}
	memcpy(n->rest, s, strlen(s) + 1);
}

bool dune_procname_hidden(const struct dune_procname *n, int fd_base)
{
	const char *s = below(n->rest, "fd"), *end;

	if (!s)
		s = below(n->rest, "fdinfo");
	return n->who == DUNE_PROC_SELF && s && number(s, &end) >= fd_base;
}

int dune_fd_path(long fd, char *buf, size_t size)
{
	char link[32];
	long n;

	if (fd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/self/cwd");
	else
		snprintf(link, sizeof(link), "/proc/self/fd/%ld", fd);
	n = dune_own(SYS_readlink, link, buf, size);
	if (n < 0)
		return n;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = 0;
	return 0;
}

bool dune_path_in_proc(int dirfd, const char *path, char *out, size_t size)
{
	size_t n;

	if (*path == '/' || dune_fd_path(dirfd, out, size) ||
	    !below(out, "/proc"))
		return false;
	n = strlen(out);
	return (size_t)snprintf(out + n, size - n, "/%s", path) < size - n;
}

/* Where a call has its name and, for some, what says not to follow it. */
static const struct pathcall {
	short nr;
	uint8_t path;
	bool nofollow;
	uint8_t flags;		/* argument, 0: none */
} pathcalls[] = {
	{ SYS_stat,		0, false,	0 },
	{ SYS_lstat,		0, true,	0 },
	{ SYS_newfstatat,	1, false,	3 },
	{ SYS_statx,		1, false,	2 },
	{ SYS_access,		0, false,	0 },
	{ SYS_faccessat,	1, false,	0 },
	{ SYS_faccessat2,	1, false,	3 },
	{ SYS_statfs,		0, false,	0 },
	{ SYS_chdir,		0, false,	0 },
	{ SYS_getxattr,		0, false,	0 },
	{ SYS_lgetxattr,	0, true,	0 },
	{ SYS_listxattr,	0, false,	0 },
	{ SYS_llistxattr,	0, true,	0 },
	{ SYS_readlink,		0, true,	0 },
	{ SYS_readlinkat,	1, true,	0 },
};

static const struct pathcall *find(long nr)
{
	size_t i = 0;

	while (pathcalls[i].nr != nr)
		i++;
	return &pathcalls[i];
}

/*
 * Copies the name in and looks whether it is one of ours. 0 with who NONE:
 * forward what the guest has.
 */
static long look(struct dune_procname *n, char *path, dune_gva_t from)
{
	long ret;

	n->who = DUNE_PROC_NONE;
	if (!from)
		return 0;
	ret = dune_copy_string(path, from, DUNE_PATH_MAX);
	if (ret < 0)
		return ret;
	/* The common case, cheaply. */
	if (path[0] == '/' && (strstr(path, "proc") || strstr(path, "fd")))
		dune_procname_parse(n, path, dune_own(SYS_getpid),
				    dune_own(SYS_gettid));
	return 0;
}

long dune_sys_path(struct dune_task *t, struct dune_call *c)
{
	const struct pathcall *p = find(c->nr);
	char path[DUNE_PATH_MAX];
	struct dune_procname n;
	bool nofollow;
	long ret;

	ret = look(&n, path, c->arg[p->path]);
	if (ret)
		return ret;
	if (n.who == DUNE_PROC_NONE)
		return dune_forward_call(c);
	if (dune_procname_hidden(&n, t->proc->fd_base))
		return -ENOENT;
	nofollow = p->nofollow ||
		(p->flags && (c->arg[p->flags] & AT_SYMLINK_NOFOLLOW));
	c->arg[p->path] = (uintptr_t)path;
	if (n.who == DUNE_PROC_SELF && !strcmp(n.rest, "exe") && !nofollow)
		c->arg[p->path] = (uintptr_t)t->proc->exe;
	return dune_forward_call(c);
}

static long exe_link(struct dune_task *t, dune_gva_t out, int size)
{
	size_t n = strlen(t->proc->exe);

	if (size <= 0)
		return -EINVAL;
	if (n > (size_t)size)
		n = size;
	return dune_copy_out(out, t->proc->exe, n) ? -EFAULT : (long)n;
}

long dune_sys_readlink(struct dune_task *t, struct dune_call *c)
{
	const struct pathcall *p = find(c->nr);
	char path[DUNE_PATH_MAX], full[DUNE_PATH_MAX];
	struct dune_procname n;
	int dirfd = p->path ? (int)c->arg[0] : AT_FDCWD;
	const char *last;
	long ret;

	ret = look(&n, path, c->arg[p->path]);
	if (ret)
		return ret;
	/* "exe" with a directory of /proc in front is worth a longer look. */
	last = strrchr(path, '/');
	if (!strcmp(last ? last + 1 : path, "exe") &&
	    dune_path_in_proc(dirfd, path, full, sizeof(full)))
		dune_procname_parse(&n, full, dune_own(SYS_getpid),
				    dune_own(SYS_gettid));
	if (n.who == DUNE_PROC_NONE)
		return dune_forward_call(c);
	if (dune_procname_hidden(&n, t->proc->fd_base))
		return -ENOENT;
	if (!strcmp(n.rest, "exe"))
		return n.who == DUNE_PROC_SELF ?
			exe_link(t, c->arg[p->path + 1], c->arg[p->path + 2]) :
			-EACCES;
	c->arg[p->path] = (uintptr_t)path;
	return dune_forward_call(c);
}

/* open, creat, openat, openat2 */
long dune_sys_open(struct dune_task *t, struct dune_call *c)
{
	bool at = c->nr == SYS_openat || c->nr == SYS_openat2;
	dune_gva_t from = c->arg[at];
	int dirfd = at ? (int)c->arg[0] : AT_FDCWD;
	uint64_t how[2] = { c->arg[at + 1], c->arg[at + 2] };
	char path[DUNE_PATH_MAX], full[DUNE_PATH_MAX];
	struct dune_procname n;
	long ret;

	ret = look(&n, path, from);
	if (ret)
		return ret;
	if (n.who == DUNE_PROC_NONE) {
		ret = dune_forward_call(c);
		/*
		 * What Landlock refuses may be a file of /proc, named from
		 * a directory there.
		 */
		if (ret != -EACCES || !from ||
		    !dune_path_in_proc(dirfd, path, full, sizeof(full)))
			return ret;
		dune_procname_parse(&n, full, dune_own(SYS_getpid),
				    dune_own(SYS_gettid));
		if (n.who == DUNE_PROC_NONE)
			return ret;
		memcpy(path, full, sizeof(path));
	}
	if (c->nr == SYS_creat) {
		how[1] = how[0];
		how[0] = O_CREAT | O_WRONLY | O_TRUNC;
	} else if (c->nr == SYS_openat2 &&
		   dune_copy_in(how, c->arg[2], sizeof(how))) {
		return -EFAULT;
	}
	return dune_proc_open(t, c, &n, path, how[0], how[1]);
}
