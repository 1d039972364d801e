/*
 * /proc as the guest sees it. Landlock lets directories of /proc be listed
 * and no file of it be read, so every readable file is made here, once, at
 * open(2), and handed out as a memfd:
 *
 *   self/ (also thread-self/, self/task/TID/, and our own pid)
 *     exe                    the program's file
 *     maps                   the guest's regions
 *     cmdline environ        from the guest's first stack
 *     stat status statm      the host's, with the guest's sizes
 *     fd/N cwd root          where they lead, by the kernel
 *     comm oom_score_adj     may be written to, without effect: /dev/null
 *     others                 the host's, as far as the broker gives them
 *   PID/ of a process of this sandbox: what the broker gives, without
 *     addresses of its monitor
 *   files of the whole system: what the broker gives; it has the list
 *
 * Directories are the host's. All else is refused: mem, pagemap, auxv ...
 *
 * The memfds are sealed: they would be memory that --mem does not count.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "kern/broker/broker.h"
#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/sys/path.h"
#include "kern/task/task.h"

/* Most that one file may hold; the memory is touched as far as used. */
#define TEXT_MAX (4u << 20)

enum source {
	BROKER,				/* as the host says */
	MAPS, STATUS, STAT, STATM,	/* the same, and mended */
	CMDLINE, ENVIRON,
	NONE,				/* would show the monitor */
};

static const struct file {
	const char *name;
	uint8_t self, other;		/* enum source */
	bool writable;
} files[] = {
	{ "maps",		MAPS,		NONE,	false },
	{ "smaps",		NONE,		NONE,	false },
	{ "smaps_rollup",	NONE,		NONE,	false },
	{ "cmdline",		CMDLINE,	BROKER,	false },
	{ "environ",		ENVIRON,	NONE,	false },
	{ "stat",		STAT,		STAT,	false },
	{ "status",		STATUS,		BROKER,	false },
	{ "statm",		STATM,		BROKER,	false },
	{ "comm",		BROKER,		BROKER,	true },
	{ "oom_score_adj",	BROKER,		BROKER,	true },
};

static enum source source_of(const struct dune_procname *n, bool *writable)
{
	*writable = false;
	if (n->who == DUNE_PROC_GLOBAL)
		return BROKER;
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(files); i++) {
		if (strcmp(files[i].name, n->rest))
			continue;
		if (n->who == DUNE_PROC_OTHER)
			return files[i].other;
		*writable = files[i].writable;
		return files[i].self;
	}
	return BROKER;
}

/* The name the broker knows the file by; false when it is none, so long. */
static bool broker_name(const struct dune_procname *n, char *name, size_t size)
{
	int len;

	if (n->who == DUNE_PROC_GLOBAL)
		len = snprintf(name, size, "%s", n->rest);
	else if (n->who == DUNE_PROC_OTHER)
		len = snprintf(name, size, "%d", n->pid);
	else
		len = snprintf(name, size, "self");
	if (n->who != DUNE_PROC_GLOBAL && n->tid)
		len += snprintf(name + len, size - len, "/task/%d", n->tid);
	if (n->who != DUNE_PROC_GLOBAL)
		len += snprintf(name + len, size - len, "/%s", n->rest);
	return len >= 0 && (size_t)len < size;
}

/* A piece of the first stack; the guest may have changed it, or unmapped. */
static long from_guest(char *buf, dune_gva_t start, dune_gva_t end)
{
	size_t n = end > start ? end - start : 0;

	if (n > TEXT_MAX)
		n = TEXT_MAX;
	return dune_copy_in(buf, start, n) ? 0 : (long)n;
}

/*
 * The arguments. Where their last byte is not 0, setproctitle(3) has written
 * over them, and Linux shows one string, which may go on in the environment.
 */
static long cmdline(char *buf, const struct dune_mm *mm)
{
	dune_gva_t end = mm->arg_end;
	long n = from_guest(buf, mm->arg_start, end);
	const char *nul;

	if (n <= 0 || !buf[n - 1])
		return n;
	if (mm->env_start == end)
		end = mm->env_end;
	if (end > mm->arg_start + DUNE_PAGE_SIZE)
		end = mm->arg_start + DUNE_PAGE_SIZE;
	n = from_guest(buf, mm->arg_start, end);
	nul = n > 0 ? memchr(buf, 0, n) : NULL;
	return nul ? nul + 1 - buf : n;
}

/* Size of the address space as the guest made it. */
static uint64_t mapped(struct dune_mm *mm)
{
	const struct dune_region *r;
	uint64_t sum = 0;

	for (r = dune_region_next(&mm->regions, 0); r;
	     r = dune_region_next(&mm->regions, r->end))
		sum += r->end - r->start;
	return sum;
}

/* in -> out; the mm's lock is held. */
static size_t mend(struct dune_task *t, enum source source, bool self,
		   const char *in, size_t len, char *out)
{
	struct dune_procfacts g = {
		.bytes = mapped(t->mm),
		.threads = __atomic_load_n(&t->proc->threads,
					   __ATOMIC_RELAXED),
	};

	switch (source) {
	case MAPS:
		return dune_procfmt_maps(&t->mm->regions, in, len, out,
					 TEXT_MAX);
	case STAT:
		return dune_procfmt_stat(in, len, self ? &g : NULL, out,
					 TEXT_MAX);
	case STATUS:
		return dune_procfmt_status(in, len, &g, out, TEXT_MAX);
	case STATM:
		return dune_procfmt_statm(in, len, &g, out, TEXT_MAX);
	default:
		memcpy(out, in, len);
		return len;
	}
}

