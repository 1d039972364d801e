/*
 * Finalizers of apps/gc: each is called once, when its object is dead and not
 * before, in order, with the object and all it reaches whole; over moving, over
 * every kind of collection, in several threads. Shared by tests/unit/gc-final.c
 * (over Linux) and tests/dune/prog/collector.c. All functions want a heap with
 * GC_PRECISE_STACKS, so that what is dead is known; they return what is wrong,
 * or NULL.
 */
#ifndef GC_FINAL_H
#define GC_FINAL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include "apps/gc/gc.h"

#define FINAL_WRONG(what) do { if (what) return #what; } while (0)

struct thing {
	struct thing *to;
	uint64_t id;
};

static struct thing *final_root[4];
static uint64_t final_order[16];
static unsigned int final_n;

/* What it reaches is there as well: its id is one more. */
static void final_note(void *object, void *arg)
{
	const struct thing *t = object;
	uint64_t id = (uintptr_t)arg;

	if (t->id != id / 10 || (t->to && t->to->id != t->id + 1))
		id = 0;
	final_order[final_n++ % 16] = id;
}

static struct thing *final_make(int type, uint64_t id)
{
	struct thing *t = gc_alloc(type, sizeof(*t));

	t->id = id;
	return t;
}

static bool final_came(unsigned int n, const uint64_t *want)
{
	unsigned int i;

	for (i = 0; i < n && final_order[i] == want[i]; i++)
		;
	return final_n == n && i == n;
}

/* After a collection of a kind; GC_BEGIN: and the steps to its end. */
static const char *final_by(enum gc_kind kind, int type)
{
	static const uint64_t first[] = { 11, 10, 20 }, then[] = { 30 };
	const long before = gc_run_finalizers();
	int i;

	final_n = 0;
	final_root[0] = final_make(type, 1);
	final_root[1] = final_make(type, 2);
	final_root[2] = final_make(type, 3);
	final_root[0]->to = final_root[1];
	FINAL_WRONG(before != 0);
	FINAL_WRONG(gc_finalize(final_root[1], final_note, (void *)20));
	FINAL_WRONG(gc_finalize(final_root[0], final_note, (void *)10));
	FINAL_WRONG(gc_finalize(final_root[2], final_note, (void *)30));
	FINAL_WRONG(gc_finalize(final_root[0], final_note, (void *)11));
	final_root[0] = final_root[1] = NULL;
	FINAL_WRONG(gc_collect(kind));
	if (kind == GC_BEGIN)
		FINAL_WRONG(gc_collect(GC_MINOR));
	/* They wait for us, over anything. */
	FINAL_WRONG(gc_collect(GC_COMPACT) || gc_collect(GC_MINOR));
	for (i = 0; i < 1000; i++)
		gc_alloc(GC_LEAF, 32);
	FINAL_WRONG(final_n != 0);
	FINAL_WRONG(gc_run_finalizers() != 3);
	FINAL_WRONG(!final_came(3, first));
	FINAL_WRONG(gc_collect(GC_FULL) || gc_run_finalizers() != 0);
	final_n = 0;
	final_root[2] = NULL;
	/* An old one: where there are minor collections, they do not see it. */
	FINAL_WRONG(gc_collect(GC_MINOR) || gc_collect(GC_FULL));
	FINAL_WRONG(gc_run_finalizers() != 1 || !final_came(1, then));
	return NULL;
}

/* What is made while marking runs in steps lives until the next collection. */
static const char *final_black(int type)
{
	static const uint64_t only[] = { 50 };

	final_n = 0;
	FINAL_WRONG(gc_collect(GC_BEGIN));
	final_root[0] = final_make(type, 5);
	FINAL_WRONG(gc_finalize(final_root[0], final_note, (void *)50));
	FINAL_WRONG(gc_collect(GC_MINOR) || gc_run_finalizers() != 0);
	final_root[0] = NULL;
	FINAL_WRONG(gc_collect(GC_FULL) || gc_run_finalizers() != 1);
	FINAL_WRONG(!final_came(1, only));
	return NULL;
}

static void final_again(void *object, void *arg)
{
	final_n++;
	final_root[3] = object;
	gc_finalize(object, final_note, arg);
}

/* It may live on, and have another. */
static const char *final_resurrected(int type)
{
	int i;

	final_n = 0;
	final_root[3] = final_make(type, 4);
	FINAL_WRONG(gc_finalize(final_root[3], final_again, (void *)40));
	final_root[3] = NULL;
	FINAL_WRONG(gc_collect(GC_MINOR) || gc_run_finalizers() != 1);
	for (i = 0; i < 1000; i++)
		gc_alloc(GC_LEAF, 32);
	FINAL_WRONG(gc_collect(GC_COMPACT) || gc_run_finalizers() != 0);
	FINAL_WRONG(!final_root[3] || final_root[3]->id != 4);
	final_root[3] = NULL;
	FINAL_WRONG(gc_collect(GC_FULL) || gc_run_finalizers() != 1);
	FINAL_WRONG(final_n != 2 || final_order[1] != 40);
	return NULL;
}

