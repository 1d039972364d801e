/*
 * A thread that meets a barrier of incremental marking stands while others
 * collect, wherever it is: what it has in registers alone then is live, with
 * GC_PRECISE_STACKS as well. Shared by tests/unit/gc-heap.c and
 * tests/dune/prog/collector.c. Wants a heap with GC_INCREMENTAL, and in whose
 * options `paused` is barrier_paused.
 */
#ifndef GC_BARRIER_H
#define GC_BARRIER_H

#include <pthread.h>
#include <sched.h>
#include "apps/gc/heap.h"

struct cell {
	struct cell *to;
	uint64_t number;
};

static struct cell *barrier_list, *barrier_old;
static int barrier_type;
static int barrier_ready, barrier_go;	/* 0, 1 */

static void barrier_set(int *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
}

static void barrier_wait(int *flag)
{
	while (!__atomic_load_n(flag, __ATOMIC_SEQ_CST))
		sched_yield();
}

/* The new object is nowhere but here until the store into the old one. */
static void *barrier_thread(void *arg)
{
	struct cell *c;

	if (gc_thread_enter())
		return NULL;
	c = gc_alloc(barrier_type, sizeof(*c));
	c->number = 17;
	barrier_set(&barrier_ready);
	barrier_wait(&barrier_go);
	barrier_old->to = c;
	gc_thread_leave();
	return arg;
}

static bool barrier_met(void)
{
	const struct gc_thread *t;

	for (t = gc.threads; t; t = t->next)
		if (t != gc_self && t->state == GC_INSIDE)
			return true;
	return false;
}

/* In a step of the main thread's, with the lock: the other one runs on into the
 * barrier, and has to wait there for a whole collection. */
static void barrier_paused(enum gc_kind kind, uint64_t ns)
{
	(void)ns;
	if (kind != GC_STEP || !barrier_ready || barrier_go)
		return;
	barrier_set(&barrier_go);
	while (!barrier_met())
		sched_yield();
	gc_run(GC_COMPACT);
	gc_run(GC_MINOR);
}

/* What is wrong, or NULL. */
static const char *barrier_test(void)
{
	pthread_t t;
	void *done = NULL;
	int i;

	barrier_list = barrier_old = NULL;
	barrier_ready = barrier_go = 0;
	barrier_type = gc_type(sizeof(struct cell), 1);
	if (gc_root_add(&barrier_list, 1, gc_type(8, 1)) ||
	    gc_root_add(&barrier_old, 1, gc_type(8, 1)))
		return "no roots";
	barrier_old = gc_alloc(barrier_type, sizeof(struct cell));
	/* Enough to need many steps. */
	for (i = 0; i < 40000; i++) {
		struct cell *c = gc_alloc(barrier_type, sizeof(*c));

		c->to = barrier_list;
		barrier_list = c;
	}
	if (gc_collect(GC_FULL) || gc_collect(GC_BEGIN))
		return "no marking";
	if (pthread_create(&t, NULL, barrier_thread, &done))
		return "no thread";
	barrier_wait(&barrier_ready);
	while (!barrier_go)
		gc_alloc(GC_LEAF, 1000);
	gc_blocking_begin();
	pthread_join(t, &done);
	gc_blocking_end();
	for (i = 0; i < 40000; i++)
		gc_alloc(GC_LEAF, 16);
	gc_collect(GC_FULL);
	if (!done || !barrier_old->to || barrier_old->to->number != 17)
		return "what a thread had in a barrier is lost";
	gc_root_remove(&barrier_list);
	gc_root_remove(&barrier_old);
	return NULL;
}

#endif
