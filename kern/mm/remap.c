/* mremap. */
#include "kern/mm/internal.h"

#include <errno.h>

struct move {
	dune_gva_t old, new;
	uint64_t old_len, new_len;	/* page aligned */
	int flags;
	struct dune_region r;		/* the region (or more) at old */
};

/* The checks that need no region, in Linux's order. */
static int check(const struct move *m)
{
	if (m->flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
		return -EINVAL;
	if (m->flags & MREMAP_FIXED && !(m->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (m->flags & MREMAP_DONTUNMAP &&
	    (!(m->flags & MREMAP_MAYMOVE) || m->old_len != m->new_len))
		return -EINVAL;
	if (m->old & ~DUNE_PAGE_MASK || !m->new_len)
		return -EINVAL;
	if (!(m->flags & MREMAP_FIXED))
		return 0;
	if (m->new & ~DUNE_PAGE_MASK || m->new_len > DUNE_ARENA_HI ||
	    m->new > DUNE_ARENA_HI - m->new_len)
		return -EINVAL;
	if (m->old + m->old_len > m->new && m->new + m->new_len > m->old)
		return -EINVAL;
	if (m->new < DUNE_ARENA_LO)
		return -EPERM;
	return 0;
}

/* A copy with the same place in its 2 MiB keeps its large pages whole. */
static int choose(struct dune_mm *mm, struct move *m)
{
	bool large = m->new_len >= DUNE_LARGE_SIZE &&
		     !(m->r.flags & DUNE_R_FILE);

	if (m->flags & MREMAP_FIXED)
		return 0;
	if (large)
		m->new = dune_mm_place(mm, m->new_len, DUNE_LARGE_SIZE,
				       m->old & ~DUNE_LARGE_MASK);
	else
		m->new = dune_mm_place(mm, m->new_len, DUNE_PAGE_SIZE, 0);
	return m->new ? 0 : -ENOMEM;
}

static bool fits(struct dune_mm *mm, const struct move *m)
{
	uint64_t less = 0;

	if (!(m->r.flags & DUNE_R_COMMIT))
		return true;
	if (m->flags & MREMAP_FIXED)
		less += dune_regions_committed_in(&mm->regions, m->new,
						  m->new_len);
	if (!(m->flags & MREMAP_DONTUNMAP))
		less += m->old_len;
	return dune_mm_fits(mm, m->new_len, less);
}

static int move(struct dune_mm *mm, struct move *m)
{
	bool keep = m->flags & MREMAP_DONTUNMAP || !m->old_len;
	int err = choose(mm, m);
	void *got;

	if (err)
		return err;
	if (!fits(mm, m) || dune_regions_reserve(&mm->regions, 4))
		return -ENOMEM;
	dune_mm_drop(mm, m->old, m->old_len);
	dune_mm_drop(mm, m->new, m->new_len);
	got = mremap(dune_host_addr(m->old), m->old_len, m->new_len,
		     m->flags | MREMAP_MAYMOVE | MREMAP_FIXED,
		     dune_host_addr(m->new));
	if (got == MAP_FAILED) {
		err = -errno;
		dune_mm_resync(mm, m->old, m->old_len);
		dune_mm_resync(mm, m->new, m->new_len);
		return err;
	}
	if (!keep)
		dune_region_remove(&mm->regions, m->old, m->old_len);
	dune_region_insert(&mm->regions, m->new, m->new_len, m->r.prot,
			   m->r.flags);
	return 0;
}

static int shrink(struct dune_mm *mm, struct move *m)
{
	return dune_mm_unmap(mm, m->old + m->new_len,
			     m->old_len - m->new_len);
}

/* In place if the space behind is free; -ENOMEM: not possible. */
static int grow(struct dune_mm *mm, const struct move *m)
{
	dune_gva_t end = m->old + m->old_len;
	uint64_t more = m->new_len - m->old_len;

	if (m->r.end != end || more > DUNE_ARENA_HI - end ||
	    !dune_region_free(&mm->regions, end, more))
		return -ENOMEM;
	if (mremap(dune_host_addr(m->old), m->old_len, m->new_len, 0) ==
	    MAP_FAILED)
		return -errno;
	dune_region_insert(&mm->regions, end, more, m->r.prot, m->r.flags);
	return 0;
}

/*
 * The region at `old`, with those behind it that are alike: pieces of one
 * file mapping stay apart in our tree, but the host may have joined them.
 */
static const struct dune_region *find(struct dune_mm *mm, struct move *m)
{
	const struct dune_region *r = dune_region_find(&mm->regions, m->old);
	const struct dune_region *found = r;

	while (r) {
		if (r == found)
			m->r = *r;
		m->r.end = r->end;
		r = dune_region_find(&mm->regions, r->end);
		if (r && (r->prot != m->r.prot || r->flags != m->r.flags))
			break;
	}
	return found;
}

static int remap(struct dune_mm *mm, struct move *m)
{
	const struct dune_region *r = find(mm, m);
	int err;

	if (!r || r->flags & DUNE_R_VDSO)
		return -EFAULT;
	/* An old length of 0 asks for a second view of the same pages. */
	if (!m->old_len && (!(r->flags & DUNE_R_SHARED) ||
			    !(m->flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if (m->old_len > m->new_len && !(m->flags & MREMAP_FIXED)) {
		m->new = m->old;
		return shrink(mm, m);
	}
	if (m->old_len > m->r.end - m->old)
		return -EFAULT;
	if (m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return move(mm, m);
	m->new = m->old;
	if (m->old_len == m->new_len && m->old_len)
		return 0;
	if (dune_regions_reserve(&mm->regions, 2) || !fits(mm, m))
		return -ENOMEM;
	if (m->old_len) {
		err = grow(mm, m);
		if (err != -ENOMEM || !(m->flags & MREMAP_MAYMOVE))
			return err;
	}
	return move(mm, m);
}

long dune_mm_mremap(struct dune_mm *mm, dune_gva_t old, uint64_t old_len,
		    uint64_t new_len, int flags, dune_gva_t new_addr)
{
	struct move m = {
		.old = old, .new = new_addr, .flags = flags,
		.old_len = DUNE_PAGE_UP(old_len),
		.new_len = DUNE_PAGE_UP(new_len),
	};
	int err = check(&m);

	if (err)
		return err;
	if (old < DUNE_ARENA_LO || old >= DUNE_ARENA_HI ||
	    m.old_len > DUNE_ARENA_HI - old)
		return -EFAULT;
	pthread_mutex_lock(&mm->lock);
	err = remap(mm, &m);
	dune_mm_changed(mm);
	pthread_mutex_unlock(&mm->lock);
	return err ? err : (long)m.new;
}
