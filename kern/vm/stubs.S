/*
 * The guest's ring 0 code. Copied into the VM, never run by the host.
 *
 * System call entry: `out` leaves to the monitor with the caller's registers
 * untouched (rcx and r11 are the caller's rip and rflags); rax is set before
 * it goes on at sysretq. A software KVM runs this page in ring 3: there the
 * monitor goes back to rcx itself and sysretq is not reached.
 *
 * Rewritten sites of a vCPU that has no mailbox: the same, from a jump.
 *
 * Traps: one stub a vector, on the vCPU's IST stack. The port tells the
 * vector. What the monitor resolves goes on with iretq; else the monitor
 * sets all registers and the frame is forgotten.
 */
#include "kern/vm/ring0.h"

	.section .rodata
	.balign 16
	.globl dune_ring0_syscall_code, dune_ring0_syscall_end
dune_ring0_syscall_code:
	out	%al, $DUNE_PORT_SYSCALL
	sysretq
dune_ring0_syscall_end:

	.globl dune_ring0_sites_code, dune_ring0_sites_end
dune_ring0_sites_code:
	out	%al, $DUNE_PORT_SYSCALL
	jmp	*%rcx
dune_ring0_sites_end:

	.balign DUNE_TRAP_STUB
	.globl dune_ring0_traps_code, dune_ring0_traps_end
dune_ring0_traps_code:
	.set	vector, 0
	.rept	DUNE_TRAPS
	.balign	DUNE_TRAP_STUB
	out	%al, $(DUNE_PORT_TRAP + vector)
	/* The CPU pushed an error code (SDM vol. 3, 6.3.1). */
	.if (vector == 8) || ((vector >= 10) && (vector <= 14)) || \
	    (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
	add	$8, %rsp
	.endif
	iretq
	.set	vector, vector + 1
	.endr
dune_ring0_traps_end:

	.section .note.GNU-stack, "", @progbits
