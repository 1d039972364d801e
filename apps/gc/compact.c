/*
 * Compaction, right after a full collection, the world stopped: objects of
 * sparse blocks are copied together, large ones move into gaps below
 * them by their page-table entries; then every pointer is looked at once.
 * What something ambiguous points to stays where it is.
 */
#include "apps/gc/heap.h"

#include <string.h>

/* Blocks from which on remapping beats copying. */
#define REMAP	16u

static void copy_out(uint32_t n)
{
	size_t i = n * (GC_BLOCK / GC_GRANULE), end = i + GC_BLOCK / GC_GRANULE;
	struct gc_object *o, *to;

	while ((o = gc_next(gc.starts, i, end))) {
		i = gc_granule(o) + o->granules;
		to = gc_copy_room(gc_bytes(o));
		if (!to)
			return;
		memcpy(to, o, gc_bytes(o));
		gc.starts[gc_granule(to) / 8] |= 1 << gc_granule(to) % 8;
		gc.marks[gc_granule(to) / 8] |= 1 << gc_granule(to) % 8;
		gc_set_lines(&gc.block[gc_block_of(to)], to);
		gc.stats.copied += gc_bytes(o);
		o->type = GC_MOVED;
		o->payload[0] = (uintptr_t)to->payload;
	}
}

/* Only leaves are given to system calls (gc.h). */
static bool remap(const struct gc_object *from, void *to, size_t len)
{
	return gc.os->move && len >= REMAP * GC_BLOCK &&
	       !(gc.os->move_unknown && from->type == GC_LEAF) &&
	       !gc.os->move((void *)from, to, len);
}

static void move_large(uint32_t n)
{
	uint32_t blocks = gc.block[n].n, to, i;
	size_t len = blocks * GC_BLOCK;

	if (blocks > gc.free)
		return;
	to = gc_blocks_take(blocks, GC_LARGE);
	if (!to || to > n) {
		if (to)
			gc_blocks_give(to, blocks);
		return;
	}
	if (remap((struct gc_object *)gc_block_at(n), gc_block_at(to), len)) {
		gc.stats.remapped += len;
	} else {
		memcpy(gc_block_at(to), gc_block_at(n), len);
		gc.stats.copied += len;
	}
	for (i = to; i < to + blocks; i++)
		gc.block[i].flags &= ~GC_CLEAN;
	*gc_words(gc.starts, to) |= 1;
	*gc_words(gc.marks, to) |= 1;
	gc.block[n].state = GC_GONE;
	gc.block[n].n = to;
}

/* ---- pointers ---- */

static void update(uintptr_t *p)
{
	const struct gc_object *o;
	uint32_t b;

	if (!gc_in_heap(*p))
		return;
	b = gc_block_of((void *)*p);
	o = gc_object_of((void *)*p);
	if (gc.block[b].state == GC_GONE)
		*p = (uintptr_t)((struct gc_object *)
				 gc_block_at(gc.block[b].n))->payload;
	else if (gc.block[b].flags & GC_EVACUATE && o->type == GC_MOVED)
		*p = o->payload[0];
}

static void update_words(int type, uintptr_t *p, const uintptr_t *end)
{
	const struct gc_type *t = &gc.type[type];
	uint32_t i = 0;

	if (type == GC_LEAF || type == GC_AMBIGUOUS)
		return;
	for (; p < end; p++) {
		if (t->pointers >> i & 1)
			update(p);
		if (++i == t->words)
			i = 0;
	}
}

static void update_block(uint32_t n)
{
	size_t i = n * (GC_BLOCK / GC_GRANULE), end = i + GC_BLOCK / GC_GRANULE;
	struct gc_object *o;

	while ((o = gc_next(gc.starts, i, end))) {
		i = gc_granule(o) + o->granules;
		if (o->type != GC_MOVED)
			update_words(o->type, o->payload, (uintptr_t *)
				     ((uint8_t *)o + gc_bytes(o)));
	}
}

static void update_roots(void)
{
	struct gc_thread *t;
	struct gc_frame *f;
	size_t i;

	for (i = 0; i < gc.roots; i++)
		update_words(gc.root[i].type, gc.root[i].words,
			     gc.root[i].words + gc.root[i].n);
	for (t = gc.threads; t; t = t->next)
		for (f = t->frames; f; f = f->up)
			for (i = 0; i < f->n; i++)
				update((uintptr_t *)&f->slots[i]);
	gc_each_final(false, update);
	gc_each_weak(update);
}

/* ---- blocks ---- */

/* What could not be moved, for want of room, stays in the block. */
static void empty(uint32_t n)
{
	size_t i = n * (GC_BLOCK / GC_GRANULE), end = i + GC_BLOCK / GC_GRANULE;
	struct gc_block *b = &gc.block[n];
	struct gc_object *o;
	bool stays = false;

	gc.live -= b->live * GC_LINE;
	b->live = 0;
	memset(b->lines, 0, sizeof(b->lines));
	while ((o = gc_next(gc.starts, i, end))) {
		size_t at = gc_granule(o);

		i = at + o->granules;
		if (o->type != GC_MOVED) {
			gc_set_lines(b, o);
			stays = true;
			continue;
		}
		gc.starts[at / 8] &= ~(1 << at % 8);
		gc.marks[at / 8] &= ~(1 << at % 8);
	}
	b->flags &= ~GC_EVACUATE;
	if (stays)
		gc_count_lines(b);
	else
		gc_blocks_give(n, 1);
}

static bool movable(const struct gc_block *b)
{
	return !(b->flags & (GC_PINNED | GC_YOUNG));
}

void gc_compact(void)
{
	uint32_t n;

	/* Chosen first, so that none is copied into another one. */
	for (n = 1; n < gc.used; n++) {
		struct gc_block *b = &gc.block[n];

		if (b->state == GC_SMALL && movable(b) &&
		    b->live < GC_LINES / 2)
			b->flags |= GC_EVACUATE;
	}
	for (n = 1; n < gc.used; n++)
		if (gc.block[n].flags & GC_EVACUATE)
			copy_out(n);
	gc_copy_end();
	for (n = 1; n < gc.used; n++)
		if (gc.block[n].state == GC_LARGE && movable(&gc.block[n]))
			move_large(n);

	update_roots();
	for (n = 1; n < gc.used; n++)
		if (gc.block[n].state == GC_SMALL ||
		    gc.block[n].state == GC_LARGE)
			update_block(n);

	for (n = 1; n < gc.used; n++) {
		struct gc_block *b = &gc.block[n];

		if (b->flags & GC_EVACUATE)
			empty(n);
		else if (b->state == GC_GONE)
			gc_blocks_give(n, gc.block[b->n].n);
	}
	gc.next_free = gc.recycle = 1;
}
