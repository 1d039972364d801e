/* Collections: when there is one, and what it does step by step. */
#include "apps/gc/heap.h"

#include <errno.h>
#include <string.h>

/* Marking keeps ahead of allocation: so many bytes for each. */
#define PACE	4

/* Compacting pays when less than a half of what small blocks hold is live. */
#define SPARSE(lines, blocks) \
	((blocks) > 64 && (lines) < (blocks) * GC_LINES / 2)

/* ---- sweeping ---- */

/* Everything in a block that was taken while marking is live. */
static void blacken(uint32_t b)
{
	size_t i = b * GC_BLOCK / GC_GRANULE, end = i + GC_BLOCK / GC_GRANULE;
	uint64_t *starts = gc_words(gc.starts, b);
	struct gc_object *o;

	if (gc.block[b].state == GC_SMALL)
		while ((o = gc_next(gc.starts, i, end))) {
			gc_set_lines(&gc.block[b], o);
			i = gc_granule(o) + o->granules;
		}
	memcpy(gc_words(gc.marks, b), starts, GC_WORDS * 8);
}

void gc_count_lines(struct gc_block *b)
{
	unsigned int i;

	b->live = 0;
	for (i = 0; i < GC_LINES / 64; i++)
		b->live += __builtin_popcountl(b->lines[i]);
	gc.live += b->live * GC_LINE;
}

static void sweep_small(uint32_t n)
{
	uint64_t *starts = gc_words(gc.starts, n), any = 0;
	const uint64_t *marks = gc_words(gc.marks, n);
	struct gc_block *b = &gc.block[n];
	unsigned int i;

	for (i = 0; i < GC_WORDS; i++)
		any |= starts[i] &= marks[i];
	gc.live -= b->live * GC_LINE;
	if (any)
		gc_count_lines(b);
	else
		gc_blocks_give(n, 1);
}

static void sweep(uint32_t n)
{
	struct gc_block *b = &gc.block[n];

	if (b->flags & GC_BLACK)
		blacken(n);
	b->flags &= ~(GC_YOUNG | GC_BLACK | GC_GUARDED);
	if (b->state == GC_SMALL)
		sweep_small(n);
	else if (b->state == GC_LARGE && *gc_words(gc.marks, n) & 1)
		gc.live += b->n * GC_BLOCK;
	else if (b->state == GC_LARGE)
		gc_blocks_give(n, b->n);
}

static void swept(void)
{
	gc.young = 0;
	gc.fresh = 0;
	gc.next_free = gc.recycle = 1;
}

static void sweep_young(void)
{
	uint32_t n, next;

	for (n = gc.young; n; n = next) {
		next = gc.block[n].next;
		sweep(n);
	}
	swept();
}

static void sweep_all(void)
{
	uint32_t n, grown;

	gc.live = 0;
	for (n = 1; n < gc.used; n++) {
		gc.block[n].live = 0;
		sweep(n);
	}
	swept();
	grown = gc.live / 100 * gc.opt.growth;
	gc.limit = gc.live + grown;
	if (gc.limit < 4 * gc.opt.nursery)
		gc.limit = 4 * gc.opt.nursery;
}

/* ---- the steps ---- */

static void retire_all(void)
{
	struct gc_thread *t;

	for (t = gc.threads; t; t = t->next)
		gc_retire(t);
}

#ifdef GC_TEST
unsigned int gc_test_lossy;

static void lose(size_t pages)
{
	static unsigned int n;
	size_t i;

	for (i = 0; gc_test_lossy && i < pages; i++)
		if (gc.dirty[i / 64] >> i % 64 & 1 && ++n % gc_test_lossy == 0)
			gc.dirty[i / 64] &= ~(1ul << i % 64);
}
#endif

/* ---- runs of blocks ---- */

/* Calls fn with the runs of blocks that are wanted, many at a time. */
static int each_run(bool (*wanted)(uint32_t), int flag,
		    int (*fn)(const struct gc_range *, size_t))
{
	struct gc_range range[256];
	size_t n = 0, max = sizeof(range) / sizeof(*range);
	uint32_t b, first;
	int r = 0;

	for (b = 1; b < gc.used; b++) {
		if (!wanted(b))
			continue;
		for (first = b; b < gc.used && wanted(b); b++)
			gc.block[b].flags |= flag;
		if (n == max) {
			r = fn(range, n) ?: r;
			n = 0;
		}
		range[n++] = (struct gc_range){
			gc_block_at(first), (b - first) * GC_BLOCK };
	}
	return n ? fn(range, n) ?: r : r;
}

/* Is there anything in it that may hold pointers? */
static bool has_pointers(uint32_t n)
{
	if (gc.block[n].state == GC_TAIL)
		n -= gc.block[n].n;
	return gc.block[n].state == GC_SMALL ||
	       (gc.block[n].state == GC_LARGE &&
		((struct gc_object *)gc_block_at(n))->type != GC_LEAF);
}

static bool tracked(uint32_t n)
{
	return gc.block[n].flags & GC_TRACKED;
}

static bool guarded(uint32_t n)
{
	return gc.block[n].flags & GC_GUARDED;
}

static int get_dirty(const struct gc_range *range, size_t n)
{
	return gc.os->dirty(range, n, gc.dirty);
}

static int clean(const struct gc_range *range, size_t n)
{
	return gc.os->clean(range, n);
}

static int guard(const struct gc_range *range, size_t n)
{
	return gc.os->protect(range, n, false);
}

static int unguard(const struct gc_range *range, size_t n)
{
	return gc.os->protect(range, n, true);
}

/* ---- dirty pages ---- */

