/* Editing ranges: rights, mapping, unmapping, splitting, moving. */
#include "libdune/vm.h"

/* What a change of rights leaves as it is; PTE_PS is PTE_PAT at level 0. */
#define KEEP (0x000ffffffffff000ul | PTE_A | PTE_D | PTE_PS | PTE_PWT | PTE_G)

/* perm as bits of an entry, without PTE_PS. -EINVAL. */
static int bits_of(int perm, ptent_t *bits)
{
	static const struct {
		int perm;
		ptent_t bit;
	} map[] = {
		{ PERM_R, PTE_P }, { PERM_W, PTE_W }, { PERM_U, PTE_U },
		{ PERM_UC, PTE_PCD }, { PERM_COW, PTE_COW },
		{ PERM_USR1, PTE_USR1 }, { PERM_USR2, PTE_USR2 },
		{ PERM_USR3, PTE_USR3 },
	};
	int all = PERM_X | PERM_BIG | PERM_BIG_1GB;
	unsigned int i;

	*bits = perm & PERM_X ? 0 : PTE_NX;
	for (i = 0; i < DUNE_ARRAY_SIZE(map); i++) {
		all |= map[i].perm;
		if (perm & map[i].perm)
			*bits |= map[i].bit;
	}
	if (perm & ~all)
		return -EINVAL;
	if (!(perm & PERM_U))
		*bits |= dune_vms->super;
	if (!(perm & PERM_R)) {
		if (perm & PERM_W)
			return -EINVAL;
		*bits &= PTE_USR1 | PTE_USR2 | PTE_USR3;
	}
	return 0;
}

struct edit {
	struct dune_gather gather;
	ptent_t bits;		/* protect, map: the new ones; user_bits: set */
	ptent_t clear;
	uint64_t va, pa;	/* map: where pa goes */
};

/* ---- rights ---- */

/*
 * A page that clones share stays unwritable whatever its rights; whether it may
 * be written is in PTE_COW then.
 */
static ptent_t protected(ptent_t old, ptent_t bits)
{
	ptent_t new = (old & KEEP) | bits;

	if (old & DUNE_PTE_SNAP) {
		new |= DUNE_PTE_SNAP;
		if (new & PTE_W)
			new = (new & ~PTE_W) | PTE_COW;
	}
	return new;
}

static int protect(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct edit *ed = w->arg;
	ptent_t old = dune_pte_load(e), new;

	do {
		/* Absent, and not because of an earlier PERM_NONE. */
		if (!(old & PTE_P) &&
		    (old & (DUNE_PTE_HOST | DUNE_PTE_NONE) || !PTE_ADDR(old)))
			return 0;
		new = protected(old, ed->bits);
	} while (!dune_pte_cas(e, &old, new));
	dune_gather_add(&ed->gather, old, new, va, level);
	return 0;
}

static int protect_range(struct edit *ed, ptent_t *root, void *va, size_t len,
			 int perm)
{
	struct dune_walk w = {
		.root = root, .visit = protect, .arg = ed,
		.flags = DUNE_WALK_FILL | DUNE_WALK_SPLIT,
	};
	int r;

	if (perm & (PERM_BIG | PERM_BIG_1GB) || bits_of(perm, &ed->bits))
		return -EINVAL;
	r = dune_walk_range(&w, va, len);
	if (r)
		return r < 0 ? r : 0;
	return dune_walk(&w);
}

int dune_vm_protect_ranges(ptent_t *root, const struct dune_vm_range *range,
			   size_t n)
{
	struct edit ed;
	size_t i;
	int r = 0;

	if (!dune_vm_inside())
		return -EPERM;
	dune_gather_init(&ed.gather, root);
	for (i = 0; !r && i < n; i++)
		r = protect_range(&ed, root, range[i].va, range[i].len,
				  range[i].perm);
	dune_gather_end(&ed.gather);
	return r;
}

int dune_vm_mprotect(ptent_t *root, void *va, size_t len, int perm)
{
	struct dune_vm_range range = { va, len, perm };

	return dune_vm_protect_ranges(root, &range, 1);
}

static int user_bits(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct edit *ed = w->arg;

	(void)va, (void)level;
	if (!(dune_pte_load(e) & PTE_P))
		return 0;
	__atomic_or_fetch(e, ed->bits, __ATOMIC_RELAXED);
	__atomic_and_fetch(e, ~ed->clear, __ATOMIC_RELAXED);
	return 0;
}

