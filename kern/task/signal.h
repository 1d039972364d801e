/*
 * Signals: from the host's queue to the guest's handler.
 *
 *   signal_host.c   the host's side: handler, dispositions, masks
 *   signal.c        delivery: slot or fault to frame
 *   signal_trap.c   what fault is what signal
 *   signal_sys.c    the system calls
 *   sigframe.c      the frame, pure
 *
 * Invariants of a task's host thread, outside of signal_host.c:
 *
 * - Its mask is the guest's while the slot is empty, and everything while it
 *   is full, so the slot is never overwritten. SIGSEGV and SIGBUS are
 *   never blocked: faults in uaccess must reach us. Those sent by
 *   kill(2) wait in `held` where the slot is full or the guest blocks them.
 * - Masks are changed by calls that look at the slot first
 *   (dune_hostcall_raw()): with a full slot they do nothing.
 *
 * Threads that run no task (dune_current NULL) must have all signals but
 * SIGSEGV and SIGBUS blocked once there are guest handlers: see
 * dune_signal_hold().
 */
#ifndef DUNE_KERN_SIGNAL_H
#define DUNE_KERN_SIGNAL_H

#include "kern/task/task.h"

#define DUNE_SYSCALL_INSN	2	/* bytes of the instruction */

/*
 * At process start (and after exec): SIGSEGV and SIGBUS get the host handler
 * (uaccess fixups), the guest's mask and ignored signals are read from
 * the host.
 */
int dune_signal_init(struct dune_task *task);

/*
 * Delivers what is in the slot, if the task is at a point where it can be:
 * builds the frame on the guest's stack, edits vcpu->u. restart: a call
 * returned -DUNE_ERESTART and u.rip must go back to the `syscall`
 * instruction with rax = orig_rax; to be called then even if the slot is
 * empty. (A call that set orig_rax to -1, rt_sigreturn, is never restarted.)
 * May end the process.
 */
void dune_signal_deliver(struct dune_task *task, bool restart);

/*
 * A fault of the guest's own: sig with code at addr, as force_sig_fault()
 * in Linux: if blocked or ignored the process dies by it. The frame has
 * the numbers in task->trap.
 */
void dune_signal_force(struct dune_task *task, int sig, int code,
		       uint64_t addr);

/* The trap in vcpu (vectors 0-31 but a resolved #PF) as a signal. */
void dune_signal_trap(struct dune_task *task, enum dune_fault fault);

/* The system calls. */
struct dune_call;
long dune_sys_rt_sigaction(struct dune_task *t, struct dune_call *c);
long dune_sys_rt_sigprocmask(struct dune_task *t, struct dune_call *c);
long dune_sys_rt_sigreturn(struct dune_task *t, struct dune_call *c);
long dune_sys_rt_sigsuspend(struct dune_task *t, struct dune_call *c);
long dune_sys_sigaltstack(struct dune_task *t, struct dune_call *c);
/* ppoll, pselect6, epoll_pwait, epoll_pwait2: forward with a mask. */
long dune_sys_with_mask(struct dune_task *t, struct dune_call *c);

/*
 * In a new thread, fork or vfork child, on its own host thread, as its
 * dune_current and with the mask of dune_signal_hold(): empties the slot,
 * opens the host's mask to the guest's in child->sigmask.
 */
void dune_signal_child(struct dune_task *child);

/*
 * Around what must not lose a signal: making a child, execve, the end of a
 * thread. hold blocks everything; it returns -DUNE_ERESTART, with nothing
 * changed, if a signal is there already: the call then gives that back, as
 * if the signal had come before it. release goes back to task->sigmask.
 */
long dune_signal_hold(struct dune_task *task);
void dune_signal_release(struct dune_task *task);

/* Makes mask the guest's and the host thread's. The slot must be empty. */
void dune_signal_setmask(struct dune_task *task, uint64_t mask);

/* --- between the files of this module --- */

#define DUNE_SIG_KERNEL (DUNE_SIGBIT(SIGKILL) | DUNE_SIGBIT(SIGSTOP))
#define DUNE_SIG_FAULTS (DUNE_SIGBIT(SIGSEGV) | DUNE_SIGBIT(SIGBUS))

/* What holds right now: inside sigsuspend and the like not sigmask. */
static inline uint64_t dune_signal_blocked(const struct dune_task *task)
{
	return task->temp_mask_set ? task->temp_mask : task->sigmask;
}

/* The host handler of all signals. */
void dune_host_handler(int sig, siginfo_t *info, void *uc);

/*
 * What the handler does for a thread that runs no task. dune-run's monitor
 * has none but at its start (signal_start.c); Dune mode has the program's
 * other threads (kern/self/outside.c).
 */
void dune_signal_outside(int sig, siginfo_t *info, void *uc);
/* Ends the process by sig as if we had no handler, once ours returns. */
void dune_signal_die_by(int sig, void *uc);
/* A fault of the monitor's own: says where, and ends the process. */
void dune_signal_bug(int sig, const siginfo_t *info, void *uc);

/*
 * After the monitor has made a thread: the C library's first one puts a handler
 * of its own where the guest's may be. p->lock is held.
 */
void dune_signal_mirror_setxid(struct dune_proc *p);

/* Makes the host's disposition of sig fit the guest's. */
void dune_signal_mirror(int sig, const struct dune_sigaction *act);

/* Makes the host's mask fit task->sigmask, unless the slot is full. */
void dune_signal_open(struct dune_task *task);

/*
 * Tries to make mask the host's: 0, or -DUNE_ERESTART with the slot full and
 * nothing changed. The caller then updates task->sigmask and calls
 * dune_signal_unhold().
 */
long dune_signal_try_mask(struct dune_task *task, uint64_t mask);

/*
 * Moves a held SIGSEGV or SIGBUS that is not blocked to the empty slot.
 * Returns whether it did.
 */
bool dune_signal_unhold(struct dune_task *task);

/* Gives a signal back to the host, for this thread. */
void dune_signal_requeue(const siginfo_t *info);

/*
 * rip or rsp that the processor would not take raise here the fault that
 * Linux sees on its way to user mode.
 */
void dune_signal_settle(struct dune_task *task);

/* A frame or fpstate that cannot be read or written. */
void dune_signal_bad_frame(struct dune_task *task, int sig);

#endif
