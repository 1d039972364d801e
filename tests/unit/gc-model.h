/*
 * A random program for apps/gc and a model of it in ordinary memory. The model
 * says what every object holds; check() compares. Shared by the unit tests
 * and the programs of tests/dune.
 *
 * An object is an array of pairs: a number that says which object, and which
 * pair of it, this is; and a pointer. So one type serves for all sizes, and
 * any word of an object tells where it was copied from.
 */
#ifndef GC_MODEL_H
#define GC_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/gc/gc.h"

#define MODEL_ROOTS	32u
#define MODEL_NODES	4096u	/* at once; number 0 is NULL */

struct pair {
	uint64_t what;
	struct pair *to;
};

struct node {
	uint64_t n;		/* pairs; 0: not in use */
	uint32_t *to;		/* numbers of nodes */
	struct pair *at;	/* while it is checked: another thread may
				 * collect meanwhile, so it is a root */
	uint64_t seen;
};
#define NODE_AT		(1ul << offsetof(struct node, at) / 8)

struct model {
	struct pair *root[MODEL_ROOTS];	/* a root range of the collector's */
	uint32_t shadow[MODEL_ROOTS];
	struct node node[MODEL_NODES];
	uint32_t todo[MODEL_NODES];
	uint64_t random;
	uint64_t salt;
	int type;
	long checked;
	long compact;		/* while checking, each so many pairs; 0: never.
				 * Not with GC_PRECISE_STACKS. */
	const char *wrong;	/* NULL: all is well */
};

static uint64_t model_random(struct model *m, uint64_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (m->random >> 11) % below;
}

static uint64_t model_what(const struct model *m, uint32_t node, uint32_t i)
{
	/* Odd, and far from any address. */
	return ((m->salt << 48) ^ ((uint64_t)node << 24 ^ i) << 1) | 1;
}

/* -errno, or 0. seed and salt tell models of one process apart. */
static int model_begin(struct model *m, uint64_t seed, int type)
{
	memset(m, 0, sizeof(*m));
	m->random = seed * 0x9e3779b97f4a7c15ul + 1;
	m->salt = 0x4000 + seed % 0x4000;
	m->type = type;
	return gc_root_add(m->root, MODEL_ROOTS, gc_type(8, 1)) ?:
	       gc_root_add(m->node, MODEL_NODES * sizeof(*m->node) / 8,
			   gc_type(sizeof(*m->node), NODE_AT));
}

static void model_end(struct model *m)
{
	unsigned int i;

	gc_root_remove(m->root);
	gc_root_remove(m->node);
	for (i = 0; i < MODEL_NODES; i++)
		free(m->node[i].to);
}

/* What was not seen is out of use; and objects may die again. */
static void model_forget(struct model *m)
{
	uint32_t i;

	for (i = 1; i < MODEL_NODES; i++) {
		if (!m->node[i].seen)
			m->node[i].n = 0;
		m->node[i].seen = false;
		m->node[i].at = NULL;
	}
}

/* Compares all that is reachable, and forgets the rest. */
static bool model_check(struct model *m)
{
	uint32_t depth = 0, i, n;

	for (i = 0; i < MODEL_ROOTS; i++) {
		n = m->shadow[i];
		if (!n != !m->root[i])
			m->wrong = "root";
		if (!n || m->wrong)
			continue;
		m->node[n].at = m->root[i];
		if (!m->node[n].seen)
			m->todo[depth++] = n;
		m->node[n].seen = true;
	}
	while (depth && !m->wrong) {
		struct node *node;
		struct pair *p;

		n = m->todo[--depth];
		node = &m->node[n];
		p = node->at;
		if (gc_size(p) < node->n * sizeof(*p))
			m->wrong = "size";
		for (i = 0; i < node->n && !m->wrong; i++) {
			struct node *to = &m->node[node->to[i]];

			m->checked++;
			if (m->compact && m->checked % m->compact == 0)
				gc_collect(GC_COMPACT);
			if (p[i].what != model_what(m, n, i))
				m->wrong = "contents";
			else if (!p[i].to != !node->to[i])
				m->wrong = "pointer lost or made up";
			if (!p[i].to || m->wrong)
				continue;
			if (!to->seen) {
				to->at = p[i].to;
				to->seen = true;
				m->todo[depth++] = node->to[i];
			} else if (to->at != p[i].to) {
				m->wrong = "one object in two places";
			}
		}
	}
	if (!m->wrong)
		model_forget(m);
	return !m->wrong;
}

