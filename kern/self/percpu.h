/*
 * What one thread in Dune mode has in the ring 0 area: its *block*. Shared by
 * the host side (kern/self), the guest side (libdune) and the stubs (guest.S,
 * copied into each block, so that they find their data relative to rip: no
 * register, no GS base is taken from the program).
 *
 * Guest virtual = host virtual for all of it (DUNE_RING0_GVA). Everything
 * here belongs to the program, as all of its process does: the trust boundary
 * of Dune mode is the process, and the host side relies on none of it for
 * more than the program's own good.
 *
 *   offset    what                            ring 0     software KVM, ring 3
 *   0x00000   struct dune_percpu              rw         rw
 *   0x01000   stubs: entry, return, gates     rx         rx
 *   0x02000   256 trap stubs of 16 bytes      rx         -
 *   0x03000   IDT                             rw         -
 *   0x04000   GDT, TSS                        rw         -
 *   0x05000   guard
 *   0x06000   IST stack, 8 KiB                rw         rw
 *   0x08000   guard
 *   0x09000   handler stack, 64 KiB           rw         rw
 */
#ifndef DUNE_KERN_PERCPU_H
#define DUNE_KERN_PERCPU_H

#define DUNE_PC_STUBS		0x1000
#define DUNE_PC_TRAPS		0x2000
#define DUNE_PC_TRAP_SIZE	16
#define DUNE_PC_IDT		0x3000
#define DUNE_PC_GDT		0x4000
#define DUNE_PC_TSS		0x4100
#define DUNE_PC_IOMAP		(DUNE_PC_TSS + 102)	/* TSS: I/O map base */
#define DUNE_PC_IST		0x6000
#define DUNE_PC_IST_TOP		0x8000
#define DUNE_PC_HSTACK		0x9000
#define DUNE_PC_HSTACK_TOP	0x19000
#define DUNE_PC_SIZE		0x20000	/* and so aligned */

#define DUNE_VECTORS		256
#define DUNE_VEC_SYSCALL	256	/* a system call from ring 3 */

/*
 * Ports: how the guest asks the host side. Ring 3 has none; but where ring 0
 * runs in ring 3 they have to be open to it: then the I/O map changes with the
 * ring.
 */
#define DUNE_IOMAP_OPEN		104
#define DUNE_IOMAP_SHUT		0xffff	/* beyond the TSS: all ports fault */
#define DUNE_PORT_HCALL		0x11	/* rax: number; rdi, rsi, rdx */
#define DUNE_PORT_FAULT		0x12	/* rsp: a trap frame nobody handled */
#define DUNE_PORT_OVERFLOW	0x13	/* the handler stack is used up */

/* Hypercalls. Return in rax: 0 or more, or a negative errno. */
#define DUNE_HC_LEAVE		1	/* go on in ordinary mode */
#define DUNE_HC_FILL		2	/* (va): make the entries around va */
#define DUNE_HC_BACK		3	/* (va): a slot for va's window */
#define DUNE_HC_FLUSH		4	/* other threads' TLBs as well */
#define DUNE_HC_POLL		5	/* deliver signals now */
#define DUNE_HC_SETCPU		6	/* load struct dune_percpu.cr3 ...: see
					 * DUNE_SET_* in kern/self/self.h */

#define DUNE_HC_DIRTY		7	/* dirty bits were cleared (dirty.h) */
#define DUNE_HC_ALIAS		8	/* dune_vm_alias() */
#define DUNE_HC_UNWRITE		9	/* dune_vm_unwrite(windows, list); if
					 * the third is not 0, DIRTY as well */
#define DUNE_LISTED_WINDOWS	1024

/* The selectors a frame in Dune mode shows; cs & 3 is the privilege level. */
#define DUNE_SELF_KERN_CS	0x10
#define DUNE_SELF_KERN_SS	0x18
#define DUNE_SELF_USER_SS	0x2b
#define DUNE_SELF_USER_CS	0x33
/*
 * Where ring 0 runs deprivileged its real selectors are those of ring 3; a
 * frame for (virtual) ring 3 has these instead, which no descriptor stands
 * behind: iretq traps, and is emulated.
 */
#define DUNE_SELF_VUSER_SS	0x53
#define DUNE_SELF_VUSER_CS	0x5b

/* Gate operations of a software KVM: int3 at the gate, rax: */
#define DUNE_GATE_CR3		0	/* rdi: the new (real) CR3 */
#define DUNE_GATE_USER		1	/* to ring 3: iret frame at rsp */

/* Flags a system call does not enter ring 0 with: TF, DF, NT, AC. */
#define DUNE_FMASK		0x44500
#define DUNE_RFLAGS_TF		0x100

/* What dune_percpu.dispatch returns. */
#define DUNE_RET_RESUME		0	/* load the frame, ring 0 */
#define DUNE_RET_FAULT		1	/* the host side decides: a signal */
#define DUNE_RET_USER		2	/* load the frame, ring 3 */

