/*
 * Trap and emulate: privileged instructions of Dune mode where ring 0 is
 * emulated (a software KVM). The program runs in ring 3, its *virtual ring 0*;
 * what it may not execute traps, and is done here to the state below.
 *
 * Pure: memory, page tables and the real segment bases are reached through
 * dune_emul_ops only. No locks, no allocation, no errno; one state a thread.
 *
 * What traps in guest ring 3 of a software KVM (measured, Linux 6.18; the
 * guest's CR4.UMIP set or not):
 *
 *   cli sti hlt clts invd wbinvd swapgs sysret lgdt lidt     #GP(0)
 *   lldt ltr lmsw invlpg rdmsr wrmsr xsetbv rdpmc            #GP(0)
 *   mov to and from CR0 2 3 4 8, DR0-7                       #GP(0)
 *   mov to and from CR1 5 6 7, monitor, mwait (CPUs: #UD)    #GP(0)
 *   invpcid, stac, clac, xsaves, xrstors                     #UD
 *   sgdt sidt sldt str smsw    CR4.UMIP set: #GP(0); clear: do not trap
 *   int n, n not 3 or 4 (CPUs: #GP(n * 8 + 2))               #UD
 *   int 3, int 4                                             #BP, #OF after it
 *   iretq, selectors that no descriptor stands behind        #NP, #SS, #GP
 *   lretq, mov to Sreg, the same                             #GP(selector)
 *   in, out (the TSS's bitmap), vmcall, vmrun, sysexit       #GP(0): stays one
 *   lock before any of them                                  #UD: stays one
 *
 * What does not trap and is not what ring 0 of a CPU would see:
 *
 *   popf, iretq to real selectors   IF and IOPL stay: use cli and sti
 *   pushf                           IF = 1 always
 *   sgdt sidt sldt str smsw         without CR4.UMIP: KVM's own tables. Dune
 *                                   mode's vCPUs should have CR4.UMIP set
 *   rdtsc, rdtscp, rdfsbase, wrfsbase, xgetbv   as if CR4.TSD were 0,
 *                                   CR4.FSGSBASE 1; TSC_AUX and XCR0 the CPU's
 *   mov %cs, mov %ss                DUNE_SELF_USER_CS, _SS: the real ones
 *   lar, lsl, verr, verw            the real GDT
 *   iretq to a non-canonical rip    #GP at that rip, after it
 *   syscall in ring 0               always the host's, whatever LSTAR is
 *   vmmcall                         KVM's answer in rax
 *
 * Differences by design. #GP(0) where a CPU would have done it: clearing
 * CR0.WP or EFER.NXE (the real page tables always have both), compatibility
 * mode (32-bit code segments, sysretl), writes of TSC and TSC_AUX. As on CPUs,
 * #GP for all that would end paging or long mode: CR0.PG, CR0.PE, CR4.PAE,
 * EFER.LME. Kept but without effect: CR0.TS, EM, MP, NE, AM, CD, NW; CR4
 * but PCIDE and PGE; PAT, XCR0, XSS; DR7 (breakpoints do not fire). IOPL counts
 * as 0. An sti takes effect at once. Selectors 0x2b and 0x33 are
 * ring 0's, 0x53 and 0x5b ring 3's, whatever the program's GDT says.
 */
#ifndef DUNE_EMULATE_H
#define DUNE_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libdune/include/dune/trap.h"

/* What the CPU is said to have: reserved bits and #UD follow from it. */
struct dune_emul_features {
	uint64_t cr4, efer;	/* bits that may be set */
	uint64_t xcr0, xss;
	uint8_t phys_bits;
	bool invpcid, rdtscp;
};

/* A descriptor table, or the segment of an LDT or TSS. own: the program's. */
struct dune_emul_table {
	uint64_t base;
	uint32_t limit;
	uint16_t sel;
	bool own;
};

struct dune_vcpu_state {
	struct dune_emul_features f;
	uint64_t cr0, cr2, cr3, cr4, cr8, xcr0;
	uint64_t dr[8];			/* 4 and 5 unused */
	uint64_t efer, star, lstar, cstar, fmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, pat, xss;
	struct dune_emul_table gdtr, idtr, ldtr, tr;
	uint64_t boot_gdt, boot_idt, boot_lstar;	/* libdune's own */
	uint64_t rsp0;		/* until ltr: TSS.RSP0, and IST 1 */
	uint16_t cs[2], ss[2];	/* what frames show: [0] ring 0, [1] ring 3 */
	bool iflag;		/* RFLAGS.IF as the program set it; the frame's
				 * IF stays 1 */
};

