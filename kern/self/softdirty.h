/*
 * Virtual soft-dirty: /proc/PID/clear_refs and /proc/PID/pagemap of the process
 * itself, as a kernel with CONFIG_MEM_SOFT_DIRTY has them, answered from the
 * guest's tables.
 *
 * Who opens its own clear_refs for writing has asked for it: from then on bit
 * 55 of its own pagemap is the dirty bit of the guest's entry, or set where
 * none is kept, and "4" written to clear_refs clears these bits. All else in
 * both files is the host's, and so are the descriptors: dup, fcntl, close, poll
 * are too. Programs that only read pagemap see no difference.
 *
 * Which file a descriptor is, procfs is asked (/proc/self/fd), so no numbers
 * are kept track of. A forked child has the parent's descriptors for the
 * parent's memory, as with any kernel, and starts with its parent's dirty bits.
 */
#ifndef DUNE_KERN_SELF_SOFTDIRTY_H
#define DUNE_KERN_SELF_SOFTDIRTY_H

#include "kern/self/self.h"

/* After an open that worked: fd. */
void dune_softdirty_opened(const struct dune_call *c, int fd);

/*
 * Serves a read of pagemap or a write to clear_refs: true, with the result in
 * *ret. *clear: when that is in u.rax, the guest has to clear dirty bits, by
 * dune_self_upcall(): the way to do that on any KVM is libdune's.
 */
bool dune_softdirty_call(const struct dune_call *c, long *ret, bool *clear);

#endif