/* Fills out; buf is room for what the broker says. Bytes, or an errno. */
static long make(struct dune_task *t, const struct dune_procname *n,
		 enum source source, char *buf, char *out)
{
	struct dune_mm *mm = t->mm;
	char name[128];
	size_t len;
	long ret;

	if (source == CMDLINE)
		return cmdline(out, mm);
	if (source == ENVIRON)
		return from_guest(out, mm->env_start, mm->env_end);
	if (source == NONE || t->proc->broker < 0 ||
	    !broker_name(n, name, sizeof(name)))
		return -EACCES;
	ret = dune_broker_proc(t->proc->broker, name, buf, TEXT_MAX);
	if (ret == -ESRCH)
		return -ENOENT;
	if (ret < 0)
		return -EACCES;		/* the file is there: see the caller */
	pthread_mutex_lock(&mm->lock);
	len = mend(t, source, n->who == DUNE_PROC_SELF, buf, ret, out);
	pthread_mutex_unlock(&mm->lock);
	return len;
}

static long as_memfd(struct dune_task *t, const struct dune_procname *n,
		     enum source source, int flags)
{
	struct dune_scratch buf, out;
	long fd = -ENOMEM, len, ret;

	if (dune_scratch_get(&buf, TEXT_MAX))
		return -ENOMEM;
	if (dune_scratch_get(&out, TEXT_MAX))
		goto out_buf;
	len = make(t, n, source, buf.p, out.p);
	if (len < 0) {
		fd = len;
		goto out_both;
	}
	fd = dune_own(SYS_memfd_create, "proc", MFD_ALLOW_SEALING |
		      (flags & O_CLOEXEC ? MFD_CLOEXEC : 0));
	if (fd >= 0) {
		dune_own(SYS_pwrite64, fd, out.p, len, 0);
		ret = dune_own(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SEAL |
			       F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
		/* another thread has it mapped already */
		if (ret) {
			dune_fd_close(fd);
			fd = ret;
		}
	}
out_both:
	dune_scratch_put(&out);
out_buf:
	dune_scratch_put(&buf);
	return fd;
}

/* A regular file of /proc, known to be there. */
static long open_file(struct dune_task *t, struct dune_call *c,
		      const struct dune_procname *n, int flags)
{
	enum source source;
	bool writable;
	long ret;

	source = source_of(n, &writable);
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((flags & O_ACCMODE) == O_RDONLY)
		ret = as_memfd(t, n, source, flags);
	else if (writable)
		ret = dune_own(SYS_openat, AT_FDCWD, "/dev/null",
			       flags & (O_ACCMODE | O_CLOEXEC));
	else
		ret = -EACCES;
	return ret == -EACCES ? dune_violation(c, "file of /proc", ret) : ret;
}

long dune_proc_open(struct dune_task *t, struct dune_call *c,
		    const struct dune_procname *n, const char *path,
		    int flags, int mode)
{
	bool self = n->who == DUNE_PROC_SELF;
	struct stat st;
	long ret;

	/* those of a family of plugin sandboxes are strangers */
	if (dune_procname_hidden(n, t->proc->fd_base) ||
	    (n->who == DUNE_PROC_OTHER && t->proc->policy->siblings))
		return -ENOENT;
	if (self && !strcmp(n->rest, "exe"))
		path = t->proc->exe;
	else if (!(flags & O_PATH) && !(self && !strncmp(n->rest, "fd/", 3))) {
		ret = dune_own(SYS_newfstatat, AT_FDCWD, path, &st, 0);
		if (ret)
			return ret;
		if (!S_ISDIR(st.st_mode))
			return open_file(t, c, n, flags);
		if (strstr(path, "/map_files"))
			return dune_violation(c, "where the monitor is",
					      -EACCES);
		flags |= O_DIRECTORY;
	}
	return dune_forward(SYS_openat, AT_FDCWD, (uintptr_t)path, flags, mode,
			    0, 0);
}

/* What a directory lists. However it was opened, this is where it shows. */
enum listing { PLAIN, OWN_FDS, OWN_ADDRESSES };

static enum listing listing_of(int fd)
{
	char path[DUNE_PATH_MAX];
	struct statfs fs;
	const char *last;

	if (dune_own(SYS_fstatfs, fd, &fs) || fs.f_type != PROC_SUPER_MAGIC ||
	    dune_fd_path(fd, path, sizeof(path)))
		return PLAIN;
	last = strrchr(path, '/');
	if (last && (!strcmp(last, "/fd") || !strcmp(last, "/fdinfo")))
		return OWN_FDS;
	if (last && !strcmp(last, "/map_files"))
		return OWN_ADDRESSES;
	return PLAIN;
}

/* Room for entries at a time: more than the numbers of one screenful. */
#define DENTS_MAX 32768u

long dune_sys_getdents(struct dune_task *t, struct dune_call *c)
{
	struct dune_scratch s;
	uint32_t size = c->arg[2];
	long ret;

	switch (listing_of(c->arg[0])) {
	case PLAIN:
		return dune_forward_call(c);
	case OWN_ADDRESSES:
		return dune_violation(c, "where the monitor is", -EACCES);
	case OWN_FDS:
		break;
	}
	if (size > DENTS_MAX)
		size = DENTS_MAX;
	if (dune_scratch_get(&s, size))
		return -ENOMEM;
	do {
		ret = dune_forward(c->nr, c->arg[0], (uintptr_t)s.p, size, 0,
				   0, 0);
		if (ret <= 0)
			break;
		ret = dune_procfmt_dents(s.p, ret, t->proc->fd_base,
					 c->nr == SYS_getdents64);
	} while (!ret);
	if (ret > 0 && dune_copy_out(c->arg[1], s.p, ret))
		ret = -EFAULT;
	dune_scratch_put(&s);
	return ret;
}
