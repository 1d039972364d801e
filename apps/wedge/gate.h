/* System calls of sthreads: what is checked, and what never passes. */
#ifndef WEDGE_GATE_H
#define WEDGE_GATE_H

#include <dune/pgtable.h>
#include <dune/ring3.h>
#include <stdbool.h>
#include "wedge.h"

#define FD_OWN	4	/* a mode: opened by the sthread */

/*
 * Serves the call in tf for code in root, which is current, with the rights of
 * sc. False: nothing was done, it would have to wait for its descriptor.
 */
bool wedge_gate(ptent_t *root, sc_t *sc, struct dune_tf *tf);
/* Closes what the sthread has opened. */
void wedge_close_own(sc_t *sc);

/* Does ring 3 in root reach all of [addr, addr + len)? */
bool wedge_reaches(ptent_t *root, uint64_t addr, uint64_t len, bool write);

#endif
