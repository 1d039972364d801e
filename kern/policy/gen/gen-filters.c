/*
 * Run while Dune is built: compiles the seccomp filters of all kinds and
 * prints them as C, to be included by policy/seccomp.c.
 */
#include <stdio.h>
#include <string.h>
#include "kern/policy/filter.h"
#include "kern/policy/internal.h"

/* This program is linked without seccomp.c, which needs its output. */
int dune_seccomp(const struct dune_policy *p)
{
	(void)p;
	return 0;
}

static int print(unsigned int i)
{
	const struct dune_filter_kind kind = dune_filter_kind(i);
	struct sock_fprog f;
	int err = dune_filter_compile(&kind, &f);

	if (err) {
		fprintf(stderr, "gen-filters: kind %u: %s\n", i,
			strerror(-err));
		return 1;
	}
	printf("static struct sock_filter filter%u[] = {\n", i);
	for (unsigned int n = 0; n < f.len; n++)
		printf("\t{ %#x, %u, %u, %#x },\n", f.filter[n].code,
		       f.filter[n].jt, f.filter[n].jf, f.filter[n].k);
	printf("};\n\n");
	return 0;
}

int main(void)
{
	for (unsigned int i = 0; i < DUNE_FILTER_KINDS; i++)
		if (print(i))
			return 1;
	printf("const struct sock_fprog dune_filters[DUNE_FILTER_KINDS] = {\n");
	for (unsigned int i = 0; i < DUNE_FILTER_KINDS; i++)
		printf("\t{ sizeof(filter%u) / sizeof(filter%u[0]), filter%u "
		       "},\n", i, i, i);
	printf("};\n");
	return fflush(stdout) != 0;
}