/* Offsets in struct dune_percpu for the stubs. */
#define DUNE_PCPU_IN_USER	0x00
#define DUNE_PCPU_USER_RSP	0x08
#define DUNE_PCPU_TRAP_RSP	0x10
#define DUNE_PCPU_HSTACK_LO	0x18
#define DUNE_PCPU_HSTACK_SIZE	0x20
#define DUNE_PCPU_HSTACK_MIN	0x28
#define DUNE_PCPU_CR2		0x30
#define DUNE_PCPU_DISPATCH	0x38
#define DUNE_PCPU_XSAVE_SIZE	0x40
#define DUNE_PCPU_XSAVE_LO	0x48
#define DUNE_PCPU_XSAVE_HI	0x4c
#define DUNE_PCPU_FLAGS		0x50
#define DUNE_PCPU_KERN_FS	0x58
#define DUNE_PCPU_USER_FS	0x60
#define DUNE_PCPU_KERN_CR3	0x68
#define DUNE_PCPU_USER_CR3	0x70
#define DUNE_PCPU_TRAMP		0x78
#define DUNE_PCPU_GATE		0x80
#define DUNE_PCPU_HCALL		0x88
#define DUNE_PCPU_NOFPU		0x90
#define DUNE_PCPU_KICK		0xb8
#define DUNE_PCPU_HOLD		0xc8

#define DUNE_PCF_FSGSBASE	1	/* rdfsbase and friends work */
#define DUNE_PCF_XSAVE		2	/* else fxsave */
#define DUNE_PCF_NATIVE		4	/* ring 0 is real */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct dune_tf;

struct dune_percpu {
	uint64_t in_user;	/* ring 3 (or virtual ring 3) runs */
	uint64_t user_rsp;	/* of a system call being entered */
	uint64_t trap_rsp;	/* stack for what comes from ring 3 */
	uint64_t hstack_lo, hstack_size;
	uint64_t hstack_min;	/* below it a frame does not fit */
	uint64_t cr2;		/* of the last page fault */
	/* (frame, vector, cr2, from ring 3?, this): DUNE_RET_* */
	uint64_t (*dispatch)(struct dune_tf *tf, uint64_t vector, uint64_t cr2,
			     uint64_t from_user, struct dune_percpu *pc);
	uint64_t xsave_size;	/* multiple of 64 */
	uint32_t xsave_lo, xsave_hi;
	uint64_t flags;		/* DUNE_PCF_* */
	uint64_t kern_fs, user_fs;
	uint64_t kern_cr3, user_cr3;	/* software KVM: both views */
	void *tramp;		/* software KVM: where traps come to ring 3 */
	void (*gate)(uint64_t op, uint64_t arg);	/* software KVM */
	long (*hcall)(long nr, uint64_t a, uint64_t b, uint64_t c);
	uint64_t nofpu[5];	/* bit a vector: handlers use no FPU state */
	uint64_t kick;		/* host side: ask for signals (HC_POLL) soon */
	uint64_t entry;		/* LSTAR: dune_guest_syscall */
	uint64_t hold;		/* > 0: no signal now; the guest polls after */
	/* load a frame, which must be on the handler stack, and go there */
	void (*to_user)(struct dune_tf *tf) __attribute__((noreturn));
	void (*resume)(struct dune_tf *tf) __attribute__((noreturn));
	/* the end of a function that dune_self_upcall() began */
	void (*finish)(struct dune_tf *tf) __attribute__((noreturn));

	uint64_t tid;		/* host side: who is in Dune mode here, or 0 */

	/* ---- the guest side's own, opaque to the stubs ---- */
	uint64_t guest[64];	/* libdune/guest.h: struct dune_guest */
};

#define DUNE_PC_CHECK(off, field) \
	_Static_assert(off == offsetof(struct dune_percpu, field), #field)
DUNE_PC_CHECK(DUNE_PCPU_USER_RSP, user_rsp);
DUNE_PC_CHECK(DUNE_PCPU_TRAP_RSP, trap_rsp);
DUNE_PC_CHECK(DUNE_PCPU_HSTACK_MIN, hstack_min);
DUNE_PC_CHECK(DUNE_PCPU_DISPATCH, dispatch);
DUNE_PC_CHECK(DUNE_PCPU_XSAVE_HI, xsave_hi);
DUNE_PC_CHECK(DUNE_PCPU_USER_FS, user_fs);
DUNE_PC_CHECK(DUNE_PCPU_USER_CR3, user_cr3);
DUNE_PC_CHECK(DUNE_PCPU_HCALL, hcall);
DUNE_PC_CHECK(DUNE_PCPU_NOFPU, nofpu);
DUNE_PC_CHECK(DUNE_PCPU_KICK, kick);
DUNE_PC_CHECK(DUNE_PCPU_HOLD, hold);
_Static_assert(sizeof(struct dune_percpu) <= 0x1000, "one page");

#endif
#endif
