/* Runs one small measurement: finds a batch size, prints times. */
#include "bench/lib/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bench/lib/stats.h"

#define BATCHES 9

int64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000l + t.tv_nsec;
}

static int failed(const struct bench_case *c, int64_t err)
{
	fprintf(stderr, "%s: %s\n", c->name, strerror(-err));
	return 1;
}

static int measure(const struct bench_case *c, int64_t target_ns)
{
	unsigned long n = 1, next;
	int64_t ns;

	/* Also what warms caches and makes first mappings. */
	for (;;) {
		ns = c->run(n);
		if (ns < 0)
			return failed(c, ns);
		next = bench_next_batch(n, ns, target_ns, c->max);
		if (ns >= target_ns / 2 || next <= n)
			break;
		n = next;
	}
	for (int i = 0; i < BATCHES; i++) {
		ns = c->run(n);
		if (ns < 0)
			return failed(c, ns);
		printf("%.2f\n", (double)ns / n);
	}
	return 0;
}

const struct bench_case *bench_find(const struct bench_case *const *tables,
				    const char *name)
{
	for (; *tables; tables++)
		for (const struct bench_case *c = *tables; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

static int list(const struct bench_case *const *tables)
{
	for (const struct bench_case *const *t = tables; *t; t++)
		for (const struct bench_case *c = *t; c->name; c++)
			if (bench_find(tables, c->name) == c)
				printf("%-14s %s\n", c->name, c->what);
	return 0;
}

/* Whoever counts what we do looks before and after. */
static void hold(const char *what)
{
	char c;

	if (write(1, what, strlen(what)) < 0)
		return;
	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

int bench_main(const struct bench_case *const *tables, int argc, char **argv)
{
	const struct bench_case *c;
	long value = argc == 4 ? atol(argv[3]) : 0;

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list(tables);
	c = argc > 1 ? bench_find(tables, argv[1]) : NULL;
	if (c && argc == 2)
		return measure(c, 10000000);
	if (c && value > 0 && !strcmp(argv[2], "--ms"))
		return measure(c, value * 1000000);
	if (c && value > 0 && (!strcmp(argv[2], "--ops") ||
			       !strcmp(argv[2], "--held"))) {
		int held = argv[2][2] == 'h';
		int64_t ns;

		if (held)
			hold("ready\n");
		ns = c->run(value);
		if (held)
			hold("done\n");
		return ns < 0 ? failed(c, ns) : 0;
	}
	fprintf(stderr, "usage: %s --list | NAME [--ms MS | --ops N | "
		"--held N]\n", argv[0]);
	return 2;
}
