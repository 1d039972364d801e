/* The lines that benchmarks hand to the driver. bench/README.md has them. */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include <stddef.h>
#include <stdio.h>

/* A string with its quotes; what is not printable ASCII becomes "?". */
void bench_json_string(FILE *f, const char *s);

/* What a result is about. */
struct bench_id {
	const char *table, *row, *who, *unit;
};

/* One line with samples; with failed, one that says why there are none. */
void bench_json_line(FILE *f, const struct bench_id *id, const double *samples,
		     size_t n, const char *failed);

#endif
