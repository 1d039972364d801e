/*
 * One raw system call on behalf of the guest, aware of signals.
 *
 * Same argument order as the kernel's. Returns the kernel's rax. If a signal
 * handler ran (dune_host_handler() stored something for the guest) before the
 * `syscall` instruction, or the kernel wants to restart the call,
 * returns -DUNE_ERESTART instead of blocking.
 */
#ifndef DUNE_KERN_HOSTCALL_H
#define DUNE_KERN_HOSTCALL_H

#define DUNE_ERESTART 512	/* as the kernel's ERESTARTSYS */

#ifndef __ASSEMBLER__

#include <signal.h>

/* For the task this thread runs; a plain system call when it runs none. */
long dune_host_syscall(long nr, long a0, long a1, long a2, long a3, long a4,
		       long a5);

/* The same with the address of the task's slot_full, which must be valid. */
long dune_hostcall_raw(long nr, long a0, long a1, long a2, long a3, long a4,
		       long a5, const volatile sig_atomic_t *slot_full);

/*
 * A thread with rip in [start, insn] has not made its call: it goes on at
 * abort. Addresses, not data.
 */
extern const char dune_hostcall_start[], dune_hostcall_insn[],
		  dune_hostcall_abort[];

/* sa_restorer of host handlers. */
void dune_host_restorer(void);

#endif
#endif
