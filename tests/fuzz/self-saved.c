/*
 * A file with a snapshot, as host and monitor go through it: every size and
 * address in it is anybody's. What passes the checks is then touched in memory
 * as it would be used.
 */
#include <stdlib.h>
#include <string.h>
#include "libdune/sandbox/channel.h"
#include "libdune/sandbox/heap.h"
#include "libdune/sandbox/image.h"

#define BUILD 0x1122334455667788ul

static const uint8_t *input;
static size_t left;

static int take(void *to, size_t n)
{
	if (n > left)
		return -1;
	memcpy(to, input, n);
	input += n;
	left -= n;
	return 0;
}

/* Runs lie in order between their bounds, and their pages in the file. */
static int runs(uint64_t start, uint64_t end)
{
	struct dune_image_run run;
	uint64_t from = start, last = start;
	int r;

	for (;;) {
		if (take(&run, sizeof(run)))
			return -1;
		r = dune_image_check_run(&run, &from, end);
		if (r <= 0)
			return r;
		if (run.at < last || run.at + run.len > end ||
		    run.at + run.len <= run.at || from != run.at + run.len)
			abort();
		last = from;
		if (run.len > left)
			return -1;
		input += run.len;
		left -= run.len;
	}
}

static void heap_of(const struct dune_image_host *h,
		    const struct dune_image_parts *parts)
{
	struct dune_heap heap;
	uint64_t at, *list;
	size_t n = h->pieces;

	if (dune_heap_init(&heap, h->heap))
		return;
	if (!dune_heap_unlist(&heap, parts->piece, n)) {
		list = calloc(n + 1, sizeof(*list));
		if (!list || dune_heap_list(&heap, list, n) != n ||
		    memcmp(list, parts->piece, n * sizeof(*list)) ||
		    heap.high > h->heap)
			abort();
		free(list);
		if (!dune_heap_alloc(&heap, 100, &at)) {
			if (at > h->heap - 100)
				abort();
			dune_heap_free(&heap, at);
		}
	}
	dune_heap_done(&heap);
}

static int host(uint64_t size)
{
	struct dune_image_parts parts;
	struct dune_image_host *h = malloc(size);
	uint32_t i;
	int r = h ? take(h, size) : -1;

	if (!r)
		r = dune_image_check_host(h, size, &parts);
	for (i = 0; !r && i < h->callbacks; i++)
		if (strlen(parts.callback[i].name) > 255)
			abort();
	for (i = 0; !r && i < h->objects; i++)
		if (parts.handle[i] == BUILD)
			r = -1;
	if (!r)
		heap_of(h, &parts);
	if (!r)
		r = runs(0, h->heap);
	free(h);
	return r;
}

static void process(void)
{
	struct dune_image_region region;
	struct dune_image_process p;
	uint64_t from = 0, last = 0;

	if (take(&p, sizeof(p)) || dune_image_check_process(&p))
		return;
	if (p.names > DUNE_IMAGE_NAMES)
		abort();
	if (p.names > left)
		return;
	input += p.names;
	left -= p.names;
	while (!take(&region, sizeof(region)) &&
	       dune_image_check_region(&region, &from) > 0) {
		if (region.start < GUEST_LO || region.end > GUEST_HI ||
		    region.start < last || region.end <= region.start)
			abort();
		last = region.end;
		if (runs(region.start, region.end))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dune_image_head h;

	input = data;
	left = size;
	if (take(&h, sizeof(h)))
		return 0;
	/* who fuzzes cannot be asked to count */
	h.size = size;
	h.build = BUILD;
	if (dune_image_check_head(&h, size, BUILD) || host(h.host))
		return 0;
	if (h.process < size) {
		input = data + h.process;
		left = size - h.process;
		process();
	}
	dune_image_sum(0, data, size);
	return 0;
}
