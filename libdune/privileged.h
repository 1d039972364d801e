/* A software KVM: what the trap dispatcher asks about each trap. */
#ifndef DUNE_LIB_PRIVILEGED_H
#define DUNE_LIB_PRIVILEGED_H

#include "libdune/guest.h"

/*
 * Was it a privileged instruction, or `int n`? 0: emulated, resume with the
 * frame. -ENOENT: deliver the trap, *vector and *addr may have changed.
 * -EFAULT: a triple fault.
 */
int dune_privileged(struct dune_percpu *pc, struct dune_tf *tf,
		    unsigned int *vector, uint64_t *addr);

/*
 * Has the program loaded an IDT (for DUNE_VEC_CALL: an LSTAR) of its own? 0:
 * delivered through it, resume with the frame. -ENOENT: no.
 */
int dune_own_idt(struct dune_percpu *pc, struct dune_tf *tf,
		 unsigned int vector, uint64_t addr);

#endif
