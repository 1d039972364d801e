/*
 * Dirty bits of what is written past the guest's tables: by the kernel in
 * system calls, and by the host side itself.
 *
 * A CPU sets the bit when the guest writes; the kernel writes to the process's
 * own page, and no bit of ours knows. So while somebody looks at the bits
 * (dune_self.tracking), a call's buffers are marked before it begins, and again
 * whenever bits are cleared before it has ended: what it writes in between is
 * in the next scan, whenever that is.
 */
#ifndef DUNE_KERN_SELF_DIRTY_H
#define DUNE_KERN_SELF_DIRTY_H

#include "kern/self/self.h"

/* Around a system call of t. */
void dune_dirty_begin(struct dune_sthread *t, const struct dune_call *c);
void dune_dirty_end(struct dune_sthread *t);

/* Marks the entries of the main root for [va, va + len) that map something. */
void dune_dirty_mark(uint64_t va, uint64_t len);

/* Bits have been cleared and flushed: calls under way mark theirs again. */
void dune_dirty_again(void);

/*
 * Is va's page dirty, as far as anybody knows? The main root. at: where the
 * last question led, { .span = -1 } at first; for questions right after
 * another, as tables may lose their entry to a larger leaf.
 */
struct dune_dirty_at {
	uint64_t span;
	uint64_t *table, *leaf;
};
bool dune_dirty_test(struct dune_dirty_at *at, uint64_t va);

#endif
