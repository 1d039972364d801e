/*
 * The verifier: walks what is reachable by itself, with nothing of mark.c,
 * and checks every object and what the tables say of it.
 */
#include "apps/gc/heap.h"

#include <errno.h>
#include <sys/mman.h>

/* A bit a granule. The stack is that of marking, which is empty. */
static uint8_t *seen;
static long faults;

static void bad(const char *what, const void *object)
{
	faults++;
	gc.stats.bad++;
	if (gc.opt.bad)
		gc.opt.bad(what, object);
}

/* NULL: o is as it should be. */
static const char *wrong(const struct gc_object *o)
{
	size_t i = gc_granule(o), first, last;
	const struct gc_block *b = &gc.block[gc_block_of(o)];
	size_t offset = (uintptr_t)o % GC_BLOCK;

	if (b->state != GC_SMALL && b->state != GC_LARGE)
		return "object in a block that is free, or inside a large one";
	if ((uintptr_t)o % GC_GRANULE || !gc_bit(gc.starts, i))
		return "pointer to no object";
	if (o->magic != GC_MAGIC || o->type >= gc.types || !o->granules)
		return "header overwritten, or object moved away";
	if (!gc_bit(gc.marks, i))
		return "reachable and not marked";
	if (b->state == GC_LARGE)
		return offset || gc_bytes(o) > b->n * GC_BLOCK ?
		       "large object beyond its blocks" : NULL;
	if (offset + gc_bytes(o) > GC_BLOCK)
		return "object beyond its block";
	if (gc_next(gc.starts, i + 1, i + o->granules))
		return "object inside another";
	first = offset / GC_LINE;
	last = (offset + gc_bytes(o) - 1) / GC_LINE;
	for (; first <= last; first++)
		if (!(b->lines[first / 64] >> first % 64 & 1))
			return "line of a live object is free";
	return NULL;
}

static void visit(struct gc_object *o)
{
	const char *what = wrong(o);
	size_t i = gc_granule(o);

	if (what) {
		bad(what, o->payload);
		return;
	}
	if (gc_bit(seen, i))
		return;
	seen[i / 8] |= 1 << i % 8;
	gc.stats.verified++;
	gc.stack[gc.depth++] = (uintptr_t)o;
}

__attribute__((no_sanitize("address")))
static void visit_words(int type, const uintptr_t *p, const uintptr_t *end)
{
	const struct gc_type *t = &gc.type[type];
	struct gc_object *o;
	uint32_t i = 0;

	if (type == GC_LEAF)
		return;
	for (; p < end; p++) {
		if (type == GC_AMBIGUOUS) {
			o = gc_find(*p);
			if (o)
				visit(o);
		} else if (t->pointers >> i & 1 && gc_in_heap(*p)) {
			visit(gc_object_of((void *)*p));
		}
		if (++i == t->words)
			i = 0;
	}
}

static void visit_stack(const void *lo, const void *hi)
{
	visit_words(GC_AMBIGUOUS, (uintptr_t *)((uintptr_t)lo & ~7ul),
		    (uintptr_t *)((uintptr_t)hi & ~7ul));
}

static void visit_at(uintptr_t *p)
{
	visit(gc_object_of((void *)*p));
}

static void visit_roots(void)
{
	struct gc_thread *t;
	struct gc_frame *f;
	size_t i;

	for (i = 0; i < gc.roots; i++)
		visit_words(gc.root[i].type, gc.root[i].words,
			    gc.root[i].words + gc.root[i].n);
	for (t = gc.threads; t; t = t->next)
		for (f = t->frames; f; f = f->up)
			for (i = 0; i < f->n; i++)
				if (gc_in_heap((uintptr_t)f->slots[i]))
					visit(gc_object_of(f->slots[i]));
	/* Those that are not due, or NULL, are about objects that live. */
	gc_each_final(false, visit_at);
	gc_each_weak(visit_at);
	gc_each_stack(visit_stack);
}

long gc_verify_locked(void)
{
	size_t size = gc.used * GC_WORDS * 8;

	seen = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		    MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return -ENOMEM;
	faults = 0;
	visit_roots();
	while (gc.depth) {
		struct gc_object *o = (void *)gc.stack[--gc.depth];

		visit_words(o->type, o->payload, (uintptr_t *)
			    ((uint8_t *)o + gc_bytes(o)));
	}
	munmap(seen, size);
	return faults;
}

static void verify(void *arg)
{
	gc_stop_world();
	*(long *)arg = gc.marking ? -EBUSY : gc_verify_locked();
	gc_start_world();
}

long gc_verify(void)
{
	long n;

	gc_inside(verify, &n);
	return n;
}
