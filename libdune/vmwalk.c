/* Walking page tables: the one walker, lookups, and what the host must fill. */
#include "libdune/vm.h"

/* Spans a walk asks for one by one before it looks what is mapped at all. */
#define FILL_SPANS 16

static int fill_range(ptent_t *root, uint64_t lo, uint64_t last);

/* Unmapped for good stays so in the smaller entries. */
static int make_table(ptent_t *e)
{
	ptent_t old = dune_pte_load(e), *t;
	unsigned int i;
	uint64_t gpa;

	t = dune_table_new(&gpa);
	if (!t)
		return -ENOMEM;
	while (!(old & PTE_P)) {
		for (i = 0; i < 512; i++)
			t[i] = old & DUNE_PTE_NONE;
		if (dune_pte_cas(e, &old, gpa | DUNE_TABLE_FLAGS))
			return 0;
	}
	dune_table_free(gpa);
	return 0;
}

int dune_vm_split_leaf(ptent_t *e, int level)
{
	uint64_t size = dune_level_size(level - 1), gpa;
	ptent_t v = dune_pte_load(e), small, *t;
	unsigned int i;

	t = dune_table_new(&gpa);
	if (!t)
		return -ENOMEM;
	do {
		if (!dune_pte_leaf(v, level)) {		/* somebody did it */
			dune_table_free(gpa);
			return 0;
		}
		small = dune_leaf_pa(v, level) |
			(PTE_FLAGS(v) & ~(level == 1 ? PTE_PS : 0));
		if (v & PTE_PAT_PS)
			small |= level == 1 ? PTE_PAT : PTE_PAT_PS;
		for (i = 0; i < 512; i++)
			t[i] = small + i * size;
	} while (!dune_pte_cas(e, &v, gpa | DUNE_TABLE_FLAGS));
	return 0;
}

static bool covered(const struct dune_walk *w, uint64_t va, int level)
{
	return va >= w->lo && va + dune_level_size(level) - 1 <= w->last;
}

static bool may_fill(const struct dune_walk *w, uint64_t va)
{
	return w->flags & DUNE_WALK_FILL &&
	       (dune_root_follows(w->root) || dune_vm_shared(va));
}

/* What a directory entry leads to; 0 with *t NULL: nothing to see. */
static int below(struct dune_walk *w, ptent_t *e, uint64_t va, int level,
		 ptent_t **t)
{
	uint64_t last = va + dune_level_size(level) - 1;
	ptent_t v = dune_pte_load(e);
	int r;

	*t = NULL;
	if (!v && may_fill(w, va)) {
		r = dune_vm_fill_span(w->root, va < w->lo ? w->lo : va);
		if (r < 0 && r != -ENOENT)
			return r;
		v = dune_pte_load(e);
	}
	if (!(v & PTE_P) && w->flags & DUNE_WALK_CREATE) {
		r = make_table(e);
		if (r)
			return r;
		v = dune_pte_load(e);
	}
	if (dune_pte_leaf(v, level) &&
	    (w->flags & DUNE_WALK_CREATE ||
	     (w->flags & DUNE_WALK_SPLIT && !covered(w, va, level)))) {
		r = dune_vm_split_leaf(e, level);
		if (r)
			return r;
		v = dune_pte_load(e);
	}
	if (dune_pte_leaf(v, level))
		return w->visit(w, e, va, level);
	if (!(v & PTE_P)) {
		if (w->flags & DUNE_WALK_ABSENT)
			return w->absent(w, va < w->lo ? w->lo : va,
					 last > w->last ? w->last : last);
		return 0;
	}
	if (w->flags & DUNE_WALK_DIRS) {
		r = w->visit(w, e, va, level);
		if (r)
			return r;
		v = dune_pte_load(e);
		if (!(v & PTE_P) || dune_pte_leaf(v, level))
			return 0;
	}
	/* A table that maps itself has no end, and is not the range's. */
	if (dune_table_is_root(v))
		return w->flags & DUNE_WALK_CREATE ? -EFAULT : 0;
	*t = dune_table_at(v);
	return *t ? 0 : -EFAULT;
}

