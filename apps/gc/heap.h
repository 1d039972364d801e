/*
 * The collector's data structures, and what its files call of each other.
 *
 *   heap.c     blocks: taking and giving back; finding objects; init
 *   alloc.c    objects out of blocks
 *   mark.c     marking: the stack, objects, roots, dirty pages
 *   collect.c  collections: when, and one after the other what they do
 *   compact.c  moving objects
 *   final.c    finalizers: whose is due, and running it
 *   weak.c     weak references: clearing them
 *   thread.c   threads: stopping them, their roots; fork
 *   verify.c   is all as it should be?
 *
 * The heap is cut in blocks, blocks in lines, lines in granules. An object is
 * a header and a payload, whole granules together. Its first granule has a
 * bit in `starts`; in `marks`, when it is known to be live. Both lie beside
 * the heap, so that marking dirties no page of it. One line's bits are
 * one byte of each, so threads that own lines need no atomics for `starts`.
 *
 * Marks are sticky: a marked object is an old one, and a minor collection
 * leaves the marks of the last one as they are. Only a full one clears them.
 * When a collection ends all objects are old; what blocks hold any is TRACKED
 * from then on, and writes to others, new or free, cost nothing.
 *
 * All of `gc` belongs to who holds gc.lock, but for the fields of a thread
 * that say otherwise. With it held nothing writes to a guarded block.
 */
#ifndef GC_HEAP_H
#define GC_HEAP_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include "apps/gc/gc.h"
#include "apps/gc/os.h"

#define GC_GRANULE	16ul
#define GC_LINE		128ul
#define GC_BLOCK	GC_CHUNK
#define GC_LINES	(GC_BLOCK / GC_LINE)		/* of a block */
#define GC_WORDS	(GC_BLOCK / GC_GRANULE / 64)	/* of its bits */
#define GC_PAGES	(GC_BLOCK / GC_PAGE)
#define GC_MEDIUM	(GC_BLOCK / 4)	/* larger ones have their own blocks */

#define GC_MAGIC	0x6cc5
#define GC_MOVED	0xffff		/* type: the payload says where to */

struct gc_object {
	uint32_t granules;	/* header included */
	uint16_t type;
	uint16_t magic;
	uintptr_t payload[];
};

struct gc_type {
	uint32_t words;		/* of an element */
	uint64_t pointers;
};

enum gc_state { GC_FREE, GC_SMALL, GC_LARGE, GC_TAIL, GC_GONE };

enum gc_block_flags {
	GC_YOUNG = 1,		/* allocated in since the last collection */
	GC_CLEAN = 2,		/* free, and all zero */
	GC_PINNED = 4,		/* something ambiguous points into it */
	GC_BLACK = 8,		/* taken while marking: all in it is live */
	GC_GUARDED = 16,	/* protected when this marking began */
	GC_EVACUATE = 32,	/* its objects are being moved out */
	GC_TRACKED = 64,	/* may hold old objects: writes are seen */
};

struct gc_block {
	uint8_t state, flags;
	uint16_t live;		/* SMALL: marked lines after the last sweep */
	uint32_t n;		/* LARGE: blocks. TAIL: back to the LARGE one.
				 * GONE: moved to this block */
	uint32_t next;		/* of the young ones */
	uint64_t lines[GC_LINES / 64];	/* SMALL: marked, not to be used */
};

enum gc_thread_state {
	GC_RUNNING,
	GC_INSIDE,		/* has the lock or waits for it, or blocks */
	GC_PARKED,		/* in the handler of the stopping signal */
};

struct gc_thread {
	/* While it does not run; written by ENTRY in thread.c, so first. */
	uintptr_t regs[6];
	const void *sp;
	const void *extra_lo, *extra_hi;
	bool in_barrier;
	struct gc_thread *next;
	pthread_t id;
	/* The owner's: what is left of its hole, and of a block for medium
	 * objects that do not fit into the hole. */
	uint8_t *cur, *end, *mcur, *mend;
	uint32_t block;		/* the hole's; 0: none */
	unsigned int line;	/* where to look on for holes in it */
	int busy;		/* in between: not to be stopped here */
	/* Both sides': see thread.c. */
	int state, stop;
	const void *stack_lo, *stack_hi;
	struct gc_frame *frames;
};

struct gc_root {
	uintptr_t *words;
	size_t n;
	int type;
};

struct gc_final {
	void *object;		/* as the program knows it */
	gc_finalizer *fn;
	void *arg;
};

struct gc {
	pthread_mutex_t lock;
	const struct gc_os *os;
	struct gc_options opt;
	uint8_t *base;
	uint32_t blocks;	/* there could be */
	uint32_t used;		/* those from here on were never touched */
	uint32_t free;		/* free ones among the used */
	struct gc_block *block;
	uint8_t *starts, *marks;
	uint64_t *dirty;	/* a bit a page */
	bool all_dirty;		/* whatever os says */
	uintptr_t *stack;	/* of marking; room for every object */
	size_t depth;
	/* allocation */
	uint32_t next_free, recycle;	/* where to look on */
	uint32_t young;		/* first; 0: none */
	size_t fresh;		/* bytes handed out since the last collection */
	size_t live, limit;	/* limit: when `live` calls for a full one */
	bool marking;		/* incrementally, right now */
	unsigned int stress;
	/* Finalizers, in the order they were set; the first have survived a
	 * collection. And those that are due, the next one first: roots. */
	struct gc_final *final, *due;
	size_t finals, finals_old, finals_max;
	size_t due_next, due_end;
	/* Weak references that are not NULL; the first have survived one. */
	struct gc_weak **weak;
	size_t weaks, weaks_old;
	/* the rest */
	struct gc_thread *threads;
	struct gc_type *type;	/* 65536 of them */
	unsigned int types;
	struct gc_root root[1024];
	unsigned int roots;
	struct gc_stats stats;
};

