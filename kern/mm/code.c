/* Changing the code of a program from outside. */
#include "kern/mm/code.h"

#include <errno.h>
#include <string.h>
#include "kern/mm/internal.h"
#include "kern/mm/uaccess.h"

#define CODE	(PROT_READ | PROT_EXEC)
#define WORD	sizeof(uint64_t)

static const struct dune_region *private_code(struct dune_mm *mm,
					      dune_gva_t at, uint64_t len)
{
	const struct dune_region *r = dune_region_find(&mm->regions, at);

	if (!r || r->prot != CODE || len > r->end - at ||
	    r->flags & (DUNE_R_SHARED | DUNE_R_VDSO | DUNE_R_CAREFUL))
		return NULL;
	return r;
}

uint64_t dune_mm_code(struct dune_mm *mm, dune_gva_t at, uint64_t max)
{
	const struct dune_region *r = private_code(mm, at, 1);

	if (!r || !(r->flags & DUNE_R_FILE))
		return 0;
	return r->end - at < max ? r->end - at : max;
}

/* Below it first: a heap grows upwards. */
static dune_gva_t find_area(struct dune_mm *mm, dune_gva_t near, uint64_t len,
			    uint64_t reach)
{
	dune_gva_t lo = DUNE_ARENA_LO, hi = DUNE_ARENA_HI, at;

	if (near - DUNE_ARENA_LO > reach)
		lo = near - reach;
	if (DUNE_ARENA_HI - near > reach)
		hi = near + reach;
	at = dune_region_hole_below(&mm->regions, lo, near, len, len);
	return at ? at : dune_region_hole_below(&mm->regions, near, hi, len,
						len);
}

dune_gva_t dune_mm_code_area(struct dune_mm *mm, dune_gva_t near, uint64_t len,
			     uint64_t reach)
{
	dune_gva_t at = find_area(mm, near, len, reach);
	void *got;

	if (!at || dune_regions_reserve(&mm->regions, 2))
		return 0;
	got = mmap(dune_host_addr(at), len, dune_host_prot(CODE),
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (got == MAP_FAILED)
		return 0;
	if (got != dune_host_addr(at)) {
		/* a kernel before 4.17 takes NOREPLACE for a hint */
		munmap(got, len);
		return 0;
	}
	dune_region_insert(&mm->regions, at, len, CODE, 0);
	return at;
}

static int store_words(dune_gva_t at, const uint8_t *bytes, size_t len)
{
	while (len) {
		size_t skip = at % WORD, n = WORD - skip;
		uint64_t word;

		if (n > len)
			n = len;
		if (dune_copy_in(&word, at - skip, WORD))
			return -EFAULT;
		memcpy((uint8_t *)&word + skip, bytes, n);
		if (dune_store_out(at - skip, word))
			return -EFAULT;
		at += n;
		bytes += n;
		len -= n;
	}
	return 0;
}

int dune_mm_code_write(struct dune_mm *mm, dune_gva_t at, const void *bytes,
		       size_t len)
{
	dune_gva_t first = DUNE_PAGE_DOWN(at);
	uint64_t size = DUNE_PAGE_UP(at + len) - first;
	int r;

	if (!private_code(mm, at, len))
		return -EFAULT;
	/* the guest's entries stay as they are: it may not write */
	if (mprotect(dune_host_addr(first), size, PROT_READ | PROT_WRITE))
		return -errno;
	r = store_words(at, bytes, len);
	mprotect(dune_host_addr(first), size, dune_host_prot(CODE));
	return r;
}
