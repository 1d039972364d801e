/*
 * Boehm's collector as Debian ships it. What it does beyond a full collection
 * at a time is asked for in its environment, as a user would.
 */
#include "bench/gc/mem.h"

#include <gc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef WITH_DUNE
#include "dune.h"
#endif

#define LEAF	MEM_LEAF
#define OTHER	1

static uint64_t since;

static void GC_CALLBACK on_event(GC_EventType event)
{
	if (event == GC_EVENT_PRE_STOP_WORLD)
		since = bench_ns();
	else if (event == GC_EVENT_POST_START_WORLD)
		bench_pause(bench_ns() - since);
}

const char *mem_begin(const char *what)
{
#ifdef WITH_DUNE
	if (!strcmp(what, "dune") || !strcmp(what, "dune-inc")) {
		if (dune_enter())
			return dune_errmsg();
		if (!strcmp(what, "dune-inc"))
			setenv("GC_ENABLE_INCREMENTAL", "1", 1);
		what = "plain";
	}
#endif
	if (!strcmp(what, "inc"))
		setenv("GC_ENABLE_INCREMENTAL", "1", 1);
	else if (strcmp(what, "plain"))
		return "unknown way";
	GC_INIT();
	GC_set_on_collection_event(on_event);
	return NULL;
}

int mem_type(size_t size, uint64_t pointers)
{
	(void)size;
	return pointers ? OTHER : LEAF;
}

void *mem_new(int type, size_t size)
{
	void *p = type == LEAF ? GC_MALLOC_ATOMIC(size) : GC_MALLOC(size);

	if (!p)
		abort();
	/* GC_MALLOC() clears. */
	return type == LEAF ? memset(p, 0, size) : p;
}

void mem_free(void *p)
{
	(void)p;
}

/* It finds them by itself, in the program's data. */
void mem_roots(void *words, size_t n)
{
	(void)words, (void)n;
}

void mem_report(void)
{
	printf(", \"collections\": %lu, \"heap\": %lu",
	       (unsigned long)GC_get_gc_no(),
	       (unsigned long)GC_get_heap_size());
}
