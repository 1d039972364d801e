/*
 * The small measurements in Dune mode. What Dune mode does its own way comes
 * first; all else is the code of bench/micro, whose system calls and page
 * faults go the way of Dune mode here.
 *
 *	dune-micro ...			as bench/lib/harness.h says
 *	dune-micro NAME --count STAT N	prints how much one operation adds to
 *					one of KVM's statistics
 */
#include "bench/mode/mode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench_case *const tables[] = {
	mode_traps, mode_memory, mode_rings, mode_wedge, bench_sys, bench_mem,
	bench_proc, bench_chase, NULL,
};

/* With n operations and with 2 n: start and end cancel out. */
static int count(const struct bench_case *c, const char *stat, long n)
{
	int64_t got[4], ns;

	c->run(n);
	for (int i = 0; i < 2; i++) {
		got[2 * i] = mode_kvm_stat(stat);
		ns = c->run(n << i);
		got[2 * i + 1] = mode_kvm_stat(stat);
		if (ns < 0 || got[0] < 0 || got[2 * i + 1] < 0) {
			fprintf(stderr, "%s: %s: %s\n", c->name, stat,
				strerror(-(ns < 0 ? ns : got[0] < 0 ? got[0] :
					   got[2 * i + 1])));
			return 1;
		}
	}
	got[3] -= got[2] + got[1] - got[0];
	printf("%.3f\n", got[3] > 0 ? (double)got[3] / n : 0.0);
	return 0;
}

int main(int argc, char **argv)
{
	const struct bench_case *c = argc > 1 ? bench_find(tables, argv[1]) :
						NULL;

	if (c && dune_enter()) {
		fprintf(stderr, "Dune mode: %s\n", dune_errmsg());
		return 1;
	}
	if (c && argc == 5 && !strcmp(argv[2], "--count") && atol(argv[4]) > 0)
		return count(c, argv[3], atol(argv[4]));
	return bench_main(tables, argc, argv);
}
