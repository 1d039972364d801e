/*
 * A garbage collector on hardware dirty bits: generational mark-region,
 * incremental and compacting by choice. README.md tells how it works.
 *
 * One heap a process. Threads that touch it have called gc_thread_enter() (the
 * one that calls gc_init() has). There is no write barrier: programs store
 * pointers as they like. Pointers to objects are found in
 *   - objects, by their type,
 *   - registered roots,
 *   - stacks and registers of the threads: every word that may be a pointer
 *     is taken for one ("ambiguous"), and what it points to does not move;
 *     or, with GC_PRECISE_STACKS, frames that the program keeps.
 * Nowhere else: not in malloc'ed memory, not in thread-local or global
 * variables that are no roots. What is there only while a function runs counts
 * as well: another thread may collect at any time.
 *
 * System calls may be given objects, when nothing moves them meanwhile (an
 * ambiguous pointer to them, or no compaction), and then GC_LEAF ones: with
 * gc_os_protect any other may be EFAULT, with gc_os_dune large ones that
 * compaction has moved are not where the kernel believes.
 *
 * Errors are negative errno values; nothing prints or exits. Nothing here may
 * be called from a signal handler.
 *
 * C and C++. Installed as <dune-gc.h>: `pkg-config --libs dune-gc`; gc_init(3).
 */
#ifndef GC_GC_H
#define GC_GC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Where dirty bits, protection and remapping come from (os.h). The mutator
 * feels it, the collector does not.
 *   gc_os_none     nothing: every collection is a full one
 *   gc_os_protect  mprotect(2) and SIGSEGV: what collectors do everywhere
 *   gc_os_scan     userfaultfd and PAGEMAP_SCAN, Linux 6.7; else -ENOTSUP
 *   gc_os_dune     page tables of Dune mode; the thread is in it, and others
 *                  that enter, too; link with libdune
 */
struct gc_os;
extern const struct gc_os gc_os_none, gc_os_protect, gc_os_scan, gc_os_dune;

/* What a collection did; also the argument of gc_collect(). */
enum gc_kind {
	GC_MINOR,		/* objects allocated since the last one */
	GC_FULL,
	GC_COMPACT,		/* full, then sparse blocks are emptied */
	GC_BEGIN, GC_STEP, GC_END,	/* parts of an incremental one */
	GC_KINDS
};

enum gc_flags {
	GC_INCREMENTAL = 1,	/* full collections in steps, where os can */
	GC_PRECISE_STACKS = 2,	/* see gc_frame; threads stop at safe points */
	GC_AUTO_COMPACT = 4,	/* full collections compact when it pays */
	GC_VERIFY = 8,		/* gc_verify() after every collection */
	GC_STRESS = 16,		/* a collection at every allocation */
};

struct gc_options {
	const struct gc_os *os;
	size_t heap_max;	/* bytes of address space; 0: 1 GiB */
	size_t nursery;		/* bytes between collections; 0: 8 MiB */
	unsigned int growth;	/* full when the heap has grown by so many
				 * per cent since the last; 0: 100 */
	unsigned int flags;
	int signal;		/* that stops threads; 0: SIGRTMIN + 5 */
	/*
	 * Called with what gc_verify() found, and after each pause; the world
	 * is stopped in the first and may be in the second. May be NULL.
	 */
	void (*bad)(const char *what, const void *object);
	void (*paused)(enum gc_kind kind, uint64_t ns);
};

/*
 * Makes the heap; the calling thread enters. -ENOMEM; -ENOTSUP: os is not to be
 * had here; -EBUSY: there is a heap; -EINVAL.
 */
int gc_init(const struct gc_options *options);
/* The heap goes, all objects with it. All other threads have left. */
void gc_exit(void);

/* ---- objects ---- */

#define GC_LEAF		0	/* has no pointers */
#define GC_AMBIGUOUS	1	/* any aligned word may be one */

/*
 * A type whose objects are arrays of elements of size bytes (a multiple of 8,
 * at most 512), in which bit i of pointers says that word i is NULL, or an
 * object's address as gc_alloc() gave it, or an address outside of the heap.
 * Returns its number (up to 65000 of them), -EINVAL, -ENOSPC. For good.
 */
int gc_type(size_t size, uint64_t pointers);

/*
 * A zeroed object, aligned to 8 bytes (not 16), of a type; may collect. NULL:
 * no memory, even after a full collection; or size is over 32 GiB.
 */
void *gc_alloc(int type, size_t size);
/* Its usable size, what was asked for or a little more. */
size_t gc_size(const void *object);

