/* mprotect and madvise. */
#include "kern/mm/internal.h"

#include <errno.h>

/* The kernel's, which libc's headers leave out. */
#ifndef PROT_SEM
#define PROT_SEM		0x8
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

/* Does an entry's change from `old` to `new` forbid anything? */
static bool loses(uint64_t old, uint64_t new)
{
	if (!old || !new)
		return old;
	return (old & ~new & DUNE_PTE_W) || (new & ~old & DUNE_PTE_NX);
}

static void edit(struct dune_mm *mm, const struct dune_region *r,
		 uint64_t pte)
{
	uint64_t len = r->end - r->start;

	if (pte)
		dune_pt_protect(&mm->vm->pt, r->start, len, pte, &mm->forget);
	else
		dune_pt_unmap(&mm->vm->pt, r->start, len, &mm->forget);
}

/* r: the part of one region that changes. */
static int protect(struct dune_mm *mm, const struct dune_region *r,
		   uint32_t prot)
{
	uint64_t len = r->end - r->start, pte = dune_pte_flags(prot);
	bool host = dune_host_prot(prot) != dune_host_prot(r->prot);
	bool lost = loses(dune_pte_flags(r->prot), pte);

	if (prot & PROT_EXEC && r->flags & DUNE_R_NOEXEC)
		return -EACCES;
	if (!(r->flags & DUNE_R_COMMIT) &&
	    dune_region_commits(prot, r->flags) && !dune_mm_fits(mm, len, 0))
		return -ENOMEM;
	if (dune_regions_reserve(&mm->regions, 2))
		return -ENOMEM;
	if (lost) {
		mm->changes++;
		edit(mm, r, pte);
	}
	if (host && mprotect(dune_host_addr(r->start), len,
			     dune_host_prot(prot))) {
		int err = -errno;

		edit(mm, r, 0);
		return err;
	}
	if (lost && !host)
		mm->forget = true;
	if (!lost && pte)
		edit(mm, r, pte);
	dune_region_protect(&mm->regions, r->start, len, prot);
	/* an arena of the C library's malloc grows like this */
	if (prot & PROT_WRITE && !r->prot && len <= DUNE_PREFILL_MAX &&
	    !(r->flags & (DUNE_R_FILE | DUNE_R_SHARED)))
		dune_mm_prefill(mm, r->start, len);
	if (dune_mm_wants_huge(prot, r->flags, len) &&
	    !madvise(dune_host_addr(r->start), len, MADV_HUGEPAGE))
		dune_region_flags(&mm->regions, r->start, len, DUNE_R_HUGE, 0);
	return 0;
}

/* Region by region up to the first hole or refusal, as Linux does. */
static int protect_range(struct dune_mm *mm, dune_gva_t start, dune_gva_t end,
			 uint32_t prot)
{
	const struct dune_region *r;

	for (; start < end; ) {
		struct dune_region part;
		int err;

		r = dune_region_find(&mm->regions, start);
		if (!r)
			return -ENOMEM;
		part = *r;
		part.start = start;
		if (part.end > end)
			part.end = end;
		if (part.prot != prot) {
			err = protect(mm, &part, prot);
			if (err)
				return err;
		}
		start = part.end;
	}
	return 0;
}

long dune_mm_mprotect(struct dune_mm *mm, dune_gva_t addr, uint64_t len,
		      int prot)
{
	bool down = prot & PROT_GROWSDOWN;
	const struct dune_region *r;
	dune_gva_t end = addr + DUNE_PAGE_UP(len);
	int err = 0;

	if (prot & PROT_GROWSUP || addr & ~DUNE_PAGE_MASK)
		return -EINVAL;
	if (!len)
		return 0;
	if (end <= addr)
		return -ENOMEM;
	prot &= ~PROT_GROWSDOWN;
	if (prot & ~(DUNE_ACCESS | PROT_SEM))
		return -EINVAL;
	prot &= DUNE_ACCESS;

	pthread_mutex_lock(&mm->lock);
	if (down) {
		r = dune_region_next(&mm->regions, addr);
		if (!r || r->start >= end)
			err = -ENOMEM;
		else if (!(r->flags & (DUNE_R_GROWSDOWN | DUNE_R_STACK)))
			err = -EINVAL;
		else
			addr = r->start;
	}
	if (!err)
		err = protect_range(mm, addr, end, prot);
	dune_mm_changed(mm);
	pthread_mutex_unlock(&mm->lock);
	return err;
}

/*
 * What we let through: advice whose whole effect is on the host's pages,
 * which the host tells KVM itself. Notably not MADV_GUARD_INSTALL, which
 * would make pages unreachable behind the region tree's back.
 */
static bool known(int advice)
{
	switch (advice) {
	case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL:
	case MADV_WILLNEED: case MADV_DONTNEED: case MADV_FREE:
	case MADV_REMOVE: case MADV_DONTFORK: case MADV_DOFORK:
	case MADV_MERGEABLE: case MADV_UNMERGEABLE: case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE: case MADV_DONTDUMP: case MADV_DODUMP:
	case MADV_WIPEONFORK: case MADV_KEEPONFORK: case MADV_COLD:
	case MADV_PAGEOUT: case MADV_POPULATE_READ: case MADV_POPULATE_WRITE:
	case MADV_DONTNEED_LOCKED: case MADV_COLLAPSE:
		return true;
	}
	return false;
}

/* What the tree has to remember of it. */
static int remember(struct dune_mm *mm, dune_gva_t addr, uint64_t len,
		    int advice)
{
	struct dune_regions *rs = &mm->regions;

	switch (advice) {
	case MADV_DONTFORK:
		return dune_region_flags(rs, addr, len, DUNE_R_DONTFORK, 0);
	case MADV_DOFORK:
		return dune_region_flags(rs, addr, len, 0, DUNE_R_DONTFORK);
	case MADV_HUGEPAGE:
		return dune_region_flags(rs, addr, len, DUNE_R_HUGE,
					 DUNE_R_SPARSE);
	case MADV_NOHUGEPAGE:
		return dune_region_flags(rs, addr, len, DUNE_R_SPARSE,
					 DUNE_R_HUGE);
	}
	return 0;
}

/* The lock is only for the tree: MADV_POPULATE_READ may wait for a disk. */
long dune_mm_madvise(struct dune_mm *mm, dune_gva_t addr, uint64_t len,
		     int advice)
{
	dune_gva_t end = addr + DUNE_PAGE_UP(len);
	bool outside;
	int err = 0;

	if (advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE)
		return -EPERM;
	if (!known(advice) || addr & ~DUNE_PAGE_MASK || end < addr ||
	    (len && end == addr))
		return -EINVAL;
	if (!len)
		return 0;
	outside = addr < DUNE_ARENA_LO || end > DUNE_ARENA_HI;
	if (addr < DUNE_ARENA_LO)
		addr = DUNE_ARENA_LO;
	if (end > DUNE_ARENA_HI)
		end = DUNE_ARENA_HI;
	if (addr >= end)
		return -ENOMEM;
	if (madvise(dune_host_addr(addr), end - addr, advice))
		err = -errno;
	if (!err || err == -ENOMEM) {
		pthread_mutex_lock(&mm->lock);
		if (remember(mm, addr, end - addr, advice))
			err = -ENOMEM;
		pthread_mutex_unlock(&mm->lock);
	}
	return outside && !err ? -ENOMEM : err;
}
