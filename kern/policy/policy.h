/*
 * What a sandbox may do: filled from options or a file, then read only.
 *
 * One flat struct without pointers, so that it goes through execve in a memfd
 * as it is.
 */
#ifndef DUNE_KERN_POLICY_H
#define DUNE_KERN_POLICY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define DUNE_POLICY_PATHS	256
#define DUNE_POLICY_ENVS	128
#define DUNE_POLICY_FDS		1024
#define DUNE_POLICY_PATHBUF	(32 * 1024)

struct dune_policy_path {
	uint32_t off;			/* into pathbuf */
	bool write;
	bool ioctl;			/* device ioctls: ttys, /dev/null ... */
	bool list;			/* names in directories, no files */
	bool shared;			/* a default device: its mode, owner and
					 * times are not the program's */
};

/* --exitless: forwarded calls without leaving the VM. */
enum dune_exitless {
	DUNE_EXITLESS_AUTO = 0,	/* when it pays */
	DUNE_EXITLESS_OFF,
	DUNE_EXITLESS_ON,	/* always: for tests */
};

/* --rewrite: where a software KVM traps `syscall`, jumps in its place. */
enum dune_rewrite {
	DUNE_REWRITE_AUTO = 0,	/* when it pays */
	DUNE_REWRITE_OFF,
	DUNE_REWRITE_ON,	/* always: for tests */
};

struct dune_policy {
	uint32_t version;		/* sizeof(struct dune_policy) */
	struct dune_policy_path path[DUNE_POLICY_PATHS];
	unsigned int paths;
	char pathbuf[DUNE_POLICY_PATHBUF];	/* strings; offset 0 is "" */
	unsigned int pathbuf_used;

	bool net;
	uint8_t allow[512 / 8];		/* --allow: bit per system call */
	uint8_t deny[512 / 8];		/* --deny wins */

	uint64_t mem;			/* bytes, 0: no limit */
	uint64_t fsize;			/* bytes, UINT64_MAX: no limit */
	uint64_t cpu_seconds;		/* 0: no limit */
	uint64_t wall_ns;		/* 0: no limit */
	unsigned int procs;		/* processes, 0: no limit */

	uint8_t exitless;		/* enum dune_exitless */
	uint8_t rewrite;		/* enum dune_rewrite */

	/* sandboxed plugins (libdune/sandbox): which calls, sys/strict.h */
	bool strict;
	bool lenient;			/* others are refused, not the end */
	bool siblings;			/* forked children become children of
					 * the first process's parent */
	unsigned int threads;		/* guest threads of a process, 0: no
					 * limit */
	uint8_t only[512 / 8];		/* always */
	uint8_t only_loading[512 / 8];	/* while the host says so */
	uint8_t quiet[512 / 8];		/* EPERM without a violation */

	bool stat;
	bool trace;
	bool report;
	int trace_fd;			/* internal descriptor, -1: stderr */
	int report_fd;			/* internal descriptor, -1: stderr */
	int landlock_abi;		/* what the walls were built with */
	bool keep_fds[DUNE_POLICY_FDS];	/* --fd N: not closed */

	/* for the supervisor: how the program starts; offsets, 0: unset */
	uint32_t cwd;
	uint32_t trace_file;
	uint32_t env[DUNE_POLICY_ENVS];	/* NAME=VALUE, or NAME: pass on */
	unsigned int envs;
	bool clearenv;
};

/* Deny everything, no limits. */
void dune_policy_init(struct dune_policy *p);

/* The string at an offset of the policy. */
const char *dune_policy_string(const struct dune_policy *p, uint32_t off);

/*
 * Adds a rule for an existing path (made absolute, symlinks resolved).
 * -ENOENT and others with a message naming the path; -E2BIG when full.
 */
int dune_policy_add_path(struct dune_policy *p, const char *path,
			 bool write);

/*
 * Adds what nearly every program needs to start: libraries, loader's cache
 * (read), harmless devices (read and write), the names in /proc. What does not
 * exist here is left out.
 */
int dune_policy_add_defaults(struct dune_policy *p);

/* The libraries among them. */
int dune_policy_add_libraries(struct dune_policy *p);

/* Does an absolute, resolved path lie at or beneath a rule (a write rule)? */
bool dune_policy_path_allowed(const struct dune_policy *p, const char *path,
			      bool write);

/*
 * "name,name,...": names by libseccomp. -EINVAL names the bad one: none of
 * x86-64's, or, to be allowed, one that no program gets.
 */
int dune_policy_syscalls(struct dune_policy *p, const char *list,
			 bool allow);

/* "64", "10K", "512M", "2G" -> bytes. -EINVAL. */
int dune_policy_size(const char *s, uint64_t *bytes);

/* How a path rule is recorded: dune_policy_add_path(), or a fuzzer's stub. */
typedef int dune_policy_add_fn(struct dune_policy *p, const char *path,
			       bool write);

/*
 * Sets one thing by its keyword, which is also the name of its option: ro,
 * rw, net, env, clearenv, cwd, mem, time, cpu-time, procs, fsize, allow, deny,
 * fd, exitless, rewrite, stat, trace, report. arg is NULL when there is none.
 * -EINVAL for an unknown keyword or a bad argument, -E2BIG when full, what add
 * returns; the message starts with the keyword.
 */
int dune_policy_set(struct dune_policy *p, const char *keyword,
		    const char *arg, dune_policy_add_fn *add);

/*
 * Reads a policy file: one `keyword argument` a line, # comments; text need
 * not end with a NUL; name is for messages ("policy.txt:3: ..."). Pure but for
 * `add`: this is what the fuzzer drives.
 */
int dune_policy_parse(struct dune_policy *p, const char *name,
		      const char *text, size_t len, dune_policy_add_fn *add);

/*
 * Builds the walls around this process, for good, in this order: limits
 * (setrlimit), no_new_privs, capabilities (libcap), Landlock, seccomp
 * (libseccomp). self_exe: the monitor's own binary, the only file that may be
 * executed. Single-threaded. Sets landlock_abi. -ENOSYS with a message when the
 * kernel has no Landlock.
 *
 * Afterwards the process and all it starts can no longer map executable
 * memory, make sockets of other families than AF_UNIX without `net`, use
 * clone3(2) (ENOSYS, so that libc falls back to clone) or namespaces. A
 * system call that neither the table nor the monitor needs gets EPERM; one
 * that only somebody who took over a monitor would make ends the process
 * with SIGSYS.
 */
int dune_confine(struct dune_policy *p, const char *self_exe);

#endif
