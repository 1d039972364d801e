/*
 * Dune mode: the dirty bits are those of the process's page-table entries, which
 * the CPU sets; protection and moving are edits of them, without a system call;
 * and faults come to a handler without a signal.
 */
#include "apps/gc/os.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "dune.h"
#include "dune/pgtable.h"
#include "dune/trap.h"

static uintptr_t heap;
static size_t heap_len;
static uint64_t *scratch;	/* bits of the largest range */

/* A signal handler's code may use what is below the stack pointer. */
#define RED_ZONE	128

static enum dune_trap_action on_fault(struct dune_tf *tf, unsigned int vector,
				      uint64_t addr, void *arg)
{
	(void)vector, (void)arg;
	if (addr - heap >= heap_len || !(tf->err & DUNE_PF_WRITE))
		return DUNE_TRAP_PASS;
	/* Between this frame and the end of tf: registers, FPU ones as well. */
	return gc_fault((void *)addr, (void *)(tf->rsp - RED_ZONE),
			__builtin_frame_address(0), tf + 1) ?
	       DUNE_TRAP_RESUME : DUNE_TRAP_PASS;
}

static size_t scratch_size(void)
{
	return heap_len / GC_CHUNK + GC_PAGE;
}

static int dune_begin(void *at, size_t len)
{
	if (!dune_in_dune_mode())
		return -ENOTSUP;
	heap = (uintptr_t)at;
	heap_len = len;
	scratch = mmap(NULL, scratch_size(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (scratch == MAP_FAILED)
		return -ENOMEM;
	return dune_trap_set(DUNE_VEC_PF, 0, on_fault, NULL);
}

static void dune_end(void)
{
	dune_trap_set(DUNE_VEC_PF, 0, NULL, NULL);
	munmap(scratch, scratch_size());
}

/* A scan's bits begin with its first page: they go to where ours are. */
static int scan_one(const struct gc_range *range, uint64_t *bitmap)
{
	const size_t chunks = range->len / GC_CHUNK;
	const size_t at = ((uintptr_t)range->lo - heap) / GC_CHUNK;
	long n = dune_vm_scan(pgroot, range->lo, range->len, DUNE_SCAN_DIRTY |
			      DUNE_SCAN_CLEAR, bitmap ? scratch : NULL);

	if (n >= 0 && bitmap)
		memcpy((uint8_t *)bitmap + at, scratch, chunks);
	return n < 0 ? n : 0;
}

static int dune_dirty(const struct gc_range *range, size_t n, uint64_t *bitmap)
{
	int r = 0;

	for (; n && !r; n--, range++)
		r = scan_one(range, bitmap);
	return r;
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

/* The entry of a page that is there; NULL. */
static ptent_t *entry(uint8_t *at)
{
	ptent_t *e;

	return !dune_vm_lookup(pgroot, at, CREATE_NONE, &e) && *e & PTE_P ?
	       e : NULL;
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

/* Has the whole range pages, of 4 KiB? */
static int small_pages(void *at, size_t len)
{
	int r = dune_vm_fill(pgroot, at, len);

	return r ? r : dune_vm_split(pgroot, at, len);
}

static int dune_move(void *from, void *to, size_t len)
{
	int r = small_pages(from, len);

	if (!r)
		r = small_pages(to, len);
	if (!r)
		r = swap_entries(from, to, len);
	dune_flush_tlb_all();
	return r;
}

const struct gc_os gc_os_dune = {
	.name = "Dune mode", .begin = dune_begin, .end = dune_end,
	.dirty = dune_dirty, .protect = dune_protect, .move = dune_move,
	.move_unknown = true,
};
