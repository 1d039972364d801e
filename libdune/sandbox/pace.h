/*
 * How long each side looks for the other's turn before it sleeps: what is
 * learnt of one lane. README.md, "Waiting", draws it. Pure: no clocks, no
 * memory but its own; one thread at a time, the lane's owner.
 */
#ifndef DUNE_SANDBOX_PACE_H
#define DUNE_SANDBOX_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* The host's waits of one kind. */
struct dune_look {
	uint32_t wait;		/* ns they take, a moving average */
	uint16_t skip;		/* so many more without looking */
	uint16_t step;		/* grows as long as looking is in vain */
};

/* Zeroed: nothing is known. */
struct dune_pace {
	bool alone;		/* the user's: one CPU, so nobody ever looks */
	bool hot;		/* the guest looks for the next turn */
	uint8_t looks;		/* so long: channel.h */
	uint16_t need;		/* close turns before one makes it hot */
	uint16_t streak;	/* of them so far */
	bool apart;		/* began with the guest to go elsewhere */
	bool vain;		/* the latest wait's look was, while hot */
	uint32_t hits;		/* while hot: turns that found it awake */
	uint32_t gap;		/* ns to the host's next turn: average */
	uint64_t answered;	/* the user's, unless hot: when the latest
				 * answer came; 0: not known */
	struct dune_look look[2];	/* guest was awake; was asleep */
};

/*
 * The host is about to end its turn. asleep: the guest seems to; inside: it is
 * a callback that the guest waits in; now: needed unless hot. Returns for how
 * long it shall look for the turn after this one.
 */
uint8_t dune_pace_post(struct dune_pace *p, bool asleep, bool inside,
		       uint64_t now);

/*
 * For how many ns the host shall look for the answer; 0: sleep at once. woken:
 * the guest's thread had to be. One of the two follows each.
 */
uint32_t dune_pace_look(struct dune_pace *p, bool woken);
/* It came within the first microseconds. */
void dune_pace_quick(struct dune_pace *p, bool woken);
/* It took this long; looked: what dune_pace_look() said; slept: in the end. */
void dune_pace_waited(struct dune_pace *p, bool woken, uint64_t ns,
		      uint32_t looked, bool slept);

#endif
