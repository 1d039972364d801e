/* Marking: from roots and old objects on dirty pages to all they reach. */
#include "apps/gc/heap.h"

/*
 * The stack holds objects that have their mark, and nothing else was done
 * about. Large ones are scanned piece by piece: an entry with the lowest bit
 * set is the address where to go on in one.
 */
#define PIECE	(32ul << 10)
#define REST	1ul

static void push(uintptr_t entry)
{
	gc.stack[gc.depth++] = entry;
}

void gc_mark(struct gc_object *o)
{
	size_t i = gc_granule(o);

	if (gc_bit(gc.marks, i))
		return;
	gc.marks[i / 8] |= 1 << i % 8;
	push((uintptr_t)o);
}

void gc_mark_ambiguous(uintptr_t p)
{
	struct gc_object *o = gc_find(p);

	if (!o)
		return;
	gc.block[gc_block_of(o)].flags |= GC_PINNED;
	gc_mark(o);
}

static inline void mark_precise(uintptr_t p)
{
	if (gc_in_heap(p))
		gc_mark(gc_object_of((void *)p));
}

/* The program may be writing it. */
static inline uintptr_t load(const uintptr_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Words of elements of a type; the first is word i of its element. */
static void scan_words(const struct gc_type *type, const uintptr_t *p,
		       const uintptr_t *end, uint32_t i)
{
	const uint64_t pointers = type->pointers;

	for (; p < end; p++) {
		if (pointers >> i & 1)
			mark_precise(load(p));
		if (++i == type->words)
			i = 0;
	}
}

static void scan_ambiguous(const uintptr_t *p, const uintptr_t *end)
{
	for (; p < end; p++)
		gc_mark_ambiguous(load(p));
}

void gc_scan(struct gc_object *o, uintptr_t lo, uintptr_t hi)
{
	const uintptr_t *end = (uintptr_t *)((uint8_t *)o + gc_bytes(o));
	const struct gc_type *type = &gc.type[o->type];
	const uintptr_t *p = o->payload;

	if (lo > (uintptr_t)p)
		p = (uintptr_t *)lo;
	if (hi < (uintptr_t)end)
		end = (uintptr_t *)hi;
	if (o->type == GC_AMBIGUOUS)
		scan_ambiguous(p, end);
	else if (o->type != GC_LEAF)
		scan_words(type, p, end, (p - o->payload) % type->words);
}

void gc_scan_page(size_t page, const uint8_t *which)
{
	uintptr_t lo = (uintptr_t)gc.base + page * GC_PAGE, hi = lo + GC_PAGE;
	uint32_t b = gc_block_of((void *)lo);
	size_t i, end;
	struct gc_object *o;

	if (gc.block[b].state == GC_TAIL)
		b -= gc.block[b].n;
	i = b * (GC_BLOCK / GC_GRANULE);
	if (gc.block[b].state == GC_LARGE) {
		o = (struct gc_object *)gc_block_at(b);
		if (gc_bit(which, i))
			gc_scan(o, lo, hi);
		return;
	}
	if (gc.block[b].state != GC_SMALL)
		return;
	/* What reaches into the page from before, and what begins in it. */
	o = gc_find(lo);
	if (o && (uintptr_t)o < lo && gc_bit(which, gc_granule(o)))
		gc_scan(o, lo, hi);
	i = (lo - (uintptr_t)gc.base) / GC_GRANULE;
	end = i + GC_PAGE / GC_GRANULE;
	while ((o = gc_next(which, i, end))) {
		gc_scan(o, lo, hi);
		i = gc_granule(o) + o->granules;
	}
}

/* What an entry of the stack stands for. Returns how many bytes that was. */
static size_t visit(uintptr_t p)
{
	struct gc_object *o = (struct gc_object *)p;
	struct gc_block *b = &gc.block[gc_block_of(o)];
	uintptr_t end;

	if (b->state == GC_SMALL) {
		gc_set_lines(b, o);
		gc_scan(o, p, ~0ul);
		return gc_bytes(o);
	}
	if (p & REST) {
		p &= ~REST;
		o = gc_find(p + sizeof(*o));
	}
	end = p + PIECE;
	if (o->type != GC_LEAF && end < (uintptr_t)o + gc_bytes(o))
		push(end | REST);
	gc_scan(o, p, end);
	return PIECE;
}

/*
 * What comes from the stack waits in a ring while it comes to the cache. (Cher,
 * Hosking, Vitek: Software prefetching for mark-sweep garbage collection.)
 */
bool gc_trace(size_t budget)
{
	enum { RING = 16 };
	uintptr_t ring[RING] = { 0 }, p;
	unsigned int i = 0, waiting = 0;
	size_t done = 0;

	while ((gc.depth && done < budget) || waiting) {
		p = ring[i % RING];
		if (p) {
			waiting--;
			done += visit(p);
		}
		p = 0;
		if (gc.depth && done < budget) {
			p = gc.stack[--gc.depth];
			__builtin_prefetch((void *)(p & ~REST));
			waiting++;
		}
		ring[i++ % RING] = p;
	}
	return !gc.depth;
}

/* ---- roots ---- */

/* Stacks lie around without regard to what a sanitizer keeps in them. */
__attribute__((no_sanitize("address")))
static void scan_stack(const void *lo, const void *hi)
{
	const uintptr_t *p = (uintptr_t *)((uintptr_t)lo & ~7ul);

	for (; (const void *)(p + 1) <= hi; p++)
		gc_mark_ambiguous(*p);
}

static void mark_at(uintptr_t *p)
{
	mark_precise(*p);
}

void gc_scan_roots(void)
{
	struct gc_thread *t;
	struct gc_frame *f;
	unsigned int i;

	for (i = 0; i < gc.roots; i++) {
		struct gc_root *r = &gc.root[i];

		if (r->type == GC_AMBIGUOUS)
			scan_ambiguous(r->words, r->words + r->n);
		else
			scan_words(&gc.type[r->type], r->words,
				   r->words + r->n, 0);
	}
	for (t = gc.threads; t; t = t->next)
		for (f = t->frames; f; f = f->up)
			for (i = 0; i < f->n; i++)
				mark_precise((uintptr_t)f->slots[i]);
	gc_each_final(true, mark_at);
	gc_each_stack(scan_stack);
}
