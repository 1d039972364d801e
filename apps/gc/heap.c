/* The heap: made and unmade; blocks; which object an address is in. */
#include "apps/gc/heap.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define TYPES	65000u
#define PER_FINAL	512u	/* bytes of heap for each finalizer or weak
				 * reference */

struct gc gc = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint64_t gc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* ---- made and unmade ---- */

/* The tables beside the heap: reserved for all of it, there where touched. */
static const struct {
	void **at;
	unsigned int num, den;	/* bytes for one of heap, as a fraction */
} tables[] = {
	{ (void **)&gc.block, sizeof(struct gc_block), GC_BLOCK },
	{ (void **)&gc.starts, 1, GC_GRANULE * 8 },
	{ (void **)&gc.marks, 1, GC_GRANULE * 8 },
	{ (void **)&gc.dirty, 1, GC_PAGE * 8 },
	/* An entry for each object, and the rest of each large one. */
	{ (void **)&gc.stack, sizeof(uintptr_t), GC_GRANULE },
	{ (void **)&gc.final, sizeof(struct gc_final), PER_FINAL },
	{ (void **)&gc.due, sizeof(struct gc_final), PER_FINAL },
	{ (void **)&gc.weak, sizeof(struct gc_weak *), PER_FINAL },
};

static size_t table_size(size_t i)
{
	size_t n = gc.blocks * GC_BLOCK / tables[i].den * tables[i].num;

	return (n + GC_PAGE) & ~(GC_PAGE - 1);
}

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		       MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Aligned to 2 MiB, so that it may have large pages. */
static uint8_t *reserve_heap(size_t size)
{
	const size_t align = 2ul << 20;
	uint8_t *p = reserve(size + align), *at;

	if (!p)
		return NULL;
	at = (uint8_t *)(((uintptr_t)p + align - 1) & ~(align - 1));
	if (at > p)
		munmap(p, at - p);
	munmap(at + size, p + align - at);
	return at;
}

