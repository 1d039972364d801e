/*
 * Dune mode's memory: the calls that change mappings. Each runs on the host as
 * it is, and the host's answer is the answer. Before it, entries of what
 * certainly goes say HOST (or lose their rights); after it, regions are what
 * the call's success means, or what the host says when it is not that
 * plain; then entries are set. The host's change is the TLB shootdown.
 */
#include "kern/self/mem_internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include "kern/raw.h"

/* Not in every libc's headers. */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

#define ACCESS	(PROT_READ | PROT_WRITE | PROT_EXEC)

static long host(long nr, const uint64_t arg[6])
{
	return dune_raw6(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static bool failed(long ret)
{
	return (unsigned long)ret > -4096ul;
}

/* Not a range that the kernel would look at. */
static bool senseless(dune_gva_t start, uint64_t len)
{
	return start & ~DUNE_PAGE_MASK || !len || start >= DUNE_ARENA_HI ||
	       DUNE_PAGE_UP(start + len) <= start;
}

static bool hits_ring0(dune_gva_t start, uint64_t len)
{
	return start < DUNE_RING0_GVA + DUNE_RING0_SIZE &&
	       (start >= DUNE_RING0_GVA || len > DUNE_RING0_GVA - start);
}

static void hold(struct dune_smem *m, dune_gva_t start, uint64_t len)
{
	dune_smem_edit(m, start, DUNE_PAGE_UP(start + len), DUNE_EDIT_HOLD,
		       0);
	dune_smem_changed(m, start, DUNE_PAGE_UP(len), true);
}

static void set(struct dune_smem *m, dune_gva_t start, uint64_t len)
{
	dune_smem_edit(m, start, DUNE_PAGE_UP(start + len), DUNE_EDIT_SET, 0);
}

/* Nothing of what the entries said counts any more. */
static void renew(struct dune_smem *m, dune_gva_t start, uint64_t len)
{
	hold(m, start, len);
	set(m, start, len);
}

/*
 * What a call that has worked means for the tree, if what it means is plain
 * and there is room; else the host is asked.
 */
static void record(struct dune_smem *m, bool plain, dune_gva_t start,
		   uint64_t len, uint32_t prot, uint32_t flags)
{
	if (!plain || dune_region_insert(&m->regions, start, DUNE_PAGE_UP(len),
					 prot, flags))
		dune_smem_resync(m, NULL);
}

static void forget(struct dune_smem *m, dune_gva_t start, uint64_t len)
{
	if (dune_region_remove(&m->regions, start, DUNE_PAGE_UP(len)))
		dune_smem_resync(m, NULL);
}

/* KVM reads what it maps, and x86 lets programs read what they may write. */
static uint64_t readable(uint64_t prot)
{
	return prot & (PROT_WRITE | PROT_EXEC) ? prot | PROT_READ : prot;
}

/* ---- mmap, munmap, brk ---- */

static uint32_t region_flags(uint64_t flags)
{
	const uint64_t type = flags & MAP_TYPE;
	uint32_t r = 0;

	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		r |= DUNE_R_SHARED | DUNE_R_FILE;
	if (!(flags & MAP_ANONYMOUS))
		r |= DUNE_R_FILE;
	if (flags & MAP_GROWSDOWN)
		r |= DUNE_R_GROWSDOWN;
	return r;
}

static long do_mmap(struct dune_smem *m, long nr, uint64_t arg[6])
{
	const uint64_t len = arg[1], flags = arg[3];
	bool replaces = flags & MAP_FIXED && !senseless(arg[0], len);
	bool plain = !(flags & MAP_HUGETLB) && !m->exec_implied;
	long ret;

	if (replaces && hits_ring0(arg[0], len))
		return -EPERM;
	if (flags & MAP_FIXED_NOREPLACE)
		replaces = false;
	arg[2] = readable(arg[2]);
	if (replaces)
		hold(m, arg[0], len);
	ret = host(nr, arg);
	if (!failed(ret)) {
		record(m, plain, ret, len, arg[2] & ACCESS,
		       region_flags(flags));
		renew(m, ret, len);
	} else if (replaces) {
		/* what was there may be gone */
		dune_smem_resync(m, NULL);
		set(m, arg[0], len);
	}
	return ret;
}

static long do_munmap(struct dune_smem *m, long nr, uint64_t arg[6])
{
	long ret;

	if (senseless(arg[0], arg[1]))
		return host(nr, arg);
	if (hits_ring0(arg[0], arg[1]))
		return -EPERM;
	hold(m, arg[0], arg[1]);
	ret = host(nr, arg);
	if (!ret)
		forget(m, arg[0], arg[1]);
	else
		dune_smem_resync(m, NULL);
	set(m, arg[0], arg[1]);
	return ret;
}

static long do_brk(struct dune_smem *m, long nr, uint64_t arg[6])
{
	dune_gva_t from = DUNE_PAGE_UP((uint64_t)dune_raw3(nr, 0, 0, 0));
	dune_gva_t to = DUNE_PAGE_UP(arg[0]);
	long ret;

	if (arg[0] && to < from)
		hold(m, to, from - to);
	ret = host(nr, arg);
	if (!arg[0] || to == from)
		return ret;
	if (DUNE_PAGE_UP((uint64_t)ret) != to) {
		if (to < from)
			set(m, to, from - to);
	} else if (to < from) {
		forget(m, to, from - to);
		set(m, to, from - to);
	} else {
		record(m, !m->exec_implied, from, to - from,
		       PROT_READ | PROT_WRITE, DUNE_R_HEAP);
		renew(m, from, to - from);
	}
	return ret;
}

/* ---- mprotect ---- */

static long do_mprotect(struct dune_smem *m, long nr, uint64_t arg[6])
{
	const uint64_t grows = PROT_GROWSDOWN | PROT_GROWSUP;
	const uint64_t start = arg[0], len = arg[1];
	long ret;

	if (senseless(start, len))
		return host(nr, arg);
	if (hits_ring0(start, len))
		return -EPERM;
	arg[2] = readable(arg[2]);
	if (!(arg[2] & ~ACCESS))
		dune_smem_edit(m, start, DUNE_PAGE_UP(start + len),
			       DUNE_EDIT_RESTRICT, arg[2]);
	dune_smem_changed(m, start, DUNE_PAGE_UP(len), false);
	ret = host(nr, arg);
	/* with `grows` a part of the stack that we did not name has changed */
	if (ret || m->exec_implied || arg[2] & grows ||
	    dune_region_protect(&m->regions, start, DUNE_PAGE_UP(len),
				arg[2] & ACCESS))
		dune_smem_resync(m, NULL);
	set(m, start, len);
	return ret;
}

/* ---- mremap ---- */

/*
 * The tree after a mremap that has worked. False when it does not tell, or the
 * lengths may be in huge pages.
 */
static bool moved(struct dune_smem *m, const uint64_t arg[6], dune_gva_t new)
{
	const uint64_t old_len = DUNE_PAGE_UP(arg[1]);
	const uint64_t new_len = DUNE_PAGE_UP(arg[2]);
	const uint32_t odd = DUNE_R_FILE | DUNE_R_SHARED | DUNE_R_VDSO;
	const struct dune_region *at = dune_region_find(&m->regions, arg[0]);
	struct dune_region r;

	if (!at || (at->flags & odd) || at->end - arg[0] < old_len)
		return false;
	r = *at;
	if (dune_regions_reserve(&m->regions, 4))
		return false;
	if (!(arg[3] & MREMAP_DONTUNMAP))
		dune_region_remove(&m->regions, arg[0], old_len);
	dune_region_insert(&m->regions, new, new_len, r.prot, r.flags);
	return true;
}

/*
 * To grow where it is needs nothing of the old range to change; only when
 * that fails it has to move.
 */
static long grow_or_move(struct dune_smem *m, long nr, const uint64_t arg[6])
{
	const uint64_t in_place[6] = { arg[0], arg[1], arg[2], 0 };
	long ret = host(nr, in_place);

	if (!failed(ret))
		return ret;
	hold(m, arg[0], arg[1]);
	return host(nr, arg);
}

static long do_mremap(struct dune_smem *m, long nr, uint64_t arg[6])
{
	const dune_gva_t old = arg[0];
	const uint64_t flags = arg[3];
	uint64_t old_len = DUNE_PAGE_UP(arg[1]);
	uint64_t new_len = DUNE_PAGE_UP(arg[2]);
	bool moves = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	bool fixed = flags & MREMAP_FIXED && !senseless(arg[4], new_len);
	uint64_t kept = old_len < new_len ? old_len : new_len;
	long ret;

	if (senseless(old, old_len ? old_len : 1) || !new_len)
		return host(nr, arg);
	if (hits_ring0(old, old_len) || (fixed && hits_ring0(arg[4], new_len)))
		return -EPERM;
	if (moves)
		kept = 0;
	hold(m, old + kept, old_len - kept);
	if (fixed)
		hold(m, arg[4], new_len);
	if (flags == MREMAP_MAYMOVE && old_len && new_len > old_len)
		ret = grow_or_move(m, nr, arg);
	else
		ret = host(nr, arg);
	if (failed(ret)) {
		dune_smem_resync(m, NULL);
		set(m, old, old_len);
		if (fixed)
			set(m, arg[4], new_len);
		return ret;
	}
	/* an old length of 0 has made a second view of the same pages */
	if (!old_len || !moved(m, arg, ret))
		dune_smem_resync(m, NULL);
	set(m, old, old_len);
	if ((dune_gva_t)ret != old)
		kept = 0;
	renew(m, ret + kept, new_len - kept);
	return ret;
}

/* ---- what the host is asked about afterwards ---- */

static long do_shmat(struct dune_smem *m, long nr, uint64_t arg[6])
{
	const struct dune_region *r;
	long ret;

	if (arg[2] & SHM_REMAP && dune_smem_is_ring0(arg[1]))
		return -EPERM;
	ret = host(nr, arg);
	if (failed(ret))
		return ret;
	dune_smem_resync(m, NULL);
	r = dune_region_find(&m->regions, ret);
	if (r)
		renew(m, r->start, r->end - r->start);
	return ret;
}

static long do_other(struct dune_smem *m, long nr, uint64_t arg[6])
{
	long ret = host(nr, arg);

	dune_smem_resync(m, NULL);
	return ret;
}

static bool loses_contents(uint64_t advice)
{
	return advice == MADV_DONTNEED || advice == MADV_FREE ||
	       advice == MADV_REMOVE || advice == MADV_DONTNEED_LOCKED;
}

/*
 * Pages come and go under entries that stay, which the host tells KVM itself.
 * Not under the lock: MADV_POPULATE_READ may wait for a disk. Guards are what
 * the text of the mappings does not show.
 */
static long do_madvise(struct dune_smem *m, long nr, uint64_t arg[6])
{
	const dune_gva_t start = arg[0];
	const uint64_t len = arg[1];
	long ret;

	if (!senseless(start, len) && hits_ring0(start, len))
		return -EPERM;
	if (!senseless(start, len) && loses_contents(arg[2])) {
		dune_smem_lock(m);
		dune_smem_changed(m, start, DUNE_PAGE_UP(len), true);
		dune_smem_unlock(m);
	}
	ret = host(nr, arg);
	if (arg[2] != MADV_GUARD_INSTALL || ret == -EINVAL ||
	    senseless(start, len))
		return ret;
	dune_smem_lock(m);
	dune_region_flags(&m->regions, start, DUNE_PAGE_UP(len),
			  DUNE_R_CAREFUL, 0);
	renew(m, start, len);
	dune_smem_unlock(m);
	return ret;
}

/* ---- the table ---- */

static const struct {
	long nr;
	long (*call)(struct dune_smem *m, long nr, uint64_t arg[6]);
	bool unlocked;
} calls[] = {
	{ SYS_mmap, do_mmap, false },
	{ SYS_munmap, do_munmap, false },
	{ SYS_mprotect, do_mprotect, false },
	{ SYS_pkey_mprotect, do_mprotect, false },
	{ SYS_mremap, do_mremap, false },
	{ SYS_brk, do_brk, false },
	{ SYS_madvise, do_madvise, true },
	{ SYS_shmat, do_shmat, false },
	{ SYS_shmdt, do_other, false },
	{ SYS_remap_file_pages, do_other, false },
};

bool dune_smem_is_call(long nr)
{
	unsigned int i;

	for (i = 0; i < DUNE_ARRAY_SIZE(calls); i++)
		if (calls[i].nr == nr)
			return true;
	return false;
}

long dune_smem_call(struct dune_smem *m, long nr, const uint64_t args[6])
{
	uint64_t arg[6] = { args[0], args[1], args[2], args[3], args[4],
			    args[5] };
	unsigned int i;
	long ret;

	for (i = 0; i < DUNE_ARRAY_SIZE(calls) - 1; i++)
		if (calls[i].nr == nr)
			break;
	if (calls[i].unlocked)
		return calls[i].call(m, nr, arg);
	dune_smem_lock(m);
	m->spurious = 0;
	ret = calls[i].call(m, nr, arg);
	dune_smem_unlock(m);
	return ret;
}
