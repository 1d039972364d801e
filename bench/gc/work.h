/* The workloads: each checks what it computes, and aborts if it is wrong. */
#ifndef BENCH_GC_WORK_H
#define BENCH_GC_WORK_H

struct work {
	const char *name;
	const char *what;
	void (*run)(unsigned int size);	/* per cent of the usual */
};

extern const struct work works[];	/* the last has no name */

/* Once, before the first. */
void works_begin(void);

#endif
