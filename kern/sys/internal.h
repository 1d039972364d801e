/*
 * Inside the system call layer: handlers the rows name, and what they share.
 */
#ifndef DUNE_KERN_SYS_INTERNAL_H
#define DUNE_KERN_SYS_INTERNAL_H

#include <errno.h>
#include <sys/types.h>

#include "kern/policy/policy.h"
#include "kern/sys/sys.h"
#include "kern/types.h"

struct dune_proc;

/*
 * The two ways out, in a file of their own (forward.c), so that unit tests
 * and the fuzzer can put something else in their place. A call for the guest
 * may return -DUNE_ERESTART; our own never blocks and is not interrupted.
 */
long dune_forward(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		  uint64_t a3, uint64_t a4, uint64_t a5);
long dune_own_call(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		   uint64_t a3, uint64_t a4, uint64_t a5);

#define DUNE_OWN6(nr, a, b, c, d, e, f, ...) \
	dune_own_call(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), \
		      (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))
/* dune_own(number, up to six arguments) */
#define dune_own(...)	DUNE_OWN6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static inline long dune_forward_call(const struct dune_call *c)
{
	return dune_forward(c->nr, c->arg[0], c->arg[1], c->arg[2],
			    c->arg[3], c->arg[4], c->arg[5]);
}

/* Notes the rule that is broken and returns err. */
static inline long dune_violation(struct dune_call *c, const char *rule,
				  long err)
{
	c->violation = rule;
	return err;
}

/* "deny NAME"; nr has a row. */
const char *dune_sys_deny_rule(long nr);

static inline bool dune_bit(const uint8_t *bits, long nr)
{
	return bits[nr / 8] & (1u << nr % 8);
}

/* May this call reach the network? */
static inline bool dune_net_ok(const struct dune_policy *p, long nr)
{
	return p->net || dune_bit(p->allow, nr);
}

/* ---- decide.c ---- */

/* The arguments the row describes: 0, -EBADF, -EFAULT, -ENOMEM. */
long dune_sys_check_args(int fd_base, const struct dune_call *call);

/* NULL, or a range of the arena. */
bool dune_range_ok(dune_gva_t addr, uint64_t len);

/* ---- scratch.c: memory for copies ---- */

/*
 * From the stack while small, else mapped: never malloc, whose lock another
 * thread might hold at a fork.
 */
struct dune_scratch {
	void *p;
	size_t mapped;
	uint64_t small[64];
};
/* At least size bytes of zeroes at s->p. 0 or -ENOMEM. */
int dune_scratch_get(struct dune_scratch *s, size_t size);
void dune_scratch_put(struct dune_scratch *s);

/* ---- fd.c ---- */

/*
 * Moves a descriptor that a guest thread could replace under our hands out
 * of its reach. Takes fd (may be an error, which is returned).
 */
long dune_fd_hide(const struct dune_proc *proc, long fd);
/* The guest's descriptor, held so that dup2 cannot change what it is. */
long dune_fd_hold(const struct dune_proc *proc, int fd);
/* Closes a number that the guest could name. */
void dune_fd_close(int fd);
/* A result that is a new descriptor: closed and -EMFILE at the limit. */
long dune_fd_result(const struct dune_proc *proc, long ret);

/*
 * O_ASYNC on, by fcntl or ioctl. Not for a terminal where Landlock does not
 * keep signals inside: to begin with its foreground group owns it, which need
 * not be the sandbox's. There it is done by a duplicate, whose number si_fd
 * will say.
 */
long dune_fd_async(struct dune_task *t, struct dune_call *c);

dune_sys_handler dune_sys_close_range, dune_sys_dup_to, dune_sys_fcntl,
		 dune_sys_fd_pair;

/* ---- poll.c ---- */
dune_sys_handler dune_sys_poll, dune_sys_select;

/* ---- iov.c ---- */
struct iovec;
/* 0 or the errno: count > 1024, a range outside the arena. */
long dune_iov_copy(struct iovec *iov, dune_gva_t from, uint64_t count);
dune_sys_handler dune_sys_iov;

/* ---- sock.c, msg.c ---- */
struct sockaddr_storage;
/*
 * May the address in sa[len] be connected or sent to? 0, or an errno, with a
 * violation. A path is replaced by a descriptor's, *hidden, to be closed
 * (-1: none).
 */
long dune_sock_dest(struct dune_task *t, struct dune_call *c,
		    struct sockaddr_storage *sa, uint32_t *len, int *hidden);
dune_sys_handler dune_sys_socket, dune_sys_connect, dune_sys_sendto,
		 dune_sys_setsockopt, dune_sys_getsockopt;
dune_sys_handler dune_sys_sendmsg, dune_sys_recvmsg, dune_sys_sendmmsg,
		 dune_sys_recvmmsg;

/* ---- mem.c ---- */
dune_sys_handler dune_sys_mmap, dune_sys_munmap, dune_sys_mprotect,
		 dune_sys_mremap, dune_sys_madvise, dune_sys_brk,
		 dune_sys_pkey_mprotect, dune_sys_shmat, dune_sys_shmdt,
		 dune_sys_memfd;

/* ---- path.c, proc.c, meta.c ---- */
dune_sys_handler dune_sys_path, dune_sys_readlink, dune_sys_open,
		 dune_sys_getdents, dune_sys_meta, dune_sys_watch;

/* ---- futex.c, ioctl.c, prctl.c, limits.c, kill.c ---- */
/* Checks what a futex operation follows beyond its first address. */
long dune_futex_check(const struct dune_call *c);
dune_sys_handler dune_sys_futex, dune_sys_futex_waitv, dune_sys_semctl;
dune_sys_handler dune_sys_ioctl;
dune_sys_handler dune_sys_prctl, dune_sys_personality, dune_sys_unshare;
/* The first number the guest may not have: fd_base or its RLIMIT_NOFILE. */
int dune_fd_limit(const struct dune_proc *proc);
dune_sys_handler dune_sys_rlimit;
/* From this ABI on Landlock keeps signals inside the sandbox. */
#define DUNE_LANDLOCK_ABI_SIGNALS 6
/* Is the process (or who leads the group) of this sandbox? */
bool dune_sys_member(struct dune_task *t, int pid);
/* May it be signalled: the same, or the kernel is asked anyway. */
bool dune_sys_reachable(struct dune_task *t, int pid);
dune_sys_handler dune_sys_kill, dune_sys_tkill, dune_sys_pidfd_signal,
		 dune_sys_own_pid, dune_sys_own_who;

/* ---- trace.c ---- */
/* One line for --trace; ret is ignored when the call does not return. */
void dune_sys_trace(const struct dune_policy *p, const struct dune_call *c,
		    long ret, bool returns);

#endif
