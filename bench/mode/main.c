/*
 * The small measurements in Dune mode. What Dune mode does its own way comes
 * first; all else is the code of bench/micro, whose system calls and page
 * faults go the way of Dune mode here.
 *
 *	dune-micro ...			as bench/lib/harness.h says
 *	dune-micro NAME --count WHAT N	prints how often one operation did WHAT:
 *					`host`, left for the host side (KVM_RUN
 *					returned), or one of KVM's statistics
 */
#include "bench/mode/mode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kern/self/self.h"

static const struct bench_case *const tables[] = {
	mode_traps, mode_memory, mode_rings, bench_sys, bench_mem, bench_proc,
	bench_chase, NULL,
};

static int64_t counter(const char *what)
{
	int64_t sum = 0;

	if (strcmp(what, "host"))
		return mode_kvm_stat(what);
	for (struct dune_sthread *t = dune_self.threads; t; t = t->next)
		sum += t->task.vcpu ? t->task.vcpu->exits : 0;
	return sum;
}

/* With n operations and with 2 n: start and end cancel out. */
static int count(const struct bench_case *c, const char *what, long n)
{
	int64_t got[4], ns;

	c->run(n);
	for (int i = 0; i < 2; i++) {
		got[2 * i] = counter(what);
		ns = c->run(n << i);
		got[2 * i + 1] = counter(what);
		if (ns < 0 || got[0] < 0 || got[2 * i + 1] < 0) {
			fprintf(stderr, "%s: %s: %s\n", c->name, what,
				strerror(-(ns < 0 ? ns : got[0] < 0 ? got[0] :
					   got[2 * i + 1])));
			return 1;
		}
	}
	printf("%.3f\n", (double)((got[3] - got[2]) - (got[1] - got[0])) / n);
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
