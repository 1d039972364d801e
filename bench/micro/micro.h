/* The small measurements, one table a file. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include "bench/lib/harness.h"

extern const struct bench_case bench_sys[], bench_mem[], bench_proc[],
	bench_intercept[], bench_barrier[], bench_chase[];

/*
 * Keeps the calling thread, and what it starts, on one processor: a wake-up
 * of another one costs more than everything measured here, and not always the
 * same. Does nothing where it is not permitted.
 */
void bench_one_cpu(void);

/* Zeroed private memory in pages of 4 KiB, or 2 MiB if huge; NULL: errno. */
void *bench_map(size_t size, int huge);

#endif
