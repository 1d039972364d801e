/* mmap, munmap and brk. */
#include "kern/mm/internal.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

/* mmap's window of MAP_32BIT (arch/x86/kernel/sys_x86_64.c). */
#define LOW_START	0x40000000ul
#define LOW_END		0x80000000ul

#define TASK_SIZE	0x7ffffffff000ul

/* Longer data segments are not copied at once. */
#define IMAGE_DATA_MAX	(4ul << 20)

/* What a guest asked for, as far as it is checked. */
struct request {
	dune_gva_t addr;
	uint64_t len;		/* page aligned */
	uint32_t prot;
	int flags;
	int fd;
	uint64_t off;
	uint32_t region;	/* DUNE_R_* */
	uint64_t align;
};

static int file_flags(struct request *q)
{
	struct statvfs st;

	if (q->flags & MAP_ANONYMOUS)
		return 0;
	if (fstatvfs(q->fd, &st))
		return -errno;
	q->region |= DUNE_R_FILE;
	if (st.f_flag & ST_NOEXEC)
		q->region |= DUNE_R_NOEXEC;
	return 0;
}

static int region_flags(struct request *q)
{
	bool anon = q->flags & MAP_ANONYMOUS;

	switch (q->flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		if (anon)
			return -EINVAL;
		/* fallthrough */
	case MAP_SHARED:
		q->region |= DUNE_R_SHARED;
		break;
	case MAP_DROPPABLE:
		if (!anon)
			return -EINVAL;
		/* fallthrough */
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (q->flags & MAP_GROWSDOWN) {
		if (!anon || q->region & DUNE_R_SHARED)
			return -EINVAL;
		q->region |= DUNE_R_GROWSDOWN;
	}
	if (q->flags & MAP_NORESERVE)
		q->region |= DUNE_R_NORESERVE;
	/* populated at once, in the pages the host chose */
	if (q->flags & (MAP_NORESERVE | MAP_STACK | MAP_HUGETLB |
			MAP_POPULATE | MAP_LOCKED))
		q->region |= DUNE_R_SPARSE;
	if (dune_mm_wants_huge(q->prot, q->region, q->len))
		q->region |= DUNE_R_HUGE;
	return 0;
}

static uint64_t alignment(const struct request *q)
{
	unsigned int log = (unsigned int)q->flags >> MAP_HUGE_SHIFT & 63;

	if (q->flags & MAP_HUGETLB)
		return log ? 1ul << log : DUNE_LARGE_SIZE;
	if (q->flags & MAP_ANONYMOUS && q->len >= DUNE_LARGE_SIZE)
		return DUNE_LARGE_SIZE;
	return DUNE_PAGE_SIZE;
}

static int choose_fixed(struct dune_mm *mm, const struct request *q)
{
	const struct dune_region *r;

	if (q->addr > DUNE_ARENA_HI - q->len)
		return -ENOMEM;
	if (q->addr & ~DUNE_PAGE_MASK)
		return -EINVAL;
	if (q->addr < DUNE_ARENA_LO)
		return -EPERM;
	r = dune_region_next(&mm->regions, q->addr);
	if (q->flags & MAP_FIXED_NOREPLACE && r &&
	    r->start < q->addr + q->len)
		return -EEXIST;
	return 0;
}

/* Sets q->addr, as Linux's get_unmapped_area(). */
static int choose(struct dune_mm *mm, struct request *q)
{
	dune_gva_t hint = q->addr & DUNE_PAGE_MASK;

	if (q->len > DUNE_ARENA_HI)
		return -ENOMEM;
	if (q->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return choose_fixed(mm, q);
	q->align = alignment(q);
	if (hint) {
		if (hint < DUNE_ARENA_LO)
			hint = DUNE_ARENA_LO;
		if (q->flags & MAP_HUGETLB)
			hint = (hint + q->align - 1) & ~(q->align - 1);
		q->addr = hint;
		/* rounding up may have wrapped */
		if (hint >= DUNE_ARENA_LO && hint <= DUNE_ARENA_HI - q->len &&
		    dune_region_free(&mm->regions, hint, q->len))
			return 0;
	}
	if (q->flags & MAP_32BIT)
		q->addr = dune_region_hole_below(&mm->regions, LOW_START,
						 LOW_END, q->len, q->align);
	else
		q->addr = dune_mm_place(mm, q->len, q->align, 0);
	return q->addr ? 0 : -ENOMEM;
}

/*
 * A place that we found is also free on the host: FIXED_NOREPLACE proves it
 * every time. What grows down is grown by us: the host would do it for any
 * buffer of a system call, past --mem.
 */
static int host_flags(const struct request *q)
{
	int flags = q->flags & ~(MAP_32BIT | MAP_GROWSDOWN | MAP_FIXED |
				 MAP_FIXED_NOREPLACE);

	if (q->flags & MAP_FIXED && !(q->flags & MAP_FIXED_NOREPLACE))
		return flags | MAP_FIXED;
	return flags | MAP_FIXED_NOREPLACE;
}

/*
 * Libraries' data (which ld.so maps with MAP_DENYWRITE, and nobody else) is
 * relocated and written nearly all over: its private copies are made at once,
 * for a page that is read and then written costs two faults in KVM.
 */
static bool wants_prefill(const struct request *q)
{
	if (!(q->prot & PROT_WRITE) || q->region & DUNE_R_SHARED)
		return false;
	if (q->region & DUNE_R_FILE)
		return q->flags & MAP_DENYWRITE && q->len <= IMAGE_DATA_MAX;
	return !(q->region & (DUNE_R_SPARSE | DUNE_R_GROWSDOWN)) &&
	       q->len <= DUNE_PREFILL_MAX;
}

static int map(struct dune_mm *mm, const struct request *q)
{
	uint64_t more = dune_region_commits(q->prot, q->region) ? q->len : 0;
	void *at = dune_host_addr(q->addr), *got;
	int err = 0;

	if (!dune_mm_fits(mm, more, dune_regions_committed_in(&mm->regions,
							      q->addr, q->len)))
		return -ENOMEM;
	if (dune_regions_reserve(&mm->regions, 2))
		return -ENOMEM;
	if (q->flags & MAP_FIXED)
		dune_mm_drop(mm, q->addr, q->len);
	got = mmap(at, q->len, dune_host_prot(q->prot), host_flags(q), q->fd,
		   q->off);
	if (got == at) {
		if (q->region & DUNE_R_HUGE)
			madvise(at, q->len, MADV_HUGEPAGE);
		dune_region_insert(&mm->regions, q->addr, q->len, q->prot,
				   q->region);
		if (wants_prefill(q))
			dune_mm_prefill(mm, q->addr, q->len);
	} else if (got == MAP_FAILED) {
		err = errno == EEXIST ? -ENOMEM : -errno;
		dune_mm_resync(mm, q->addr, q->len);
	} else {
		/* a kernel before 4.17 takes NOREPLACE for a hint */
		munmap(got, q->len);
		err = -ENOMEM;
	}
	dune_mm_changed(mm);
	return err;
}

long dune_mm_mmap(struct dune_mm *mm, dune_gva_t addr, uint64_t len,
		  int prot, int flags, int fd, uint64_t off)
{
	struct request q = {
		.addr = addr, .prot = prot & DUNE_ACCESS, .flags = flags,
		.fd = fd, .off = off, .align = DUNE_PAGE_SIZE,
	};
	int err;

	if (off & ~DUNE_PAGE_MASK)
		return -EINVAL;
	err = file_flags(&q);
	if (err)
		return err;
	if (!len)
		return -EINVAL;
	q.len = DUNE_PAGE_UP(len);
	if (q.flags & MAP_HUGETLB)
		q.len = (q.len + alignment(&q) - 1) & ~(alignment(&q) - 1);
	if (q.len < len)
		return -ENOMEM;
	if (off + q.len < off)
		return -EOVERFLOW;

	pthread_mutex_lock(&mm->lock);
	err = choose(mm, &q);
	if (!err)
		err = region_flags(&q);
	if (!err && q.prot & PROT_EXEC && q.region & DUNE_R_NOEXEC)
		err = -EPERM;
	if (!err)
		err = map(mm, &q);
	pthread_mutex_unlock(&mm->lock);
	return err ? err : (long)q.addr;
}

/* Above the arena there is nothing of the program, and unmapping is fine. */
long dune_mm_munmap(struct dune_mm *mm, dune_gva_t addr, uint64_t len)
{
	dune_gva_t end;
	long err = 0;

	if (addr & ~DUNE_PAGE_MASK || addr > TASK_SIZE ||
	    len > TASK_SIZE - addr || !len)
		return -EINVAL;
	end = addr + DUNE_PAGE_UP(len);
	if (addr < DUNE_ARENA_LO)
		addr = DUNE_ARENA_LO;
	if (end > DUNE_ARENA_HI)
		end = DUNE_ARENA_HI;
	pthread_mutex_lock(&mm->lock);
	if (addr < end)
		err = dune_mm_unmap(mm, addr, end - addr);
	pthread_mutex_unlock(&mm->lock);
	return err;
}

static int grow_heap(struct dune_mm *mm, dune_gva_t from, dune_gva_t to)
{
	struct request q = {
		.addr = from, .len = to - from, .prot = PROT_READ | PROT_WRITE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		.fd = -1, .region = DUNE_R_HEAP,
	};

	if (dune_mm_wants_huge(q.prot, q.region, q.len))
		q.region |= DUNE_R_HUGE;

	if (to > DUNE_ARENA_HI ||
	    !dune_region_free(&mm->regions, from, to - from))
		return -ENOMEM;
	return map(mm, &q);
}

/* May the region's stack be that long? */
static bool stack_may(const struct dune_mm *mm, uint64_t len)
{
	struct rlimit r;

	return len <= __atomic_load_n(&mm->rlimit_stack, __ATOMIC_RELAXED) &&
	       (getrlimit(RLIMIT_STACK, &r) || len <= r.rlim_cur);
}

int dune_mm_grow_down(struct dune_mm *mm, const struct dune_region *r,
		      dune_gva_t to)
{
	struct request q = {
		.addr = to, .len = r->start - to, .prot = r->prot,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		.fd = -1, .region = r->flags,
	};

	if (to < DUNE_ARENA_LO || !stack_may(mm, r->end - to) ||
	    !dune_region_may_grow(&mm->regions, to))
		return -ENOMEM;
	return map(mm, &q);
}

long dune_mm_brk(struct dune_mm *mm, dune_gva_t addr)
{
	dune_gva_t from, to;
	long ret;
	int err = 0;

	pthread_mutex_lock(&mm->lock);
	from = DUNE_PAGE_UP(mm->brk);
	to = DUNE_PAGE_UP(addr);
	if (addr < mm->brk_start || to < addr)
		err = -EINVAL;
	else if (to < from)
		err = dune_mm_unmap(mm, to, from - to);
	else if (to > from)
		err = grow_heap(mm, from, to);
	if (!err)
		mm->brk = addr;
	ret = mm->brk;
	pthread_mutex_unlock(&mm->lock);
	return ret;
}
