/* The transfer heap's allocator: first fit by size class, neighbours joined. */
#include "libdune/sandbox/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GRAIN 16ul

static unsigned int class_of(uint64_t size)
{
	unsigned int c = 63 - __builtin_clzl(size);

	return c < DUNE_HEAP_CLASSES ? c : DUNE_HEAP_CLASSES - 1;
}

static struct dune_piece **bucket_of(struct dune_heap *h, uint64_t at)
{
	return &h->bucket[at / GRAIN * 2654435761u / 7 % DUNE_HEAP_BUCKETS];
}

static void add_free(struct dune_heap *h, struct dune_piece *p)
{
	struct dune_piece **head = &h->free[class_of(p->size)];

	p->used = 0;
	p->fprev = NULL;
	p->fnext = *head;
	if (*head)
		(*head)->fprev = p;
	*head = p;
}

static void take_free(struct dune_heap *h, struct dune_piece *p)
{
	if (p->fprev)
		p->fprev->fnext = p->fnext;
	else
		h->free[class_of(p->size)] = p->fnext;
	if (p->fnext)
		p->fnext->fprev = p->fprev;
}

static void add_used(struct dune_heap *h, struct dune_piece *p)
{
	struct dune_piece **b = bucket_of(h, p->at);

	p->used = 1;
	p->hash = *b;
	*b = p;
	if (p->at + p->size > h->high)
		h->high = p->at + p->size;
}

int dune_heap_init(struct dune_heap *h, uint64_t size)
{
	struct dune_piece *p = calloc(1, sizeof(*p));

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	if (!p)
		return -ENOMEM;
	p->size = h->size = size & ~(GRAIN - 1);
	h->first = p;
	add_free(h, p);
	return 0;
}

void dune_heap_done(struct dune_heap *h)
{
	struct dune_piece *p, *next;

	for (p = h->first; p; p = next) {
		next = p->next;
		free(p);
	}
	h->first = NULL;
	pthread_mutex_destroy(&h->lock);
}

static struct dune_piece *find_free(struct dune_heap *h, uint64_t size)
{
	struct dune_piece *p;
	unsigned int c;

	for (c = class_of(size); c < DUNE_HEAP_CLASSES; c++)
		for (p = h->free[c]; p; p = p->fnext)
			if (p->size >= size)
				return p;
	return NULL;
}

/* Cuts p, which is in no list, after size bytes; the rest becomes free. */
static int cut(struct dune_heap *h, struct dune_piece *p, uint64_t size)
{
	struct dune_piece *rest;

	if (p->size == size)
		return 0;
	rest = calloc(1, sizeof(*rest));
	if (!rest)
		return -ENOMEM;
	rest->at = p->at + size;
	rest->size = p->size - size;
	rest->prev = p;
	rest->next = p->next;
	if (p->next)
		p->next->prev = rest;
	p->next = rest;
	p->size = size;
	add_free(h, rest);
	return 0;
}

int dune_heap_alloc(struct dune_heap *h, uint64_t size, uint64_t *at)
{
	struct dune_piece *p;
	int r = -ENOMEM;

	if (size > h->size)
		return -ENOMEM;
	size = size ? (size + GRAIN - 1) & ~(GRAIN - 1) : GRAIN;
	pthread_mutex_lock(&h->lock);
	p = find_free(h, size);
	if (p) {
		take_free(h, p);
		r = cut(h, p, size);
		if (r)
			add_free(h, p);
		else
			add_used(h, p);
		*at = p->at;
	}
	pthread_mutex_unlock(&h->lock);
	return r;
}

/* p swallows the piece behind it, which is in no list. */
static void join(struct dune_piece *p)
{
	struct dune_piece *n = p->next;

	p->size += n->size;
	p->next = n->next;
	if (n->next)
		n->next->prev = p;
	free(n);
}

int dune_heap_free(struct dune_heap *h, uint64_t at)
{
	struct dune_piece **b, *p;

	pthread_mutex_lock(&h->lock);
	for (b = bucket_of(h, at); *b && (*b)->at != at; b = &(*b)->hash)
		;
	p = *b;
	if (p) {
		*b = p->hash;
		if (p->next && !p->next->used) {
			take_free(h, p->next);
			join(p);
		}
		if (p->prev && !p->prev->used) {
			p = p->prev;
			take_free(h, p);
			join(p);
		}
		add_free(h, p);
	}
	pthread_mutex_unlock(&h->lock);
	return p ? 0 : -EINVAL;
}

/* Empty, and without the one free piece of all; pieces are appended. */
static void clear(struct dune_heap *h)
{
	free(h->first);
	memset(h->free, 0, sizeof(h->free));
	h->first = NULL;
}

/* Behind `last` (NULL: there is none); what was appended, or NULL. */
static struct dune_piece *append(struct dune_heap *h, struct dune_piece *last,
				 uint64_t size, int used)
{
	struct dune_piece *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->at = last ? last->at + last->size : 0;
	p->size = size;
	p->prev = last;
	if (last)
		last->next = p;
	else
		h->first = p;
	if (used)
		add_used(h, p);
	else
		add_free(h, p);
	return p;
}

int dune_heap_copy(struct dune_heap *h, struct dune_heap *from)
{
	struct dune_piece *p, *last = NULL;
	int r = 0;

	clear(h);
	pthread_mutex_lock(&from->lock);
	for (p = from->first; !r && p; p = p->next) {
		last = append(h, last, p->size, p->used);
		r = last ? 0 : -ENOMEM;
	}
	h->high = from->high;
	pthread_mutex_unlock(&from->lock);
	return r;
}

size_t dune_heap_list(struct dune_heap *h, uint64_t *v, size_t max)
{
	struct dune_piece *p;
	size_t n = 0;

	pthread_mutex_lock(&h->lock);
	for (p = h->first; p; p = p->next, n++)
		if (n < max)
			v[n] = p->size | (p->used ? DUNE_HEAP_USED : 0);
	pthread_mutex_unlock(&h->lock);
	return n;
}

int dune_heap_unlist(struct dune_heap *h, const uint64_t *v, size_t n)
{
	struct dune_piece *last = NULL;
	size_t i;

	clear(h);
	for (i = 0; i < n; i++) {
		last = append(h, last, v[i] & ~DUNE_HEAP_USED,
			      v[i] & DUNE_HEAP_USED);
		if (!last)
			return -ENOMEM;
	}
	return 0;
}
