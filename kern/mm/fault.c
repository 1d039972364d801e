/* Guest page faults: what they mean, and filling in entries. */
#include "kern/mm/internal.h"

#include <errno.h>
#include "dune/trap.h"
#include "kern/err.h"
#include "kern/mm/uaccess.h"

/* Brought in on the host with the page that was touched. */
#define AROUND		(64ul << 10)
#define WINDOW		(256ul << 10)

/* EFAULTs of KVM_RUN with no mapping taken away in between. */
#define EFAULTS_SUSPECT	4
#define EFAULTS_LOST	12

/* A touch below a GROWSDOWN region. */
static struct dune_region *grow_down(struct dune_mm *mm, dune_gva_t addr)
{
	const struct dune_region *r = dune_region_next(&mm->regions, addr);

	if (!r || !(r->flags & DUNE_R_GROWSDOWN) || !r->prot ||
	    dune_mm_grow_down(mm, r, DUNE_PAGE_DOWN(addr)))
		return NULL;
	return dune_region_find(&mm->regions, addr);
}

static bool whole_span(const struct dune_region *r, dune_gva_t span)
{
	return r->flags & DUNE_R_HUGE && r->start <= span &&
	       r->end >= span + DUNE_LARGE_SIZE &&
	       !(r->flags & (DUNE_R_FILE | DUNE_R_SHARED | DUNE_R_CAREFUL));
}

static bool anonymous(const struct dune_region *r)
{
	return r->prot & PROT_WRITE &&
	       !(r->flags & (DUNE_R_FILE | DUNE_R_SHARED | DUNE_R_STACK |
			     DUNE_R_GROWSDOWN));
}

/*
 * Memory that a program asks for and then mostly fills: a window of it is
 * brought in and mapped at a time. Else a page at a time would do, but each
 * costs a fault in KVM, 24 us under shadow paging; with present and writable
 * pages KVM maps eight for one fault. Spent for nothing is less than with
 * the large pages that many systems give to every program.
 */
static bool windowed(const struct dune_region *r)
{
	return anonymous(r) && !(r->flags & DUNE_R_SPARSE);
}

/*
 * Is something of the 2 MiB mapped? (Windows are not smaller than the steps.)
 */
static bool begun(const struct dune_mm *mm, dune_gva_t span)
{
	dune_gva_t at;

	for (at = span; at < span + DUNE_LARGE_SIZE; at += AROUND)
		if (dune_pt_lookup(&mm->vm->pt, at, NULL))
			return true;
	return false;
}

/*
 * The window to bring in and map for a first touch of memory; *hi stays 0 where
 * that is not done. It doubles while the touches come where the last one ended.
 * Memory that may be filled sparsely begins like that, too; with the first
 * touch elsewhere entries for all of the 2 MiB are made, and KVM has the rest
 * of the work.
 */
static void window(struct dune_mm *mm, const struct dune_region *r,
		   dune_gva_t addr, dune_gva_t *lo, dune_gva_t *hi)
{
	dune_gva_t page = DUNE_PAGE_DOWN(addr), span = addr & DUNE_LARGE_MASK;
	uint64_t size = windowed(r) ? WINDOW : AROUND;

	if (!anonymous(r))
		return;
	*lo = page;
	if (page == mm->run_end && mm->run >= size)
		size = 2 * mm->run;
	else if (windowed(r))
		*lo = page & ~(size - 1);
	else if (begun(mm, span))
		return;
	*hi = *lo + size;
	if (*lo < r->start)
		*lo = r->start;
	if (*hi > r->end)
		*hi = r->end;
	if (*hi > span + DUNE_LARGE_SIZE)
		*hi = span + DUNE_LARGE_SIZE;
	mm->run_end = *hi;
	mm->run = size < DUNE_LARGE_SIZE ? size : DUNE_LARGE_SIZE;
}

/* Entries for one region's part of [lo, hi), which is in one 2 MiB span. */
static int map_part(struct dune_mm *mm, const struct dune_region *r,
		    dune_gva_t lo, dune_gva_t hi)
{
	dune_gpa_t gpa;
	int err;

	if (lo < r->start)
		lo = r->start;
	if (hi > r->end)
		hi = r->end;
	err = dune_vm_back(mm->vm, lo, &gpa);
	if (err)
		return err;
	err = dune_pt_map_range(&mm->vm->pt, lo, hi - lo, gpa,
				dune_pte_flags(r->prot));
	return err == -EEXIST ? 0 : err;
}

