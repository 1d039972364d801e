/* Statistics of a benchmark: pure functions, no clock, no output. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The quantile q (0 to 1) of n > 0 values, between two of them by linear
 * interpolation: 0 is the least, 0.5 the median, 1 the greatest. Sorts v.
 */
double bench_quantile(double *v, size_t n, double q);

/*
 * How many operations to try next so that a batch takes target_ns, after a
 * batch of n took ns. Grows tenfold at most, as short batches lie; never less
 * than 1, never more than max (0: no limit).
 */
unsigned long bench_next_batch(unsigned long n, int64_t ns, int64_t target_ns,
			       unsigned long max);

#endif
