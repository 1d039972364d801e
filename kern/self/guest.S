/*
 * The guest's side of Dune mode: system call entry, trap entry and return.
 * Copied into every thread's block (percpu.h), never run by the host.
 *
 * Two kinds of ring 0 share the code. *Native*: it runs at CPL 0. *Emulated*
 * (a software KVM): the program runs in ring 3, a trap enters an emulated
 * ring 0 of a few instructions (soft_trap), which goes on in ring 3 at `tramp`
 * with the CPU's frame on the IST stack, and from there on both are the same.
 *
 * A host signal can stop the guest between any two instructions here. What
 * kern/self/run.c does then depends on where: labels are exported.
 */
#include "kern/self/percpu.h"

/* The block's data, as seen from the copied code. */
#define PC(field)	\
	(dune_guest_code - DUNE_PC_STUBS + DUNE_PCPU_##field)(%rip)
/* Where the TSS says which ports ring 3 may use. */
#define IOMAP_BASE	(dune_guest_code - DUNE_PC_STUBS + DUNE_PC_IOMAP)(%rip)

	.section .rodata
	.balign 16
	.globl dune_guest_code, dune_guest_end
	.hidden dune_guest_code, dune_guest_end
dune_guest_code:

/*
 * LSTAR. The program's own calls: rcx and r11 are lost by the instruction's
 * definition, so they hold the way back; no stack is touched (red zone). A
 * software KVM hides this page from (virtual) ring 3, whose calls come as
 * page faults at this address.
 */
	.globl dune_guest_syscall, dune_guest_syscall_out
	.hidden dune_guest_syscall, dune_guest_syscall_out
dune_guest_syscall:
	cmpb	$0, PC(IN_USER)
	jne	user_syscall
dune_guest_syscall_out:
	out	%al, $0x10		/* DUNE_PORT_SYSCALL */
	jmp	*%rcx

/* long hcall(nr, a, b, c): arguments move by one. */
	.globl dune_guest_hcall, dune_guest_hcall_out
	.hidden dune_guest_hcall, dune_guest_hcall_out
dune_guest_hcall:
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
dune_guest_hcall_out:
	out	%al, $DUNE_PORT_HCALL
	ret

/* void gate(op, arg): the int3 of which emulated ring 0 knows the address. */
	.globl dune_guest_gate, dune_guest_gate_int3, dune_guest_gate_end
	.hidden dune_guest_gate, dune_guest_gate_int3, dune_guest_gate_end
dune_guest_gate:
	mov	%rdi, %rax
	mov	%rsi, %rdi
dune_guest_gate_int3:
	int3
gate_next:
	cmpb	$0, PC(KICK)
	jne	1f
	ret
dune_guest_gate_end:
1:	mov	$DUNE_HC_POLL, %edi
	jmp	dune_guest_hcall

/* Ring 0: a system call of ring 3. */
user_syscall:
	mov	%rsp, PC(USER_RSP)
	testb	$DUNE_PCF_NATIVE, PC(FLAGS)
	je	soft_syscall
	mov	PC(TRAP_RSP), %rsp
	push	$DUNE_SELF_USER_SS
	push	PC(USER_RSP)
	push	%r11
	push	$DUNE_SELF_USER_CS
	push	%rcx
	push	$0
	push	$DUNE_VEC_SYSCALL
	cld
	jmp	on_handler_stack

/* ---- traps: on the IST stack; vector, error code, CPU's frame ---- */

/*
 * Stack: 0 rcx, 8 rax, 16 vector, 24 error, 32 rip, cs, rflags, 56 rsp, ss. Was
 * it a trap of the lines here, because what they use is not mapped? It would
 * come again without end. Ring 3 may say any rsp, but executes nothing here:
 * its fault is that of the fetch.
 */
.macro STOP_IF_OURS
	mov	56(%rsp), %rcx
	xor	%rsp, %rcx
	shr	$13, %rcx		/* the IST stack: 8 KiB, aligned */
	jnz	10f
	mov	32(%rsp), %rcx
	lea	dune_guest_code(%rip), %rax
	sub	%rax, %rcx
	cmp	$dune_guest_end - dune_guest_code, %rcx
	jae	10f
	cmpb	$14, 16(%rsp)
	jne	overflow
	testb	$0x10, 24(%rsp)
	jz	overflow
10:
.endm

/* Emulated ring 0: on to ring 3. Every instruction costs, so few of them. */
	.globl dune_guest_soft_trap
	.hidden dune_guest_soft_trap
dune_guest_soft_trap:
	cmpb	$0, PC(IN_USER)
	je	1f
	push	%rax
	mov	PC(KERN_CR3), %rax
	mov	%rax, %cr3
	movw	$DUNE_IOMAP_OPEN, IOMAP_BASE
	pop	%rax
1:	push	$DUNE_SELF_USER_SS
	push	%rsp
	pushfq
	push	$DUNE_SELF_USER_CS
	push	PC(TRAMP)
	iretq

/* #PF, in either ring 0: CR2 first, before another fault changes it. */
	.globl dune_guest_pf, dune_guest_soft_pf
	.hidden dune_guest_pf, dune_guest_soft_pf
dune_guest_soft_pf:
	push	$14
	push	%rax
	mov	%cr2, %rax
	mov	%rax, PC(CR2)
	pop	%rax
	jmp	dune_guest_soft_trap
dune_guest_pf:
	push	$14
	push	%rax
	push	%rcx
	STOP_IF_OURS
	mov	%cr2, %rax
	mov	%rax, PC(CR2)
	jmp	on_ist

/* #BP in emulated ring 0: a gate call, or the program's own. */
	.globl dune_guest_soft_bp, dune_guest_soft_to_user
	.globl dune_guest_soft_to_user_end
	.hidden dune_guest_soft_bp, dune_guest_soft_to_user
	.hidden dune_guest_soft_to_user_end
dune_guest_soft_bp:
	push	%rcx
	lea	gate_next(%rip), %rcx
	cmp	%rcx, 24(%rsp)
	pop	%rcx
	jne	dune_guest_soft_trap
	cmp	$DUNE_GATE_USER, %eax
	je	dune_guest_soft_to_user
	add	$16, %rsp
	mov	%rdi, %cr3
	iretq

/* To (virtual) ring 3: rsp at the int3 has the trap frame to load; rbx too. */
dune_guest_soft_to_user:
	mov	40(%rsp), %rsp
	mov	PC(USER_CR3), %rax
	mov	%rax, %cr3
	movb	$1, PC(IN_USER)
	movw	$DUNE_IOMAP_SHUT, IOMAP_BASE
	jmp	dune_guest_restore
dune_guest_soft_to_user_end:

/*
 * A software KVM may stay in ring 3 with a system call, or not (it does not
 * when rsp is not canonical). So it was in emulated ring 0: on as a trap.
 */
soft_syscall:
	lea	dune_guest_code - DUNE_PC_STUBS + DUNE_PC_IST_TOP(%rip), %rsp
	push	$DUNE_SELF_USER_SS
	push	PC(USER_RSP)
	push	%r11
	push	$DUNE_SELF_USER_CS
	push	%rcx
	push	$0
	push	$DUNE_VEC_SYSCALL
	jmp	dune_guest_soft_trap

	.globl dune_guest_tramp
	.hidden dune_guest_tramp
dune_guest_tramp:
	lea	8(%rsp), %rsp
	.globl dune_guest_trap
	.hidden dune_guest_trap
dune_guest_trap:
	push	%rax
	push	%rcx
	cmpb	$1, 16(%rsp)		/* #DB */
	je	debug
not_stepped:
	STOP_IF_OURS
on_ist:
	cld
	mov	PC(TRAP_RSP), %rax
	cmpb	$0, PC(IN_USER)
	jne	1f
	/* Nested in a handler: below it, and below its red zone. */
	mov	56(%rsp), %rcx
	sub	PC(HSTACK_LO), %rcx
	cmp	PC(HSTACK_SIZE), %rcx
	mov	PC(HSTACK_LO), %rax
	lea	-128(%rax, %rcx), %rcx
	mov	PC(HSTACK_SIZE), %rax
	jae	2f
	mov	%rcx, %rax
	jmp	1f
2:	add	PC(HSTACK_LO), %rax
1:	and	$-16, %rax
	cmp	PC(HSTACK_MIN), %rax
	jb	overflow
	mov	16(%rsp), %rcx
	mov	%rcx, -56(%rax)
	mov	24(%rsp), %rcx
	mov	%rcx, -48(%rax)
	mov	32(%rsp), %rcx
	mov	%rcx, -40(%rax)
	mov	40(%rsp), %rcx
	mov	%rcx, -32(%rax)
	mov	48(%rsp), %rcx
	mov	%rcx, -24(%rax)
	mov	56(%rsp), %rcx
	mov	%rcx, -16(%rax)
	mov	64(%rsp), %rcx
	mov	%rcx, -8(%rax)
	mov	8(%rsp), %rcx
	mov	%rcx, -64(%rax)
	mov	(%rsp), %rcx
	lea	-64(%rax), %rsp		/* the IST stack is free again */
	pop	%rax

/* Vector, error code and frame at rsp, on the handler stack. */
	.globl dune_guest_on_handler_stack
	.hidden dune_guest_on_handler_stack
dune_guest_on_handler_stack:
on_handler_stack:
	xchg	%rax, (%rsp)		/* tf->rax; rax: the vector */
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbp
	push	%rbx
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rsp, %rbx		/* the frame */
	mov	%rax, %r12		/* the vector */
	mov	PC(CR2), %r13
	mov	PC(IN_USER), %r14
	test	%r14, %r14
	je	3f
	movq	$0, PC(IN_USER)
	testb	$DUNE_PCF_FSGSBASE, PC(FLAGS)
	je	4f
	rdfsbase %rax
	mov	%rax, PC(USER_FS)
	mov	PC(KERN_FS), %rax
	wrfsbase %rax
	jmp	3f
4:	mov	$0xc0000100, %ecx	/* MSR_FS_BASE */
	rdmsr
	mov	%eax, PC(USER_FS)
	mov	%edx, 4 + PC(USER_FS)
	mov	PC(KERN_FS), %eax
	mov	4 + PC(KERN_FS), %edx
	wrmsr
3:	xor	%r15d, %r15d
	bt	%r12, PC(NOFPU)
	jc	6f
	sub	PC(XSAVE_SIZE), %rsp
	and	$-64, %rsp
	mov	%rsp, %r15
	testb	$DUNE_PCF_XSAVE, PC(FLAGS)
	je	5f
	xor	%eax, %eax
	mov	%rax, 512(%rsp)
	mov	%rax, 520(%rsp)
	mov	%rax, 528(%rsp)
	mov	%rax, 536(%rsp)
	mov	%rax, 544(%rsp)
	mov	%rax, 552(%rsp)
	mov	%rax, 560(%rsp)
	mov	%rax, 568(%rsp)
	mov	PC(XSAVE_LO), %eax
	mov	PC(XSAVE_HI), %edx
	xsave64	(%rsp)
	jmp	7f
5:	fxsave64 (%rsp)
7:	test	%r14, %r14		/* ring 3's MXCSR is not ring 0's */
	je	6f
	movl	$0x1f80, -8(%rsp)
	ldmxcsr	-8(%rsp)
6:	mov	%rbx, %rdi
	mov	%r12, %rsi
	mov	%r13, %rdx
	mov	%r14, %rcx
	lea	PC(IN_USER), %r8
	xor	%ebp, %ebp
	and	$-16, %rsp
	incq	PC(HOLD)
	call	*PC(DISPATCH)
	mov	%rax, %r14
	test	%r15, %r15
	je	8f
	testb	$DUNE_PCF_XSAVE, PC(FLAGS)
	je	9f
	mov	PC(XSAVE_LO), %eax
	mov	PC(XSAVE_HI), %edx
	xrstor64 (%r15)
	jmp	8f
9:	fxrstor64 (%r15)
8:	mov	%rbx, %rsp
	decq	PC(HOLD)
	cmp	$DUNE_RET_FAULT, %r14
	je	fault
	ja	dune_guest_user
	jmp	dune_guest_return

/* void finish(frame): the end of a function of dune_self_upcall(). */
	.globl dune_guest_finish
	.hidden dune_guest_finish
dune_guest_finish:
	mov	%rdi, %rsp
	decq	PC(HOLD)
	jmp	dune_guest_return

/* void resume(frame): loads it in ring 0. */
	.globl dune_guest_resume
	.hidden dune_guest_resume
dune_guest_resume:
	mov	%rdi, %rsp

/*
 * A signal that came up to here has left a kick; what comes now, finds a frame.
 */
	.globl dune_guest_return, dune_guest_poll_out
	.hidden dune_guest_return, dune_guest_poll_out
dune_guest_return:
	cmpb	$0, PC(KICK)
	je	dune_guest_restore
dune_guest_poll_out:
	out	%al, $DUNE_PORT_HCALL	/* the host side loads the frame */

/* rsp: the frame. Loads only, so that the host side can do the rest itself. */
	.globl dune_guest_restore, dune_guest_restore_iret
	.hidden dune_guest_restore, dune_guest_restore_iret
dune_guest_restore:
	mov	0(%rsp), %rdi
	mov	8(%rsp), %rsi
	mov	16(%rsp), %rdx
	mov	24(%rsp), %rcx
	mov	32(%rsp), %r8
	mov	40(%rsp), %r9
	mov	48(%rsp), %r10
	mov	56(%rsp), %r11
	mov	64(%rsp), %rbx
	mov	72(%rsp), %rbp
	mov	80(%rsp), %r12
	mov	88(%rsp), %r13
	mov	96(%rsp), %r14
	mov	104(%rsp), %r15
	mov	112(%rsp), %rax
	add	$128, %rsp
dune_guest_restore_iret:
	iretq

/*
 * void to_user(frame): loads it in ring 3. rbx: the frame, till it is loaded.
 */
	.globl dune_guest_to_user, dune_guest_user, dune_guest_user_end
	.globl dune_guest_user_poll_out
	.hidden dune_guest_to_user, dune_guest_user, dune_guest_user_end
	.hidden dune_guest_user_poll_out
dune_guest_to_user:
	mov	%rdi, %rsp
	mov	%rdi, %rbx
dune_guest_user:
	cmpb	$0, PC(KICK)
	jne	dune_guest_user_poll_out
	testb	$DUNE_PCF_FSGSBASE, PC(FLAGS)
	je	1f
	mov	PC(USER_FS), %rax
	wrfsbase %rax
	jmp	2f
1:	mov	$0xc0000100, %ecx
	mov	PC(USER_FS), %eax
	mov	4 + PC(USER_FS), %edx
	wrmsr
2:	mov	$DUNE_GATE_USER, %eax
	testb	$DUNE_PCF_NATIVE, PC(FLAGS)
	je	dune_guest_gate_int3
	movb	$1, PC(IN_USER)
	jmp	dune_guest_restore
dune_guest_user_poll_out:
	out	%al, $DUNE_PORT_HCALL
	ud2
dune_guest_user_end:

/* Nobody took it: the host side turns the frame into a signal. */
fault:
	mov	%r12, %rsi		/* vector */
	mov	%r13, %rdx		/* CR2 */
	.globl dune_guest_fault_out
	.hidden dune_guest_fault_out
dune_guest_fault_out:
	out	%al, $DUNE_PORT_FAULT
	jmp	dune_guest_return	/* it was resolved after all */

	.globl dune_guest_overflow_out
	.hidden dune_guest_overflow_out
overflow:
dune_guest_overflow_out:
	out	%al, $DUNE_PORT_OVERFLOW
	ud2

/*
 * Ring 3's TF may step into the system call entry (VT-x, whatever MSR_FMASK
 * says). Nobody is to see ring 0 there, least of all as ring 0's: go on without
 * TF. The return to ring 3 has it in r11.
 */
debug:
	testb	$3, 40(%rsp)
	jne	not_stepped
	cmpb	$0, PC(IN_USER)
	je	not_stepped
	andl	$~DUNE_RFLAGS_TF, 48(%rsp)
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq
dune_guest_end:

	.section .note.GNU-stack, "", @progbits
