/*
 * Wall: Landlock, the kernel's own check of every path, TCP port, abstract
 * socket and signal (Documentation/userspace-api/landlock.rst).
 */
#include "kern/policy/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "kern/err.h"

/*
 * The rights of later ABIs, which Debian 12's headers (ABI 2) do not know;
 * macros there, not enumerators, so that newer headers win.
 */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE		(1ULL << 14)	/* ABI 3 */
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV		(1ULL << 15)	/* ABI 5 */
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP		(1ULL << 0)	/* ABI 4 */
#define LANDLOCK_ACCESS_NET_CONNECT_TCP		(1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET	(1ULL << 0)	/* ABI 6 */
#define LANDLOCK_SCOPE_SIGNAL			(1ULL << 1)
#endif

/* struct landlock_ruleset_attr as of ABI 6; older kernels get its head. */
struct ruleset {
	uint64_t fs, net, scoped;
};

#define READ_FILE	(LANDLOCK_ACCESS_FS_READ_FILE)
#define READ		(READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* Device nodes are not among what may be made: nobody inside needs one. */
#define WRITE		(LANDLOCK_ACCESS_FS_WRITE_FILE | \
			 LANDLOCK_ACCESS_FS_REMOVE_DIR | \
			 LANDLOCK_ACCESS_FS_REMOVE_FILE | \
			 LANDLOCK_ACCESS_FS_MAKE_DIR | \
			 LANDLOCK_ACCESS_FS_MAKE_REG | \
			 LANDLOCK_ACCESS_FS_MAKE_SOCK | \
			 LANDLOCK_ACCESS_FS_MAKE_FIFO | \
			 LANDLOCK_ACCESS_FS_MAKE_SYM | \
			 LANDLOCK_ACCESS_FS_REFER | \
			 LANDLOCK_ACCESS_FS_TRUNCATE)
/* The kernel refuses rules that give a file the rights of a directory. */
#define OF_FILES	(LANDLOCK_ACCESS_FS_EXECUTE | \
			 LANDLOCK_ACCESS_FS_WRITE_FILE | READ_FILE | \
			 LANDLOCK_ACCESS_FS_TRUNCATE | \
			 LANDLOCK_ACCESS_FS_IOCTL_DEV)

/* All rights of an ABI: what has no rule is refused. */
static struct ruleset handled(int abi, const struct dune_policy *p,
			      size_t *size)
{
	struct ruleset r = {
		.fs = READ | WRITE | LANDLOCK_ACCESS_FS_EXECUTE |
		      LANDLOCK_ACCESS_FS_MAKE_CHAR |
		      LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		      LANDLOCK_ACCESS_FS_IOCTL_DEV,
	};

	*size = sizeof(r.fs);
	if (abi < 2)
		r.fs &= ~LANDLOCK_ACCESS_FS_REFER;
	if (abi < 3)
		r.fs &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi < 5)
		r.fs &= ~LANDLOCK_ACCESS_FS_IOCTL_DEV;
	if (abi >= 4) {
		*size = offsetof(struct ruleset, scoped);
		if (!dune_policy_net(p, SYS_bind))
			r.net |= LANDLOCK_ACCESS_NET_BIND_TCP;
		if (!dune_policy_net(p, SYS_connect))
			r.net |= LANDLOCK_ACCESS_NET_CONNECT_TCP;
	}
	if (abi >= 6) {
		*size = sizeof(r);
		r.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET |
			   LANDLOCK_SCOPE_SIGNAL;
	}
	return r;
}

static uint64_t rights(const struct dune_policy_path *rule)
{
	uint64_t fs = rule->list ? LANDLOCK_ACCESS_FS_READ_DIR : READ;

	if (rule->write)
		fs |= WRITE;
	if (rule->ioctl)
		fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return fs;
}

/* Is it a /proc, or in one? */
static bool is_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* For what fd is open on, as far as it can have these rights. */
static int add_fd(int ruleset, int fd, uint64_t fs)
{
	struct landlock_path_beneath_attr attr = {
		.allowed_access = fs, .parent_fd = fd,
	};
	struct stat st;

	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		attr.allowed_access &= OF_FILES;
	/*
	 * The memory of monitors is there as well, which the kernel lets
	 * themselves open; what else is there is made by the gate.
	 */
	if (is_proc(fd))
		attr.allowed_access &= LANDLOCK_ACCESS_FS_READ_DIR;
	if (!attr.allowed_access ||
	    !syscall(SYS_landlock_add_rule, ruleset,
		     LANDLOCK_RULE_PATH_BENEATH, &attr, 0))
		return 0;
	/* a memfd: on no file system, and free for all */
	return errno == EBADFD ? 0 : -errno;
}

/*
 * What holds for the root would hold for /proc, for rules only add up: it gets
 * what is no access to files, and each directory in it the whole.
 */
static int add_root(int ruleset, uint64_t fs)
{
	const int how = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	DIR *dir = opendir("/");
	struct dirent *d;
	int err, fd;

	if (!dir)
		return -errno;
	err = add_fd(ruleset, dirfd(dir), fs & ~OF_FILES);
	while (!err && (d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") ||
		    d->d_type == DT_LNK)
			continue;
		fd = openat(dirfd(dir), d->d_name, how);
		if (fd < 0)
			continue;	/* gone, or nobody's to enter */
		err = add_fd(ruleset, fd, fs);
		close(fd);
	}
	closedir(dir);
	return err;
}

static int add_rule(int ruleset, const char *path, uint64_t fs)
{
	int fd = open(path, O_PATH | O_CLOEXEC), err;

	if (fd < 0)
		return dune_err(-errno, "%s: cannot open it for its rule: "
				"%s", path, strerror(errno));
	err = strcmp(path, "/") ? add_fd(ruleset, fd, fs) :
				  add_root(ruleset, fs);
	close(fd);
	return err ? dune_err(err, "%s: Landlock refuses the rule: %s", path,
			      strerror(-err)) : 0;
}

static int add_rules(int ruleset, const struct dune_policy *p,
		     const char *self_exe, uint64_t known)
{
	/* execve(2) opens what it executes for reading, too */
	int err = add_rule(ruleset, self_exe,
			   LANDLOCK_ACCESS_FS_EXECUTE | READ_FILE);

	for (unsigned int i = 0; !err && i < p->paths; i++)
		err = add_rule(ruleset, p->pathbuf + p->path[i].off,
			       rights(&p->path[i]) & known);
	return err;
}

int dune_landlock_abi(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION);
}

int dune_landlock(struct dune_policy *p, const char *self_exe)
{
	int abi = dune_landlock_abi();
	struct ruleset r;
	size_t size;
	int fd, err;

	if (abi < 1)
		return dune_err(-ENOSYS, "Landlock: not in this kernel or not "
				"switched on; boot Linux 5.13 or later with "
				"\"landlock\" in lsm=");
	r = handled(abi, p, &size);
	fd = syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (fd < 0)
		return dune_err(-errno, "Landlock: cannot make a ruleset: %s",
				strerror(errno));
	err = add_rules(fd, p, self_exe, r.fs);
	if (!err && syscall(SYS_landlock_restrict_self, fd, 0))
		err = dune_err(-errno, "Landlock: cannot be applied: %s; 16 "
			       "of its layers are the most, do not nest "
			       "sandboxes deeper", strerror(errno));
	close(fd);
	if (!err)
		p->landlock_abi = abi;
	return err;
}
