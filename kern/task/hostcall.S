/*
 * The one `syscall` instruction by which the guest's calls reach the host,
 * and the return from host signal handlers.
 *
 * A handler that stores a signal for the guest must also keep the thread from
 * sleeping in the call it is about to make. A test of the slot before the
 * call is not enough: the signal can come between the test and the call.
 * So the test and the instruction lie in a range of known addresses, and
 * dune_host_handler() moves a thread it finds there to the abort label.
 * The kernel, too, goes back to the instruction when it wants to restart
 * a call (SA_RESTART): that is the same case.
 */
#include "kern/task/hostcall.h"

	.text

/*
 * long dune_hostcall_raw(nr, a0, a1, a2, a3, a4, a5, slot_full)
 * in rdi, rsi, rdx, rcx, r8, r9, 8(%rsp), 16(%rsp).
 */
	.globl	dune_hostcall_raw
	.type	dune_hostcall_raw, @function
	.balign	16
dune_hostcall_raw:
	.cfi_startproc
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	mov	16(%rsp), %rcx
	.globl	dune_hostcall_start
dune_hostcall_start:
	cmpl	$0, (%rcx)
	jne	dune_hostcall_abort
	.globl	dune_hostcall_insn
dune_hostcall_insn:
	syscall
	ret
	.globl	dune_hostcall_abort
dune_hostcall_abort:
	mov	$-DUNE_ERESTART, %rax
	ret
	.cfi_endproc
	.size	dune_hostcall_raw, . - dune_hostcall_raw

/*
 * What host handlers return to. Debuggers know a signal frame by exactly
 * these two instructions.
 */
	.globl	dune_host_restorer
	.type	dune_host_restorer, @function
	.balign	16
dune_host_restorer:
	mov	$15, %rax		/* rt_sigreturn */
	syscall
	.size	dune_host_restorer, . - dune_host_restorer

	.section .note.GNU-stack, "", @progbits
