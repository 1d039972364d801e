/* Counters for --stat. */
#include "kern/sys/stats.h"

/*
 * dune_stats holds nothing but uint64_t, so that a sum is one loop and a new
 * counter cannot be forgotten here.
 */
void dune_stats_add(struct dune_stats *total, const struct dune_stats *add)
{
	uint64_t *t = (uint64_t *)total;
	const uint64_t *a = (const uint64_t *)add;

	for (size_t i = 0; i < sizeof(*total) / sizeof(*t); i++)
		__atomic_fetch_add(&t[i], a[i], __ATOMIC_RELAXED);
}

void dune_stats_by_guest(struct dune_stats *stats, long nr, uint64_t n)
{
	__atomic_fetch_add(&stats->sys[nr].calls, n, __ATOMIC_RELAXED);
	__atomic_fetch_add(&stats->by_guest, n, __ATOMIC_RELAXED);
}
