/* Accessed and dirty bits of a range. */
#include "libdune/vm.h"

struct scan {
	struct dune_gather gather;
	uint64_t *bitmap;
	uint64_t first;		/* page number of bit 0 */
	ptent_t which;
	bool clear;
	long n;
};

/* Sets the bits of pages first to last. */
static void mark(struct scan *s, uint64_t va, uint64_t last)
{
	uint64_t i = va / DUNE_PAGE_SIZE - s->first;
	uint64_t end = last / DUNE_PAGE_SIZE - s->first;

	s->n += end - i + 1;
	if (!s->bitmap)
		return;
	for (; i <= end; i++)
		s->bitmap[i / 64] |= 1ul << i % 64;
}

static int scan_one(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct scan *s = w->arg;
	uint64_t last = va + dune_level_size(level) - 1;
	ptent_t old = dune_pte_load(e);

	if (!(old & PTE_P) || !(old & s->which))
		return 0;
	if (s->clear) {
		__atomic_and_fetch(e, ~s->which, __ATOMIC_RELAXED);
		/* As if a right had been taken away. */
		dune_gather_add(&s->gather, PTE_P | PTE_W | PTE_ADDR(old),
				PTE_P | PTE_ADDR(old), va, level);
	}
	mark(s, va < w->lo ? w->lo : va, last > w->last ? w->last : last);
	return 0;
}

/* The same for many: most entries have none of the bits. */
static int scan_table(struct dune_walk *w, ptent_t *e, uint64_t va,
		      unsigned int n)
{
	const struct scan *s = w->arg;
	const ptent_t which = s->which;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (dune_pte_load(&e[i]) & which)
			scan_one(w, &e[i], va + i * DUNE_PAGE_SIZE, 0);
	return 0;
}

static int scan_absent(struct dune_walk *w, uint64_t va, uint64_t last)
{
	mark(w->arg, va, last);
	return 0;
}

/* Never a fill: what nobody asked for is told as touched. */
long dune_vm_scan(ptent_t *root, void *va, size_t len, int flags,
		  uint64_t *bitmap)
{
	struct scan s = {
		.bitmap = bitmap, .clear = flags & DUNE_SCAN_CLEAR,
		.which = flags & (PTE_A | PTE_D),
		.first = (uint64_t)va / DUNE_PAGE_SIZE,
	};
	struct dune_walk w = {
		.root = root, .visit = scan_one, .absent = scan_absent,
		.table = scan_table, .arg = &s,
		.flags = flags & DUNE_SCAN_CLEAR ? DUNE_WALK_SPLIT : 0,
	};
	int r;

	if (!dune_vm_inside())
		return -EPERM;
	if (!s.which || flags & ~(DUNE_SCAN_ACCESSED | DUNE_SCAN_DIRTY |
				  DUNE_SCAN_CLEAR) ||
	    ((uint64_t)va | len) & ~DUNE_PAGE_MASK)
		return -EINVAL;
	r = dune_walk_range(&w, va, len);
	if (r)
		return r < 0 ? r : 0;
	if (dune_root_follows(root))
		w.flags |= DUNE_WALK_ABSENT;
	if (bitmap)
		dune_clear_words(bitmap, (len / DUNE_PAGE_SIZE + 63) / 64);
	/* What ring 3 touched is in its own tables. */
	dune_userview_drop(root, w.lo, w.last);
	dune_gather_init(&s.gather, root);
	r = dune_walk(&w);
	dune_gather_end(&s.gather);
	return r ? r : s.n;
}