int dune_vm_user_bits(ptent_t *root, void *va, size_t len, ptent_t set,
		      ptent_t clear)
{
	struct edit ed = { .bits = set, .clear = clear };
	struct dune_walk w = {
		.root = root, .visit = user_bits, .arg = &ed,
		.flags = DUNE_WALK_FILL | DUNE_WALK_SPLIT,
	};
	int r;

	if (!dune_vm_inside())
		return -EPERM;
	if ((set | clear) & ~(PTE_USR1 | PTE_USR2 | PTE_USR3))
		return -EINVAL;
	r = dune_walk_range(&w, va, len);
	if (r)
		return r < 0 ? r : 0;
	return dune_walk(&w);
}

/* ---- mapping ---- */

/* Exchanges an entry; what was a table is freed when no CPU walks it. */
static void replace(struct edit *ed, ptent_t *e, ptent_t new, uint64_t va,
		    int level)
{
	ptent_t old = __atomic_exchange_n(e, new, __ATOMIC_ACQ_REL);

	dune_gather_add(&ed->gather, old, new, va, level);
	if (old & PTE_P && !dune_pte_leaf(old, level)) {
		dune_gather_end(&ed->gather);
		dune_table_drop(old, level - 1,
				ed->gather.root == dune_vm_main());
	}
}

static int map_one(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct edit *ed = w->arg;

	replace(ed, e, (ed->pa + (va - ed->va)) | ed->bits, va, level);
	return 0;
}

/* -EINVAL, or 0 with the level of perm's page size and the rights. */
static int map_start(struct edit *ed, struct dune_walk *w, ptent_t *root,
		     void *va, size_t len, int perm)
{
	int r;

	*w = (struct dune_walk){
		.root = root, .arg = ed,
		.flags = DUNE_WALK_FILL | DUNE_WALK_CREATE | DUNE_WALK_ZERO,
		.want = perm & PERM_BIG_1GB ? 2 : perm & PERM_BIG ? 1 : 0,
	};
	dune_gather_init(&ed->gather, root);
	if (bits_of(perm, &ed->bits) ||
	    (w->want == 2 && !(dune_vms->flags & DUNE_VMF_GB)))
		return -EINVAL;
	if (w->want)
		ed->bits |= PTE_PS;
	r = dune_walk_range(w, va, len);
	if (!r && w->want) {
		uint64_t mask = dune_level_size(w->want) - 1;

		if ((w->lo | ed->pa) & mask)
			return -EINVAL;
		w->last |= mask;
	}
	ed->va = w->lo;
	return r;
}

int dune_vm_map_phys(ptent_t *root, void *va, size_t len, void *pa, int perm)
{
	struct edit ed = { .pa = (uint64_t)pa };
	struct dune_walk w;
	int r;

	if (!dune_vm_inside())
		return -EPERM;
	if (ed.pa & ~0x000ffffffffff000ul)
		return -EINVAL;
	r = map_start(&ed, &w, root, va, len, perm);
	if (r)
		return r < 0 ? r : 0;
	w.visit = map_one;
	r = dune_walk(&w);
	dune_gather_end(&ed.gather);
	return r;
}

static int map_new(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct page *pg = dune_page_alloc();
	struct edit *ed = w->arg;

	if (!pg)
		return -ENOMEM;
	replace(ed, e, dune_page2pa(pg) | ed->bits, va, level);
	return 0;
}

int dune_vm_map_pages(ptent_t *root, void *va, size_t len, int perm)
{
	struct edit ed = { .pa = 0 };
	struct dune_walk w;
	int r;

	if (!dune_vm_inside())
		return -EPERM;
	if (perm & (PERM_BIG | PERM_BIG_1GB))
		return -EINVAL;
	r = map_start(&ed, &w, root, va, len, perm);
	if (r)
		return r < 0 ? r : 0;
	w.visit = map_new;
	r = dune_walk(&w);
	dune_gather_end(&ed.gather);
	return r;
}

int dune_vm_insert_page(ptent_t *root, void *va, struct page *pg, int perm)
{
	int r;

	if (!dune_vm_inside())
		return -EPERM;
	dune_page_get(pg);
	r = dune_vm_map_phys(root, va, 1, (void *)dune_page2pa(pg), perm);
	if (r)
		dune_page_put(pg);
	return r;
}

struct page *dune_vm_lookup_page(ptent_t *root, void *va)
{
	uint64_t mask;
	ptent_t *e, v;
	int level;

