/* The address space as an object: making it, fork, and shared helpers. */
#include "kern/mm/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include "kern/err.h"

/*
 * The monitor's own mappings must stay above the arena, for MAP_FIXED of the
 * guest may hit any place inside. The kernel maps top down from the stack,
 * but bottom up from the middle of the arena under an unlimited stack.
 */
static int check_layout(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *probe, *guard;

	probe = mmap(NULL, DUNE_PAGE_SIZE, PROT_NONE, flags, -1, 0);
	if (probe == MAP_FAILED)
		return dune_err(-errno, "mmap: %s", strerror(errno));
	munmap(probe, DUNE_PAGE_SIZE);
	if ((uintptr_t)probe < DUNE_ARENA_HI ||
	    (uintptr_t)dune_mm_init < DUNE_ARENA_HI)
		return dune_err(-ENOTSUP, "memory at %p is not free for the "
				"program: set a stack limit (ulimit -s 8192)",
				probe);
	guard = mmap(dune_host_addr(DUNE_ARENA_HI), DUNE_PAGE_SIZE, PROT_NONE,
		     flags | MAP_FIXED_NOREPLACE, -1, 0);
	if (guard == MAP_FAILED)
		return dune_err(-errno, "guard page at %#lx: %s",
				DUNE_ARENA_HI, strerror(errno));
	return 0;
}

/*
 * Where mappings go until the loader says: the vDSO is made before it. The
 * first stack goes below: together they take one window.
 */
static dune_gva_t first_top(void)
{
	int persona = personality(0xffffffff);
	uint16_t pages = 0;

	if (persona >= 0 && !(persona & ADDR_NO_RANDOMIZE) &&
	    getrandom(&pages, sizeof(pages), GRND_NONBLOCK) < 0)
		pages = 0;
	return DUNE_STACK_TOP - pages * DUNE_PAGE_SIZE;
}

/* Under --mem: windows any program may use, and one more for each share. */
#define MIN_WINDOWS	64
#define WINDOW_SHARE	(1ul << 20)

int dune_mm_init(struct dune_mm *mm, struct dune_vm *vm, uint64_t limit)
{
	int err = check_layout();

	if (err)
		return err;
	memset(mm, 0, sizeof(*mm));
	pthread_mutex_init(&mm->lock, NULL);
	dune_regions_init(&mm->regions);
	mm->vm = vm;
	mm->limit = limit;
	mm->rlimit = mm->rlimit_stack = UINT64_MAX;
	mm->mmap_top = first_top();
	/*
	 * A window costs the kernel up to 160 KiB for its slot: a program
	 * that scatters single pages must not get many times its limit.
	 */
	if (limit && limit < (uint64_t)vm->max_windows * WINDOW_SHARE)
		vm->max_windows = MIN_WINDOWS + limit / WINDOW_SHARE;
	return 0;
}

int dune_mm_forked(struct dune_mm *mm)
{
	size_t i = 0;

	pthread_mutex_init(&mm->lock, NULL);
	while (i < mm->regions.n) {
		struct dune_region r = mm->regions.v[i];

		if (!(r.flags & DUNE_R_DONTFORK)) {
			i++;
			continue;
		}
		dune_mm_drop(mm, r.start, r.end - r.start);
		dune_region_remove(&mm->regions, r.start, r.end - r.start);
	}
	mm->forget = false;	/* the VM is new */
	return 0;
}

void dune_mm_drop(struct dune_mm *mm, dune_gva_t start, uint64_t len)
{
	const struct dune_region *r = dune_region_next(&mm->regions, start);

	mm->changes++;
	dune_pt_unmap(&mm->vm->pt, start, len, &mm->forget);
	/* The host has no mapping where the vvar pages are. */
	for (; r && r->start < start + len;
	     r = dune_region_next(&mm->regions, r->end))
		if (r->flags & DUNE_R_VDSO)
			mm->forget = true;
}

void dune_mm_changed(struct dune_mm *mm)
{
	if (!mm->forget)
		return;
	dune_vm_forget(mm->vm);
	mm->forget = false;
}

void dune_mm_resync(struct dune_mm *mm, dune_gva_t start, uint64_t len)
{
	dune_gva_t end = start + len, at = start;
	const struct dune_region *r;

	while (at < end && (r = dune_region_next(&mm->regions, at)) &&
	       r->start < end) {
		dune_gva_t from = r->start > at ? r->start : at;
		dune_gva_t stop = r->end < end ? r->end : end;
		unsigned char in;

		if (mincore(dune_host_addr(from), DUNE_PAGE_SIZE, &in) &&
		    errno == ENOMEM && !(r->flags & DUNE_R_VDSO))
			dune_region_remove(&mm->regions, from, stop - from);
		at = stop;
	}
}

int dune_mm_unmap(struct dune_mm *mm, dune_gva_t start, uint64_t len)
{
	const struct dune_region *r = dune_region_next(&mm->regions, start);
	int err = 0;

	if (!r || r->start >= start + len)
		return 0;
	if (dune_regions_reserve(&mm->regions, 2))
		return -ENOMEM;
	dune_mm_drop(mm, start, len);
	if (munmap(dune_host_addr(start), len))
		err = -errno;
	else
		dune_region_remove(&mm->regions, start, len);
	dune_mm_changed(mm);
	return err;
}

bool dune_mm_fits(const struct dune_mm *mm, uint64_t more, uint64_t less)
{
	uint64_t now = dune_regions_committed(&mm->regions) - less;
	uint64_t limit = __atomic_load_n(&mm->rlimit, __ATOMIC_RELAXED);

	if (mm->limit && mm->limit < limit)
		limit = mm->limit;
	return more == 0 || (more <= limit && now <= limit - more);
}

/* Below mmap_top as Linux does; anywhere when that is full. */
dune_gva_t dune_mm_place(struct dune_mm *mm, uint64_t len, uint64_t align,
			 uint64_t shift)
{
	dune_gva_t at;

	if (len > DUNE_ARENA_HI)
		return 0;
	at = dune_region_hole_below(&mm->regions, DUNE_ARENA_LO, mm->mmap_top,
				    len + shift, align);
	if (!at)
		at = dune_region_hole_below(&mm->regions, DUNE_ARENA_LO,
					    DUNE_ARENA_HI, len + shift, align);
	return at ? at + shift : 0;
}

/*
 * Large pages make first touches 40 times cheaper (a page of 4 KiB costs a
 * fault on the host and one in KVM), but a program that touches one byte in
 * 2 MiB pays for 2 MiB. So: only what a program makes private, writable and
 * at least 2 MiB long at once, which it mostly fills; not stacks, and not
 * MAP_NORESERVE, with which allocators and sanitizers mark what they will
 * fill sparsely. MADV_NOHUGEPAGE and MADV_DONTNEED work as always.
 */
bool dune_mm_wants_huge(uint32_t prot, uint32_t flags, uint64_t len)
{
	const uint32_t never = DUNE_R_FILE | DUNE_R_SHARED | DUNE_R_SPARSE |
		DUNE_R_GROWSDOWN | DUNE_R_STACK | DUNE_R_VDSO;

	return (prot & PROT_WRITE) && !(flags & never) &&
	       len >= DUNE_HUGE_MIN;
}