/* Somewhere random: from a root, a few steps on. False: nothing there. */
static bool model_walk(struct model *m, uint32_t *n, struct pair **p)
{
	uint32_t i = model_random(m, MODEL_ROOTS), steps = model_random(m, 12);

	*n = m->shadow[i];
	*p = m->root[i];
	if (!*n)
		return false;
	while (steps--) {
		i = model_random(m, m->node[*n].n);
		if (!m->node[*n].to[i])
			continue;
		*p = (*p)[i].to;
		*n = m->node[*n].to[i];
	}
	return true;
}

/* Most objects are small, some are medium, a few have blocks of their own. */
static uint32_t model_size(struct model *m)
{
	uint32_t r = model_random(m, 1000);

	if (r < 900)
		return 1 + model_random(m, 6);
	if (r < 995)
		return 1 + model_random(m, 200);
	return 1 + model_random(m, 6000);
}

/* False: the number of nodes, or the heap, is used up. */
static bool model_new(struct model *m)
{
	uint32_t n = model_size(m), i, at, where = 0;
	struct pair *p, *into;

	for (i = 1; i < MODEL_NODES && m->node[i].n; i++)
		;
	if (i == MODEL_NODES)
		return false;
	p = gc_alloc(model_random(m, 50) ? m->type : GC_AMBIGUOUS,
		     n * sizeof(*p));
	if (!p)
		return false;
	m->node[i].n = n;
	m->node[i].to = realloc(m->node[i].to, n * sizeof(uint32_t));
	memset(m->node[i].to, 0, n * sizeof(uint32_t));
	for (at = 0; at < n; at++) {
		if (p[at].what || p[at].to)
			m->wrong = "new object is not zero";
		p[at].what = model_what(m, i, at);
	}
	if (model_random(m, 4) && model_walk(m, &where, &into)) {
		at = model_random(m, m->node[where].n);
		into[at].to = p;
		m->node[where].to[at] = i;
	} else {
		at = model_random(m, MODEL_ROOTS);
		m->root[at] = p;
		m->shadow[at] = i;
	}
	return true;
}

/* One step: makes, links, cuts, or only makes garbage. */
static void model_step(struct model *m)
{
	uint32_t a, b, i;
	struct pair *p, *q;

	switch (model_random(m, 8)) {
	case 0: case 1: case 2:
		if (!model_new(m))
			model_check(m);
		break;
	case 3: case 4:
		if (!model_walk(m, &a, &p) || !model_walk(m, &b, &q))
			break;
		i = model_random(m, m->node[a].n);
		p[i].to = q;
		m->node[a].to[i] = b;
		break;
	case 5:
		if (!model_walk(m, &a, &p))
			break;
		i = model_random(m, m->node[a].n);
		p[i].to = NULL;
		m->node[a].to[i] = 0;
		break;
	case 6:
		if (model_random(m, 200))
			break;
		i = model_random(m, MODEL_ROOTS);
		m->root[i] = NULL;
		m->shadow[i] = 0;
		break;
	default:
		gc_alloc(GC_LEAF, model_random(m, 300));
	}
}

/* Many of them; checks each so many. */
static bool model_run(struct model *m, long steps, long every)
{
	long i;

	for (i = 0; i < steps && !m->wrong; i++) {
		model_step(m);
		if (i % every == every - 1)
			model_check(m);
	}
	return !m->wrong && model_check(m);
}

#endif