/* ---- roots ---- */

/*
 * n words that hold pointers as those of a type do (GC_LEAF makes no sense),
 * until they are removed: -ENOSPC when there are 1024 ranges; -ENOENT.
 */
int gc_root_add(void *words, size_t n, int type);
int gc_root_remove(void *words);

/*
 * GC_PRECISE_STACKS: a function that holds objects over a safe point has them
 * in a frame, and reads them from there after it. Every call here is a safe
 * point, gc_size() and these two excepted. Objects may move at safe points.
 *
 *	void *o[2] = { 0 };
 *	struct gc_frame f = { .slots = o, .n = 2 };
 *	gc_push(&f); ... gc_pop(&f);
 */
struct gc_frame {
	struct gc_frame *up;
	void **slots;
	size_t n;
};
void gc_push(struct gc_frame *frame);
void gc_pop(struct gc_frame *frame);

/* ---- finalizers ---- */

/*
 * fn(object, arg) is called once, after a collection has found that nothing
 * reaches object; not while the world stands, nor with any lock held, but by
 * gc_run_finalizers(). Until fn returns, object and all it reaches stay. fn may
 * do what any code may: allocate, set finalizers, even let object live on.
 * For each collection those set last come first, whoever points to whom. What
 * the collector takes for a pointer to object (an old stack word) can delay it.
 * arg is not looked at: it should not be an object. -EINVAL; -ENOSPC: one for
 * each 512 bytes of heap_max is set or due.
 */
typedef void gc_finalizer(void *object, void *arg);
int gc_finalize(void *object, gc_finalizer *fn, void *arg);

/*
 * Calls those that are due, one after the other, in this thread; how many. The
 * collector never does: only the program knows where its locks are free.
 * Several threads may, then each calls some. What is not due at gc_exit() is
 * never called; fork(2)'s child has all its parent has.
 */
long gc_run_finalizers(void);

/* ---- weak references ---- */

/*
 * A weak reference does not keep its object: when a collection has found that
 * nothing else reaches it, it is NULL. That is before a finalizer of the object
 * is due; what only finalizers reach is dead for it, and it stays NULL whatever
 * they do. What the collector takes for a pointer to object can delay it.
 *
 * The struct is the program's, not in an object, and begins as zeroes; while it
 * is not NULL the collector knows where it is and writes to it, so that it must
 * be set to NULL before it goes away. Its fields are not for the program.
 */
struct gc_weak {
	void *object;
	size_t place;
};
/*
 * object: as gc_alloc() gave it, or NULL. -ENOSPC, and it is NULL: one for each
 * 512 bytes of heap_max is not NULL.
 */
int gc_weak_set(struct gc_weak *weak, void *object);
/* The object, for which this is a pointer like any other, or NULL. */
void *gc_weak_get(const struct gc_weak *weak);

/* ---- threads ---- */

/* -ENOMEM; -EBUSY: is in; -EPERM: is not in Dune mode, which os needs. */
int gc_thread_enter(void);
void gc_thread_leave(void);
/*
 * Around what may block for long and touches no object: a collection then does
 * not wait for this thread (GC_PRECISE_STACKS), or need not wake it.
 */
void gc_blocking_begin(void);
void gc_blocking_end(void);
/* Lets a collection that waits for this thread go on. */
void gc_safepoint(void);

/* ---- collecting ---- */

/*
 * GC_MINOR, GC_FULL, GC_COMPACT, or GC_BEGIN to begin an incremental one, which
 * allocations then carry on. -EINVAL; -ENOTSUP: os cannot do that; -ENOMEM.
 */
int gc_collect(enum gc_kind kind);

/*
 * Walks everything that is reachable and checks that it is whole, marked as the
 * collector believes, and where it should be. The number of faults; each is
 * told to `bad`. Right after a collection only, or it finds young objects
 * unmarked.
 */
long gc_verify(void);

struct gc_stats {
	uint64_t count[GC_KINDS];
	uint64_t pause_ns[GC_KINDS], pause_max_ns[GC_KINDS];
	uint64_t allocated;	/* bytes ever */
	uint64_t live;		/* bytes of marked lines after the last one */
	uint64_t blocks, blocks_used;	/* ever touched; in use now */
	uint64_t dirty_pages;	/* that minor collections looked at */
	uint64_t faults;	/* barriers of incremental marking */
	uint64_t copied, remapped;	/* bytes moved in either way */
	uint64_t verified, bad;		/* objects; faults found */
};
void gc_stats(struct gc_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
