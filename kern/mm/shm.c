/* System V shared memory: attaching and detaching. */
#include "kern/mm/internal.h"

#include <errno.h>
#include <sys/shm.h>

static int choose(struct dune_mm *mm, dune_gva_t *addr, uint64_t len,
		  int flags)
{
	if (!*addr) {
		if (flags & SHM_REMAP)
			return -EINVAL;
		*addr = dune_mm_place(mm, len, DUNE_PAGE_SIZE, 0);
		return *addr ? 0 : -ENOMEM;
	}
	if (*addr & ~DUNE_PAGE_MASK && !(flags & SHM_RND))
		return -EINVAL;
	*addr &= DUNE_PAGE_MASK;
	if (*addr < DUNE_ARENA_LO || len > DUNE_ARENA_HI ||
	    *addr > DUNE_ARENA_HI - len)
		return -EINVAL;
	if (!(flags & SHM_REMAP) && !dune_region_free(&mm->regions, *addr, len))
		return -EINVAL;
	return 0;
}

static int attach(struct dune_mm *mm, int id, dune_gva_t addr, uint64_t len,
		  int flags)
{
	uint32_t prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
			(flags & SHM_EXEC ? PROT_EXEC : 0);
	const uint32_t region = DUNE_R_SHARED | DUNE_R_SHM;
	uint64_t more = dune_region_commits(prot, region) ? len : 0;
	int err = 0;

	if (!dune_mm_fits(mm, more, dune_regions_committed_in(&mm->regions,
							      addr, len)) ||
	    dune_regions_reserve(&mm->regions, 2))
		return -ENOMEM;
	dune_mm_drop(mm, addr, len);
	if (shmat(id, dune_host_addr(addr), flags & ~SHM_EXEC) ==
	    (void *)-1) {
		err = -errno;
		dune_mm_resync(mm, addr, len);
	} else {
		dune_region_insert(&mm->regions, addr, len, prot, region);
	}
	dune_mm_changed(mm);
	return err;
}

long dune_mm_shmat(struct dune_mm *mm, int id, dune_gva_t addr, int flags)
{
	struct shmid_ds ds;
	uint64_t len;
	int err;

	if (shmctl(id, IPC_STAT, &ds))
		return -errno;
	len = DUNE_PAGE_UP((uint64_t)ds.shm_segsz);
	pthread_mutex_lock(&mm->lock);
	err = choose(mm, &addr, len, flags);
	if (!err)
		err = attach(mm, id, addr, len, flags);
	pthread_mutex_unlock(&mm->lock);
	return err ? err : (long)addr;
}

/*
 * Only the host knows how much of a segment is attached at addr, and mprotect
 * may have cut it in pieces: what it detached is what is gone afterwards.
 * Until its entries are cleared, a touch makes KVM_RUN fail with EFAULT.
 */
long dune_mm_shmdt(struct dune_mm *mm, dune_gva_t addr)
{
	const struct dune_region *r;
	int err = 0;

	if (addr < DUNE_ARENA_LO || addr >= DUNE_ARENA_HI)
		return -EINVAL;
	pthread_mutex_lock(&mm->lock);
	if (dune_regions_reserve(&mm->regions, 2))
		err = -ENOMEM;
	else if (shmdt(dune_host_addr(addr)))
		err = -errno;
	while (!err && (r = dune_region_next(&mm->regions, addr))) {
		struct dune_region was = *r;
		unsigned char in;

		addr = was.end;
		if (!(was.flags & DUNE_R_SHM))
			continue;
		if (!mincore(dune_host_addr(was.start), DUNE_PAGE_SIZE, &in))
			break;
		dune_mm_drop(mm, was.start, was.end - was.start);
		dune_region_remove(&mm->regions, was.start,
				   was.end - was.start);
	}
	dune_mm_changed(mm);
	pthread_mutex_unlock(&mm->lock);
	return err;
}
