/*
 * The signal frame of x86-64 Linux: what a handler finds on its stack and
 * rt_sigreturn reads back. Pure: numbers and buffers in, numbers and buffers
 * out; nothing here touches the guest, KVM or the host's signals.
 *
 *   higher addresses
 *     the interrupted code's stack, and its red zone of 128 bytes
 *     fpstate, 64-byte aligned: XSAVE area of xstate.size bytes, MAGIC2
 *     struct dune_sigframe; its address is 8 modulo 16: the handler's rsp
 *   lower addresses
 */
#ifndef DUNE_KERN_SIGFRAME_H
#define DUNE_KERN_SIGFRAME_H

#include <linux/kvm.h>
#include <signal.h>
#include "kern/types.h"

/* The names are Linux's; the layout is the ABI. */
struct dune_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;	/* address, 0: none */
	uint64_t reserved[8];
};

struct dune_sigstack {		/* stack_t */
	uint64_t sp;
	int32_t flags;
	uint32_t pad;
	uint64_t size;
};

struct dune_sigucontext {
	uint64_t flags, link;
	struct dune_sigstack stack;
	struct dune_sigcontext mc;
	uint64_t sigmask;
};

struct dune_sigframe {
	uint64_t pretcode;	/* where the handler returns to: sa_restorer */
	struct dune_sigucontext uc;
	siginfo_t info;		/* written for SA_SIGINFO handlers only */
};

/* uc.flags */
#define DUNE_UC_FP_XSTATE		1
#define DUNE_UC_SIGCONTEXT_SS		2
#define DUNE_UC_STRICT_RESTORE_SS	4

#define DUNE_SS_AUTODISARM	(1u << 31)
#define DUNE_MINSIGSTKSZ	2048
#define DUNE_SA_RESTORER	0x04000000ul

/* The FPU state in a frame, in XSAVE's standard format. */
#define DUNE_FXSAVE_SIZE	512u	/* legacy area */
#define DUNE_XSAVE_MIN		576u	/* legacy area and header */
#define DUNE_XSAVE_MAX		8192u	/* the probe wants no larger one */
#define DUNE_FP_MAGIC1		0x46505853u
#define DUNE_FP_MAGIC2		0x46505845u
#define DUNE_FP_MAGIC2_SIZE	4u

struct dune_xstate {
	uint64_t features;	/* XCR0 of the guest; x87 and SSE always */
	uint32_t size;		/* bytes these features take */
	uint32_t mxcsr_mask;	/* bits that may be set in MXCSR */
};

/* Asks this CPU for size and MXCSR bits; slow (CPUID) but for a repetition. */
struct dune_xstate dune_xstate_of(uint64_t xcr0);

/* Is sp on the alternate stack? With SS_AUTODISARM never, as in Linux. */
bool dune_on_altstack(const struct dune_sigstack *alt, uint64_t sp);

struct dune_sigplace {
	dune_gva_t frame, fpstate;
};

/*
 * Where the frame of a handler with these SA_* flags goes. false if it would
 * leave the alternate stack. The addresses are not checked otherwise.
 */
bool dune_sigframe_place(struct dune_sigplace *place, uint64_t rsp,
			 uint64_t sa_flags, const struct dune_sigstack *alt,
			 const struct dune_xstate *xs);

/* The last fault of the thread: stays in later frames, as in Linux. */
struct dune_sigtrap {
	uint64_t number, error, cr2;
};

/* All of the frame but info. */
void dune_sigframe_fill(struct dune_sigframe *frame, const struct kvm_regs *u,
			const struct dune_sigtrap *trap, uint64_t oldmask,
			const struct dune_sigstack *alt, uint64_t fpstate,
			uint64_t restorer);

/*
 * Registers from a frame the guest may have written anything into. rflags
 * gets only what a program may set; rip and rsp are any number.
 */
void dune_sigframe_regs(const struct dune_sigcontext *mc, struct kvm_regs *u);

/*
 * The first of cs and ss that the processor would refuse on the way back, or
 * -1. 32-bit code counts as refused: there is no place for it here.
 */
int dune_sigframe_bad_selector(const struct dune_sigucontext *uc);

/*
 * Makes an XSAVE area a frame's fpstate: the marks by which rt_sigreturn and
 * debuggers know it. area holds xs->size + DUNE_FP_MAGIC2_SIZE bytes.
 */
void dune_fpstate_seal(uint8_t *area, const struct dune_xstate *xs);

/*
 * From the first DUNE_FXSAVE_SIZE bytes of a guest's fpstate: how many bytes
 * of state it says it has; DUNE_FXSAVE_SIZE when it is not marked.
 */
uint32_t dune_fpstate_size(const uint8_t *area, const struct dune_xstate *xs);

/*
 * Makes the guest's fpstate (size bytes, then those of MAGIC2) one that
 * KVM_SET_XSAVE accepts; bytes from size to room are cleared. -EINVAL where
 * the processor would refuse it.
 */
int dune_fpstate_open(uint8_t *area, uint32_t size, uint32_t room,
		      const struct dune_xstate *xs);

#endif
