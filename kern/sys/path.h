/*
 * Names of files that are not served as they are: those below /proc.
 */
#ifndef DUNE_KERN_SYS_PATH_H
#define DUNE_KERN_SYS_PATH_H

#include <stddef.h>
#include <sys/types.h>

#include "kern/sys/sys.h"
#include "kern/types.h"

#define DUNE_PATH_MAX 4096

struct dune_proc;
struct dune_regions;

/* A name below /proc, taken apart. */
struct dune_procname {
	enum dune_procwho {
		DUNE_PROC_NONE,		/* not below /proc */
		DUNE_PROC_SELF,		/* self, thread-self, our own pid */
		DUNE_PROC_OTHER,	/* another process */
		DUNE_PROC_GLOBAL,	/* all else, and /proc itself */
	} who;
	pid_t pid;			/* of OTHER */
	pid_t tid;			/* task/TID was in front, or 0 */
	char rest[DUNE_PATH_MAX];	/* "exe", "fd/3", "" ... */
};

/*
 * Pure: takes an absolute path lexically apart (//, ., ..). A path that goes
 * on behind a link of /proc (self/cwd/x, self/root/.., fd/3/x) is NONE: where
 * it leads is the kernel's to say, and Landlock's to allow.
 */
void dune_procname_parse(struct dune_procname *n, const char *path, pid_t self,
			 pid_t thread);

/* Is it fd/N or fdinfo/N of the monitor's own descriptors? Pure. */
bool dune_procname_hidden(const struct dune_procname *n, int fd_base);

/*
 * The path as an absolute one, when its directory is below /proc; false
 * otherwise.
 */
bool dune_path_in_proc(int dirfd, const char *path, char *out, size_t size);

/* What the descriptor is open on: 0 or a negative errno. */
int dune_fd_path(long fd, char *buf, size_t size);

/* proc.c: open(2) of a name below /proc. path: our copy of the whole name. */
long dune_proc_open(struct dune_task *t, struct dune_call *c,
		    const struct dune_procname *n, const char *path,
		    int flags, int mode);

/* What the guest is, where the host would tell of the monitor. */
struct dune_procfacts {
	uint64_t bytes;			/* mapped */
	unsigned int threads;
};

/*
 * procfmt.c: pure text work on what the host's /proc says about the monitor.
 * All return the length written, cut at size.
 */
size_t dune_procfmt_maps(struct dune_regions *rs, const char *in, size_t len,
			 char *out, size_t size);
size_t dune_procfmt_status(const char *in, size_t len,
			   const struct dune_procfacts *g, char *out,
			   size_t size);
/* g NULL: another process, whose monitor's addresses are left out, too */
size_t dune_procfmt_stat(const char *in, size_t len,
			 const struct dune_procfacts *g, char *out,
			 size_t size);
size_t dune_procfmt_statm(const char *in, size_t len,
			  const struct dune_procfacts *g, char *out,
			  size_t size);
/*
 * Removes entries of descriptors from fd_base on from linux_dirent64 records;
 * returns the bytes left. wide: getdents64's records, else getdents's.
 */
size_t dune_procfmt_dents(char *buf, size_t len, int fd_base, bool wide);

#endif
