/*
 * What the collector needs from below: dirty bits, protection, remapping. Each
 * of the implementations (os-linux.c, os-dune.c) is a table of functions.
 */
#ifndef GC_OS_H
#define GC_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GC_PAGE		4096ul
#define GC_CHUNK	(8 * GC_PAGE)	/* its pages are a byte of bits */

struct gc_range {
	void *lo;
	size_t len;
};

/*
 * All but begin and enter run with the collector's lock held; ranges are of
 * whole pages. 0 or a negative errno. What is NULL cannot be had.
 */
struct gc_os {
	const char *name;
	/* The heap is mapped, private and writable. Every page is dirty. */
	int (*begin)(void *heap, size_t len);
	void (*end)(void);
	/* May the calling thread use the heap? Without the lock. */
	int (*enter)(void);
	/*
	 * Which pages of the ranges (ascending, of whole GC_CHUNKs) were
	 * written since they were cleaned: bits that are set in bitmap, where
	 * bit i % 64 of word i / 64 is page i of the heap. Too many is allowed,
	 * too few is not.
	 */
	int (*dirty)(const struct gc_range *range, size_t n, uint64_t *bitmap);
	/* From now on they are clean. The world is stopped, here and above. */
	int (*clean)(const struct gc_range *range, size_t n);
	/*
	 * Makes ranges read-only, so that writes call gc_fault(); or writable.
	 */
	int (*protect)(const struct gc_range *range, size_t n, bool writable);
	/*
	 * The pages at from go to `to`, with what is in them; from stays
	 * mapped, with whatever is in it then. They count as dirty.
	 */
	int (*move)(void *from, void *to, size_t len);
	/* The kernel does not know: not for what system calls may be given. */
	bool move_unknown;
	/* In the child of a fork: as begin, the heap is as it was. */
	int (*forked)(void);
};

/*
 * A write to addr, in the heap, met a page that is protected. True: it has been
 * made writable. False: it was not protected by protect(), the implementation
 * knows. sp: the stack pointer of the code that writes, if the handler runs on
 * another stack; then [lo, hi) holds its registers. Else NULL.
 */
bool gc_fault(void *addr, const void *sp, const void *lo, const void *hi);

/*
 * Test builds: forget every so many-th dirty page, 0: none; let writes to
 * protected pages happen unseen.
 */
#ifdef GC_TEST
extern unsigned int gc_test_lossy;
extern bool gc_test_blind;
#endif

#endif
