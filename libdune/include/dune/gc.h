/*
 * For garbage collectors in Dune mode: what has been written since the last
 * look, faults as barriers, other threads stopped. Written over the tables of
 * dune/pgtable.h, whose functions a collector uses as they are:
 *
 *   protect, unprotect many ranges,   dune_vm_protect_ranges(pgroot, ...)
 *   one flush, no system call
 *   move pages instead of objects     dune_vm_move(pgroot, ...)
 *   marks of its own in entries       dune_vm_user_bits(pgroot, ...)
 *
 * All of it is about the main root, the process as libc sees it, and about
 * threads in Dune mode: what a thread outside it writes is not seen.
 *
 * What the calls cost where: dune_caps(), exits_flush and exits_dirty. Reading
 * dirty bits is loads from memory on any KVM. Clearing them is the stores and a
 * flush, and the next write free, where exits_dirty is 0; where it is 1, KVM
 * takes the right to write from each cleared page: an exit a scan that clears
 * anything, some 0.1 us a page, and the first write to it is a fault inside
 * KVM, 2 to 4 us.
 *
 * Functions are for threads in Dune mode (-EPERM elsewhere), thread-safe, not
 * for signal handlers but where it is said; errors are negative errno values.
 */
#ifndef DUNE_GC_H
#define DUNE_GC_H

#include "dune/pgtable.h"
#include "dune/trap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what was written ---- */

/*
 * Makes dirty bits of the range (page aligned) exact to 4 KiB: tables are made,
 * larger pages split. And from the first call on, system calls that write into
 * memory of the process set the dirty bits of what they write, in any range.
 *
 * Always told as dirty: what was mapped anew (mmap, mremap, brk), or lost its
 * contents (MADV_DONTNEED), since the last clear. Memory that is mapped anew
 * may be one larger page again; tracking it again makes it exact again.
 *
 * len may be 0: then only the system calls are. Costs a look at each 2 MiB
 * where there is nothing to be made; much more for the first time.
 * -EINVAL: not aligned, wraps around. -ENOMEM: no table page is left.
 */
DUNE_API int dune_gc_track(void *va, size_t len);

/* A range to be scanned, page aligned; bitmap as in dune_vm_scan(), or NULL. */
struct dune_gc_range {
	void *va;
	size_t len;
	uint64_t *bitmap;
	size_t pages;		/* out: bits set */
};

/*
 * Reads, and with DUNE_SCAN_CLEAR clears, dirty (DUNE_SCAN_DIRTY) or accessed
 * (DUNE_SCAN_ACCESSED) bits of n ranges. One flush for all of them, on all
 * threads in Dune mode, done when the call returns: a write that begins after
 * that sets its bit. A write that another thread makes during the call may be
 * in this bitmap or in the next, and is never in neither.
 * Returns the sum of pages, or -EINVAL. A range with len 0 has none.
 */
DUNE_API long dune_gc_scan(struct dune_gc_range *range, size_t n, int flags);

/* ---- barriers ---- */

/*
 * A page fault at va, in a range with a handler. error: DUNE_PF_*. Resolve it
 * (dune_vm_mprotect(), an entry stored, ...) and return DUNE_TRAP_RESUME: the
 * instruction is executed again. DUNE_TRAP_PASS: not ours, it becomes a signal.
 * What it may do: as a dune_trap_handler. tf: what it interrupted.
 */
typedef enum dune_trap_action dune_gc_fault(struct dune_tf *tf, uint64_t va,
					    uint32_t error, void *arg);

/*
 * Sets the handler of a range (page aligned), NULL removes it; the range must
 * be one that is set, or overlap none. flags: 0, or DUNE_TRAP_NOFPU (takes
 * effect if all ranges' handlers say so). At most DUNE_GC_HANDLERS ranges.
 *
 * Uses the process's handler of DUNE_VEC_PF (dune_trap_set()); a thread's own
 * comes before it. A system call whose buffer is in such a range calls
 * the handler first, as if the program touched the buffer; so it neither fails
 * with EFAULT nor writes behind a barrier.
 * -EINVAL: not aligned, overlaps, no such range; -ENOMEM: too many.
 */
#define DUNE_GC_HANDLERS	64
DUNE_API int dune_gc_on_fault(void *va, size_t len, unsigned int flags,
			      dune_gc_fault *handler, void *arg);

/* ---- the world stopped ---- */

/*
 * Stops all other threads in Dune mode, by a signal of the program's choice
 * that nobody else uses or blocks for long (SIGRTMIN + 5, say). Returns how
 * many when they stand. They stay in their signal handler, registers on their
 * stacks; a system call that could be restarted is. One stop at a time: another
 * thread that calls it waits, and counts as stopped. Threads made meanwhile:
 * none, as the others stand. No malloc, stdio or lock that they may hold, until
 * dune_gc_resume().
 * -EINVAL: no such signal. -EBUSY: the caller has stopped them already.
 */
DUNE_API long dune_gc_stop(int sig);

/* Lets them go on. -EPERM: the caller has not stopped them. */
DUNE_API int dune_gc_resume(void);

/*
 * Calls cb for each thread that stands: its id, its registers (r15 .. rsp, rip
 * as the signal found them; changes are not taken over) and sp, the lowest
 * address of its stack that is in use. What cb returns other than 0 ends it and
 * is returned. For the thread that called dune_gc_stop().
 */
typedef int (*dune_gc_thread)(int tid, const struct dune_tf *regs,
			      const void *sp, void *arg);
DUNE_API int dune_gc_each_stopped(dune_gc_thread cb, void *arg);

#ifdef __cplusplus
}
#endif

#endif
