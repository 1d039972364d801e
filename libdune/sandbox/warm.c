/*
 * Warming spares: a fork's virtual machine knows none of its pages yet, and
 * finding each out costs microseconds. What the box before it has used, which
 * /proc tells (Documentation/admin-guide/mm/pagemap.rst), the spare's runner
 * touches before it says that it is ready. A hint only: any list is right.
 */
#include "libdune/sandbox/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PRESENT		(1ul << 63)
#define OF_FILE		(1ul << 61)	/* or shared */
#define EXCLUSIVE	(1ul << 56)	/* mapped here and nowhere else */
#define BATCH		512

struct collector {
	int pagemap;			/* of the box that was used */
	struct dune_warm *to;
};

/* One more page; joined with the one before it where it can be. */
static bool add(struct dune_warm *w, uint64_t page, bool write)
{
	uint64_t *last = w->n ? &w->range[w->n - 1] : NULL;

	if (last && DUNE_WARM_WRITE(*last) == write &&
	    DUNE_WARM_COUNT(*last) < DUNE_WARM_MOST &&
	    DUNE_WARM_ADDR(*last) + 4096 * DUNE_WARM_COUNT(*last) == page) {
		*last += 2;
		return true;
	}
	if (w->n == DUNE_WARM_RANGES)
		return false;
	w->range[w->n++] = page | 1 << 1 | write;
	return true;
}

/*
 * Of a writable range the pages that were copied on write; of a file's those
 * that were looked at.
 */
static bool collect(struct collector *c, uint64_t at, uint64_t end, bool write)
{
	uint64_t entry[BATCH];
	ssize_t n, i;

	for (; at < end; at += n * 4096) {
		size_t want = (end - at) / 4096;

		n = pread(c->pagemap, entry,
			  8 * (want < BATCH ? want : BATCH), at / 4096 * 8) / 8;
		if (n <= 0)
			return true;
		for (i = 0; i < n; i++) {
			bool used = entry[i] & PRESENT &&
				    (write ? entry[i] & EXCLUSIVE &&
					     !(entry[i] & OF_FILE) :
					     entry[i] & OF_FILE);

			if (used && !add(c->to, at + i * 4096, write))
				return false;
		}
	}
	return true;
}

/* The mappings are the template's: what came later is not in its forks. */
void dune_warm_collect(struct dune_warm *w, const struct dune_box *template,
		       const struct dune_box *used)
{
	struct collector c = { .to = w };
	unsigned long at, end;
	char line[512], prot[5];
	FILE *maps;

	snprintf(line, sizeof(line), "/proc/%d/pagemap", used->pid);
	c.pagemap = open(line, O_RDONLY | O_CLOEXEC);
	snprintf(line, sizeof(line), "/proc/%d/maps", template->pid);
	maps = fopen(line, "re");
	w->n = 0;
	while (c.pagemap >= 0 && maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &at, &end, prot) != 3 ||
		    at < GUEST_LO || end > GUEST_HI || prot[0] != 'r' ||
		    prot[3] != 'p')
			continue;
		if (!collect(&c, at, end, prot[1] == 'w'))
			break;
	}
	if (maps)
		fclose(maps);
	if (c.pagemap >= 0)
		close(c.pagemap);
}