/*
 * A large entry for the span, and for those behind it in the window: without a
 * page behind them they cost nothing, and save a guest fault each.
 */
static int map_large(struct dune_mm *mm, const struct dune_region *r,
		     dune_gva_t span)
{
	dune_gva_t end = (span | (DUNE_WINDOW_SIZE - 1)) + 1, at;
	dune_gpa_t gpa;
	int err = dune_vm_back(mm->vm, span, &gpa);

	if (!err)
		err = dune_pt_map_large(&mm->vm->pt, span, gpa,
					dune_pte_flags(r->prot));
	for (at = span + DUNE_LARGE_SIZE; !err && at < end &&
	     whole_span(r, at); at += DUNE_LARGE_SIZE)
		dune_pt_map_large(&mm->vm->pt, at, gpa + (at - span),
				  dune_pte_flags(r->prot));
	return err;
}

/*
 * Fills the 2 MiB around va, where the entries share a table: with its
 * neighbours filled in the same go, a library's segments cost one fault.
 * lo and hi: of the region itself only these; 0: all.
 */
static int map_span(struct dune_mm *mm, const struct dune_region *r,
		    dune_gva_t va, dune_gva_t lo, dune_gva_t hi)
{
	dune_gva_t span = va & DUNE_LARGE_MASK, end = span + DUNE_LARGE_SIZE;
	const struct dune_region *own = hi ? r : NULL;
	int err;

	if (whole_span(r, span)) {
		err = map_large(mm, r, span);
		if (err != -EEXIST)
			return err;
	}
	if (own) {
		err = map_part(mm, own, lo, hi);
		if (err)
			return err;
	}
	for (r = dune_region_next(&mm->regions, span); r && r->start < end;
	     r = dune_region_next(&mm->regions, r->end)) {
		if (!r->prot || r->flags & DUNE_R_CAREFUL || r == own ||
		    (windowed(r) && r->end - r->start > AROUND))
			continue;
		err = map_part(mm, r, span, end);
		if (err)
			return err;
	}
	return 0;
}

static void populate(dune_gva_t lo, dune_gva_t hi, int advice)
{
	madvise(dune_host_addr(lo), hi - lo, advice);
}

/*
 * Where there are no windows: brings in 64 KiB of what map_span() has mapped. A
 * stack grows the other way. Of a file only for reading: a private copy made
 * early would miss what is written to the file later. Failing is fine: the
 * page comes when it is touched.
 */
