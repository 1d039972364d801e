/* Dirty bits of what is written past the guest's tables. */
#include "kern/self/dirty.h"

#include "kern/self/outbuf.h"

struct span {
	uint64_t lo, hi;
};

/* What is not there is made dirty when it comes; what only hides, is marked. */
static void mark(uint64_t *e)
{
	uint64_t old = dune_entry_load(e);

	while (old & (DUNE_PTE_P | DUNE_PTE_ADDR) && !(old & DUNE_PTE_D))
		if (dune_entry_swap(e, old, old | DUNE_PTE_D))
			return;
		else
			old = dune_entry_load(e);
}

static void visit(void *ctx, uint64_t *e, int level, dune_gva_t va)
{
	const struct span *s = ctx;
	const struct dune_pt *pt = dune_self.mem.tables.pt;
	uint64_t old = dune_entry_load(e), *t, at, to;

	if (old & DUNE_PTE_PS || level > 1) {
		mark(e);
		return;
	}
	at = va > s->lo ? va : s->lo;
	to = va + DUNE_LARGE_SIZE < s->hi ? va + DUNE_LARGE_SIZE : s->hi;
	t = pt->host(pt->ctx, old & DUNE_PTE_ADDR);
	for (; at < to; at += DUNE_PAGE_SIZE)
		mark(&t[at / DUNE_PAGE_SIZE & 511]);
}

void dune_dirty_mark(uint64_t va, uint64_t len)
{
	struct span s = { va & DUNE_PAGE_MASK, DUNE_ARENA_HI };

	if (va >= DUNE_ARENA_HI)
		return;
	if (len < DUNE_ARENA_HI - va)
		s.hi = DUNE_PAGE_UP(va + len);
	dune_entry_walk(dune_self.mem.tables.pt, s.lo, s.hi, visit, &s);
}

static void mark_buffer(void *ctx, uint64_t va, uint64_t len)
{
	(void)ctx;
	dune_dirty_mark(va, len);
}

void dune_dirty_begin(struct dune_sthread *t, const struct dune_call *c)
{
	t->call = *c;
	__atomic_store_n(&t->calling, true, __ATOMIC_SEQ_CST);
	dune_outbuf_each(c->nr, c->arg, mark_buffer, NULL);
}

void dune_dirty_end(struct dune_sthread *t)
{
	__atomic_store_n(&t->calling, false, __ATOMIC_SEQ_CST);
}

/* A call that ends meanwhile is marked for nothing, or another for it. */
void dune_dirty_again(void)
{
	struct dune_sthread *t;

	pthread_mutex_lock(&dune_self.lock);
	for (t = dune_self.threads; t; t = t->next)
		if (__atomic_load_n(&t->calling, __ATOMIC_SEQ_CST))
			dune_outbuf_each(t->call.nr, t->call.arg, mark_buffer,
					 NULL);
	pthread_mutex_unlock(&dune_self.lock);
}

static void find_span(struct dune_dirty_at *at, uint64_t va)
{
	int level;

	at->span = va / DUNE_LARGE_SIZE;
	at->leaf = dune_entry_find(dune_self.mem.tables.pt, va, &level, NULL);
	at->table = level ? NULL : at->leaf - (va / DUNE_PAGE_SIZE & 511);
}

bool dune_dirty_test(struct dune_dirty_at *at, uint64_t va)
{
	uint64_t e;

	if (va >= DUNE_ARENA_HI)
		return true;
	if (at->span != va / DUNE_LARGE_SIZE)
		find_span(at, va);
	if (at->table)
		e = dune_entry_load(&at->table[va / DUNE_PAGE_SIZE & 511]);
	else
		e = dune_entry_load(at->leaf);
	/* a larger leaf may have been split meanwhile */
	return !(e & DUNE_PTE_P) || e & DUNE_PTE_D ||
	       (!at->table && !(e & DUNE_PTE_PS));
}