/* A zero entry of the last level: the main root may have more. */
static void pull(struct dune_walk *w, uint64_t va)
{
	if (w->flags & (DUNE_WALK_FILL | DUNE_WALK_PULL) &&
	    w->root != dune_vm_main() && dune_root_follows(w->root))
		dune_root_pull(w->root, va);
}

static int walk_table(struct dune_walk *w, ptent_t *t, int level,
		      uint64_t base)
{
	uint64_t size = dune_level_size(level);
	unsigned int i = 0, n = 511;
	ptent_t *sub;
	int r;

	if (level == 3 || w->lo > base)
		i = dune_pte_slot(w->lo, level);
	if (level == 3 || w->last < base + size * 512 - 1)
		n = dune_pte_slot(w->last, level);
	if (level == w->want && w->table)
		return w->table(w, &t[i], base + i * size, n - i + 1);
	for (; i <= n; i++) {
		uint64_t va = base + i * size;

		if (level == 3) {
			va = (uint64_t)((int64_t)(va << 16) >> 16);
			if (i == DUNE_VM_SHARED &&
			    !(w->flags & DUNE_WALK_ALL))
				continue;
		}
		if (level == w->want) {
			if (!level && !dune_pte_load(&t[i]))
				pull(w, va);
			if (!dune_pte_load(&t[i]) &&
			    !(w->flags & DUNE_WALK_ZERO))
				continue;
			r = w->visit(w, &t[i], va, level);
			if (r)
				return r;
			continue;
		}
		r = below(w, &t[i], va, level, &sub);
		if (!r && sub)
			r = walk_table(w, sub, level - 1, va);
		if (r)
			return r;
	}
	return 0;
}

int dune_walk(struct dune_walk *w)
{
	int r;

	if ((w->flags & (DUNE_WALK_FILL | DUNE_WALK_ONE_BY_ONE)) ==
	    DUNE_WALK_FILL &&
	    w->last - w->lo >= FILL_SPANS * DUNE_LARGE_SIZE) {
		r = fill_range(w->root, w->lo, w->last);
		if (r < 0)
			return r;
		w->flags ^= DUNE_WALK_FILL | DUNE_WALK_PULL;
	}
	return walk_table(w, w->root, 3, 0);
}

int dune_walk_range(struct dune_walk *w, void *va, size_t len)
{
	w->lo = DUNE_PAGE_DOWN((uint64_t)va);
	w->last = (uint64_t)va + len - 1;
	if (!len)
		return 1;
	if (w->last < (uint64_t)va)
		return -EINVAL;
	w->last |= ~DUNE_PAGE_MASK;
	if (!dune_canonical(w->lo) || !dune_canonical(w->last) ||
	    (dune_vm_shared(w->lo) && dune_vm_shared(w->last)))
		return -EINVAL;
	return 0;
}

int dune_walk_rights(ptent_t *root, uint64_t va, struct dune_rights *r)
{
	ptent_t *t = root, v;

	r->all = PTE_P | PTE_W | PTE_U;
	r->any = 0;
	for (r->level = 3; ; r->level--) {
		r->e = &t[dune_pte_slot(va, r->level)];
		v = dune_pte_load(r->e);
		r->up_all = r->all;
		r->up_any = r->any;
		r->all &= dune_pte_user(v) ? v : v & ~PTE_U;
		r->any |= v & PTE_NX;
		if (dune_pte_leaf(v, r->level))
			return v & PTE_P ? 0 : -ENOENT;
		if (!(v & PTE_P))
			return -ENOENT;
		t = dune_table_at(v);
		if (!t)
			return -EFAULT;
	}
}

