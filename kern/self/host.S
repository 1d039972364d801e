/* Dune mode's stack switches on the host side. */

	.text

/*
 * long dune_self_switch(t, top, start): calls start(t, rsp) on another stack,
 * which does not return. The guest goes on at dune_self_entered with that rsp,
 * and so returns 0 from here.
 */
	.globl	dune_self_switch, dune_self_entered
	.hidden	dune_self_switch, dune_self_entered
	.type	dune_self_switch, @function
dune_self_switch:
	.cfi_startproc
	push	%rbp
	.cfi_adjust_cfa_offset 8
	push	%rbx
	.cfi_adjust_cfa_offset 8
	push	%r12
	.cfi_adjust_cfa_offset 8
	push	%r13
	.cfi_adjust_cfa_offset 8
	push	%r14
	.cfi_adjust_cfa_offset 8
	push	%r15
	.cfi_adjust_cfa_offset 8
	mov	%rdx, %rax
	mov	%rsp, %rdx
	mov	%rsi, %rsp
	mov	%rdx, %rsi
	xor	%ebp, %ebp
	call	*%rax
	ud2
dune_self_entered:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	xor	%eax, %eax
	ret
	.cfi_endproc
	.size	dune_self_switch, . - dune_self_switch

/* void dune_self_sigreturn(frame): leaves to what the frame says. */
	.globl	dune_self_sigreturn
	.hidden	dune_self_sigreturn
	.type	dune_self_sigreturn, @function
dune_self_sigreturn:
	lea	8(%rdi), %rsp
	mov	$15, %eax
	syscall
	ud2
	.size	dune_self_sigreturn, . - dune_self_sigreturn

/*
 * long dune_self_spawn(flags, ptid, ctid, tls, frame): clone on the same
 * stack; the child goes on natively at frame.
 */
	.globl	dune_self_spawn
	.hidden	dune_self_spawn
	.type	dune_self_spawn, @function
dune_self_spawn:
	mov	%rdx, %r10		/* ctid */
	mov	%rsi, %rdx		/* ptid */
	mov	%r8, %r9		/* frame, kept over the call */
	mov	%rcx, %r8		/* tls */
	xor	%esi, %esi
	mov	$56, %eax		/* clone */
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	mov	%r9, %rdi
	jmp	dune_self_sigreturn
	.size	dune_self_spawn, . - dune_self_spawn

/*
 * long dune_self_thread(flags, stack, ptid, ctid, tls, main, arg): clone; the
 * child calls main(arg) on stack, which does not return.
 */
	.globl	dune_self_thread
	.hidden	dune_self_thread
	.type	dune_self_thread, @function
dune_self_thread:
	mov	8(%rsp), %rax
	mov	%rax, -8(%rsi)		/* arg */
	mov	%r9, -16(%rsi)		/* main */
	sub	$16, %rsi
	mov	%rcx, %r10
	mov	$56, %eax
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	pop	%rax
	pop	%rdi
	xor	%ebp, %ebp
	and	$-16, %rsp
	call	*%rax
	ud2
	.size	dune_self_thread, . - dune_self_thread

/* void dune_self_exit(addr, len, status): unmaps its own stack and ends. */
	.globl	dune_self_exit
	.hidden	dune_self_exit
	.type	dune_self_exit, @function
dune_self_exit:
	mov	%rdx, %r12
	mov	$11, %eax		/* munmap */
	syscall
	mov	%r12, %rdi
	mov	$60, %eax		/* exit */
	syscall
	ud2
	.size	dune_self_exit, . - dune_self_exit

	.section .note.GNU-stack, "", @progbits
