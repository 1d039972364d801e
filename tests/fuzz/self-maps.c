/* The parser of /proc/self/maps: any text, and good lines in any text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kern/self/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dune_maps *p)
{
	if (p->start >= p->end || (p->start | p->end) & ~DUNE_PAGE_MASK ||
	    p->prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *good = "\n7f0000000000-7f0000001000 rw-p 00000000 00:00 0\n";
	struct dune_regions rs;
	struct dune_maps p;
	unsigned int n = 0;
	size_t i;

	dune_regions_init(&rs);
	dune_maps_begin(&p);
	for (i = 0; i < size; i++) {
		if (!dune_maps_char(&p, data[i]))
			continue;
		check(&p);
		if (dune_region_insert(&rs, p.start, p.end - p.start, p.prot,
				       p.flags))
			abort();
	}
	for (i = 1; i < rs.n; i++)
		if (rs.v[i].start < rs.v[i - 1].end)
			abort();
	dune_regions_free(&rs);

	/* whatever came before, the next line counts */
	for (; *good; good++)
		n += dune_maps_char(&p, *good) && p.start == 0x7f0000000000ul;
	if (!n)
		abort();
	return 0;
}
