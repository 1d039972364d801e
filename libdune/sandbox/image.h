/*
 * A snapshot in a file. In this order:
 *
 *   struct dune_image_head
 *   the host's part: struct dune_image_host, handles of objects, callbacks,
 *     pieces of the transfer heap
 *   what the heap held: runs
 *   the process, which its monitor writes: struct dune_image_process, names of
 *     the files that it has mapped, then each region with its runs, and a
 *     region of zeroes
 *
 * A run is its address, its length and the pages themselves; one of no length
 * is the last. Pages of zeroes are not there. All parts are multiples of 8.
 *
 * Whoever reads one believes nothing: the checks here are pure, take copies,
 * and are for host and monitor. What is in the pages is the guest's business.
 */
#ifndef DUNE_SANDBOX_IMAGE_H
#define DUNE_SANDBOX_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* What a guest has of its address space: kern/layout.h, its monitor's. */
#define GUEST_LO 0x000000010000ul
#define GUEST_HI 0x500000000000ul

#define DUNE_IMAGE_MAGIC	"DUNEsnap"
#define DUNE_IMAGE_VERSION	2
/* Of the host's part: handles, callbacks, pieces; of the first two. */
#define DUNE_IMAGE_HOST_MAX	(16ul << 20)
#define DUNE_IMAGE_OBJECTS	4096
#define DUNE_IMAGE_CALLBACKS	256
#define DUNE_IMAGE_NAMES	(256u << 10)

struct dune_image_head {
	char magic[8];
	uint32_t version;
	uint32_t head;			/* bytes of this */
	uint64_t build;			/* of monitor and runner: their sum */
	uint64_t sum;			/* of the file with 0 here */
	uint64_t size;			/* of the file */
	uint64_t host;			/* bytes of the host's part */
	uint64_t process;		/* where that part begins */
	uint64_t zero;
};

struct dune_image_host {
	uint64_t share_next;
	uint64_t heap;			/* bytes of it */
	uint32_t objects, callbacks, loads, pieces;
};

struct dune_image_callback {
	char name[256];			/* ends with a NUL */
	uint64_t handle;
	uint32_t type, args;
	uint8_t arg[16];
};

/* Where the variable parts of a checked host's part are. */
struct dune_image_parts {
	const uint64_t *handle;
	const struct dune_image_callback *callback;
	const uint64_t *piece;		/* heap.h, dune_heap_list() */
};

struct dune_image_action {		/* struct dune_sigaction */
	uint64_t handler, flags, restorer, mask;
};

#define DUNE_IMAGE_SIGNALS	64
#define DUNE_IMAGE_FEATURES	8

struct dune_image_process {
	uint64_t reg[18];		/* struct kvm_regs */
	uint64_t fs_base, gs_base;
	uint8_t fx[512];		/* as of FXSAVE; the rest is initial */
	uint64_t sigmask;
	struct dune_image_action action[DUNE_IMAGE_SIGNALS];
	uint64_t alt_sp, alt_flags, alt_size;
	uint64_t brk_start, brk, mmap_top, stack_top, stack_low;
	uint64_t vdso, vdso_end;	/* 0: there is none */
	uint64_t files;			/* open ones of the plugin's */
	uint64_t names;			/* bytes, with NULs at their end */
	/* the program may have chosen its code by these */
	uint64_t xcr0;
	uint32_t feature[DUNE_IMAGE_FEATURES];
};

struct dune_image_region {
	uint64_t start, end;		/* 0, 0: the last */
	uint32_t prot;			/* PROT_* */
	uint32_t flags;			/* DUNE_R_*, kern/mm/region.h */
};

struct dune_image_run {
	uint64_t at, len;		/* len 0: the last */
};

/*
 * A sum that one changed word always changes. Multiples of 8 bytes; begin with
 * 0. Not a secret: who makes a file on purpose makes its sum as well.
 */
uint64_t dune_image_sum(uint64_t sum, const void *p, size_t size);

/*
 * All: 0, or -EINVAL with a message (that says "saved sandbox").
 * file_size: the real one.
 */
int dune_image_check_head(const struct dune_image_head *h, uint64_t file_size,
			  uint64_t build);
/* part: aligned to 8 bytes, stays the caller's. */
int dune_image_check_host(const void *part, uint64_t size,
			  struct dune_image_parts *parts);
int dune_image_check_process(const struct dune_image_process *p);
/* 1: one more, 0: it was the last. *from is where it may begin: 0 at first. */
int dune_image_check_region(const struct dune_image_region *r, uint64_t *from);
/* The same between *from and end. */
int dune_image_check_run(const struct dune_image_run *r, uint64_t *from,
			 uint64_t end);

#endif
