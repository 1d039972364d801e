/*
 * A guess at the guest's call stack. Pure but for the callbacks; reads at
 * most a few KiB of guest memory whatever is there.
 */
#ifndef DUNE_KERN_BACKTRACE_H
#define DUNE_KERN_BACKTRACE_H

#include "kern/types.h"

#define DUNE_FRAMES 32

struct dune_frame {
	dune_gva_t pc;
	dune_gva_t slot;	/* where the return address was found */
	bool sure;		/* pc itself, or found by frame pointers */
};

struct dune_backtrace {
	int (*read)(void *ctx, void *dst, dune_gva_t src, size_t len);
	bool (*is_code)(void *ctx, dune_gva_t va);
	void *ctx;
};

/*
 * Innermost first. Follows frame pointers; for code without them adds words
 * near rsp that look like return addresses (`sure` is false). Returns the
 * number of frames, at least 1: frame 0 is rip.
 */
unsigned int dune_backtrace(const struct dune_backtrace *b, dune_gva_t rip,
			    dune_gva_t rsp, dune_gva_t rbp,
			    struct dune_frame frame[DUNE_FRAMES]);

#endif
