/* Statistics of a benchmark. */
#include "bench/lib/stats.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_quantile(double *v, size_t n, double q)
{
	double at = q * (n - 1);
	size_t below = (size_t)at;

	qsort(v, n, sizeof(*v), compare);
	if (below + 1 >= n)
		return v[n - 1];
	return v[below] + (at - below) * (v[below + 1] - v[below]);
}

unsigned long bench_next_batch(unsigned long n, int64_t ns, int64_t target_ns,
			       unsigned long max)
{
	double want = ns > 0 ? (double)n * target_ns / ns : n * 10.0;

	if (want > n * 10.0)
		want = n * 10.0;
	if (max && want > max)
		want = max;
	return want < 1 ? 1 : (unsigned long)want;
}
