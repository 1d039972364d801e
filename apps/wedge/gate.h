/* System calls of sthreads: what is checked, and what never passes. */
#ifndef WEDGE_GATE_H
#define WEDGE_GATE_H

#include <dune/pgtable.h>
#include <dune/ring3.h>
#include <stdbool.h>
#include "wedge.h"

/* Serves the call in tf for code in root with the rights of sc. */
void wedge_gate(ptent_t *root, const sc_t *sc, struct dune_tf *tf);

/* Does ring 3 in root reach all of [addr, addr + len)? */
bool wedge_reaches(ptent_t *root, uint64_t addr, uint64_t len, bool write);

#endif
