/* How long each side looks before it sleeps: README.md, "Waiting". */
#include "libdune/sandbox/pace.h"
#include "libdune/sandbox/channel.h"

#define US		1000u

/* Turns as close as this pay for a guest that looks for them. */
#define CLOSE		(100 * US)
/* In a callback: both are busy with the same call. */
#define CLOSE_INSIDE	(1000 * US)
/* A hot phase with so many turns did pay: each saved a sleep and a waking. */
#define PAID		4
#define NEED_MAX	7
/* Waits longer than that are slept through: a waking is then a few percent. */
#define WAIT_MAX	(1000 * US)
/* What is looked on top of twice the average: awake, woken. */
#define EXTRA		(50 * US)
#define EXTRA_WOKEN	(100 * US)
#define SKIP_MAX	256

static uint32_t lesser(uint64_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The guest looked in vain, or did not get to run. */
static void cool_down(struct dune_pace *p)
{
	if (p->hits >= PAID)
		p->need = 0;
	else if (p->need < NEED_MAX)
		p->need = 2 * p->need + 1;
	p->hot = false;
	p->streak = 0;
	p->answered = 0;
}

uint8_t dune_pace_post(struct dune_pace *p, bool asleep, bool inside,
		       uint64_t now)
{
	uint64_t gap;

	if (p->hot && !asleep) {
		p->hits++;
		return p->looks;
	}
	if (p->hot)
		cool_down(p);
	gap = now - p->answered;
	if (p->alone || !p->answered ||
	    gap >= (inside ? CLOSE_INSIDE : CLOSE)) {
		p->streak = 0;
		return 0;
	}
	p->gap += ((int64_t)gap - p->gap) / 4;
	if (gap < p->gap)
		gap = p->gap;
	if (p->streak++ < p->need)
		return 0;
	p->hot = true;
	/* as they are, they may stay on one CPU for ever */
	p->apart = p->need > 0;
	p->vain = false;
	p->hits = 0;
	p->looks = lesser((2 * gap + EXTRA) / DUNE_CH_LOOK, UINT8_MAX);
	return p->looks;
}

uint32_t dune_pace_look(struct dune_pace *p, bool woken)
{
	struct dune_look *l = &p->look[woken];
	uint32_t extra = woken ? EXTRA_WOKEN : EXTRA;

	if (p->alone || l->wait > WAIT_MAX)
		return 0;
	if (l->skip) {
		l->skip--;
		return 0;
	}
	return lesser(2 * l->wait + extra, WAIT_MAX);
}

void dune_pace_quick(struct dune_pace *p, bool woken)
{
	struct dune_look *l = &p->look[woken];

	l->wait -= l->wait / 8;
	l->step = 0;
	p->vain = false;
}

void dune_pace_waited(struct dune_pace *p, bool woken, uint64_t ns,
		      uint32_t looked, bool slept)
{
	struct dune_look *l = &p->look[woken];

	l->wait += ((int64_t)lesser(ns, 4 * WAIT_MAX) - l->wait) / 4;
	if (!looked)
		return;
	l->step = slept ? lesser(2 * l->step + 1, SKIP_MAX) : 0;
	l->skip = l->step;
	if (slept && p->hot && p->vain)
		cool_down(p);
	p->vain = slept;
}
