/*
 * Rewritten system call sites: on a software KVM the `syscall` instruction
 * costs several times what a posted call does. A site whose calls are served
 * without exits comes to jump to the entry code (match.h says how), in the
 * process's own copy of the program's code.
 *
 * Only code from files that the program may not write is touched, once it has
 * proven to be worth it. One image, one table; a fork's child has its
 * parent's. Thread-safe.
 */
#ifndef DUNE_KERN_GATE_SITES_H
#define DUNE_KERN_GATE_SITES_H

#include <stdbool.h>
#include "kern/types.h"

struct dune_task;

/*
 * A call that goes on at `back` (the guest's word) was served without an exit,
 * once more, of which every 16th is told: rewrites the site when that pays.
 * The proxy's, while the call is in its hands.
 */
void dune_site_served(struct dune_task *t, dune_gva_t back);

/* The same at once. */
void dune_site_rewrite(struct dune_task *t, dune_gva_t back);

/*
 * Before a signal: t must be seen where the program's own code has it, not in
 * a trampoline.
 */
void dune_site_leave(struct dune_task *t);

/*
 * The same for a step of a program that steps itself. True: t stepped into a
 * trampoline, so it stands behind its `syscall`, and the call is to be served.
 */
bool dune_site_step(struct dune_task *t);

/*
 * t met an int3 (#BP, or what comes in its place). True: it was that of a
 * rewritten site, to which somebody came in another way than by its `syscall`,
 * and t goes on behind it.
 */
bool dune_site_stray(struct dune_task *t);

#endif
