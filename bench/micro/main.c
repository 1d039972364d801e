/* The program of small measurements. */
#include "bench/micro/micro.h"

int main(int argc, char **argv)
{
	static const struct bench_case *const tables[] = {
		bench_sys, bench_mem, bench_proc, bench_intercept,
		bench_barrier, bench_chase, NULL,
	};

	return bench_main(tables, argc, argv);
}
