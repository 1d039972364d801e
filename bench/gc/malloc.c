/* The floor: malloc and free, by the workload's own hand. */
#include "bench/gc/mem.h"

#include <stdlib.h>
#include <string.h>
#ifdef WITH_DUNE
#include "dune.h"
#endif

const char *mem_begin(const char *what)
{
#ifdef WITH_DUNE
	if (!strcmp(what, "dune"))
		return dune_enter() ? dune_errmsg() : NULL;
#endif
	return strcmp(what, "plain") ? "unknown way" : NULL;
}

int mem_type(size_t size, uint64_t pointers)
{
	(void)size, (void)pointers;
	return MEM_LEAF;
}

void *mem_new(int type, size_t size)
{
	void *p = calloc(1, size);

	(void)type;
	return p ?: (abort(), NULL);
}

void mem_free(void *p)
{
	free(p);
}

void mem_roots(void *words, size_t n)
{
	(void)words, (void)n;
}

void mem_report(void)
{
}
