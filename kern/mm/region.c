/*
 * The region tree, as a sorted array: lookups are binary searches, and a
 * program has hundreds of regions (Linux allows 65530), so that moving a tail
 * of 24-byte elements costs less than a tree's cache misses. It grows by
 * mmap, not malloc: Dune mode's host side runs inside the program's malloc.
 */
#include "kern/mm/region.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "dune/trap.h"

/* Linux keeps this much free below a mapping that grows downwards. */
#define STACK_GAP (256 * DUNE_PAGE_SIZE)

/* Three pages of them. */
#define FIRST_CAP 512

void dune_regions_init(struct dune_regions *rs)
{
	memset(rs, 0, sizeof(*rs));
}

void dune_regions_free(struct dune_regions *rs)
{
	if (rs->v)
		munmap(rs->v, rs->cap * sizeof(*rs->v));
	dune_regions_init(rs);
}

int dune_regions_reserve(struct dune_regions *rs, size_t extra)
{
	size_t cap = rs->cap ? rs->cap : FIRST_CAP;
	size_t size = sizeof(*rs->v);
	void *v;

	if (rs->cap - rs->n >= extra)
		return 0;
	while (cap - rs->n < extra)
		cap *= 2;
	if (rs->v)
		v = mremap(rs->v, rs->cap * size, cap * size, MREMAP_MAYMOVE);
	else
		v = mmap(NULL, cap * size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v == MAP_FAILED)
		return -ENOMEM;
	rs->v = v;
	rs->cap = cap;
	return 0;
}

/* Index of the first region with end > va. */
static size_t first(const struct dune_regions *rs, dune_gva_t va)
{
	size_t lo = 0, hi = rs->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs->v[mid].end > va)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Replaces elements [i, j) by the n of `with`. */
static int splice(struct dune_regions *rs, size_t i, size_t j,
		  const struct dune_region *with, size_t n)
{
	size_t k;

	if (n > j - i && dune_regions_reserve(rs, n - (j - i)))
		return -ENOMEM;
	for (k = i; k < j; k++)
		if (rs->v[k].flags & DUNE_R_COMMIT)
			rs->committed -= rs->v[k].end - rs->v[k].start;
	if (n != j - i)
		memmove(rs->v + i + n, rs->v + j,
			(rs->n - j) * sizeof(*rs->v));
	for (k = 0; k < n; k++) {
		rs->v[i + k] = with[k];
		if (with[k].flags & DUNE_R_COMMIT)
			rs->committed += with[k].end - with[k].start;
	}
	rs->n = rs->n - (j - i) + n;
	return 0;
}

/* A file's regions are not joined: we do not keep their offsets. */
static bool joins(const struct dune_region *a, const struct dune_region *b)
{
	const uint32_t apart = DUNE_R_FILE | DUNE_R_SHARED | DUNE_R_VDSO;

	return a->end == b->start && a->prot == b->prot &&
	       a->flags == b->flags && !(a->flags & apart);
}

/* Puts `new` (NULL: nothing) in the place of [start, end). */
static int replace(struct dune_regions *rs, dune_gva_t start, dune_gva_t end,
		   const struct dune_region *new)
{
	size_t i = first(rs, start), j = i, n = 0;
	struct dune_region piece[3];

	while (j < rs->n && rs->v[j].start < end)
		j++;
	if (i < j && rs->v[i].start < start) {
		piece[n] = rs->v[i];
		piece[n++].end = start;
	} else if (new && i > 0 && joins(&rs->v[i - 1], new)) {
		piece[n++] = rs->v[--i];
	}
	if (new) {
		if (n && joins(&piece[n - 1], new))
			piece[n - 1].end = end;
		else
			piece[n++] = *new;
	}
	if (i < j && rs->v[j - 1].end > end) {
		struct dune_region right = rs->v[j - 1];

		right.start = end;
		if (new && joins(&piece[n - 1], &right))
			piece[n - 1].end = right.end;
		else
			piece[n++] = right;
	} else if (new && j < rs->n && joins(&piece[n - 1], &rs->v[j])) {
		piece[n - 1].end = rs->v[j++].end;
	}
	return splice(rs, i, j, piece, n);
}

struct dune_region *dune_region_find(struct dune_regions *rs, dune_gva_t va)
{
	struct dune_region *r = dune_region_next(rs, va);

	return r && r->start <= va ? r : NULL;
}

struct dune_region *dune_region_next(struct dune_regions *rs, dune_gva_t va)
{
	size_t i = first(rs, va);

	return i < rs->n ? &rs->v[i] : NULL;
}

bool dune_region_commits(uint32_t prot, uint32_t flags)
{
	const uint32_t file = DUNE_R_FILE | DUNE_R_SHARED;

	return (prot & PROT_WRITE) && (flags & file) != file;
}

