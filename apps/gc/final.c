/*
 * Finalizers: an object that nothing reaches any more is kept for one call of a
 * function, made when the program asks for it. Two tables beside the heap: what
 * has been set, which keeps nothing alive, and what is due, whose objects are
 * roots.
 */
#include "apps/gc/heap.h"

#include <errno.h>
#include <string.h>

/* ---- in a collection; the world is stopped ---- */

/* Room for n more at the end. There is: due and set ones fit together. */
static void make_room(size_t n)
{
	size_t left = gc.due_end - gc.due_next;

	if (gc.due_end + n <= gc.finals_max)
		return;
	memmove(gc.due, gc.due + gc.due_next, left * sizeof(*gc.due));
	gc.due_next = 0;
	gc.due_end = left;
}

void gc_find_due(bool young)
{
	size_t from = young ? gc.finals_old : 0, i, kept = from, first;

	make_room(gc.finals - from);
	first = gc.due_end;
	for (i = gc.finals; i-- > from; )
		if (!gc_alive(gc.final[i].object))
			gc.due[gc.due_end++] = gc.final[i];
	for (i = from; i < gc.finals; i++)
		if (gc_alive(gc.final[i].object))
			gc.final[kept++] = gc.final[i];
	gc.finals = gc.finals_old = kept;
	/* Not before all are found: one may reach another. */
	for (i = first; i < gc.due_end; i++)
		gc_mark(gc_object_of(gc.due[i].object));
	gc_trace(~0ul);
}

void gc_each_final(bool due, void (*fn)(uintptr_t *object))
{
	size_t i;

	for (i = gc.due_next; i < gc.due_end; i++)
		fn((uintptr_t *)&gc.due[i].object);
	for (i = 0; i < gc.finals && !due; i++)
		fn((uintptr_t *)&gc.final[i].object);
}

/* ---- for programs ---- */

struct set {
	struct gc_final final;
	struct gc_frame frame;	/* its object may move while we wait */
	int r;
};

static void set(void *arg)
{
	struct set *s = arg;
	size_t due = gc.due_end - gc.due_next;

	s->r = -ENOSPC;
	if (gc.finals + due >= gc.finals_max)
		return;
	gc.final[gc.finals++] = s->final;
	s->r = 0;
}

int gc_finalize(void *object, gc_finalizer *fn, void *arg)
{
	struct set s = { .final = { object, fn, arg } };

	if (!object || !fn)
		return -EINVAL;
	s.frame = (struct gc_frame){ .slots = &s.final.object, .n = 1 };
	gc_push(&s.frame);
	gc_inside(set, &s);
	gc_pop(&s.frame);
	return s.r;
}

static void next(void *arg)
{
	struct gc_final *f = arg;

	/* Not to be found on this stack any longer. */
	*f = (struct gc_final){ NULL, NULL, NULL };
	if (gc.due_next < gc.due_end)
		*f = gc.due[gc.due_next++];
}

long gc_run_finalizers(void)
{
	struct gc_final f;
	long n;

	for (n = 0; ; n++) {
		gc_inside(next, &f);
		if (!f.fn)
			return n;
		f.fn(f.object, f.arg);
	}
}
