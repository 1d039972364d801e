/*
 * The memory that host and runner share: slots with a message each way, then
 * the transfer heap. Everything in it may be changed by the guest at any time.
 *
 * Turns on a slot alternate, the host begins: it writes to_guest and then its
 * seq, one more than before; the guest answers in to_host with the same seq.
 */
#ifndef DUNE_SANDBOX_CHANNEL_H
#define DUNE_SANDBOX_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

/* Where it is in the guest: fixed, so that nobody has to be believed. */
#define DUNE_CH_BASE	0x200000000000ul
/* Shared buffers are mapped from here on, at places the host chooses. */
#define DUNE_CH_SHARES	0x210000000000ul
#define DUNE_CH_SHARES_END 0x280000000000ul

#define DUNE_CH_SLOTS	16
#define DUNE_CH_GP	6	/* integer arguments in registers */
#define DUNE_CH_FP	8
#define DUNE_CH_STACK	16	/* words of arguments on the stack */
#define DUNE_CH_TEXT	1024
/* Nanoseconds, more or less, and that in looks of the guest. */
#define DUNE_CH_LOOK	6400
#define DUNE_CH_LOOKS	256

/* How many objects come by descriptors: so many names for them there are. */
#define DUNE_CH_IMAGES	64

/*
 * Calls of the runner that Linux does not have: kern/sys/sys.h's DUNE_NR_OWN.
 * SAVE: a pipe; see save.c. PASS: wakes who sleeps on its first argument, and
 * sleeps on its second for as long as that is the third; FUTEX_WAIT's result.
 */
#define DUNE_CH_SAVE	4096
#define DUNE_CH_PASS	4097

/* Descriptors of the runner. */
#define DUNE_CH_FD	3	/* the channel; closed once mapped */
#define DUNE_CH_SOCKET	4	/* brings descriptors */

enum dune_ch_kind {
	/* from the host */
	DUNE_CH_CALL = 1,	/* fn, fps, stacks, gp, fp, stack */
	DUNE_CH_OP,		/* fn: enum dune_ch_op; gp, text */
	DUNE_CH_RESUME,		/* a callback's result in gp[0] */
	DUNE_CH_UNWIND,		/* a callback has failed */
	/* from the guest */
	DUNE_CH_RETURN,		/* gp[0]: rax, gp[2]: xmm0; op: its result */
	DUNE_CH_CALLBACK,	/* fn: its number; gp, fp, stack */
	DUNE_CH_FAILED,		/* an unwound call */
};

enum dune_ch_op {
	DUNE_OP_LOAD = 1,	/* text: path, gp[0]: flags; -> handle,
				 * or 0 and text */
	DUNE_OP_LOAD_FD,	/* the same from a descriptor of the socket */
	DUNE_OP_SYMBOL,		/* gp[0]: handle, text: name; -> gp[0]: found,
				 * gp[1]: address */
	DUNE_OP_SHARE,		/* gp[0]: address, gp[1]: size, gp[2]: prot; a
				 * descriptor by the socket; -> 0, errno */
	DUNE_OP_UNSHARE,	/* gp[0]: address, gp[1]: size; -> 0 */
	DUNE_OP_FREEZE,		/* becomes a template; says 0 first */
	DUNE_OP_STOP,		/* this slot's thread ends, after it said 0 */
	DUNE_OP_BATCH,		/* gp[0]: address of a struct dune_ch_batch */
};

struct dune_ch_msg {
	uint32_t seq;
	uint8_t kind;		/* enum dune_ch_kind */
	uint8_t fps;		/* how many of fp[] are set */
	uint8_t stacks;		/* and of stack[] */
	uint8_t looks;		/* how long the guest may look for the next
				 * turn before it sleeps, in DUNE_CH_LOOK */
	uint64_t fn;
	uint64_t gp[DUNE_CH_GP];
	/* a cache line so far, which is all that most calls need */
	uint64_t fp[DUNE_CH_FP];
	uint64_t stack[DUNE_CH_STACK];
};

/* Calls of integers, in the heap; batch.c. */
struct dune_ch_call {
	uint64_t fn;
	uint64_t gp[DUNE_CH_GP];
	uint64_t result;		/* the guest's */
};

struct dune_ch_batch {
	uint32_t calls;
	uint32_t done;			/* the guest's: how many returned */
	uint64_t value, mask;		/* of the results: what is compared */
	uint32_t stop[2];		/* when it differs, when it is equal */
	struct dune_ch_call call[];
};

struct dune_ch_slot {
	struct dune_ch_msg to_guest;
	struct dune_ch_msg to_host;
	uint32_t guest_sleeps __attribute__((aligned(64)));
	uint32_t host_sleeps __attribute__((aligned(64)));
	char text[DUNE_CH_TEXT] __attribute__((aligned(64)));
} __attribute__((aligned(4096)));

enum {
	DUNE_CH_READY = 1,
	DUNE_CH_DEAD,			/* the host's word, for its own */
	DUNE_CH_NO_FORK,		/* the template could not fork */
};

/*
 * Pages that a fork touches before it is ready, as ranges: address, how many
 * pages, and in bit 0 whether to write.
 */
#define DUNE_WARM_RANGES	448
#define DUNE_WARM_MOST		2047
#define DUNE_WARM_ADDR(r)	((r) & ~4095ul)
#define DUNE_WARM_COUNT(r)	((r) >> 1 & 2047)
#define DUNE_WARM_WRITE(r)	((r) & 1)

struct dune_warm {
	uint32_t n;
	uint64_t range[DUNE_WARM_RANGES];
};

struct dune_ch_head {
	/* the host's, for the runner */
	uint64_t size;		/* of it all */
	uint64_t stack;		/* of the other slots' threads */
	uint32_t slots;
	/* the runner's, for the host */
	uint32_t ready __attribute__((aligned(64)));	/* futex, DUNE_CH_... */
	uint64_t callback;	/* address of its callback entry; no fork: the
				 * errno */
	struct dune_warm warm __attribute__((aligned(64)));
};

struct dune_ch {
	struct dune_ch_head head __attribute__((aligned(4096)));
	struct dune_ch_slot slot[DUNE_CH_SLOTS];
	/* the heap follows */
};

#define DUNE_CH_HEAP	sizeof(struct dune_ch)

_Static_assert(offsetof(struct dune_ch_msg, fp) == 64, "one cache line");
_Static_assert(sizeof(struct dune_ch_call) == 64, "of both sides");
_Static_assert(sizeof(struct dune_ch_head) <= 4096, "its page");
_Static_assert(sizeof(struct dune_ch) == 4096 * (DUNE_CH_SLOTS + 1), "pages");

#endif
