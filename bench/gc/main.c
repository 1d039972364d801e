/*
 * PROGRAM WAY WORKLOAD [SIZE]: runs one workload (work.c) once and prints a
 * line of JSON: how long it took, how long the world stood, each time.
 * SIZE: per cent of the usual. Status 77: not to be had here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "bench/gc/mem.h"
#include "bench/gc/work.h"

#define MAX_PAUSES	100000

static uint64_t pauses[MAX_PAUSES];
static size_t n_pauses;

uint64_t bench_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Of the whole process: what a busy machine does not make longer. */
static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ull +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ull;
}

void bench_pause(uint64_t ns)
{
	if (n_pauses < MAX_PAUSES)
		pauses[n_pauses++] = ns;
}

int main(int argc, char **argv)
{
	unsigned int size = argc > 3 ? atoi(argv[3]) : 100;
	const struct work *w;
	const char *why;
	uint64_t since, cpu;
	size_t i;

	for (w = works; argc >= 3 && w->name; w++)
		if (!strcmp(w->name, argv[2]))
			break;
	if (argc < 3 || !w->name || !size) {
		fprintf(stderr, "usage: %s WAY WORKLOAD [SIZE]\n", argv[0]);
		return 2;
	}
	why = mem_begin(argv[1]);
	if (why) {
		fprintf(stderr, "%s: %s\n", argv[1], why);
		return 77;
	}
	works_begin();
	cpu = cpu_ns();
	since = bench_ns();
	w->run(size);
	printf("{\"total\": %lu", bench_ns() - since);
	printf(", \"cpu\": %lu", cpu_ns() - cpu);
	mem_report();
	printf(", \"pauses\": [");
	for (i = 0; i < n_pauses; i++)
		printf("%s%lu", i ? ", " : "", pauses[i]);
	printf("]}\n");
	return 0;
}
