/* Entries of the main root, edited while guest threads edit them too. */
#include "kern/self/entry.h"

#include <string.h>

#define TOP 3

static uint64_t level_size(int level)
{
	return 1ul << (DUNE_PAGE_SHIFT + 9 * level);
}

static unsigned int slot(dune_gva_t va, int level)
{
	return (va >> (DUNE_PAGE_SHIFT + 9 * level)) & 511;
}

static uint64_t *table_at(const struct dune_pt *pt, uint64_t e)
{
	return pt->host(pt->ctx, e & DUNE_PTE_ADDR);
}

static bool is_table(uint64_t e, int level)
{
	return level > 0 && (e & DUNE_PTE_P) && !(e & DUNE_PTE_PS);
}

uint64_t *dune_table_take(struct dune_tables *t, dune_gpa_t *gpa)
{
	void *page = t->spare;

	if (!page)
		return t->pt->alloc(t->pt->ctx, gpa);
	*gpa = t->spare_gpa;
	t->spare = NULL;
	return page;
}

void dune_table_give(struct dune_tables *t, uint64_t *page, dune_gpa_t gpa)
{
	memset(page, 0, DUNE_PAGE_SIZE);
	t->spare = page;
	t->spare_gpa = gpa;
}

uint64_t *dune_entry_find(const struct dune_pt *pt, dune_gva_t va,
			  int *level, uint64_t *rights)
{
	const uint64_t grants = DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_U;
	uint64_t *e, old, all = grants;
	uint64_t *t = table_at(pt, pt->root);
	int at = TOP;

	for (;; at--) {
		e = &t[slot(va, at)];
		old = dune_entry_load(e);
		all = (all & (old | ~grants)) | (old & DUNE_PTE_NX);
		if (!is_table(old, at))
			break;
		t = table_at(pt, old);
	}
	*level = at;
	if (rights)
		*rights = all;
	return e;
}

uint64_t *dune_entry_dir(struct dune_tables *t, dune_gva_t va, bool *full)
{
	uint64_t *e, *page, old;
	dune_gpa_t gpa;
	int level = TOP;

	*full = false;
	e = &table_at(t->pt, t->pt->root)[slot(va, level)];
	while (level > 1) {
		old = dune_entry_load(e);
		if (!old) {
			page = dune_table_take(t, &gpa);
			if (!page) {
				*full = true;
				return NULL;
			}
			if (!dune_entry_swap(e, 0, dune_table_entry(gpa)))
				dune_table_give(t, page, gpa);
			continue;
		}
		if (!is_table(old, level))
			return NULL;
		level--;
		e = &table_at(t->pt, old)[slot(va, level)];
	}
	return e;
}

struct walk {
	const struct dune_pt *pt;
	dune_gva_t lo, hi;
	dune_entry_visit *visit;
	void *ctx;
};

/* One table, whose first entry maps base, and the tables under it. */
static void walk(const struct walk *w, uint64_t *t, int level, dune_gva_t base)
{
	uint64_t size = level_size(level);
	dune_gva_t last = w->hi - 1;
	unsigned int i, n;

	i = w->lo > base ? slot(w->lo, level) : 0;
	n = last - base < size * 512 ? slot(last, level) : 511;
	for (; i <= n; i++) {
		uint64_t e = dune_entry_load(&t[i]);

		if (!(e & DUNE_PTE_P))
			continue;
		if (level > 1 && is_table(e, level))
			walk(w, table_at(w->pt, e), level - 1,
			     base + i * size);
		else
			w->visit(w->ctx, &t[i], level, base + i * size);
	}
}

void dune_entry_walk(const struct dune_pt *pt, dune_gva_t lo, dune_gva_t hi,
		     dune_entry_visit *visit, void *ctx)
{
	const struct walk w = {
		.pt = pt, .lo = lo, .hi = hi, .visit = visit, .ctx = ctx,
	};

	if (lo < hi)
		walk(&w, table_at(pt, pt->root), TOP, 0);
}
