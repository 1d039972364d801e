/*
 * Weak references of apps/gc: they follow an object that lives, are NULL when
 * it has died and not before, over every kind of collection; what they gave
 * while marking runs lives; finalizers come after them. Shared by
 * tests/unit/gc-weak.c (over Linux) and tests/dune/prog/collector.c. All want a
 * heap with GC_PRECISE_STACKS, and return what is wrong, or NULL.
 */
#ifndef GC_WEAK_H
#define GC_WEAK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include "apps/gc/gc.h"

#define WEAK_WRONG(what) do { if (what) return #what; } while (0)

struct ball {
	struct ball *to;
	uint64_t id;
};

static struct ball *weak_root[2];
static struct gc_weak weak[4];
static int weak_type;

/* One that nothing points to but weak[n]. */
static int weak_make(unsigned int n, uint64_t id)
{
	struct ball *b = gc_alloc(weak_type, sizeof(*b));

	b->id = id;
	return gc_weak_set(&weak[n], b);
}

static bool weak_is(unsigned int n, uint64_t id)
{
	const struct ball *b = gc_weak_get(&weak[n]);

	return b ? b->id == id : !id;
}

/* GC_BEGIN: and what ends it. */
static int weak_collect(enum gc_kind kind)
{
	return gc_collect(kind) ?:
	       kind == GC_BEGIN ? gc_collect(GC_MINOR) : 0;
}

/* Garbage around it, so that it moves and its place is used again. */
static void weak_litter(void)
{
	int i;

	for (i = 0; i < 2000; i++)
		gc_alloc(GC_LEAF, 48);
}

static const char *weak_by(enum gc_kind kind)
{
	weak_litter();
	WEAK_WRONG(weak_make(0, 1) || weak_make(1, 2) || weak_make(2, 3));
	weak_root[0] = gc_weak_get(&weak[0]);
	weak_root[0]->to = gc_weak_get(&weak[1]);
	weak_litter();
	WEAK_WRONG(weak_collect(kind));
	weak_litter();
	/* Reached from a root; from an object; from nowhere. */
	WEAK_WRONG(!weak_is(0, 1) || !weak_is(1, 2) || !weak_is(2, 0));
	WEAK_WRONG(gc_weak_get(&weak[0]) != weak_root[0]);
	WEAK_WRONG(gc_weak_get(&weak[1]) != weak_root[0]->to);
	/* Old ones; and an old one's place taken by a new one. */
	WEAK_WRONG(weak_make(2, 4) || gc_weak_set(&weak[1], NULL));
	WEAK_WRONG(weak_make(0, 5) || weak_collect(kind));
	WEAK_WRONG(!weak_is(0, 0) || !weak_is(1, 0) || !weak_is(2, 0));
	WEAK_WRONG(gc_weak_set(&weak[0], weak_root[0]));
	WEAK_WRONG(gc_weak_set(&weak[1], weak_root[0]));
	weak_root[0] = NULL;
	WEAK_WRONG(gc_collect(GC_COMPACT));
	WEAK_WRONG(!weak_is(0, 0) || !weak_is(1, 0));
	return NULL;
}

/* Only a weak one knew of it when marking began. */
static const char *weak_while_marking(bool ask)
{
	WEAK_WRONG(weak_make(0, 6) || gc_collect(GC_BEGIN));
	if (ask)
		weak_root[0] = gc_weak_get(&weak[0]);
	WEAK_WRONG(weak_make(1, 7) || gc_collect(GC_MINOR));
	weak_litter();
	WEAK_WRONG(!weak_is(0, ask ? 6 : 0));
	WEAK_WRONG(ask && weak_root[0]->id != 6);
	/* Made while marking ran: dead now. */
	WEAK_WRONG(gc_collect(GC_FULL) || !weak_is(1, 0));
	weak_root[0] = NULL;
	WEAK_WRONG(gc_collect(GC_FULL) || !weak_is(0, 0));
	return NULL;
}

static void weak_again(void *object, void *arg)
{
	*(bool *)arg = weak_is(0, 0) && weak_is(1, 0);
	weak_root[0] = object;
}

static const char *weak_and_finalizers(void)
{
	struct ball *b;
	bool were_null = false;

	WEAK_WRONG(weak_make(0, 8) || weak_make(1, 9));
	b = gc_weak_get(&weak[0]);
	b->to = gc_weak_get(&weak[1]);
	WEAK_WRONG(gc_finalize(b, weak_again, &were_null));
	b = NULL;
	WEAK_WRONG(gc_collect(GC_FULL));
	WEAK_WRONG(gc_run_finalizers() != 1 || !were_null);
	/* It lives again; and may have new ones. */
	WEAK_WRONG(weak_root[0]->id != 8 || weak_root[0]->to->id != 9);
	WEAK_WRONG(!weak_is(0, 0) || gc_weak_set(&weak[0], weak_root[0]));
	WEAK_WRONG(gc_collect(GC_COMPACT) || !weak_is(0, 8));
	weak_root[0] = NULL;
	WEAK_WRONG(gc_collect(GC_FULL) || !weak_is(0, 0));
	return NULL;
}