/* Counted once, counted always: pages stay when a program may only read. */
static uint32_t commit_flag(uint32_t prot, uint32_t flags)
{
	return dune_region_commits(prot, flags) ? DUNE_R_COMMIT : 0;
}

int dune_region_insert(struct dune_regions *rs, dune_gva_t start,
		       uint64_t len, uint32_t prot, uint32_t flags)
{
	const struct dune_region new = {
		.start = start, .end = start + len, .prot = prot,
		.flags = flags | commit_flag(prot, flags),
	};

	return replace(rs, new.start, new.end, &new);
}

int dune_region_remove(struct dune_regions *rs, dune_gva_t start,
		       uint64_t len)
{
	return replace(rs, start, start + len, NULL);
}

int dune_region_protect(struct dune_regions *rs, dune_gva_t start,
			uint64_t len, uint32_t prot)
{
	dune_gva_t end = start + len, at = start;

	while (at < end) {
		const struct dune_region *r = dune_region_find(rs, at);
		dune_gva_t stop;
		int err;

		if (!r)
			return -ENOMEM;
		stop = r->end < end ? r->end : end;
		err = dune_region_insert(rs, at, stop - at, prot, r->flags);
		if (err)
			return err;
		at = stop;
	}
	return 0;
}

int dune_region_flags(struct dune_regions *rs, dune_gva_t start,
		      uint64_t len, uint32_t set, uint32_t clear)
{
	dune_gva_t end = start + len, at = start;
	const struct dune_region *r;

	while (at < end && (r = dune_region_next(rs, at)) && r->start < end) {
		dune_gva_t from = r->start > at ? r->start : at;
		dune_gva_t stop = r->end < end ? r->end : end;
		int err = dune_region_insert(rs, from, stop - from, r->prot,
					     (r->flags | set) & ~clear);

		if (err)
			return err;
		at = stop;
	}
	return 0;
}

bool dune_region_allows(const struct dune_region *r, uint32_t error)
{
	if (error & DUNE_PF_WRITE)
		return r->prot & PROT_WRITE;
	if (error & DUNE_PF_FETCH)
		return r->prot & PROT_EXEC;
	return r->prot;
}

bool dune_region_covers(struct dune_regions *rs, dune_gva_t start,
			uint64_t len, uint32_t prot)
{
	dune_gva_t end = start + len, at = start;
	const struct dune_region *r;

	if (end < start)
		return false;
	for (; at < end; at = r->end) {
		r = dune_region_find(rs, at);
		if (!r || (r->prot & prot) != prot)
			return false;
	}
	return true;
}

/* Where the space below a region ends. */
static dune_gva_t floor_of(const struct dune_region *r)
{
	if (!(r->flags & DUNE_R_GROWSDOWN))
		return r->start;
	return r->start > STACK_GAP ? r->start - STACK_GAP : 0;
}

bool dune_region_free(struct dune_regions *rs, dune_gva_t start, uint64_t len)
{
	const struct dune_region *r = dune_region_next(rs, start);

	return start + len >= start &&
	       (!r || (r->start > start && floor_of(r) >= start + len));
}

bool dune_region_may_grow(struct dune_regions *rs, dune_gva_t to)
{
	size_t i = first(rs, to);
	const struct dune_region *below = i > 0 ? &rs->v[i - 1] : NULL;

	return !below || !below->prot || below->flags & DUNE_R_GROWSDOWN ||
	       to - below->end >= STACK_GAP;
}

dune_gva_t dune_region_hole_below(struct dune_regions *rs, dune_gva_t lo,
				  dune_gva_t hi, uint64_t len, uint64_t align)
{
	size_t i = first(rs, hi);	/* the region above the hole */

	if (!len)
		return 0;
	for (;; i--) {
		dune_gva_t bottom = lo, top = hi;

		if (i < rs->n && floor_of(&rs->v[i]) < top)
			top = floor_of(&rs->v[i]);
		if (i > 0 && rs->v[i - 1].end > bottom)
			bottom = rs->v[i - 1].end;
		if (top > bottom && top - bottom >= len) {
			dune_gva_t start = (top - len) & ~(align - 1);

			if (start >= bottom)
				return start;
		}
		if (i == 0 || rs->v[i - 1].end <= lo)
			return 0;
	}
}

uint64_t dune_regions_committed(const struct dune_regions *rs)
{
	return rs->committed;
}

uint64_t dune_regions_committed_in(struct dune_regions *rs, dune_gva_t start,
				   uint64_t len)
{
	dune_gva_t end = start + len;
	uint64_t sum = 0;
	size_t i;

	for (i = first(rs, start); i < rs->n && rs->v[i].start < end; i++) {
		const struct dune_region *r = &rs->v[i];

		if (r->flags & DUNE_R_COMMIT)
			sum += (r->end < end ? r->end : end) -
			       (r->start > start ? r->start : start);
	}
	return sum;
}
