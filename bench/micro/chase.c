/* Memory access that misses the TLB: what page tables cost. */
#include "bench/micro/micro.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define LINE 64ul

/*
 * Where in its page the word of a page is: in a cache line that has nothing to
 * do with the page's number, or all words would fight for a few cache sets.
 */
static size_t place(uint32_t page)
{
	return page * PAGE + (page * 2654435761u >> 26) * LINE;
}

/*
 * Hops over size bytes in random order without end. One word a page, each in
 * another cache line: the words fit the caches, the pages do not fit the TLB.
 */
static void **make_ring(size_t size, int huge)
{
	size_t pages = size / PAGE;
	uint32_t *order = malloc(pages * sizeof(*order));
	char *p = bench_map(size, huge);
	uint64_t seed = 42;

	if (!p || !order)
		return NULL;
	for (size_t i = 0; i < pages; i++)
		order[i] = i;
	for (size_t i = pages - 1; i > 0; i--) {
		size_t k;
		uint32_t swap = order[i];

		seed = seed * 6364136223846793005ul + 1442695040888963407ul;
		k = (seed >> 33) % (i + 1);
		order[i] = order[k];
		order[k] = swap;
	}
	for (size_t i = 0; i < pages; i++) {
		uint32_t a = order[i], b = order[(i + 1) % pages];

		*(void **)(p + place(a)) = p + place(b);
	}
	free(order);
	return (void **)(p + place(0));
}

static int64_t chase(unsigned long n, void ***at, size_t size, int huge)
{
	void **p = *at;
	int64_t t;

	if (!p)
		p = make_ring(size, huge);
	if (!p)
		return -ENOMEM;
	t = bench_now();
	while (n--)
		p = *p;
	t = bench_now() - t;
	*at = p;
	return t;
}

static int64_t run_walk(unsigned long n)
{
	static void **at;

	return chase(n, &at, 32ul << 20, 0);
}

static int64_t run_chase4k(unsigned long n)
{
	static void **at;

	return chase(n, &at, 128ul << 20, 0);
}

static int64_t run_chase2m(unsigned long n)
{
	static void **at;

	return chase(n, &at, 128ul << 20, 1);
}

const struct bench_case bench_chase[] = {
	{ "walk", "a load whose page is not in the TLB, tables in the cache",
	  run_walk, 0 },
	{ "chase4k", "a dependent load over 128 MiB in pages of 4 KiB",
	  run_chase4k, 0 },
	{ "chase2m", "a dependent load over 128 MiB in pages of 2 MiB",
	  run_chase2m, 0 },
	{ 0 },
};
