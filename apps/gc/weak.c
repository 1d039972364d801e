/*
 * Weak references: words of the program's that do not keep what they point to,
 * and are NULL when it has died. The table beside the heap says where they are:
 * first those that have survived a collection, whose objects no minor one can
 * find dead.
 */
#include "apps/gc/heap.h"

#include <errno.h>

/* ---- in a collection; the world is stopped ---- */

void gc_clear_weak(bool young)
{
	size_t i = young ? gc.weaks_old : 0, kept = i;

	for (; i < gc.weaks; i++) {
		struct gc_weak *w = gc.weak[i];

		if (!gc_alive(w->object)) {
			w->object = NULL;
			continue;
		}
		w->place = kept;
		gc.weak[kept++] = w;
	}
	gc.weaks = gc.weaks_old = kept;
}

void gc_each_weak(void (*fn)(uintptr_t *object))
{
	size_t i;

	for (i = 0; i < gc.weaks; i++)
		fn((uintptr_t *)&gc.weak[i]->object);
}

/* ---- for programs ---- */

static void put(struct gc_weak *w, size_t place)
{
	gc.weak[place] = w;
	w->place = place;
}

/* The last old one takes an old one's place, and the last of all its place. */
static void drop(struct gc_weak *w)
{
	size_t hole = w->place;

	if (hole < gc.weaks_old) {
		put(gc.weak[--gc.weaks_old], hole);
		hole = gc.weaks_old;
	}
	if (hole < --gc.weaks)
		put(gc.weak[gc.weaks], hole);
	w->object = NULL;
}

struct set {
	struct gc_weak *weak;
	void *object;
	struct gc_frame frame;	/* it may move, or die, while we wait */
	int r;
};

static void set(void *arg)
{
	struct set *s = arg;

	if (s->weak->object)
		drop(s->weak);
	if (!s->object)
		return;
	s->r = -ENOSPC;
	if (gc.weaks == gc.finals_max)
		return;
	s->weak->object = s->object;
	put(s->weak, gc.weaks++);
	s->r = 0;
}

int gc_weak_set(struct gc_weak *weak, void *object)
{
	struct set s = { .weak = weak, .object = object };

	s.frame = (struct gc_frame){ .slots = &s.object, .n = 1 };
	gc_push(&s.frame);
	gc_inside(set, &s);
	gc_pop(&s.frame);
	return s.r;
}

struct get {
	const struct gc_weak *weak;
	void *object;
};

/* Marking in steps is about what was reachable, and this may not have been. */
static void get(void *arg)
{
	struct get *g = arg;

	g->object = g->weak->object;
	if (g->object && gc.marking)
		gc_mark(gc_object_of(g->object));
}

void *gc_weak_get(const struct gc_weak *weak)
{
	struct get g = { .weak = weak };

	gc_inside(get, &g);
	return g.object;
}