int dune_walk_leaf(ptent_t *root, uint64_t va, ptent_t **e, int *level)
{
	ptent_t *t = root, v;
	int l;

	for (l = 3; ; l--) {
		*e = &t[dune_pte_slot(va, l)];
		*level = l;
		v = dune_pte_load(*e);
		if (dune_pte_leaf(v, l))
			return 0;
		if (!(v & PTE_P))
			return -ENOENT;
		t = dune_table_at(v);
		if (!t)
			return -EFAULT;
	}
}

/* ---- what the main root says of a span ---- */

static int fill_main(uint64_t va)
{
	ptent_t *e;
	int level, r;

	r = dune_walk_leaf(dune_vm_main(), va, &e, &level);
	if (r != -ENOENT)
		return r;
	if (dune_pte_load(e))
		return -ENOENT;		/* absent by the program's wish */
	r = dune_vms->ops.fill(va);
	if (r < 0)
		return r;
	r = dune_walk_leaf(dune_vm_main(), va, &e, &level);
	return r;
}

int dune_walk_create(ptent_t *root, uint64_t va, int want, ptent_t **out)
{
	ptent_t *t = root, *e, v;
	int level, r;

	for (level = 3; ; level--) {
		e = &t[dune_pte_slot(va, level)];
		v = dune_pte_load(e);
		if (level == want || dune_pte_leaf(v, level))
			break;
		if (!(v & PTE_P)) {
			r = make_table(e);
			if (r)
				return r;
			v = dune_pte_load(e);
		}
		t = dune_table_at(v);
		if (!t)
			return -EFAULT;
	}
	*out = e;
	return level == want ? 0 : -EEXIST;
}

/*
 * A following root gets the main root's entries of a span it has nothing of;
 * but not those of snapshots, which dune_root_pull() gets one by one.
 */
static int copy_span(ptent_t *root, uint64_t va)
{
	ptent_t *from, *to, *t, old = 0, v;
	uint64_t gpa;
	int level, r;
	unsigned int i;

	r = dune_walk_leaf(dune_vm_main(), va, &from, &level);
	if (r)
		return r;
	if (level > 0 && !(dune_pte_load(from) & DUNE_PTE_SNAP)) {
		r = dune_walk_create(root, va, level, &to);
		if (!r)
			dune_pte_cas(to, &old, dune_pte_load(from));
		return r == -EEXIST ? 0 : r;
	}
	r = dune_walk_create(root, va, 1, &to);
	if (r)
		return r == -EEXIST ? 0 : r;
	t = dune_table_new(&gpa);
	if (!t)
		return -ENOMEM;
	from -= level ? 0 : dune_pte_slot(va, 0);
	for (i = 0; i < 512 && !level; i++) {
		v = dune_pte_load(&from[i]);
		if (v & PTE_P && !(v & DUNE_PTE_SNAP))
			t[i] = v;
	}
	if (!dune_pte_cas(to, &old, gpa | DUNE_TABLE_FLAGS))
		dune_table_free(gpa);
	return 0;
}

int dune_vm_fill_span(ptent_t *root, uint64_t va)
{
	int r = fill_main(va);

	if (r || root == dune_vm_main() || dune_vm_shared(va))
		return r;
	return copy_span(root, va);
}

/* ---- the public side ---- */

struct fill {
	ptent_t *root;
	uint64_t lo, last;
};

