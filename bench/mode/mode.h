/* Measurements in Dune mode: the cases that Dune mode does its own way. */
#ifndef BENCH_MODE_H
#define BENCH_MODE_H

#include "bench/micro/micro.h"
#include "dune.h"
#include "dune/pgtable.h"
#include "dune/ring3.h"
#include "dune/trap.h"

extern const struct bench_case mode_traps[], mode_memory[], mode_rings[],
	mode_wedge[];

#define PAGE 4096ul

/* A handler that may run with the program's FPU registers (DUNE_TRAP_NOFPU). */
#define NOFPU __attribute__((target("general-regs-only")))

/*
 * Touched memory with a 4 KiB entry for each page in the main root. NULL:
 * errno.
 */
char *mode_map(size_t size);

/*
 * What KVM has counted on all vCPUs of this process since they were made, by
 * the name of its own statistics; or a negative errno.
 */
int64_t mode_kvm_stat(const char *name);

#endif
