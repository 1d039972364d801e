/*
 * apps/gc, over what `what` names; "-inc" after it: full collections in steps.
 * BENCH_NURSERY_MB in the environment: a nursery of so many MiB, not 8.
 */
#include "bench/gc/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/gc/gc.h"
#ifdef WITH_DUNE
#include "dune.h"
#endif

static void on_pause(enum gc_kind kind, uint64_t ns)
{
	(void)kind;
	bench_pause(ns);
}

static const struct {
	const char *name;
	const struct gc_os *os;
} ways[] = {
	{ "full", &gc_os_none }, { "mprotect", &gc_os_protect },
	{ "scan", &gc_os_scan },
#ifdef WITH_DUNE
	{ "dune", &gc_os_dune },
#endif
};

const char *mem_begin(const char *what)
{
	struct gc_options o = { .heap_max = 512ul << 20, .paused = on_pause };
	const char *mb = getenv("BENCH_NURSERY_MB");
	size_t i, n = strcspn(what, "-");

	if (mb)
		o.nursery = (size_t)atoi(mb) << 20;
	if (!strcmp(what + n, "-inc"))
		o.flags |= GC_INCREMENTAL;
	else if (what[n])
		return "unknown way";
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (strlen(ways[i].name) == n &&
		    !strncmp(ways[i].name, what, n))
			o.os = ways[i].os;
	if (!o.os)
		return "unknown way";
#ifdef WITH_DUNE
	if (o.os == &gc_os_dune && dune_enter())
		return dune_errmsg();
#endif
	return gc_init(&o) ? "not to be had here" : NULL;
}

int mem_type(size_t size, uint64_t pointers)
{
	return gc_type(size, pointers);
}

void *mem_new(int type, size_t size)
{
	return gc_alloc(type, size) ?: (abort(), NULL);
}

void mem_free(void *p)
{
	(void)p;
}

void mem_roots(void *words, size_t n)
{
	if (gc_root_add(words, n, gc_type(8, 1)))
		abort();
}

void mem_report(void)
{
	struct gc_stats s;

	gc_stats(&s);
	printf(", \"collections\": %lu, \"minor\": %lu, \"faults\": %lu, "
	       "\"dirty\": %lu, \"heap\": %lu",
	       s.count[GC_MINOR] + s.count[GC_FULL] + s.count[GC_COMPACT] +
	       s.count[GC_END], s.count[GC_MINOR], s.faults, s.dirty_pages,
	       s.blocks * 32768);
}
