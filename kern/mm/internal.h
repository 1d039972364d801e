/*
 * Shared by the files of mm/. Everything here wants mm->lock held.
 */
#ifndef DUNE_KERN_MM_INTERNAL_H
#define DUNE_KERN_MM_INTERNAL_H

#include <sys/mman.h>
#include "kern/mm/mm.h"

#define DUNE_ACCESS	(PROT_READ | PROT_WRITE | PROT_EXEC)

/* From this size on an anonymous mapping gets large pages. */
#define DUNE_HUGE_MIN	DUNE_LARGE_SIZE

/*
 * Up to this size memory that has just been made writable is brought in at
 * once: a program that asks for so little is about to fill it.
 */
#define DUNE_PREFILL_MAX (256ul << 10)

/* Not in every libc's headers. */
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE		0x08
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

/* The protection of the host's mapping: never PROT_EXEC. */
static inline int dune_host_prot(uint32_t prot)
{
	if (prot & PROT_WRITE)
		return PROT_READ | PROT_WRITE;
	return prot ? PROT_READ : PROT_NONE;
}

/* The rights of a guest entry; 0 when there must be none. */
static inline uint64_t dune_pte_flags(uint32_t prot)
{
	if (!prot)
		return 0;
	return DUNE_PTE_U | DUNE_PTE_A | DUNE_PTE_D |
	       (prot & PROT_WRITE ? DUNE_PTE_W : 0) |
	       (prot & PROT_EXEC ? 0 : DUNE_PTE_NX);
}

/* The one place where a guest address becomes an argument of mmap and co. */
static inline void *dune_host_addr(dune_gva_t addr)
{
	return (void *)(uintptr_t)addr;
}

/*
 * First half of every change that takes something away: no guest entry of
 * the range is left. dune_mm_changed() is the second, after the host's.
 */
void dune_mm_drop(struct dune_mm *mm, dune_gva_t start, uint64_t len);
void dune_mm_changed(struct dune_mm *mm);

/*
 * A host call that replaces the range failed: it may have unmapped what was
 * there. Takes out of the tree what is not on the host any more.
 */
void dune_mm_resync(struct dune_mm *mm, dune_gva_t start, uint64_t len);

/* Unmaps a range inside the arena. 0 or the host's errno. */
int dune_mm_unmap(struct dune_mm *mm, dune_gva_t start, uint64_t len);

/* Maps what is between `to`, a page, and the GROWSDOWN region r. */
int dune_mm_grow_down(struct dune_mm *mm, const struct dune_region *r,
		      dune_gva_t to);

/* Would `more` counted bytes instead of `less` stay within --mem? */
bool dune_mm_fits(const struct dune_mm *mm, uint64_t more, uint64_t less);

/*
 * A place for len bytes (0: none); shift: the wanted offset in the alignment.
 */
dune_gva_t dune_mm_place(struct dune_mm *mm, uint64_t len, uint64_t align,
			 uint64_t shift);

/*
 * Entries and host pages for a writable private range inside one region, so
 * that its first use causes no guest page fault. Best effort.
 */
void dune_mm_prefill(struct dune_mm *mm, dune_gva_t start, uint64_t len);

/* Slot and entries for (what is left of) the vvar pages, region r. */
int dune_mm_map_vvar(struct dune_mm *mm, const struct dune_region *r);

/* Is a region a candidate for large pages? */
bool dune_mm_wants_huge(uint32_t prot, uint32_t flags, uint64_t len);

#endif
