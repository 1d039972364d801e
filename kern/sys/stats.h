/*
 * Counters for --stat: plain numbers, summed per process, sent to the
 * supervisor when a process ends or executes another program.
 */
#ifndef DUNE_KERN_STATS_H
#define DUNE_KERN_STATS_H

#include <stdint.h>
#include "kern/sys/sys.h"

struct dune_sysstat {
	uint64_t calls, errors, denied;
	uint64_t ns;		/* spent in the host's call, if timed */
};

struct dune_stats {
	struct dune_sysstat sys[DUNE_NR_MAX];
	uint64_t unknown;	/* calls with numbers outside the table */
	uint64_t by_proxy;	/* calls served without an exit: by the proxy */
	uint64_t by_guest;	/* and by entry code */
	uint64_t wakings;	/* of the proxy */
	uint64_t sites;		/* call sites rewritten, see gate/sites.h */
	uint64_t exits;		/* KVM_RUN returns */
	uint64_t faults;	/* guest page faults served */
	uint64_t signals;	/* delivered to guest handlers */
	uint64_t processes, threads;
};

/* n more calls of this number were answered by entry code. */
void dune_stats_by_guest(struct dune_stats *stats, long nr, uint64_t n);

/* total += add */
void dune_stats_add(struct dune_stats *total, const struct dune_stats *add);

#endif
