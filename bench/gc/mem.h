/*
 * What the workloads (work.c) need of a memory manager. Each program has one:
 * ours.c, boehm.c or malloc.c.
 */
#ifndef BENCH_GC_MEM_H
#define BENCH_GC_MEM_H

#include <stddef.h>
#include <stdint.h>

#define MEM_LEAF	0	/* the type of what has no pointers */

/* what: which of its ways, of the command line. NULL or why it cannot be. */
const char *mem_begin(const char *what);
/* Objects of size bytes, or arrays of them. Bit i of pointers: word i. */
int mem_type(size_t size, uint64_t pointers);
/* Zeroed. Ends the program when there is no memory. */
void *mem_new(int type, size_t size);
/* Only where there is no collector. */
void mem_free(void *p);
/* Words outside of the heap that point to objects. */
void mem_roots(void *words, size_t n);
/* The collector's own account at the end, one field of JSON each. */
void mem_report(void);

/* main.c: the world was stopped for so long. */
void bench_pause(uint64_t ns);
uint64_t bench_ns(void);

#endif
