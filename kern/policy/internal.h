/* Shared by the files of policy/ only. */
#ifndef DUNE_KERN_POLICY_INTERNAL_H
#define DUNE_KERN_POLICY_INTERNAL_H

#include "kern/policy/policy.h"

/* Copies s into the policy's string area. -E2BIG when it is full. */
int dune_policy_store(struct dune_policy *p, const char *s, uint32_t *off);

/* May this network call be made: because of --net, or of --allow? */
static inline bool dune_policy_net(const struct dune_policy *p, int nr)
{
	return p->net || p->allow[nr / 8] & 1 << nr % 8;
}

/* The walls, one file each; contracts at dune_confine(). */
int dune_drop_caps(void);
int dune_landlock_abi(void);	/* below 1: none */
int dune_landlock(struct dune_policy *p, const char *self_exe);
int dune_seccomp(const struct dune_policy *p);	/* after dune_landlock() */

#endif