/* Where an access to memory faulted. */
struct dune_emul_pf {
	uint64_t va;
	uint32_t error;		/* DUNE_PF_* */
};

/*
 * What the outside does; ctx is passed through. Called on the trapping
 * thread, addresses are canonical.
 */
struct dune_emul_ops {
	void *ctx;
	/* Instruction bytes at va: how many of len could be read (0 - len). */
	size_t (*fetch)(void *ctx, uint64_t va, uint8_t *buf, size_t len);
	/*
	 * The program's memory, with the rights of the privilege level `user`
	 * says. 0, or -EFAULT with *pf filled: it becomes the program's #PF.
	 * All or nothing.
	 */
	int (*read)(void *ctx, uint64_t va, void *buf, size_t len, bool user,
		    struct dune_emul_pf *pf);
	int (*write)(void *ctx, uint64_t va, const void *buf, size_t len,
		     bool user, struct dune_emul_pf *pf);
	/*
	 * CR3 has passed the architecture's checks; bit 63 is clear. keep:
	 * translations of that PCID may stay (bit 63 was set). Anything but 0:
	 * not a usable root, which becomes #GP(0).
	 */
	int (*set_cr3)(void *ctx, uint64_t cr3, bool keep);
	void (*invlpg)(void *ctx, uint64_t va);
	void (*flush_all)(void *ctx);
	/* The frame has become one of ring 3 (tf->cs & 3). */
	void (*enter_user)(void *ctx, struct dune_tf *tf);
	/* hlt: returns when something has come. rip is behind the hlt. */
	void (*wait_for_signal)(void *ctx);
	/* The real segment bases; seg is DUNE_SEG_FS or DUNE_SEG_GS. */
	uint64_t (*get_base)(void *ctx, int seg);
	void (*set_base)(void *ctx, int seg, uint64_t base);
};

/* Asks CPUID, which a software KVM does not filter. */
void dune_emul_cpuid(struct dune_emul_features *f);

/*
 * The state at dune_enter(): ring 0 of 64-bit Linux, interrupts on, libdune's
 * tables in the thread's block (kern/self/percpu.h) at address `block`.
 * The fields may be changed afterwards.
 */
void dune_vcpu_state_init(struct dune_vcpu_state *v,
			  const struct dune_emul_features *f, uint64_t cr3,
			  uint64_t block);

/*
 * Frames, in and out, are as handlers see them: tf->cs & 3 is the level. Those
 * that change level have DUNE_SELF_KERN_CS, _SS or DUNE_SELF_VUSER_CS, _SS.
 * What gates push and iretq takes are the program's own selectors (v->cs,
 * v->ss), the same ones until it loads others.
 *
 * Results of the functions below:
 */
#define DUNE_EMUL_NONE	0	/* the trap stays what it is */
#define DUNE_EMUL_DONE	1	/* resume with the frame, at its level */
#define DUNE_EMUL_TRAP	0x100	/* | vector: this instead, tf->err is set */

/*
 * The instruction at tf->rip raised `vector`. #UD, #NP, #SS and #GP come into
 * question, others are DUNE_EMUL_NONE. Where the result is a trap the
 * frame is as that trap would find it, v->cr2 set for #PF: also for `int n`
 * (rip is behind it), if the program has not loaded an IDT of its own, and #DB
 * after an instruction if RFLAGS.TF was set. With its own IDT `int n` has
 * gone through its gate: DUNE_EMUL_DONE, or -EFAULT as below.
 */
int dune_emulate(struct dune_vcpu_state *v, struct dune_tf *tf,
		 unsigned int vector, const struct dune_emul_ops *ops);

/*
 * A trap (vector < 256) through the gate of the program's own IDT: pushes the
 * frame as the CPU does, to the stack the gate and the TSS say, and points
 * tf at the gate's target. A fault on the way is delivered instead, a double
 * fault after that. For #PF v->cr2 is to be set before.
 * DUNE_EMUL_NONE: no IDT of its own. DUNE_EMUL_DONE. -EFAULT: triple fault,
 * the frame is unchanged.
 */
int dune_emulate_deliver(struct dune_vcpu_state *v, struct dune_tf *tf,
			 unsigned int vector, uint32_t error, bool has_error,
			 const struct dune_emul_ops *ops);

/*
 * `syscall` of ring 3; tf->rip is behind it. DUNE_EMUL_NONE: LSTAR is still
 * libdune's. DUNE_EMUL_DONE: the frame is at the program's LSTAR.
 * DUNE_EMUL_TRAP | #UD: EFER.SCE is off, rip back at the instruction.
 */
int dune_emulate_syscall(struct dune_vcpu_state *v, struct dune_tf *tf);

#endif
