/*
 * Dune mode: the dirty bits are those of the process's page-table entries,
 * which the CPU sets; protection and moving are edits of them, without a system
 * call; and faults come to a handler without a signal.
 */
#include "apps/gc/os.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "dune.h"
#include "dune/gc.h"

static uint8_t *heap;
static size_t heap_len;
static uint64_t *scratch;	/* bits of the largest range */
static uint8_t *exact;		/* a byte a chunk: has entries of 4 KiB pages */

/* Code that is interrupted may use what is below its stack pointer. */
#define RED_ZONE	128

/* The entry of a page that is there; NULL. */
static ptent_t *entry(uint8_t *at)
{
	ptent_t *e;

	return !dune_vm_lookup(pgroot, at, CREATE_NONE, &e) && *e & PTE_P ?
	       e : NULL;
}

static enum dune_trap_action on_fault(struct dune_tf *tf, uint64_t addr,
				      uint32_t error, void *arg)
{
	ptent_t *e;

	(void)arg;
	if (!(error & DUNE_PF_WRITE))
		return DUNE_TRAP_PASS;
	/* Between this frame and the end of tf: registers, FPU ones as well. */
	if (gc_fault((void *)addr, (void *)(tf->rsp - RED_ZONE),
		     __builtin_frame_address(0), tf + 1))
		return DUNE_TRAP_RESUME;
	/* Or it was writable again before we looked. */
	e = entry((uint8_t *)addr);
	return e && *e & PTE_W ? DUNE_TRAP_RESUME : DUNE_TRAP_PASS;
}

/* Enough for the two tables, each. */
static size_t table_size(void)
{
	return (heap_len / GC_CHUNK + 2 * GC_PAGE) & ~(GC_PAGE - 1);
}

static void dune_end(void)
{
	dune_gc_on_fault(heap, heap_len, 0, NULL, NULL);
	munmap(scratch, 2 * table_size());
}

static int dune_begin(void *at, size_t len)
{
	int r;

	if (!dune_in_dune_mode())
		return -ENOTSUP;
	heap = at;
	heap_len = len;
	scratch = mmap(NULL, 2 * table_size(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (scratch == MAP_FAILED)
		return -ENOMEM;
	exact = (uint8_t *)scratch + table_size();
	/* Nothing is exact yet; but system calls tell what they write. */
	r = dune_gc_track(heap, 0);
	if (!r)
		r = dune_gc_on_fault(heap, heap_len, 0, on_fault, NULL);
	if (r)
		munmap(scratch, 2 * table_size());
	return r;
}

/* What a thread outside of Dune mode writes sets no bit of ours. */
static int dune_may_enter(void)
{
	return dune_in_dune_mode() ? 0 : -EPERM;
}

static size_t chunk_of(const void *p)
{
	return ((const uint8_t *)p - heap) / GC_CHUNK;
}

/* A scan's bits begin with its first page: they go to where ours are. */
static int dune_dirty(const struct gc_range *range, size_t n, uint64_t *bitmap)
{
	long r = 0;

	for (; n && r >= 0; n--, range++) {
		r = dune_vm_scan(pgroot, range->lo, range->len,
				 DUNE_SCAN_DIRTY, scratch);
		if (r >= 0)
			memcpy((uint8_t *)bitmap + chunk_of(range->lo), scratch,
			       range->len / GC_CHUNK);
	}
	return r < 0 ? r : 0;
}

/*
 * Once for each chunk; there may be larger pages until then. It has been
 * touched, so there are tables, and no need to ask what is mapped, as
 * dune_gc_track() does.
 */
static int make_exact(void *lo, size_t len)
{
	size_t i = chunk_of(lo), end = i + len / GC_CHUNK, first;
	int r = 0;

	for (; i < end && !r; i++) {
		for (first = i; i < end && !exact[i]; i++)
			;
		if (i == first)
			continue;
		r = dune_vm_split(pgroot, heap + first * GC_CHUNK,
				  (i - first) * GC_CHUNK);
		if (!r)
			memset(exact + first, 1, i - first);
	}
	return r;
}

static int dune_clean(const struct gc_range *range, size_t n)
{
	struct dune_gc_range r[64];
	const size_t max = sizeof(r) / sizeof(*r);
	size_t i = 0;
	long err = 0;

	for (; n && err >= 0; n--, range++) {
		err = make_exact(range->lo, range->len);
		r[i++] = (struct dune_gc_range){ range->lo, range->len, NULL,
						 0 };
		if (err || (i < max && n > 1))
			continue;
		err = dune_gc_scan(r, i, DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR);
		i = 0;
	}
	return err < 0 ? err : 0;
}

static int dune_protect(const struct gc_range *range, size_t n, bool writable)
{
	const int perm = PERM_R | (writable ? PERM_W : 0);
	struct dune_vm_range r[64];
	size_t max = sizeof(r) / sizeof(*r), i = 0;
	int err = 0;

	for (; n && !err; n--, range++) {
		r[i++] = (struct dune_vm_range){ range->lo, range->len, perm };
		if (i < max && n > 1)
			continue;
		err = dune_vm_protect_ranges(pgroot, r, i);
		i = 0;
	}
	return err;
}

/*
 * The entries change places, as dirty ones, so both ranges stay mapped. Nobody
 * else edits them: the world is stopped. All of them or none.
 */
static int swap_entries(uint8_t *from, uint8_t *to, size_t len)
{
	ptent_t *a, *b, e;
	size_t at;

	for (at = 0; at < len; at += GC_PAGE)
		if (!entry(from + at) || !entry(to + at))
			return -ENOENT;
	for (at = 0; at < len; at += GC_PAGE) {
		a = entry(from + at);
		b = entry(to + at);
		e = *a | PTE_D;
		*a = *b | PTE_D;
		*b = e;
	}
	return 0;
}

static int dune_move(void *from, void *to, size_t len)
{
	int r = make_exact(from, len);

	if (!r)
		r = make_exact(to, len);
	if (!r)
		r = swap_entries(from, to, len);
	dune_flush_tlb_all();
	return r;
}

const struct gc_os gc_os_dune = {
	.name = "Dune mode", .begin = dune_begin, .end = dune_end,
	.enter = dune_may_enter,
	.dirty = dune_dirty, .clean = dune_clean, .protect = dune_protect,
	.move = dune_move, .move_unknown = true,
};
