/*
 * An allocator of offsets: which parts of the transfer heap are in use. Its
 * data is the host's; nothing of it lies in memory that the guest can write.
 */
#ifndef DUNE_SANDBOX_HEAP_H
#define DUNE_SANDBOX_HEAP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* A piece, free or in use; pieces are in order and leave no gaps. */
struct dune_piece {
	uint64_t at, size;
	struct dune_piece *prev, *next;		/* by address */
	struct dune_piece *hash;		/* in use: by address */
	struct dune_piece *fprev, *fnext;	/* free: of its size class */
	int used;
};

#define DUNE_HEAP_CLASSES 48
#define DUNE_HEAP_BUCKETS 1024

struct dune_heap {
	pthread_mutex_t lock;
	uint64_t size;			/* bytes, a multiple of 16 */
	uint64_t high;			/* none in use at or above it, ever */
	struct dune_piece *first;
	struct dune_piece *bucket[DUNE_HEAP_BUCKETS];
	struct dune_piece *free[DUNE_HEAP_CLASSES];
};

/* Thread-safe, but for init and done. 0 or -ENOMEM. */
int dune_heap_init(struct dune_heap *h, uint64_t size);
void dune_heap_done(struct dune_heap *h);
/* 16-byte aligned. -ENOMEM. */
int dune_heap_alloc(struct dune_heap *h, uint64_t size, uint64_t *at);
/* -EINVAL when at is not in use. */
int dune_heap_free(struct dune_heap *h, uint64_t at);
/* h is empty: makes it like `from`. */
int dune_heap_copy(struct dune_heap *h, struct dune_heap *from);

/*
 * Sizes of all pieces in order, with DUNE_HEAP_USED in those that are in use:
 * up to max of them into v; how many there are.
 */
#define DUNE_HEAP_USED 1ul
size_t dune_heap_list(struct dune_heap *h, uint64_t *v, size_t max);
/*
 * h is empty: makes it of a list whose sizes are multiples of 16 and add up to
 * h's size. -ENOMEM.
 */
int dune_heap_unlist(struct dune_heap *h, const uint64_t *v, size_t n);

#endif
