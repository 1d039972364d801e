/*
 * A program of small measurements. It measures one case, once, in one place;
 * bench/alternate runs it by turns in several places and compares.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdint.h>

struct bench_case {
	const char *name;
	const char *what;	/* one operation is ... */
	/*
	 * Does n operations and returns the nanoseconds they took, or a
	 * negative errno. What is not to be timed (mapping the memory whose
	 * first touch is measured) is done outside of the timed part.
	 */
	int64_t (*run)(unsigned long n);
	unsigned long max;	/* most operations in a batch, 0: any number */
};

/* CLOCK_MONOTONIC, through the vDSO: no system call is made. */
int64_t bench_now(void);

/*
 * main() of such a program:
 *
 *	PROGRAM NAME [--ms MS]	prints 9 lines, each the nanoseconds of one
 *				operation in a batch of about MS milliseconds
 *				(default 10)
 *	PROGRAM NAME --ops N	does exactly N operations, for counting
 *	PROGRAM NAME --held N	the same, and writes a line to stdout and waits
 *				for one from stdin before and after them
 *	PROGRAM --list		the names and what they are
 *
 * Several tables are searched; the last entry of tables is NULL, the last of
 * each table has no name. Returns the exit status.
 */
int bench_main(const struct bench_case *const *tables, int argc, char **argv);

/* The first case of that name; NULL: none. */
const struct bench_case *bench_find(const struct bench_case *const *tables,
				    const char *name);

#endif
