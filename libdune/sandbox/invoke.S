/* The runner's calls into the plugin and the plugin's into the host. */

	.text
/* int runner_invoke(struct invoke *in) */
	.globl runner_invoke
	.type runner_invoke, @function
runner_invoke:
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	sub $8, %rsp
	stmxcsr (%rsp)
	fnstcw 4(%rsp)
	mov %rdi, %rbx
	mov %rsp, (%rbx)

	/* arguments on the stack, the last first; 16-byte aligned below */
	mov 128(%rbx), %rcx
	lea (,%rcx,8), %rax
	sub %rax, %rsp
	and $-16, %rsp
	test %rcx, %rcx
	jz 2f
1:	mov 128(%rbx,%rcx,8), %rax	/* stack[rcx - 1] */
	mov %rax, -8(%rsp,%rcx,8)
	dec %rcx
	jnz 1b
2:	mov 16(%rbx), %rdi
	mov 24(%rbx), %rsi
	mov 32(%rbx), %rdx
	mov 40(%rbx), %rcx
	mov 48(%rbx), %r8
	mov 56(%rbx), %r9
	mov 288(%rbx), %rax		/* al: vector registers used */
	test %rax, %rax
	jz 4f
	movsd 64(%rbx), %xmm0
	movsd 72(%rbx), %xmm1
	movsd 80(%rbx), %xmm2
	movsd 88(%rbx), %xmm3
	movsd 96(%rbx), %xmm4
	movsd 104(%rbx), %xmm5
	movsd 112(%rbx), %xmm6
	movsd 120(%rbx), %xmm7
4:	call *8(%rbx)
	mov %rax, 264(%rbx)
	mov %rdx, 272(%rbx)
	movsd %xmm0, 280(%rbx)
	xor %eax, %eax
	mov (%rbx), %rsp
3:	add $8, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size runner_invoke, . - runner_invoke

/* void runner_unwind(struct invoke *in): runner_invoke() returns 1 */
	.globl runner_unwind
	.type runner_unwind, @function
runner_unwind:
	mov (%rdi), %rsp
	cld
	fninit
	fldcw 4(%rsp)
	ldmxcsr (%rsp)
	mov $1, %eax
	jmp 3b
	.size runner_unwind, . - runner_unwind

	.globl runner_callback_entry
	.type runner_callback_entry, @function
runner_callback_entry:
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	sub $144, %rsp			/* struct callback */
	mov %rdi, (%rsp)
	mov %rsi, 8(%rsp)
	mov %rdx, 16(%rsp)
	mov %rcx, 24(%rsp)
	mov %r8, 32(%rsp)
	mov %r9, 40(%rsp)
	movsd %xmm0, 48(%rsp)
	movsd %xmm1, 56(%rsp)
	movsd %xmm2, 64(%rsp)
	movsd %xmm3, 72(%rsp)
	movsd %xmm4, 80(%rsp)
	movsd %xmm5, 88(%rsp)
	movsd %xmm6, 96(%rsp)
	movsd %xmm7, 104(%rsp)
	mov %r11, 112(%rsp)
	lea 16(%rbp), %rax
	mov %rax, 120(%rsp)
	mov %rsp, %rdi
	call runner_callback
	mov 128(%rsp), %rax
	movsd 136(%rsp), %xmm0
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size runner_callback_entry, . - runner_callback_entry

	.section .note.GNU-stack, "", @progbits
