/*
 * The system calls of a sandboxed plugin: a closed list instead of the whole
 * table. Memory, threads, time, and descriptors that it was given; and while
 * its host loads a shared object, opening files to read, as far as Landlock
 * lets it. Any other call is a violation, and unless the policy is lenient the
 * end of the process.
 */
#ifndef DUNE_KERN_STRICT_H
#define DUNE_KERN_STRICT_H

#include <stdbool.h>
#include <stdint.h>
#include "kern/policy/policy.h"

/*
 * Which processes are loading: pids, 0 for none, ~0 for any. A page that the
 * host writes; monitors have it mapped read-only, out of the guest's reach.
 */
#define DUNE_PHASE_PIDS 64
struct dune_phase {
	uint32_t loading[DUNE_PHASE_PIDS];
};

/*
 * Fills the policy's lists: only, only_loading, quiet. files: the calls on
 * files as well, always. What --allow named is added.
 */
void dune_strict_lists(struct dune_policy *p, bool files);

/* From where to learn the phase; NULL: never loading. Before the guest runs. */
void dune_strict_phase(const struct dune_phase *phase);

/* 0: allowed. -EPERM: not; *violation is set when that is an offence. */
long dune_strict_decide(const struct dune_policy *p, long nr,
			const char **violation);

#endif