static void populate_around(struct dune_region r, dune_gva_t va)
{
	dune_gva_t lo = DUNE_PAGE_DOWN(va), hi = lo + AROUND;
	bool file = r.flags & DUNE_R_FILE;

	if (!file && !(r.prot & PROT_WRITE))
		return;
	if (file) {
		lo = va & ~(AROUND - 1);
		hi = lo + AROUND;
	} else if (r.flags & (DUNE_R_STACK | DUNE_R_GROWSDOWN)) {
		hi = lo + DUNE_PAGE_SIZE;
		lo = hi - AROUND;
	}
	if (lo < r.start)
		lo = r.start;
	if (hi > r.end)
		hi = r.end;
	populate(lo, hi, file ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
}

void dune_mm_prefill(struct dune_mm *mm, dune_gva_t start, uint64_t len)
{
	const struct dune_region *r = dune_region_find(&mm->regions, start);
	dune_gva_t end = start + len, at, stop;

	for (at = start; at < end; at = stop) {
		stop = (at & DUNE_LARGE_MASK) + DUNE_LARGE_SIZE;
		if (stop > end)
			stop = end;
		if (map_part(mm, r, at, stop))
			return;
	}
	populate(start, end, MADV_POPULATE_WRITE);
}

/*
 * A region whose file may end early: the host decides for each page. The
 * touch may wait for a disk: the lock is given up, the region found again.
 */
static enum dune_fault careful_fault(struct dune_mm *mm, dune_gva_t addr,
				     uint32_t error)
{
	dune_gva_t page = DUNE_PAGE_DOWN(addr);
	enum dune_fault ret = DUNE_FAULT_OK;
	const struct dune_region *r;
	int err;

	pthread_mutex_unlock(&mm->lock);
	err = dune_touch(addr, error & DUNE_PF_WRITE);
	pthread_mutex_lock(&mm->lock);
	mm->efaults = 0;
	r = dune_region_find(&mm->regions, addr);
	if (!r || !(r->flags & DUNE_R_CAREFUL) || !dune_region_allows(r, error))
		return DUNE_FAULT_OK;	/* changed meanwhile: fault again */
	if (err)
		ret = DUNE_FAULT_BUS;
	else if (map_part(mm, r, page, page + DUNE_PAGE_SIZE))
		ret = DUNE_FAULT_OOM;
	return ret;
}

/* The vvar pages have no rights in the tree; reading them is how they come. */
static enum dune_fault not_allowed(struct dune_mm *mm,
				   const struct dune_region *r, uint32_t error)
{
	/* the code behind them may have lost its rights, too */
	if (!(r->flags & DUNE_R_VDSO) || r->prot || r->end > mm->vdso ||
	    error & (DUNE_PF_WRITE | DUNE_PF_FETCH))
		return DUNE_FAULT_ACCERR;
	return dune_mm_map_vvar(mm, r) ? DUNE_FAULT_OOM : DUNE_FAULT_OK;
}

enum dune_fault dune_mm_fault(struct dune_mm *mm, dune_gva_t addr,
			      uint32_t error)
{
	enum dune_fault ret = DUNE_FAULT_OK;
	const struct dune_region *r;
	struct dune_region copy = { 0 };
	dune_gva_t lo = 0, hi = 0;

	if (!dune_access_ok(addr, 1))
		return DUNE_FAULT_MAPERR;
	pthread_mutex_lock(&mm->lock);
	mm->faults++;
	r = dune_region_find(&mm->regions, addr);
	if (!r)
		r = grow_down(mm, addr);
	if (!r) {
		ret = DUNE_FAULT_MAPERR;
	} else if (!dune_region_allows(r, error)) {
		ret = not_allowed(mm, r, error);
	} else if (r->flags & DUNE_R_CAREFUL) {
		ret = careful_fault(mm, addr, error);
	} else {
		copy = *r;
		window(mm, r, addr, &lo, &hi);
		if (map_span(mm, r, addr, lo, hi))
			ret = DUNE_FAULT_OOM;
	}
	pthread_mutex_unlock(&mm->lock);
	if (ret == DUNE_FAULT_OK && hi)
		populate(lo, hi, MADV_POPULATE_WRITE);
	else if (ret == DUNE_FAULT_OK && copy.end)
		populate_around(copy, addr);
	return ret;
}

static void make_careful(struct dune_mm *mm, struct dune_region *r)
{
	r->flags |= DUNE_R_CAREFUL;
	dune_pt_unmap(&mm->vm->pt, r->start, r->end - r->start, &mm->forget);
	mm->forget = true;
}

/* If a file is shorter than its mapping, the last page shows it. */
static bool ends_early(const struct dune_region *r)
{
	return r->flags & DUNE_R_FILE && r->prot && dune_touch(r->end - 1, 0);
}

int dune_mm_careful(struct dune_mm *mm)
{
	struct dune_regions *rs = &mm->regions;
	bool suspect, lost;
	size_t i;

	pthread_mutex_lock(&mm->lock);
	if (mm->changes != mm->efault_changes)
		mm->efaults = 0;
	mm->efault_changes = mm->changes;
	mm->efaults++;
	/*
	 * A full disk under a shared file, or no huge pages left, does not
	 * show in the last page. So when it goes on, suspect every mapping.
	 */
	suspect = mm->efaults == EFAULTS_SUSPECT;
	for (i = 0; i < rs->n; i++) {
		struct dune_region *r = &rs->v[i];

		if (suspect ? r->prot && !(r->flags & DUNE_R_VDSO) :
			      ends_early(r))
			make_careful(mm, r);
	}
	dune_mm_changed(mm);
	lost = mm->efaults > EFAULTS_LOST;
	pthread_mutex_unlock(&mm->lock);
	return lost ? dune_err(-EFAULT, "KVM cannot reach a page that the "
			       "program has mapped") : 0;
}
