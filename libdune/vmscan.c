/* Accessed and dirty bits of ranges. */
#include "dune/gc.h"
#include "libdune/vm.h"

struct scan {
	struct dune_gather gather;
	struct dune_cleared *cleared;	/* NULL: flushed like other edits */
	uint64_t *bitmap;
	uint64_t first;		/* page number of bit 0 */
	ptent_t which;
	bool clear, split;
	long n;
};

static int scan_table(struct dune_walk *w, ptent_t *e, uint64_t va,
		      unsigned int n);

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

static int scan_split(struct dune_walk *w, ptent_t *e, uint64_t va)
{
	ptent_t *t = dune_table_at(dune_pte_load(e));
	unsigned int i = 0, n = 512;

	if (!t)
		return -EFAULT;
	if (w->lo > va)
		i = dune_pte_slot(w->lo, 0);
	if (w->last < va + DUNE_LARGE_SIZE - 1)
		n = dune_pte_slot(w->last, 0) + 1;
	return scan_table(w, &t[i], va + i * DUNE_PAGE_SIZE, n - i);
}

static int scan_one(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct scan *s = w->arg;
	uint64_t last = va + dune_level_size(level) - 1;
	ptent_t old = dune_pte_load(e);

	if (!(old & PTE_P) || !(old & s->which))
		return 0;
	/* from now on page by page, if there is a table for it */
	if (level == 1 && s->split && !dune_vm_split_leaf(e, level))
		return scan_split(w, e, va);
	if (s->clear && !(s->cleared &&
			  dune_cleared_add(s->cleared, e, level))) {
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
static int scan_range(struct scan *s, ptent_t *root, struct dune_gc_range *r)
{
	struct dune_walk w = {
		.root = root, .visit = scan_one, .absent = scan_absent,
		.table = scan_table, .arg = s,
		.flags = s->clear ? DUNE_WALK_SPLIT : 0,
	};
	int err;

	if (((uint64_t)r->va | r->len) & ~DUNE_PAGE_MASK)
		return -EINVAL;
	err = dune_walk_range(&w, r->va, r->len);
	if (err)
		return err < 0 ? err : 0;
	if (dune_root_follows(root))
		w.flags |= DUNE_WALK_ABSENT;
	s->bitmap = r->bitmap;
	s->first = (uint64_t)r->va / DUNE_PAGE_SIZE;
	if (r->bitmap)
		dune_clear_words(r->bitmap,
				 (r->len / DUNE_PAGE_SIZE + 63) / 64);
	/* What ring 3 touched is in its own tables. */
	dune_userview_drop(root, w.lo, w.last);
	return dune_walk(&w);
}

long dune_vm_scan_ranges(ptent_t *root, struct dune_gc_range *range, size_t n,
			 int flags, bool *told)
{
	struct scan s = {
		.clear = flags & DUNE_SCAN_CLEAR,
		.split = flags & DUNE_SCAN_SPLIT,
		.which = flags & (PTE_A | PTE_D),
	};
	struct dune_cleared cleared;
	long before;
	int r = 0;

	if (!dune_vm_inside())
		return -EPERM;
	if (!s.which || flags & ~(DUNE_SCAN_ACCESSED | DUNE_SCAN_DIRTY |
				  DUNE_SCAN_CLEAR | DUNE_SCAN_SPLIT))
		return -EINVAL;
	dune_gather_init(&s.gather, root);
	if (s.which == PTE_D && s.clear)
		s.cleared = dune_cleared_begin(&cleared, root);
	for (; !r && n; n--, range++) {
		before = s.n;
		r = scan_range(&s, root, range);
		range->pages = s.n - before;
	}
	if (s.cleared && dune_cleared_end(s.cleared, told) && told)
		*told = true;
	dune_gather_end(&s.gather);
	return r ? r : s.n;
}

long dune_vm_scan(ptent_t *root, void *va, size_t len, int flags,
		  uint64_t *bitmap)
{
	struct dune_gc_range r = { va, len, bitmap, 0 };

	if (flags & DUNE_SCAN_SPLIT)
		return -EINVAL;
	return dune_vm_scan_ranges(root, &r, 1, flags, NULL);
}
