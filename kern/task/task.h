/*
 * Guest threads and processes.
 */
#ifndef DUNE_KERN_TASK_H
#define DUNE_KERN_TASK_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include "kern/mm/mm.h"
#include "kern/policy/policy.h"
#include "kern/task/sigframe.h"
#include "kern/vm/vm.h"

/* The kernel's struct sigaction, as rt_sigaction(2) passes it. */
struct dune_sigaction {
	uint64_t handler;	/* SIG_DFL 0, SIG_IGN 1, or a guest address */
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;		/* bit n - 1 is signal n */
};

#define DUNE_NSIG 64
#define DUNE_SIGBIT(sig) (1ul << ((sig) - 1))

struct dune_stats;		/* sys/stats.h */

/* Resource limits that are not the host's, see sys/limits.c. */
struct dune_limit {
	bool set;
	uint64_t cur, max;
};

enum { DUNE_LIMIT_NOFILE, DUNE_LIMIT_AS, DUNE_LIMIT_DATA, DUNE_LIMIT_STACK,
       DUNE_KEPT_LIMITS };

struct dune_limits {
	struct dune_limit v[DUNE_KEPT_LIMITS];
};

/* Makes the mm keep to them: of what Linux asks before memory is mapped. */
void dune_limits_apply(struct dune_mm *mm, const struct dune_limits *limits);

struct dune_proc {
	pthread_mutex_t lock;
	struct dune_sigaction action[DUNE_NSIG + 1];	/* by number */
	const struct dune_policy *policy;
	struct dune_stats *stats;
	char exe[4096];		/* absolute path of the program */
	struct dune_limits limits;	/* under lock */
	int fd_base;		/* descriptors from here on are the monitor's */
	int broker;		/* socket to the supervisor, -1: none */
	int lifeline, lifeline_held;	/* task/lifeline.h */
	int kvm_fd;
	int self_fd;		/* the monitor's own binary, for execve */
	unsigned int threads;	/* guest threads alive */
	int leader_status;	/* of the first thread, once it has ended */
	bool vfork_child;	/* runs on its parent's mm */
};

struct dune_task {
	struct dune_vcpu *vcpu;
	struct dune_mm *mm;
	struct dune_proc *proc;
	pid_t tid;
	dune_gva_t clear_child_tid;
	dune_gva_t robust_list;
	int death_signal;	/* PR_SET_PDEATHSIG as asked for */

	/*
	 * Signals, see task/signal.h. A new thread's altstack is empty with
	 * flags SS_DISABLE; the child of a fork or vfork has its parent's.
	 */
	uint64_t sigmask;	/* the guest's mask = the host thread's */
	bool temp_mask_set;	/* inside sigsuspend, ppoll ... */
	uint64_t temp_mask;
	volatile sig_atomic_t slot_full;
	siginfo_t slot;		/* kernel layout, 128 bytes */
	/* SIGSEGV and SIGBUS by kill(2) that the slot has no room for */
	volatile sig_atomic_t held;
	siginfo_t held_info[2];
	struct dune_sigstack altstack;
	struct dune_sigtrap trap;	/* the last fault */

	struct dune_exec *exec;	/* memory of an execve under way */

	/* its calls without exits, gate/proxy.c */
	int port;		/* its place there, -1: none */
	unsigned int streak;	/* forwarded calls close after each other */
	uint64_t last_exit;	/* when the last one came, ns */

	/* the call being served */
	long orig_rax;		/* its number, -1 outside of one */
	bool exiting;		/* leave the loop */
};

/* The task this host thread runs, NULL outside a loop. */
extern __thread struct dune_task *dune_current
	__attribute__((tls_model("initial-exec")));

/*
 * Runs the guest until its thread ends. Does not return for the thread that
 * ends the process (exit_group). Called on the task's own host thread.
 */
void dune_task_loop(struct dune_task *task);

/* Ends the whole guest process with exit_group(status); stats are sent. */
void dune_task_exit_group(int status) __attribute__((noreturn));
/* Ends the process as if killed by sig (default action). */
void dune_task_die(int sig) __attribute__((noreturn));
/* Our own failure: the message goes to stderr, exit status 125. */
void dune_task_abort(const char *what) __attribute__((noreturn));

/* The system calls (table rows call these): clone family, exit, execve. */
struct dune_call;
long dune_sys_clone(struct dune_task *t, struct dune_call *c);
long dune_sys_clone3(struct dune_task *t, struct dune_call *c);
long dune_sys_fork(struct dune_task *t, struct dune_call *c);
long dune_sys_vfork(struct dune_task *t, struct dune_call *c);
long dune_sys_exit(struct dune_task *t, struct dune_call *c);
long dune_sys_exit_group(struct dune_task *t, struct dune_call *c);
long dune_sys_execve(struct dune_task *t, struct dune_call *c);
long dune_sys_execveat(struct dune_task *t, struct dune_call *c);
long dune_sys_set_tid_address(struct dune_task *t, struct dune_call *c);
long dune_sys_set_robust_list(struct dune_task *t, struct dune_call *c);
long dune_sys_get_robust_list(struct dune_task *t, struct dune_call *c);
long dune_sys_arch_prctl(struct dune_task *t, struct dune_call *c);

#endif
