/*
 * Dune mode: the dirty bits are those of the process's page-table entries, which
 * the CPU sets; protection is an edit of them, without a system call; and
 * faults come to a handler without a signal.
 *
 * Pages move by mremap(2) all the same: system calls that are given pointers
 * to such objects must find the pages where the program does.
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

static int dune_move(void *from, void *to, size_t len)
{
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED |
		      MREMAP_DONTUNMAP, to) == MAP_FAILED ? -errno : 0;
}

const struct gc_os gc_os_dune = {
	.name = "Dune mode", .begin = dune_begin, .end = dune_end,
	.dirty = dune_dirty, .protect = dune_protect, .move = dune_move,
};
