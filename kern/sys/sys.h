/*
 * The system call layer: one table, one row a call.
 *
 * The decision (is the call allowed, are its arguments acceptable) is made by
 * pure functions on a copy of the arguments; they run without a VM.
 */
#ifndef DUNE_KERN_SYS_H
#define DUNE_KERN_SYS_H

#include "kern/policy/policy.h"
#include "kern/types.h"

struct dune_task;

/* One call: number and arguments as the guest put them in registers. */
struct dune_call {
	long nr;
	uint64_t arg[6];
	const struct dune_sysrow *row;
	/* set when the policy, not Linux, is the reason for an error: the
	 * rule's name, a static string */
	const char *violation;
};

/* What an argument is: how it is checked, how --trace prints it. */
enum dune_argkind {
	DUNE_A_NONE,
	DUNE_A_INT,		/* any number, printed signed */
	DUNE_A_HEX,		/* any number: flags, masks */
	DUNE_A_OCT,		/* file modes */
	DUNE_A_SIG,
	DUNE_A_FD,		/* must be below proc->fd_base; -1 passes */
	DUNE_A_ATFD,		/* the same, or AT_FDCWD */
	DUNE_A_PATH,		/* string in guest memory; policy of paths */
	DUNE_A_STR,		/* string that is not a path */
	DUNE_A_IN,		/* pointer the kernel reads, NULL passes */
	DUNE_A_OUT,		/* pointer the kernel writes, NULL passes */
	DUNE_A_INOUT,
	DUNE_A_ADDR,		/* guest address that is not followed; with a
				 * length rule: a range, ENOMEM outside */
	DUNE_A_PID,
};

/*
 * How many bytes an IN, OUT or INOUT pointer covers. The kernel declares
 * many lengths as int and drops the upper half of the register: the rules
 * with 32 do the same.
 */
enum dune_lenrule {
	DUNE_L_NONE,		/* start in the arena; the guard ends it */
	DUNE_L_BYTES,		/* `size` bytes */
	DUNE_L_ARG,		/* arg[n] bytes */
	DUNE_L_ARG32,
	DUNE_L_ARG_X,		/* arg[n] elements of `size` bytes */
	DUNE_L_ARG32_X,
	DUNE_L_PAGES,		/* one byte a page of arg[n] bytes */
	DUNE_L_PTR32,		/* a 32-bit length at the pointer arg[n], at
				 * most `size` */
};

struct dune_argspec {
	uint8_t kind;		/* enum dune_argkind */
	uint8_t rule;		/* enum dune_lenrule */
	uint8_t n;
	uint16_t size;
};

enum dune_action {
	DUNE_DO_UNKNOWN = 0,	/* no row: ENOSYS, reported */
	DUNE_DO_FORWARD,	/* check the arguments, run it on the host */
	DUNE_DO_EMULATE,	/* row->handler */
	DUNE_DO_REFUSE,		/* -row->err */
};

/*
 * Groups for policy. Network families are told apart by the socket calls'
 * handlers (sock.c), not by row: AF_UNIX pairs are always allowed.
 */
enum dune_group {
	DUNE_G_BASE = 0,	/* always allowed */
	DUNE_G_IPC,		/* named System V and POSIX objects, which other
				 * processes of the user share: EACCES unless
				 * --allow names the call */
};

enum {
	DUNE_F_RETFD	= 1 << 0,	/* result is a new descriptor */
	DUNE_F_NORETURN	= 1 << 1,	/* traced before it runs */
	DUNE_F_CREDS	= 1 << 2,	/* changes the thread's credentials */
	DUNE_F_CLOSES	= 1 << 3,	/* closes descriptors, see fdtype.h */
};

/* How the proxy serves a call, gate/ways.c; 0: it does not. */
enum dune_proxy {
	DUNE_PROXY_NO = 0,
	DUNE_PROXY_YES,		/* always */
	DUNE_PROXY_FILE,	/* argument 0 is a regular file or directory */
	DUNE_PROXY_READ,	/* the same, or it would not wait */
	DUNE_PROXY_WRITE,
	DUNE_PROXY_SEND,
	DUNE_PROXY_RECV,
	DUNE_PROXY_ACCEPT,
	DUNE_PROXY_SENDFILE,
	DUNE_PROXY_COPY,	/* between files, not much */
	DUNE_PROXY_EPOLL,
	DUNE_PROXY_POLL,
	DUNE_PROXY_CLOSE,
	DUNE_PROXY_FCNTL,	/* flags, duplicates, locks that do not wait */
	DUNE_PROXY_IOCTL,	/* of any descriptor's */
	DUNE_PROXY_PATH,	/* not below /proc */
	DUNE_PROXY_OPEN,
	DUNE_PROXY_MMAP,	/* of no device, and nothing is read in */
	DUNE_PROXY_MADVISE,	/* the same */
	DUNE_PROXY_FUTEX,	/* wakes others */
};

typedef long dune_sys_handler(struct dune_task *task, struct dune_call *call);

struct dune_sysrow {
	dune_sys_handler *handler;
	struct dune_argspec arg[6];
	uint8_t action;
	uint8_t group;
	uint8_t flags;
	uint8_t err;		/* for DUNE_DO_REFUSE */
	uint8_t proxy;		/* enum dune_proxy */
};

#define DUNE_NR_MAX 512

/*
 * How many bytes the pointer covers whose description is a, by the call's
 * arguments; without a length rule 1. False when it cannot be a range.
 */
bool dune_sys_span(const struct dune_argspec *a, const uint64_t arg[6],
		   uint64_t *len);

extern const struct dune_sysrow dune_systable[DUNE_NR_MAX];

/* The row of a number, NULL when there is none. Pure. */
const struct dune_sysrow *dune_sys_row(long nr);

/*
 * May the monitor make this call on the host: because a row forwards it, or
 * for its own needs? Its seccomp filter allows exactly these.
 */
bool dune_sys_host_may_need(long nr);

/*
 * What becomes of the call: pure but for reading guest memory. Returns 0 to
 * go on with the row, or the negative errno to answer. *violation is set when
 * the policy (not Linux) is the reason, for --report: a static string naming
 * the rule. deny wins; allow lifts a group here, and in the handlers of socket
 * calls and ioctl what needs --net; nothing else.
 */
long dune_sys_decide(const struct dune_policy *policy, int fd_base,
		     const struct dune_call *call, const char **violation);

/*
 * Serves one call; the result Linux would leave in rax, or -DUNE_ERESTART.
 * Counts, traces and reports as the policy says. A batch (batch.h) is what its
 * calls are.
 */
long dune_sys_dispatch(struct dune_task *task, struct dune_call *call);

/*
 * From this number on Linux has no calls: they are between a monitor's maker
 * and the program it brings along (libdune/sandbox). NULL, as at first: ENOSYS.
 * Before the guest runs.
 */
#define DUNE_NR_OWN 4096
void dune_sys_own(dune_sys_handler *handler);

/* Runs a call that was decided upon: forwards it or calls the handler. */
long dune_sys_serve(struct dune_task *task, struct dune_call *call);

/*
 * The same as dune_sys_dispatch() for the proxy, whose task it is. way serves
 * the call or returns false: then nothing was done, and nothing is counted.
 */
typedef bool dune_sys_way(struct dune_task *task, struct dune_call *call,
			  long *ret);
bool dune_sys_dispatch_by(struct dune_task *task, struct dune_call *call,
			  dune_sys_way *way, long *ret);

/*
 * The kernel's (and libseccomp's) name; "syscall_NNN" when unknown. Static, or
 * for unknown numbers thread-local until the next call.
 */
const char *dune_sys_name(long nr);

#endif
