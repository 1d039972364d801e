/*
 * Several system calls at once. A system call that leaves a virtual machine is
 * dear; a batch leaves it once for all of its calls. In Dune mode, in programs
 * that dune-run runs and in plugins it is made so; natively the calls are
 * made one by one.
 *
 * C and C++.
 */
#ifndef DUNE_SYSCALL_H
#define DUNE_SYSCALL_H

#include "../dune.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dune_syscall {
	int64_t nr;		/* as in <sys/syscall.h> */
	uint64_t arg[6];
	int64_t ret;		/* out: as in rax; errors are -4095 to -1 */
};

/* Flags: after a call that fails no other is made. */
#define DUNE_BATCH_STOP	1

/*
 * Makes call[0] to call[calls - 1] in this order, as syscall(2) would one after
 * the other, but for errno, which stays: they may wait, fail and be interrupted
 * like any others, signals are handled between them, and each result is in
 * its ret before the next call is made. Those that the kernel side cannot make
 * along with others (signal masks, new threads and processes, execve ...) cost
 * what they cost alone. Calls that return twice on one stack (vfork) or to
 * another one are not for batches.
 *
 * How many were made: all, or with DUNE_BATCH_STOP up to the first that failed,
 * that one included. -EINVAL (nothing was made): unknown flags, calls > INT_MAX.
 * No cancellation point. Thread-safe and async-signal-safe.
 */
DUNE_API int dune_syscall_batch(struct dune_syscall *call, unsigned int calls,
				unsigned int flags);

/*
 * What it is made of, for those who do without the library: a system call
 * that Linux does not have. Arguments as above, `call` aligned to 8 bytes; rax:
 * how many were made, from the first on (perhaps fewer than there are: go
 * on with the rest), or <= 0: make the first one by itself. A program is told
 * that there is such a call by an entry of its auxiliary vector: DUNE_AT_BATCH,
 * and the number.
 */
#define DUNE_NR_BATCH	4095
#define DUNE_AT_BATCH	0x656e7564

#ifdef __cplusplus
}
#endif

#endif
