/*
 * Allocation: a thread owns a hole, a run of free lines in a block, and takes
 * objects from its front. Only taking the next hole needs the lock.
 *
 * Objects of more than a line that do not fit into the hole come from a whole
 * block that the thread also owns, so that small holes are not thrown away.
 */
#include "apps/gc/heap.h"

#include <stdatomic.h>
#include <string.h>

/* A block with fewer free lines is not worth looking at. */
#define WORTH	(GC_LINES / 4)

void gc_retire(struct gc_thread *t)
{
	t->cur = t->end = t->mcur = t->mend = NULL;
	t->block = 0;
}

static void young(uint32_t b)
{
	if (gc.block[b].flags & GC_YOUNG)
		return;
	gc.block[b].flags |= GC_YOUNG;
	gc.block[b].next = gc.young;
	gc.young = b;
}

/* The first line from `line` on that is (not) marked; GC_LINES: none. */
static unsigned int next_line(const struct gc_block *b, unsigned int line,
			      bool marked)
{
	while (line < GC_LINES) {
		uint64_t w = b->lines[line / 64] ^ (marked ? 0 : ~0ul);

		w >>= line % 64;
		if (w)
			return line + __builtin_ctzl(w);
		line = (line | 63) + 1;
	}
	return GC_LINES;
}

/* The next hole of t's block. */
static bool next_hole(struct gc_thread *t)
{
	struct gc_block *b = &gc.block[t->block];
	unsigned int first, end;

	if (!t->block)
		return false;
	first = next_line(b, t->line, false);
	if (first == GC_LINES)
		return false;
	end = next_line(b, first, true);
	t->line = end;
	t->cur = gc_block_at(t->block) + first * GC_LINE;
	t->end = gc_block_at(t->block) + end * GC_LINE;
	if (!(b->flags & GC_CLEAN))
		memset(t->cur, 0, t->end - t->cur);
	b->flags &= ~GC_CLEAN;
	gc.fresh += t->end - t->cur;
	return true;
}

/* A block with holes that nobody has allocated in since the last sweep. */
static uint32_t recycle(void)
{
	/* Objects in it are not marked yet, as those of black blocks are. */
	if (gc.marking)
		return 0;
	for (; gc.recycle < gc.used; gc.recycle++) {
		const struct gc_block *b = &gc.block[gc.recycle];

		if (b->state == GC_SMALL && !(b->flags &
					      (GC_YOUNG | GC_EVACUATE)) &&
		    b->live <= GC_LINES - WORTH)
			return gc.recycle++;
	}
	return 0;
}

static uint32_t whole_block(void)
{
	uint32_t b = gc_blocks_take(1, GC_SMALL);

	if (b)
		young(b);
	return b;
}

/* Refills what an object of bytes needs. False: no memory. */
static bool refill(struct gc_thread *t, size_t bytes)
{
	if (bytes > GC_LINE && t->cur < t->end) {
		uint32_t b = whole_block();

		if (!b)
			return false;
		t->mcur = gc_block_at(b);
		t->mend = t->mcur + GC_BLOCK;
		if (!(gc.block[b].flags & GC_CLEAN))
			memset(t->mcur, 0, GC_BLOCK);
		gc.block[b].flags &= ~GC_CLEAN;
		gc.fresh += GC_BLOCK;
		return true;
	}
	while (!next_hole(t)) {
		t->line = 0;
		t->block = recycle();
		if (!t->block)
			t->block = whole_block();
		if (!t->block)
			return false;
		young(t->block);
	}
	return true;
}

/* From what t owns; NULL: does not fit. bytes: whole granules. */
static inline void *take(struct gc_thread *t, size_t bytes)
{
	uint8_t *p = t->cur;

	if (bytes <= (size_t)(t->end - p)) {
		t->cur = p + bytes;
		return p;
	}
	p = t->mcur;
	if (bytes > GC_LINE && bytes <= (size_t)(t->mend - p)) {
		t->mcur = p + bytes;
		return p;
	}
	return NULL;
}

static void *make(void *at, size_t bytes, int type)
{
	struct gc_object *o = at;
	size_t i = gc_granule(o);

	o->granules = bytes / GC_GRANULE;
	o->type = type;
	o->magic = GC_MAGIC;
	/* Who sees the bit sees the header: steps run beside us. */
	atomic_signal_fence(memory_order_release);
	gc.starts[i / 8] |= 1 << i % 8;
	return o->payload;
}

struct request {
	struct gc_thread *t;
	size_t bytes;
	int type;
	void *object;
};

static void large(struct request *r)
{
	uint32_t n = (r->bytes + GC_BLOCK - 1) / GC_BLOCK, b, i;

	b = gc_blocks_take(n, GC_LARGE);
	if (!b)
		return;
	for (i = b; i < b + n; i++) {
		if (!(gc.block[i].flags & GC_CLEAN))
			memset(gc_block_at(i), 0, GC_BLOCK);
		gc.block[i].flags &= ~GC_CLEAN;
	}
	young(b);
	gc.fresh += n * GC_BLOCK;
	r->object = make(gc_block_at(b), r->bytes, r->type);
}

static void try(struct request *r)
{
	if (r->bytes > GC_MEDIUM) {
		large(r);
		return;
	}
	do {
		void *p = take(r->t, r->bytes);

		if (p) {
			r->object = make(p, r->bytes, r->type);
			return;
		}
	} while (refill(r->t, r->bytes));
}

static void slow(void *arg)
{
	static const enum gc_kind desperate[] = { GC_FULL, GC_COMPACT };
	struct request *r = arg;
	unsigned int i = 0;

	gc_maybe_collect(r->bytes);
	try(r);
	while (!r->object && i < sizeof(desperate) / sizeof(*desperate)) {
		gc_run(desperate[i++]);
		try(r);
	}
}

void *gc_alloc(int type, size_t size)
{
	struct gc_thread *t = gc_self;
	struct request r;
	void *p;

	if (size >> 35)
		return NULL;
	size = (size + sizeof(struct gc_object) + GC_GRANULE - 1) &
	       ~(GC_GRANULE - 1);
	/* Between taking the room and its bit in starts: no collection. */
	t->busy = 1;
	atomic_signal_fence(memory_order_seq_cst);
	p = gc.opt.flags & GC_STRESS ? NULL : take(t, size);
	if (p)
		p = make(p, size, type);
	atomic_signal_fence(memory_order_seq_cst);
	t->busy = 0;
	if (p && !t->stop)
		return p;
	/* Somebody waits for us to stop: a p we have is garbage then. */
	r = (struct request){ t, size, type, NULL };
	gc_inside(slow, &r);
	return r.object;
}

/* What is being moved is allocated by a thread of its own. */
static struct gc_thread mover;

void *gc_copy_room(size_t bytes)
{
	void *p;

	while (!(p = take(&mover, bytes)))
		if (!refill(&mover, bytes))
			return NULL;
	return p;
}

void gc_copy_end(void)
{
	gc_retire(&mover);
}
