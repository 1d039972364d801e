/* x86-64 four-level page tables, edited from the host. */
#include "kern/vm/pagetable.h"

#include <errno.h>

/* Levels: 0 is the table of 4 KiB entries, 1 the directory, 3 the root. */
#define TOP 3

static uint64_t level_size(int level)
{
	return 1ul << (DUNE_PAGE_SHIFT + 9 * level);
}

static unsigned int slot(dune_gva_t va, int level)
{
	return (va >> (DUNE_PAGE_SHIFT + 9 * level)) & 511;
}

static uint64_t *table_at(const struct dune_pt *pt, dune_gpa_t gpa)
{
	return pt->host(pt->ctx, gpa & DUNE_PTE_ADDR);
}

/* Guest CPUs walk and mark the entries while we edit them. */
static uint64_t load(const uint64_t *e)
{
	return __atomic_load_n(e, __ATOMIC_RELAXED);
}

static void store(uint64_t *e, uint64_t value)
{
	__atomic_store_n(e, value, __ATOMIC_RELEASE);
}

static bool is_leaf(uint64_t e, int level)
{
	return level == 0 || (e & DUNE_PTE_PS);
}

int dune_pt_init(struct dune_pt *pt)
{
	return pt->alloc(pt->ctx, &pt->root) ? 0 : -ENOMEM;
}

uint64_t dune_pt_lookup(const struct dune_pt *pt, dune_gva_t va, bool *large)
{
	uint64_t e = pt->root;
	int level;

	for (level = TOP; level >= 0; level--) {
		e = load(&table_at(pt, e)[slot(va, level)]);
		if (!(e & DUNE_PTE_P))
			return 0;
		if (is_leaf(e, level))
			break;
	}
	if (large)
		*large = level == 1;
	return e;
}

/*
 * The table of the given level that covers va, made where missing. All
 * rights are in the leaves: upper entries allow everything.
 */
static int descend(struct dune_pt *pt, dune_gva_t va, int want,
		   uint64_t **table)
{
	uint64_t *t = table_at(pt, pt->root);
	int level;

	for (level = TOP; level > want; level--) {
		uint64_t *e = &t[slot(va, level)];
		dune_gpa_t gpa;

		if (!(load(e) & DUNE_PTE_P)) {
			t = pt->alloc(pt->ctx, &gpa);
			if (!t)
				return -ENOMEM;
			store(e, gpa | DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_U |
				 DUNE_PTE_A);
			continue;
		}
		if (is_leaf(load(e), level))
			return -EEXIST;
		t = table_at(pt, load(e));
	}
	*table = t;
	return 0;
}

int dune_pt_map(struct dune_pt *pt, dune_gva_t va, dune_gpa_t gpa,
		uint64_t flags)
{
	return dune_pt_map_range(pt, va, DUNE_PAGE_SIZE, gpa, flags);
}

int dune_pt_map_range(struct dune_pt *pt, dune_gva_t va, uint64_t len,
		      dune_gpa_t gpa, uint64_t flags)
{
	dune_gva_t end = va + len;
	uint64_t *t = NULL;
	int err;

	for (; va < end; va += DUNE_PAGE_SIZE, gpa += DUNE_PAGE_SIZE) {
		if (!t || slot(va, 0) == 0) {
			err = descend(pt, va, 0, &t);
			if (err)
				return err;
		}
		store(&t[slot(va, 0)], gpa | flags | DUNE_PTE_P);
	}
	return 0;
}

int dune_pt_map_large(struct dune_pt *pt, dune_gva_t va, dune_gpa_t gpa,
		      uint64_t flags)
{
	uint64_t *t, e;
	int err;

	err = descend(pt, va, 1, &t);
	if (err)
		return err;
	e = load(&t[slot(va, 1)]);
	if ((e & DUNE_PTE_P) && !is_leaf(e, 1))
		return -EEXIST;
	store(&t[slot(va, 1)], gpa | flags | DUNE_PTE_PS | DUNE_PTE_P);
	return 0;
}

/* What edit() does with the leaves: 0 clears them. */
struct edit {
	const struct dune_pt *pt;
	dune_gva_t lo, hi;
	uint64_t flags;
	bool *forget;
};

/*
 * Visits one table, whose first entry maps base, and the tables under it.
 * Absent upper entries are stepped over whole, so the cost is that of what
 * was ever mapped.
 */
static void edit(const struct edit *ed, uint64_t *t, int level,
		 dune_gva_t base)
{
	uint64_t size = level_size(level);
	dune_gva_t last = ed->hi - 1;
	unsigned int i, n;

	i = ed->lo > base ? slot(ed->lo, level) : 0;
	n = last - base < size * 512 ? slot(last, level) : 511;
	for (; i <= n; i++) {
		dune_gva_t va = base + i * size;
		uint64_t e = load(&t[i]);

		if (!(e & DUNE_PTE_P))
			continue;
		if (!is_leaf(e, level)) {
			edit(ed, table_at(ed->pt, e), level - 1, va);
		} else if (va < ed->lo || va + size > ed->hi) {
			store(&t[i], 0);
			*ed->forget = true;
		} else if (!ed->flags) {
			store(&t[i], 0);
		} else {
			store(&t[i], (e & (DUNE_PTE_ADDR | DUNE_PTE_PS)) |
				     ed->flags | DUNE_PTE_P);
		}
	}
}

void dune_pt_unmap(struct dune_pt *pt, dune_gva_t va, uint64_t len,
		   bool *forget)
{
	dune_pt_protect(pt, va, len, 0, forget);
}

void dune_pt_protect(struct dune_pt *pt, dune_gva_t va, uint64_t len,
		     uint64_t flags, bool *forget)
{
	struct edit ed = {
		.pt = pt, .lo = va, .hi = va + len, .flags = flags,
		.forget = forget,
	};

	if (len)
		edit(&ed, table_at(pt, pt->root), TOP, 0);
}