static void final_count(void *object, void *arg)
{
	(void)object;
	++*(long *)arg;
}

/* Up to the last one there is room for. */
static const char *final_used_up(int type)
{
	long set, called = 0;
	int r;

	final_root[0] = final_make(type, 6);
	FINAL_WRONG(gc_finalize(NULL, final_count, NULL) != -EINVAL);
	FINAL_WRONG(gc_finalize(final_root[0], NULL, NULL) != -EINVAL);
	for (set = 0; ; set++) {
		r = gc_finalize(final_root[0], final_count, &called);
		if (r)
			break;
	}
	FINAL_WRONG(r != -ENOSPC || set < 1000);
	final_root[0] = NULL;
	FINAL_WRONG(gc_collect(GC_FULL));
	final_root[0] = final_make(type, 6);
	/* Due ones need room, too. */
	r = gc_finalize(final_root[0], final_count, &called);
	FINAL_WRONG(r != -ENOSPC);
	FINAL_WRONG(gc_run_finalizers() != set || called != set);
	FINAL_WRONG(gc_finalize(final_root[0], final_count, &called));
	final_root[0] = NULL;
	FINAL_WRONG(gc_collect(GC_MINOR) || gc_run_finalizers() != 1);
	return NULL;
}

/* ---- many, made and dropped at random ---- */

#define FINAL_SLOTS	64u
#define FINAL_MANY	4096u	/* for each thread */

struct final_many {
	struct thing *slot[FINAL_SLOTS];	/* roots */
	uint8_t dead[FINAL_MANY], called[FINAL_MANY];
	uint64_t id, random;
	int type;
};

/* By whichever thread. */
static void final_one(void *object, void *arg)
{
	const struct thing *t = object;
	uint8_t *called = arg;

	__atomic_fetch_add(called, t->id == (uintptr_t)called ? 1 : 100,
			   __ATOMIC_RELAXED);
}

static void final_step(struct final_many *m)
{
	unsigned int i;
	struct thing *t;

	m->random = m->random * 6364136223846793005ul + 1442695040888963407ul;
	i = (m->random >> 40) % FINAL_SLOTS;
	if (m->slot[i])
		__atomic_store_n(&m->dead[(uint8_t *)m->slot[i]->id -
					  m->called], 1, __ATOMIC_SEQ_CST);
	m->slot[i] = NULL;
	t = gc_alloc(m->type, sizeof(*t));
	t->id = (uintptr_t)&m->called[m->id++];
	m->slot[i] = t;
	gc_finalize(t, final_one, (void *)t->id);
	gc_alloc(GC_LEAF, m->random >> 40 & 511);
	if ((m->random >> 50) % 64 == 0)
		gc_run_finalizers();
}

static void final_run(struct final_many *m, unsigned int n)
{
	gc_root_add(m->slot, FINAL_SLOTS, gc_type(8, 1));
	m->type = gc_type(sizeof(struct thing), 1);
	while (m->id < n && m->id < FINAL_MANY)
		final_step(m);
}

/* Those that live have not been called; when all are dead all have been. */
static const char *final_end(struct final_many *m)
{
	uint64_t i;

	FINAL_WRONG(gc_collect(GC_FULL));
	gc_run_finalizers();
	for (i = 0; i < m->id; i++)
		FINAL_WRONG(m->called[i] != m->dead[i]);
	for (i = 0; i < FINAL_SLOTS; i++)
		m->slot[i] = NULL;
	FINAL_WRONG(gc_collect(GC_FULL));
	gc_run_finalizers();
	for (i = 0; i < m->id; i++)
		FINAL_WRONG(m->called[i] != 1);
	FINAL_WRONG(gc_root_remove(m->slot));
	return NULL;
}

/* All but the many. steps: os can mark in steps. */
static const char *final_all(bool steps)
{
	int type, kind;
	const char *wrong = NULL;

	gc_root_add(final_root, 4, gc_type(8, 1));
	type = gc_type(sizeof(struct thing), 1);
	for (kind = GC_MINOR; kind <= GC_BEGIN && !wrong; kind++)
		if (kind != GC_BEGIN || steps)
			wrong = final_by(kind, type);
	if (!wrong && steps)
		wrong = final_black(type);
	wrong = wrong ?: final_resurrected(type);
	wrong = wrong ?: final_used_up(type);
	gc_root_remove(final_root);
	return wrong;
}

#endif