static void unmap(void)
{
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		if (*tables[i].at)
			munmap(*tables[i].at, table_size(i));
	if (gc.type)
		munmap(gc.type, TYPES * sizeof(*gc.type));
	if (gc.base)
		munmap(gc.base, gc.blocks * GC_BLOCK);
	gc = (struct gc){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

static int map(void)
{
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		*tables[i].at = reserve(table_size(i));
		if (!*tables[i].at)
			return -ENOMEM;
	}
	gc.type = reserve(TYPES * sizeof(*gc.type));
	gc.base = reserve_heap(gc.blocks * GC_BLOCK);
	return gc.type && gc.base ? 0 : -ENOMEM;
}

int gc_init(const struct gc_options *options)
{
	struct gc_options o = *options;
	int r;

	if (gc.base)
		return -EBUSY;
	if (!o.os || o.heap_max >> 45)
		return -EINVAL;
	o.heap_max = o.heap_max ?: 1ul << 30;
	o.nursery = o.nursery ?: 8ul << 20;
	o.growth = o.growth ?: 100;
	gc.opt = o;
	gc.os = o.os;
	gc.blocks = (o.heap_max + GC_BLOCK - 1) / GC_BLOCK + 1;
	gc.used = 1;		/* block 0 stays empty: 0 says "none" */
	gc.next_free = 1;
	gc.recycle = 1;
	gc.limit = 4 * o.nursery;
	gc.finals_max = gc.blocks * GC_BLOCK / PER_FINAL;
	gc.all_dirty = true;
	r = map();
	if (!r)
		r = gc.os->begin(gc.base, gc.blocks * GC_BLOCK);
	if (r) {
		unmap();
		return r;
	}
	gc.types = 2;
	gc.type[GC_AMBIGUOUS] = (struct gc_type){ 1, 1 };
	r = gc_threads_begin();
	if (r)
		gc_exit();
	return r;
}

void gc_exit(void)
{
	if (!gc.base)
		return;
	if (gc_self)
		gc_thread_leave();
	gc.os->end();
	unmap();
}

static void get_stats(void *arg)
{
	struct gc_stats *s = arg;

	*s = gc.stats;
	s->live = gc.live;
	s->blocks = gc.used - 1;
	s->blocks_used = s->blocks - gc.free;
}

void gc_stats(struct gc_stats *stats)
{
	gc_inside(get_stats, stats);
}

struct new_type {
	struct gc_type type;
	int number;
};

static void new_type(void *arg)
{
	struct new_type *n = arg;

	n->number = -ENOSPC;
	if (gc.types == TYPES)
		return;
	n->number = gc.types++;
	gc.type[n->number] = n->type;
}

int gc_type(size_t size, uint64_t pointers)
{
	struct new_type n = { { size / 8, pointers }, 0 };

	if (!size || size % 8 || size > 512 ||
	    (size < 512 && pointers >> size / 8))
		return -EINVAL;
	if (!pointers)
		return GC_LEAF;
	gc_inside(new_type, &n);
	return n.number;
}

size_t gc_size(const void *object)
{
	return gc_bytes(gc_object_of(object)) - sizeof(struct gc_object);
}

/* ---- blocks ---- */

/* The first of n free ones in [at, end); 0. */
static uint32_t find_free(uint32_t at, uint32_t end, uint32_t n)
{
	uint32_t run = 0;

	for (; at < end; at++) {
		run = gc.block[at].state == GC_FREE ? run + 1 : 0;
		if (run == n)
			return at - n + 1;
	}
	return 0;
}

/* New ones behind those in use, free ones at the end of these included. */
static uint32_t extend(uint32_t n)
{
	uint32_t at = gc.used;

	while (at > 1 && gc.block[at - 1].state == GC_FREE)
		at--;
	if (n > gc.blocks - at)
		return 0;
	while (gc.used < at + n) {
		gc.block[gc.used].flags = GC_CLEAN;
		gc.used++;
		gc.free++;
	}
	return at;
}

uint32_t gc_blocks_take(uint32_t n, enum gc_state state)
{
	uint32_t first = 0, i;

	/* Single ones go round; runs are looked for from the start. */
	if (n <= gc.free && n == 1)
		first = find_free(gc.next_free, gc.used, 1);
	if (n <= gc.free && !first)
		first = find_free(1, gc.used, n);
	if (!first)
		first = extend(n);
	if (!first)
		return 0;
	if (n == 1)
		gc.next_free = first + 1;
	gc.free -= n;
	for (i = 0; i < n; i++) {
		struct gc_block *b = &gc.block[first + i];

		*b = (struct gc_block){
			.state = i ? GC_TAIL : state, .n = i ? i : n,
			.flags = (b->flags & GC_CLEAN) |
				 (gc.marking ? GC_BLACK : 0),
		};
	}
	return first;
}

void gc_blocks_give(uint32_t first, uint32_t n)
{
	uint32_t i;

	for (i = first; i < first + n; i++)
		gc.block[i] = (struct gc_block){ .state = GC_FREE };
	gc.free += n;
	memset(gc_words(gc.starts, first), 0, n * GC_WORDS * 8);
	memset(gc_words(gc.marks, first), 0, n * GC_WORDS * 8);
}

/* ---- objects ---- */

struct gc_object *gc_find(uintptr_t p)
{
	struct gc_object *o;
	uint64_t *words, bits;
	uint32_t b;
	size_t i;

	/* The end of one is where the header of the next is. */
	p -= sizeof(struct gc_object);
	if (!gc_in_heap(p))
		return NULL;
	b = gc_block_of((void *)p);
	if (gc.block[b].state == GC_TAIL)
		b -= gc.block[b].n;
	words = gc_words(gc.starts, b);
	i = 0;
	if (gc.block[b].state == GC_LARGE) {
		bits = words[0] & 1;
	} else if (gc.block[b].state == GC_SMALL) {
		i = p % GC_BLOCK / GC_GRANULE / 64;
		bits = words[i] & (~0ul >> (63 - p / GC_GRANULE % 64));
		while (!bits && i)
			bits = words[--i];
	} else {
		return NULL;
	}
	if (!bits)
		return NULL;
	i = i * 64 + 63 - __builtin_clzl(bits);
	o = (struct gc_object *)(gc_block_at(b) + i * GC_GRANULE);
	return p < (uintptr_t)o + gc_bytes(o) ? o : NULL;
}

struct gc_object *gc_next(const uint8_t *bits, size_t i, size_t end)
{
	const uint64_t *words = (const uint64_t *)bits;

	while (i < end) {
		uint64_t w = words[i / 64] >> i % 64;

		if (w) {
			i += __builtin_ctzl(w);
			return i < end ? (struct gc_object *)
				(gc.base + i * GC_GRANULE) : NULL;
		}
		i = (i | 63) + 1;
	}
	return NULL;
}
