/*
 * Dune mode, the host side: the calling process as its own guest.
 *
 * A thread that calls dune_enter() goes on as guest code, on its own stack;
 * its host thread moves to a stack of ours and loops on KVM_RUN
 * (loop.c), serving system calls, hypercalls and what no handler took. Both
 * are the same kernel thread and share its TLS, never at the same instant:
 * the host side leaves errno alone, and uses no malloc, no stdio and
 * no lock that guest code takes.
 *
 *   start.c   the process's VM; entering and leaving     block.c  stubs, tables
 *   run.c     one KVM_RUN: state in, reason out          mem.c    memory
 *   loop.c    what is done about the reason              clone.c  threads, fork
 *   calls.c   system calls not simply forwarded          die.c    ends
 *   fds.c     descriptors of ours                        host.S   stacks
 *   guest.S   code that runs in the guest                dirty.c  dirty bits of
 *   softdirty.c  clear_refs and pagemap                      what we write
 *   outbuf.c  buffers of system calls                    barrier.c faults there
 *
 * Who owns what: `dune_self` (one a process) owns the KVM descriptors, the VM,
 * its memory and signal dispositions; a `dune_sthread` (one a thread that
 * has entered) owns a vCPU, a block and a host stack, and lives on when
 * the thread leaves, until the thread ends.
 */
#ifndef DUNE_KERN_SELF_H
#define DUNE_KERN_SELF_H

#include "kern/self/mem.h"
#include "kern/self/percpu.h"
#include "kern/sys/sys.h"
#include "kern/task/task.h"
#include "kern/vm/vm.h"

#define DUNE_HOST_STACK		(128ul << 10)

/* A registration of rseq(2): addr 0, none. */
struct dune_rseq {
	uint64_t addr, len, sig;
};

#define DUNE_RSEQ_UNREGISTER	1

struct dune_sthread {
	struct dune_task task;		/* first: dune_current points here */
	struct dune_percpu *pc;		/* its block, guest = host address */
	struct dune_sthread *next;	/* of all */
	bool active;			/* in Dune mode */
	bool deliverable;		/* u can be interrupted by a signal */
	struct dune_rseq rseq;		/* to come back when it leaves */
	struct dune_call call;		/* dirty.h: what it is in */
	bool calling;
	struct dune_sigframe *frame;	/* for going on natively */
	uint8_t *xsave;			/* follows frame: its fpstate */
};

struct dune_self {
	pthread_mutex_t lock;		/* everything here but mem */
	bool made;
	int kvm_fd;
	struct dune_vm vm;
	struct dune_smem mem;
	struct dune_proc proc;
	struct dune_sthread *threads;
	unsigned int active;		/* threads in Dune mode */
	struct dune_percpu *free_blocks;	/* of threads that have ended,
						 * linked by their first word */
	unsigned int blocks;		/* ever made */
	bool open_memory;		/* ring 3 may reach what is mapped */
	uint64_t image, image_len;	/* what the trap dispatcher is in */
	/* the guest side's: a mapping is about to change, or NULL */
	void (*changed)(uint64_t va, uint64_t len, bool gone);
	/*
	 * The guest side's, set before the first enter: its trap dispatcher,
	 * and where in a thread's TLS, from its base, its block is noted.
	 */
	uint64_t (*dispatch)(struct dune_tf *, uint64_t, uint64_t, uint64_t,
			     struct dune_percpu *);
	ptrdiff_t block_at;
	/* an upcall: clears the main root's dirty bits */
	void (*clear_dirty)(struct dune_tf *tf, struct dune_percpu *pc);
	/* Somebody looks at dirty bits (dirty.h). Never false again. */
	bool tracking;
};

extern struct dune_self dune_self;

/* The frame a trap leaves: the original libdune's struct dune_tf. */
struct dune_tf;

static inline struct dune_sthread *dune_sthread_of(struct dune_task *t)
{
	return (struct dune_sthread *)t;
}

/* ---- start.c ---- */