extern struct gc gc;
extern __thread struct gc_thread *gc_self;

/* ---- places ---- */

static inline bool gc_in_heap(uintptr_t p)
{
	return p - (uintptr_t)gc.base < gc.used * GC_BLOCK;
}

static inline size_t gc_granule(const void *o)
{
	return (size_t)((const uint8_t *)o - gc.base) / GC_GRANULE;
}

static inline uint32_t gc_block_of(const void *p)
{
	return (uint32_t)((size_t)((const uint8_t *)p - gc.base) / GC_BLOCK);
}

static inline uint8_t *gc_block_at(uint32_t b)
{
	return gc.base + b * GC_BLOCK;
}

static inline uint64_t *gc_words(uint8_t *bits, uint32_t b)
{
	return (uint64_t *)bits + b * GC_WORDS;
}

static inline bool gc_bit(const uint8_t *bits, size_t i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static inline struct gc_object *gc_object_of(const void *payload)
{
	return (struct gc_object *)((uintptr_t)payload - sizeof(uint64_t));
}

static inline size_t gc_bytes(const struct gc_object *o)
{
	return o->granules * GC_GRANULE;
}

/* When all that is reachable is marked, and the world stopped. */
static inline bool gc_alive(const void *payload)
{
	const struct gc_object *o = gc_object_of(payload);

	return gc_bit(gc.marks, gc_granule(o)) ||
	       gc.block[gc_block_of(o)].flags & GC_BLACK;
}

/* Sets bits of o in the lines of its small block. */
static inline void gc_set_lines(struct gc_block *b, const struct gc_object *o)
{
	size_t at = (uintptr_t)o % GC_BLOCK / GC_LINE;
	size_t last = ((uintptr_t)o % GC_BLOCK + gc_bytes(o) - 1) / GC_LINE;

	for (; at <= last; at++)
		b->lines[at / 64] |= 1ul << at % 64;
}

/* ---- heap.c ---- */
/* n blocks in a row, LARGE and TAILs or one SMALL; 0: there are none. */
uint32_t gc_blocks_take(uint32_t n, enum gc_state state);
void gc_blocks_give(uint32_t first, uint32_t n);
/* The object that p points into (its end included), or NULL. */
struct gc_object *gc_find(uintptr_t p);
/* The first object at or after granule i, below end, with a bit; or NULL. */
struct gc_object *gc_next(const uint8_t *bits, size_t i, size_t end);

/* ---- alloc.c ---- */
/* Gives up what a thread has not used yet. Stopped, or the caller's. */
void gc_retire(struct gc_thread *t);
/* Room for a copy, of bytes; the caller fills it. NULL: none. */
void *gc_copy_room(size_t bytes);
void gc_copy_end(void);

/* ---- mark.c ---- */
/* Its header need not be in the cache, nor be looked at now. */
void gc_mark(struct gc_object *o);
void gc_mark_ambiguous(uintptr_t p);
/* Marks what the words of o in [lo, hi) point to. */
void gc_scan(struct gc_object *o, uintptr_t lo, uintptr_t hi);
void gc_scan_roots(void);
/* The same for all objects on a page; marked: only for those. */
void gc_scan_page(size_t page, const uint8_t *which);
/* Works off the stack, until about so many bytes are scanned. True: empty. */
bool gc_trace(size_t budget);

/* ---- collect.c ---- */
/* The world is running, the lock held. */
int gc_run(enum gc_kind kind);
/* Before an allocation of bytes: collects, or marks a little, if it is time. */
void gc_maybe_collect(size_t bytes);
/* Its live lines, and adds them to gc.live. */
void gc_count_lines(struct gc_block *b);

/* ---- compact.c ---- */
/* After a full collection has marked and swept. */
void gc_compact(void);

/* ---- final.c ---- */
/*
 * When all that is reachable is marked: what is not and has a finalizer is due,
 * and marked after all, with what it reaches. young: it cannot be an old one.
 */
void gc_find_due(bool young);
/* Calls fn with where each finalizer's object is; due: of those only. */
void gc_each_final(bool due, void (*fn)(uintptr_t *object));

/* ---- weak.c ---- */
/* As gc_find_due(), and before it. */
void gc_clear_weak(bool young);
/* Calls fn with where each one's object is; it lives. */
void gc_each_weak(void (*fn)(uintptr_t *object));

/* ---- thread.c ---- */
/* Calls fn with the lock, the caller's registers where they are found. */
void gc_inside(void (*fn)(void *), void *arg);
void gc_stop_world(void);
void gc_start_world(void);
/* With GC_PRECISE_STACKS only of threads that are in a barrier. */
void gc_each_stack(void (*range)(const void *lo, const void *hi));
int gc_threads_begin(void);

/* ---- verify.c ---- */
long gc_verify_locked(void);

uint64_t gc_now(void);

#endif
