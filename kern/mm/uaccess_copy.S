/*
 * The only instructions of the monitor that may touch guest memory. They all
 * lie between dune_uaccess_start and dune_uaccess_end and need no
 * stack, so a fault at any of them can go on at dune_uaccess_failed.
 */
	.text
	.globl	dune_uaccess_start, dune_uaccess_end, dune_uaccess_failed
	.hidden	dune_uaccess_start, dune_uaccess_end, dune_uaccess_failed
	.hidden	dune_uaccess_copy, dune_uaccess_zero
	.hidden	dune_uaccess_read, dune_uaccess_write, dune_uaccess_store

/* int dune_uaccess_copy(void *dst, const void *src, size_t len) */
	.globl	dune_uaccess_copy
	.type	dune_uaccess_copy, @function
dune_uaccess_start:
dune_uaccess_copy:
	movq	%rdx, %rcx
	rep movsb
	xorl	%eax, %eax
	ret
	.size	dune_uaccess_copy, . - dune_uaccess_copy

/* int dune_uaccess_zero(void *dst, size_t len) */
	.globl	dune_uaccess_zero
	.type	dune_uaccess_zero, @function
dune_uaccess_zero:
	movq	%rsi, %rcx
	xorl	%eax, %eax
	rep stosb
	ret
	.size	dune_uaccess_zero, . - dune_uaccess_zero

/* int dune_uaccess_read(const void *p): reads a byte */
	.globl	dune_uaccess_read
	.type	dune_uaccess_read, @function
dune_uaccess_read:
	movb	(%rdi), %al
	xorl	%eax, %eax
	ret
	.size	dune_uaccess_read, . - dune_uaccess_read

/* int dune_uaccess_write(void *p): writes a byte without changing it */
	.globl	dune_uaccess_write
	.type	dune_uaccess_write, @function
dune_uaccess_write:
	lock orb $0, (%rdi)
	xorl	%eax, %eax
	ret
	.size	dune_uaccess_write, . - dune_uaccess_write

/* int dune_uaccess_store(void *p, uint64_t value) */
	.globl	dune_uaccess_store
	.type	dune_uaccess_store, @function
dune_uaccess_store:
	movq	%rsi, (%rdi)
	xorl	%eax, %eax
	ret
	.size	dune_uaccess_store, . - dune_uaccess_store
dune_uaccess_end:

	.type	dune_uaccess_failed, @function
dune_uaccess_failed:
	movl	$1, %eax
	ret
	.size	dune_uaccess_failed, . - dune_uaccess_failed

	.section .note.GNU-stack, "", @progbits