static int fill_mapping(void *arg, uint64_t lo, uint64_t hi, bool writable,
			bool shared)
{
	struct fill *f = arg;
	uint64_t va, last = hi - 1;
	ptent_t *e;
	int level, r;

	(void)writable, (void)shared;
	if (last < f->lo)
		return 0;
	if (lo > f->last)
		return 1;
	if (lo < f->lo)
		lo = f->lo;
	if (last > f->last)
		last = f->last;
	for (va = lo & DUNE_LARGE_MASK; va <= last; va += DUNE_LARGE_SIZE) {
		if (dune_vm_shared(va) ||
		    dune_walk_leaf(f->root, va, &e, &level) != -ENOENT ||
		    dune_pte_load(e))
			continue;
		r = dune_vm_fill_span(f->root, va < lo ? lo : va);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int fill_range(ptent_t *root, uint64_t lo, uint64_t last)
{
	struct fill f = { root, lo, last };
	int r;

	if (!dune_root_follows(root))
		return 0;
	r = dune_vm_mappings(fill_mapping, &f);
	return r < 0 ? r : 0;
}

int dune_vm_fill(ptent_t *root, void *va, size_t len)
{
	uint64_t lo = (uint64_t)va, last = lo + len - 1;

	if (!dune_vm_inside())
		return -EPERM;
	if (!len)
		return 0;
	return last < lo ? -EINVAL : fill_range(root, lo, last);
}

int dune_vm_lookup(ptent_t *root, void *va, int create, ptent_t **pte)
{
	static const int level_of[] = { 0, 0, 1, 2 };
	uint64_t at = (uint64_t)va;
	int level, want, r;

	if (!dune_vm_inside())
		return -EPERM;
	if (!dune_canonical(at) || create < 0 || create > CREATE_BIG_1GB ||
	    (create == CREATE_BIG_1GB && !(dune_vms->flags & DUNE_VMF_GB)))
		return -EINVAL;
	want = level_of[create];
	r = dune_walk_leaf(root, at, pte, &level);
	if (r == -ENOENT && !dune_pte_load(*pte) &&
	    (dune_root_follows(root) || dune_vm_shared(at))) {
		r = dune_vm_fill_span(root, at);
		if (r && r != -ENOENT)
			return r;
		r = dune_walk_leaf(root, at, pte, &level);
	}
	if (!r && !level && !dune_pte_load(*pte) && root != dune_vm_main() &&
	    dune_root_follows(root))
		dune_root_pull(root, at);
	if (r == -ENOENT && create) {
		r = dune_walk_create(root, at, want, pte);
		return r == -EEXIST ? 0 : r;
	}
	return !r && level < want ? -EEXIST : r;
}

int dune_vm_lookup_level(ptent_t *root, void *va, int level, ptent_t **pte)
{
	uint64_t at = (uint64_t)va;
	ptent_t *t = root, v;
	int l;

	if (!dune_vm_inside())
		return -EPERM;
	if (!dune_canonical(at) || level < 0 || level > 3)
		return -EINVAL;
	for (l = 3; ; l--) {
		*pte = &t[dune_pte_slot(at, l)];
		if (l == level)
			return 0;
		v = dune_pte_load(*pte);
		if (!(v & PTE_P) || dune_pte_leaf(v, l))
			return -ENOENT;
		t = dune_table_at(v);
		if (!t)
			return -EFAULT;
	}
}

struct callback {
	const void *arg;
	page_walk_cb leaf;
	dune_walk_cb any;
};

static int call_leaf(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct callback *c = w->arg;

	(void)level;
	return c->leaf(c->arg, e, (void *)va);
}

static int call_any(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct callback *c = w->arg;

	return c->any(c->arg, e, (void *)va, level);
}

static int walk_public(struct dune_walk *w, void *start, void *end)
{
	w->lo = DUNE_PAGE_DOWN((uint64_t)start);
	w->last = (uint64_t)end | ~DUNE_PAGE_MASK;
	if (!dune_vm_inside())
		return -EPERM;
	if (!dune_canonical(w->lo) || !dune_canonical(w->last) ||
	    w->last < w->lo)
		return -EINVAL;
	return dune_walk(w);
}

int dune_vm_page_walk(ptent_t *root, void *start, void *end, page_walk_cb cb,
		      const void *arg)
{
	struct callback c = { .arg = arg, .leaf = cb };
	struct dune_walk w = { .root = root, .visit = call_leaf, .arg = &c };

	return walk_public(&w, start, end);
}

int dune_vm_walk(ptent_t *root, void *start, void *end, dune_walk_cb cb,
		 const void *arg)
{
	struct callback c = { .arg = arg, .any = cb };
	struct dune_walk w = { .root = root, .visit = call_any, .arg = &c,
			       .flags = DUNE_WALK_DIRS };

	return walk_public(&w, start, end);
}
