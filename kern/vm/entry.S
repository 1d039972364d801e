/*
 * System call entry of a vCPU that has a mailbox (mailbox.h). Copied into the
 * VM, never run by the host; the mailbox is on the page behind the copy.
 *
 * rcx and r11 are the caller's rip and rflags, as `syscall` leaves them; the
 * other registers are the caller's. Whatever is changed here is in the mailbox
 * first, so that the monitor can finish or undo the work from any place where
 * it finds the vCPU: the table at the end says what holds from where on.
 *
 * soft: this runs in ring 3, so sysretq cannot be used and flags come back by
 * popf, on a stack in the mailbox since the caller's has a red zone. It starts
 * with the entry of rewritten sites (kern/gate/), which jump there, at the
 * address where every vCPU sees its own copy: rcx is set, r11 is not yet.
 */
#include "kern/vm/mailbox.h"
#include "kern/vm/ring0.h"

#define NR_GETPID	39
#define NR_GETTID	186
#define RFLAGS_TF	0x100

#define BOX(field)	(90b + DUNE_PAGE + DUNE_BOX_##field)(%rip)
#define DUNE_PAGE	0x1000

	.section .rodata

	.macro entry_code soft
90:
	.if \soft
	mov	%rsp, BOX(RSP)
	lea	BOX(STACK_TOP), %rsp
91:	pushfq
	pop	%r11
	mov	BOX(RSP), %rsp
	.endif
1:	cmp	$NR_GETPID, %eax
	je	80f
	cmp	$NR_GETTID, %eax
	je	85f
	cmpl	$0, BOX(OPEN)
	je	70f
	/* a program that steps itself shall see no steps of ours */
	test	$RFLAGS_TF, %r11d
	jne	70f
	mov	%eax, BOX(NR)
	mov	%rdi, BOX(ARG)
	mov	%rsi, BOX(ARG1)
	mov	%rdx, BOX(ARG2)
	mov	%r10, BOX(ARG3)
	mov	%r8, BOX(ARG4)
	mov	%r9, BOX(ARG5)
	mov	%rcx, BOX(RIP)
	mov	%r11, BOX(RFLAGS)
	movl	$DUNE_BOX_POSTED, BOX(STATE)
2:	mov	BOX(SPINS), %ecx
3:	mov	BOX(STATE), %eax
	cmp	$DUNE_BOX_DONE, %eax
	jae	4f
	pause
	dec	%ecx
	jne	3b
	jmp	75f
4:	jne	75f
5:	mov	BOX(RET), %rax
	mov	BOX(RIP), %rcx
	mov	BOX(RFLAGS), %r11
6:	.if \soft
	mov	%rsp, BOX(RSP)
	lea	BOX(STACK_TOP), %rsp
7:	push	%r11
	popfq
	mov	BOX(RSP), %rsp
8:	jmp	*%rcx
	.else
	sysretq
	.endif
	/* getpid and gettid */
80:	cmpl	$0, BOX(PID)
	je	70f
	test	$RFLAGS_TF, %r11d
	jne	70f
	decl	BOX(BUDGET)
	js	70f
	incl	BOX(COUNT_PID)
81:	mov	BOX(PID), %eax
	jmp	6b
85:	cmpl	$0, BOX(TID)
	je	70f
	test	$RFLAGS_TF, %r11d
	jne	70f
	decl	BOX(BUDGET)
	js	70f
	incl	BOX(COUNT_TID)
86:	mov	BOX(TID), %eax
	jmp	6b
	/* two ways out; the monitor sets rax, rcx and r11 */
70:	out	%al, $DUNE_PORT_SYSCALL
71:	sysretq
75:	out	%al, $DUNE_PORT_SYSCALL
76:	sysretq
77:
	.endm

	.macro places name, soft
	.globl	dune_entry_\name\()_places
dune_entry_\name\()_places:
	.if \soft
	.short	90b - 90b, DUNE_AT_SITE
	.short	91b - 90b, DUNE_AT_SITE_STACK
	.endif
	.short	1b - 90b, DUNE_AT_ENTRY
	.short	2b - 90b, DUNE_AT_POSTED
	.short	5b - 90b, DUNE_AT_DONE
	.short	6b - 90b, DUNE_AT_LEAVE
	.if \soft
	.short	7b - 90b, DUNE_AT_LEAVE_STACK
	.short	8b - 90b, DUNE_AT_LEAVE
	.endif
	.short	80b - 90b, DUNE_AT_ENTRY
	.short	81b - 90b, DUNE_AT_PID
	.short	85b - 90b, DUNE_AT_ENTRY
	.short	86b - 90b, DUNE_AT_TID
	.short	70b - 90b, DUNE_AT_OUT
	.short	71b - 90b, DUNE_AT_SYSRET
	.short	75b - 90b, DUNE_AT_WAIT
	.short	76b - 90b, DUNE_AT_SYSRET
	.short	77b - 90b, DUNE_AT_NOTHING
	.endm

	.balign 16
	.globl	dune_entry_soft_code, dune_entry_hard_code
dune_entry_soft_code:
	entry_code 1
	places soft, 1
	.balign 16
dune_entry_hard_code:
	entry_code 0
	places hard, 0

	.section .note.GNU-stack, "", @progbits