static void read_dirty(void)
{
	size_t pages = gc.used * GC_PAGES, bytes = (pages + 63) / 64 * 8;

	memset(gc.dirty, 0, bytes);
	if (each_run(tracked, 0, get_dirty))
		gc.all_dirty = true;
	if (gc.all_dirty)
		memset(gc.dirty, 0xff, bytes);
#ifdef GC_TEST
	lose(pages);
#endif
}

/* All objects are old now, and point to none that is not. */
static void track(void)
{
	gc.all_dirty = gc.os->dirty &&
		       each_run(has_pointers, GC_TRACKED, clean) != 0;
}

/* Old objects may point to young ones only where something was written. */
static void scan_dirty(void)
{
	size_t pages = gc.used * GC_PAGES, i;
	uint64_t w;

	for (i = 0; i < pages; i += 64)
		for (w = gc.dirty[i / 64]; w; w &= w - 1) {
			size_t page = i + __builtin_ctzl(w);

			if (page < pages)
				gc_scan_page(page, gc.marks);
			gc.stats.dirty_pages++;
		}
}

static void unmark_all(void)
{
	uint32_t n;

	memset(gc.marks, 0, gc.used * GC_WORDS * 8);
	for (n = 1; n < gc.used; n++) {
		struct gc_block *b = &gc.block[n];

		b->flags &= ~GC_PINNED;
		memset(b->lines, 0, sizeof(b->lines));
	}
	gc.depth = 0;
}

/* ---- collections; the world is stopped ---- */

/* What finalizers keep is dead for weak references. */
static void mark_rest(bool young)
{
	gc_trace(~0ul);
	gc_clear_weak(young);
	gc_find_due(young);
}

static void minor(void)
{
	retire_all();
	read_dirty();
	scan_dirty();
	gc_scan_roots();
	mark_rest(true);
	sweep_young();
}

static void full(void)
{
	retire_all();
	unmark_all();
	gc_scan_roots();
	mark_rest(false);
	sweep_all();
}

static void compact(void)
{
	full();
	gc_compact();
}

static bool sparse(void)
{
	size_t lines = 0, blocks = 0;
	uint32_t n;

	for (n = 1; n < gc.used; n++)
		if (gc.block[n].state == GC_SMALL) {
			lines += gc.block[n].live;
			blocks++;
		}
	return SPARSE(lines, blocks);
}

static void begin(void)
{
	retire_all();
	unmark_all();
	gc_scan_roots();
	each_run(has_pointers, GC_GUARDED, guard);
	gc.marking = true;
}

static void end(void)
{
	mark_rest(false);
	retire_all();
	each_run(guarded, 0, unguard);
	gc.marking = false;
	sweep_all();
}

/* ---- which and when ---- */

static void (*const steps[])(void) = {
	[GC_MINOR] = minor, [GC_FULL] = full, [GC_COMPACT] = compact,
	[GC_BEGIN] = begin, [GC_END] = end,
};

static void account(enum gc_kind kind, uint64_t since)
{
	uint64_t ns = gc_now() - since;

	gc.stats.count[kind]++;
	gc.stats.pause_ns[kind] += ns;
	if (ns > gc.stats.pause_max_ns[kind])
		gc.stats.pause_max_ns[kind] = ns;
	if (gc.opt.paused)
		gc.opt.paused(kind, ns);
}

static void run_stopped(enum gc_kind kind)
{
	uint64_t since = gc_now();

	gc.stats.allocated += gc.fresh;
	gc_stop_world();
	steps[kind]();
	if (!gc.marking)
		track();
	if (gc.opt.flags & GC_VERIFY && !gc.marking)
		gc_verify_locked();
	gc_start_world();
	account(kind, since);
}

int gc_run(enum gc_kind kind)
{
	if (kind != GC_MINOR && kind != GC_FULL && kind != GC_COMPACT &&
	    kind != GC_BEGIN)
		return -EINVAL;
	if (kind == GC_BEGIN && !gc.os->protect)
		return -ENOTSUP;
	if (kind == GC_MINOR && !gc.os->dirty)
		kind = GC_FULL;
	if (gc.marking)
		run_stopped(GC_END);
	run_stopped(kind);
	return 0;
}

static void step(size_t bytes)
{
	uint64_t since = gc_now();

	if (gc_trace(PACE * (bytes + GC_BLOCK)))
		run_stopped(GC_END);
	else
		account(GC_STEP, since);
}

void gc_maybe_collect(size_t bytes)
{
	/* One of all kinds at a time, and often the dangerous ones. */
	static const enum gc_kind stress[] = {
		GC_MINOR, GC_MINOR, GC_COMPACT, GC_MINOR, GC_FULL, GC_MINOR,
		GC_BEGIN,
	};
	bool incremental = gc.opt.flags & GC_INCREMENTAL && gc.os->protect;
	enum gc_kind kind;

	if (gc.opt.flags & GC_STRESS && !gc.marking) {
		kind = stress[gc.stress++ % (6 + incremental)];
	} else if (gc.marking) {
		step(bytes);
		return;
	} else if (gc.fresh + bytes < gc.opt.nursery) {
		return;
	} else if (gc.live < gc.limit && gc.os->dirty) {
		kind = GC_MINOR;
	} else if (incremental) {
		kind = GC_BEGIN;
	} else {
		kind = gc.opt.flags & GC_AUTO_COMPACT && sparse() ?
		       GC_COMPACT : GC_FULL;
	}
	gc_run(kind);
}

struct collect {
	enum gc_kind kind;
	int r;
};

static void collect(void *arg)
{
	struct collect *c = arg;

	c->r = gc_run(c->kind);
}

int gc_collect(enum gc_kind kind)
{
	struct collect c = { kind, 0 };

	gc_inside(collect, &c);
	return c.r;
}