	if (!dune_vm_inside() ||
	    dune_walk_leaf(root, (uint64_t)va, &e, &level))
		return NULL;
	v = dune_pte_load(e);
	mask = dune_level_size(level) - 1;
	return v & PTE_P ? dune_pa2page(dune_leaf_pa(v, level) +
					((uint64_t)va & mask)) : NULL;
}

/* ---- unmapping ---- */

static int unmap_one(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct edit *ed = w->arg;

	replace(ed, e, ed->bits, va, level);
	return 0;
}

/* What "unmapped" looks like: a zero entry would be asked for again. */
static ptent_t unmapped(const ptent_t *root)
{
	return root != dune_vm_main() && dune_root_follows(root) ?
	       DUNE_PTE_NONE : 0;
}

void dune_vm_unmap(ptent_t *root, void *va, size_t len)
{
	struct edit ed = { .pa = 0 };
	struct dune_walk w = {
		.root = root, .visit = unmap_one, .arg = &ed,
		.flags = DUNE_WALK_FILL | DUNE_WALK_SPLIT,
	};

	if (!dune_vm_inside() || dune_walk_range(&w, va, len))
		return;
	ed.bits = unmapped(root);
	dune_gather_init(&ed.gather, root);
	dune_walk(&w);
	dune_gather_end(&ed.gather);
}

/* ---- splitting and moving ---- */

static int split(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct dune_walk sub = *w;
	int r;

	if (!level)
		return 0;
	r = dune_vm_split_leaf(e, level);
	if (r || level == 1)
		return r;
	if (sub.lo < va)
		sub.lo = va;
	if (sub.last > va + dune_level_size(level) - 1)
		sub.last = va + dune_level_size(level) - 1;
	return dune_walk(&sub);
}

static int split_already(struct dune_walk *w, ptent_t *e, uint64_t va,
			 unsigned int n)
{
	(void)w, (void)e, (void)va, (void)n;
	return 0;
}

int dune_vm_split(ptent_t *root, void *va, size_t len)
{
	struct dune_walk w = { .root = root, .visit = split,
			       .table = split_already,
			       .flags = DUNE_WALK_FILL };
	int r;

	if (!dune_vm_inside())
		return -EPERM;
	r = dune_walk_range(&w, va, len);
	if (r)
		return r < 0 ? r : 0;
	return dune_walk(&w);
}

static int move_one(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct edit *ed = w->arg;
	uint64_t to = ed->pa + (va - ed->va);
	ptent_t *dest, old;
	int r;

	(void)level;
	if (!(dune_pte_load(e) & PTE_P))
		return 0;
	r = dune_vm_lookup(w->root, (void *)to, CREATE_NORMAL, &dest);
	if (r)
		return r;
	old = __atomic_exchange_n(e, ed->bits, __ATOMIC_ACQ_REL);
	/* The page goes on: flush, but let go of nothing. */
	dune_gather_add(&ed->gather, old, PTE_ADDR(old), va, 0);
	replace(ed, dest, old, to, 0);
	return 0;
}

static int move_range(struct edit *ed, ptent_t *root,
		      const struct dune_vm_move *m)
{
	uint64_t from = (uint64_t)m->from, to = (uint64_t)m->to;
	struct dune_walk w = {
		.root = root, .visit = move_one, .arg = ed,
		.flags = DUNE_WALK_FILL,
	};
	int r;

	if ((from | to | m->len) & ~DUNE_PAGE_MASK ||
	    (from < to + m->len && to < from + m->len && m->len))
		return -EINVAL;
	r = dune_walk_range(&w, m->to, m->len);
	if (!r)
		r = dune_walk_range(&w, m->from, m->len);
	if (!r)
		r = dune_vm_split(root, m->from, m->len);
	if (!r)
		r = dune_vm_split(root, m->to, m->len);
	if (r)
		return r < 0 ? r : 0;
	ed->va = from;
	ed->pa = to;
	return dune_walk(&w);
}

int dune_vm_move(ptent_t *root, const struct dune_vm_move *move, size_t n)
{
	struct edit ed = { .pa = 0 };
	size_t i;
	int r = 0;

	if (!dune_vm_inside())
		return -EPERM;
	ed.bits = unmapped(root);
	dune_gather_init(&ed.gather, root);
	for (i = 0; !r && i < n; i++)
		r = move_range(&ed, root, &move[i]);
	dune_gather_end(&ed.gather);
	return r;
}