/*
 * Makes the process's VM if there is none; attach is called with it, before any
 * thread enters. 0, or an errno with a message.
 */
int dune_self_make(int (*attach)(void));
/*
 * The calling thread, whose t is, goes on in Dune mode. 0 once there; an errno
 * with a message, and nothing changed.
 */
int dune_self_enter_thread(struct dune_sthread *t);
/* dune_vm_alias(): a second view of the tables, which the guest may write. */
int dune_self_alias(void);
/* A child that was forked natively: it starts with nothing. */
void dune_self_forget(void);

/*
 * A thread's memory, block and vCPU. release gives back all but the memory,
 * which the caller may be running on.
 */
int dune_sthread_new(struct dune_sthread **t);
void dune_sthread_release(struct dune_sthread *t);
void dune_sthread_memory(struct dune_sthread *t, void **addr, size_t *len);
void dune_sthread_free(struct dune_sthread *t);
/* The system registers for ring 0 at the start, and MSRs. */
int dune_sthread_registers(struct dune_sthread *t, dune_gpa_t root);

/* ---- block.c ---- */
struct dune_percpu *dune_block_at(const struct dune_vm *vm,
				  unsigned int index);
int dune_block_make(struct dune_vm *vm, unsigned int index,
		    struct dune_percpu **pc);
void dune_block_init(struct dune_vm *vm, struct dune_percpu *pc);
void dune_block_sregs(const struct dune_vm *vm, const struct dune_percpu *pc,
		      dune_gpa_t root, struct kvm_sregs *sregs);
/*
 * Of the CPU as this KVM shows it: CPUID's bit; PCIDs in ring 0; 1 GiB pages.
 */
bool dune_kind_has(const struct dune_kvm_kind *kind, uint32_t leaf, char reg,
		   unsigned int bit);
bool dune_kind_pcid(const struct dune_kvm_kind *kind);
bool dune_kind_1g(const struct dune_kvm_kind *kind);
/* Code or data segments of ring 0 or 3, as this KVM runs them. */
void dune_block_segments(const struct dune_vm *vm, bool user,
			 struct kvm_sregs *sregs);
/* Address of a label of guest.S in the block. */
dune_gva_t dune_block_label(const struct dune_percpu *pc, const char *label);

/* ---- run.c ---- */
enum dune_self_exit {
	DUNE_SELF_SYSCALL,	/* u: the caller's registers */
	DUNE_SELF_HCALL,	/* u: rax, rdi ...; rip after it */
	DUNE_SELF_FAULT,	/* u.rsp: the trap frame */
	DUNE_SELF_OVERFLOW,
	DUNE_SELF_INTR,
	DUNE_SELF_HLT,
	DUNE_SELF_PORT,		/* the program used a port itself */
	DUNE_SELF_EFAULT,
	DUNE_SELF_DEAD,		/* dune_errmsg() says why */
};
enum dune_self_exit dune_self_run(struct dune_sthread *t);
/* From (virtual) ring 3 to ring 0, as if a trap had come and gone. */
void dune_self_to_kernel(struct dune_sthread *t);
/*
 * The guest runs fn(frame, block) on the handler stack, with signals held
 * (pc->hold), instead of going on at u, which is in frame: with
 * pc->finish(frame) it does that.
 */
void dune_self_upcall(struct dune_sthread *t,
		      void (*fn)(struct dune_tf *, struct dune_percpu *));
/* u has been loaded with a frame of ring 3: the rest of the state, too. */
void dune_self_to_user(struct dune_sthread *t);

/* ---- loop.c, calls.c ---- */
void dune_self_loop(struct dune_sthread *t) __attribute__((noreturn));
/* Serves the call in u; true: to be restarted. */
bool dune_self_call(struct dune_sthread *t);
/* Goes on natively at u, out of Dune mode. The mask, altstack too. */
void dune_self_native(struct dune_sthread *t) __attribute__((noreturn));
/* Fills t->frame from u. */
void dune_self_native_frame(struct dune_sthread *t);

#endif
