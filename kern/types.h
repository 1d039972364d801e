/*
 * Guest addresses and page sizes.
 *
 * A guest virtual address inside the arena is also the host address of the
 * same byte, but it is an untrusted number until uaccess.h has checked it:
 * it has its own type and is never cast to a pointer elsewhere.
 */
#ifndef DUNE_KERN_TYPES_H
#define DUNE_KERN_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kern/layout.h"

typedef uint64_t dune_gva_t;	/* guest virtual address */
typedef uint64_t dune_gpa_t;	/* guest physical address */

/* Guest physical memory by windows (layout.h): a bit each, by number. */
struct dune_windows {
	uint64_t bits[DUNE_MAX_WINDOWS / 64 + 1];
};

#define DUNE_PAGE_SHIFT	12
#define DUNE_PAGE_SIZE	(1ul << DUNE_PAGE_SHIFT)
#define DUNE_PAGE_MASK	(~(DUNE_PAGE_SIZE - 1))
#define DUNE_LARGE_SIZE	(2ul << 20)
#define DUNE_LARGE_MASK	(~(DUNE_LARGE_SIZE - 1))

#define DUNE_PAGE_UP(x)		(((x) + DUNE_PAGE_SIZE - 1) & DUNE_PAGE_MASK)
#define DUNE_PAGE_DOWN(x)	((x) & DUNE_PAGE_MASK)

#define DUNE_ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Would the processor take it as an address (48 bits, sign extended)? */
static inline bool dune_canonical(uint64_t addr)
{
	return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

#endif