/* Up to the last one there is room for. heap_max is 4 MiB or more. */
static const char *weak_used_up(void)
{
	struct gc_weak *many = calloc(1 << 18, sizeof(*many));
	long n, i;

	weak_root[0] = gc_alloc(weak_type, sizeof(struct ball));
	for (n = 0; n < 1 << 18; n++)
		if (gc_weak_set(&many[n], weak_root[0]))
			break;
	WEAK_WRONG(n < 8192 || n == 1 << 18 || gc_weak_get(&many[n]));
	WEAK_WRONG(gc_weak_set(&many[n], weak_root[0]) != -ENOSPC);
	/* Every third goes, of old ones and new ones. */
	WEAK_WRONG(gc_collect(GC_MINOR));
	for (i = 0; i < n; i += 3)
		WEAK_WRONG(gc_weak_set(&many[i], NULL));
	for (i = 0; i < n; i += 3)
		WEAK_WRONG(gc_weak_set(&many[i], weak_root[0]));
	for (i = 1; i < n; i += 3)
		WEAK_WRONG(gc_weak_set(&many[i], NULL));
	WEAK_WRONG(gc_collect(GC_COMPACT));
	for (i = 0; i < n; i++)
		WEAK_WRONG(gc_weak_get(&many[i]) !=
			   (i % 3 == 1 ? NULL : weak_root[0]));
	weak_root[0] = NULL;
	WEAK_WRONG(gc_collect(GC_FULL));
	for (i = 0; i < n; i++)
		WEAK_WRONG(gc_weak_get(&many[i]));
	free(many);
	return NULL;
}

/* steps: os can mark in steps. */
static const char *weak_all(bool steps)
{
	const char *wrong = NULL;
	int kind;

	gc_root_add(weak_root, 2, gc_type(8, 1));
	weak_type = gc_type(sizeof(struct ball), 1);
	for (kind = GC_MINOR; kind <= GC_BEGIN && !wrong; kind++)
		if (kind != GC_BEGIN || steps)
			wrong = weak_by(kind);
	if (steps) {
		wrong = wrong ?: weak_while_marking(false);
		wrong = wrong ?: weak_while_marking(true);
	}
	wrong = wrong ?: weak_and_finalizers();
	wrong = wrong ?: weak_used_up();
	gc_root_remove(weak_root);
	return wrong;
}

/* ---- many, at random, in several threads ---- */

#define WEAK_SLOTS	32u

struct weak_many {
	struct ball *slot[WEAK_SLOTS];	/* roots */
	struct gc_weak weak[WEAK_SLOTS];
	uint64_t id[WEAK_SLOTS];	/* what weak[i] was set to */
	uint64_t random;
};

/* Slot i: made, dropped, or taken back if it is still there. */
static const char *weak_step(struct weak_many *m, uint64_t id)
{
	unsigned int i;
	struct ball *b;

	m->random = m->random * 6364136223846793005ul + 1442695040888963407ul;
	i = (m->random >> 40) % WEAK_SLOTS;
	b = gc_weak_get(&m->weak[i]);
	WEAK_WRONG(m->slot[i] && b != m->slot[i]);
	WEAK_WRONG(b && b->id != m->id[i]);
	switch ((m->random >> 50) % 4) {
	case 0:
		m->slot[i] = NULL;
		break;
	case 1:
		m->slot[i] = b;
		break;
	default:
		b = gc_alloc(weak_type, sizeof(*b));
		b->id = id;
		m->id[i] = id;
		m->slot[i] = b;
		WEAK_WRONG(gc_weak_set(&m->weak[i], b));
	}
	gc_alloc(GC_LEAF, m->random >> 40 & 511);
	return NULL;
}

/* Ends with no weak reference of m set. weak_type is there. */
static const char *weak_run(struct weak_many *m, uint64_t steps)
{
	const char *wrong = NULL;
	uint64_t id;

	gc_root_add(m->slot, WEAK_SLOTS, gc_type(8, 1));
	for (id = 1; id <= steps && !wrong; id++)
		wrong = weak_step(m, id);
	for (id = 0; id < WEAK_SLOTS; id++)
		gc_weak_set(&m->weak[id], NULL);
	gc_root_remove(m->slot);
	return wrong;
}

#endif
