/*
 * A mailbox: how one vCPU's guest hands system calls to a host thread (the
 * proxy, kern/gate/) without leaving the VM.
 *
 * Each vCPU with a mailbox has two more pages in the ring 0 area: system call
 * entry code of its own (LSTAR), and behind it the mailbox, which the code
 * finds relative to its own address. The code posts the call and spins for the
 * answer; when none comes in time it leaves by `out`, as without a mailbox.
 * Entry code also answers getpid and gettid by itself.
 *
 * On a software KVM the two pages are also at DUNE_SITES_GVA, in page tables
 * whose root is the vCPU's own: what runs there finds the mailbox of the vCPU
 * it runs on, however it came there. That is where rewritten sites jump.
 *
 * Where ring 0 is native only ring 0 can reach the page. On a software KVM the
 * entry code runs in ring 3: the program may write anything there at any time.
 * So nothing in the page is ever the truth for the host:
 *
 *   mailbox.state  FREE -> POSTED (guest) -> DONE or DECLINED (proxy); a hint,
 *                  and the guest's to ruin
 *   vcpu.box_owner IDLE -> GUEST (vCPU thread, before KVM_RUN) -> SERVING
 *                  (proxy) -> GUEST (proxy) -> IDLE (vCPU thread, after
 *                  KVM_RUN, waiting while SERVING); host memory, the truth
 *
 * A call is served by the proxy only while the owner is SERVING, by the vCPU's
 * thread only while it is IDLE: never by both, whatever the page says.
 */
#ifndef DUNE_KERN_MAILBOX_H
#define DUNE_KERN_MAILBOX_H

/* Offsets in struct dune_mailbox, for the entry code. */
#define DUNE_BOX_STATE		0
#define DUNE_BOX_NR		4
#define DUNE_BOX_RET		8
#define DUNE_BOX_ARG		16
#define DUNE_BOX_ARG1		24
#define DUNE_BOX_ARG2		32
#define DUNE_BOX_ARG3		40
#define DUNE_BOX_ARG4		48
#define DUNE_BOX_ARG5		56
#define DUNE_BOX_OPEN		128
#define DUNE_BOX_SPINS		132
#define DUNE_BOX_PID		136
#define DUNE_BOX_TID		140
#define DUNE_BOX_BUDGET		144
#define DUNE_BOX_RIP		192
#define DUNE_BOX_RFLAGS		200
#define DUNE_BOX_RSP		208
#define DUNE_BOX_COUNT_PID	216
#define DUNE_BOX_COUNT_TID	220
#define DUNE_BOX_STACK_TOP	512

#define DUNE_BOX_FREE		0
#define DUNE_BOX_POSTED		1
#define DUNE_BOX_DONE		2
#define DUNE_BOX_DECLINED	3	/* leave, and have it run there */

/*
 * Where in the entry code a vCPU was found: what its user registers are, and
 * what has become of the call.
 */
#define DUNE_AT_ENTRY		0	/* registers as the caller left them */
#define DUNE_AT_POSTED		1	/* the mailbox knows */
#define DUNE_AT_DONE		2	/* answered; registers in the mailbox */
#define DUNE_AT_LEAVE		3	/* rax, rcx and r11 are the caller's */
#define DUNE_AT_LEAVE_STACK	4	/* the same, rsp is in the mailbox */
#define DUNE_AT_PID		5	/* rax was getpid's number */
#define DUNE_AT_TID		6	/* rax was gettid's number */
#define DUNE_AT_OUT		7	/* at `out`: as ENTRY */
#define DUNE_AT_WAIT		8	/* at the other `out`: as POSTED */
#define DUNE_AT_SYSRET		9	/* after either: as LEAVE */
#define DUNE_AT_SITE		10	/* from a rewritten site: live flags */
#define DUNE_AT_SITE_STACK	11	/* the same, rsp is in the mailbox */
#define DUNE_AT_NOTHING		12	/* behind the code */

#ifndef __ASSEMBLER__

#include "kern/vm/vm.h"

struct dune_mailbox {
	/*
	 * The call, written by the guest, answered by the proxy: one cache
	 * line, which goes to the proxy's CPU and back.
	 */
	uint32_t state;
	uint32_t nr;
	uint64_t ret;
	uint64_t arg[6];
	uint64_t pad1[8];
	/* written by the host only (a guest that does harms itself) */
	uint32_t open;		/* somebody is there to post to */
	uint32_t spins;		/* how often to look for the answer */
	uint32_t pid, tid;	/* getpid's and gettid's answers, 0: none */
	int32_t budget;		/* so many of them; then an exit */
	uint32_t pad2[11];
	/* written by the entry code: the caller's registers, counters */
	uint64_t rip, rflags, rsp;
	uint32_t pids, tids;	/* answers given */
	uint64_t stack[36];
};

/* One call as it was posted: a copy. */
struct dune_post {
	uint64_t nr, arg[6];
};

/*
 * Gives the vCPU its mailbox, closed. Once; 0 if it has one already. -ENOMEM,
 * or what KVM says. By the vCPU's thread, outside of the guest.
 */
int dune_mailbox_make(struct dune_vcpu *vcpu);
/* Closed, no answers, counters 0: for the next thread on this vCPU. */
void dune_mailbox_reset(struct dune_vcpu *vcpu);

/*
 * Whether a proxy may take this vCPU's calls, from its next entry on. By the
 * vCPU's thread, outside of the guest.
 */
void dune_mailbox_serve(struct dune_vcpu *vcpu, bool served);
/* May the entry code post? The guest may do so even if not. Thread-safe. */
void dune_mailbox_open(struct dune_vcpu *vcpu, bool open);
/* What the entry code answers by itself; 0: does not. */
void dune_mailbox_identity(struct dune_vcpu *vcpu, uint32_t pid,
			   uint32_t tid);
/* How often; afterwards such a call leaves as any other. */
void dune_mailbox_budget(struct dune_vcpu *vcpu, int32_t answers);

/* What it has answered since the last look; the guest's word. */
void dune_mailbox_counts(struct dune_vcpu *vcpu, uint32_t *pids,
			 uint32_t *tids);

/* ---- the proxy's side ---- */

/*
 * Is a call posted? Then it is the caller's from now on, who must answer or
 * decline it soon: the vCPU's thread may be waiting for that.
 */
bool dune_mailbox_take(struct dune_vcpu *vcpu, struct dune_post *post);
/* Where the call in hand goes on: the guest's word for it. */
uint64_t dune_mailbox_rip(const struct dune_vcpu *vcpu);
void dune_mailbox_answer(struct dune_vcpu *vcpu, long ret);
void dune_mailbox_decline(struct dune_vcpu *vcpu);

/* ---- the vCPU's side: around KVM_RUN ---- */

void dune_mailbox_enter(struct dune_vcpu *vcpu);
/* Returns when the proxy has nothing of this vCPU in hand. */
void dune_mailbox_leave(struct dune_vcpu *vcpu);

/*
 * Found at rip, by the registers in vcpu->u: is that in its entry code? Then u
 * becomes the user's registers and *exit is what this amounts to: a system
 * call to serve (SYSCALL), or one that the proxy has served (INTR). by_out: it
 * left by the entry code's `out`, which then must be where rip is.
 */
bool dune_mailbox_found(struct dune_vcpu *vcpu, bool by_out,
			enum dune_exit *exit);

#endif
#endif
