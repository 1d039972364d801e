/*
 * Page tables of a program in Dune mode: x86-64 four-level tables (SDM vol. 3,
 * 4.5; APM vol. 2, 5.3) in memory the program reads and writes.
 *
 * A *root* is a pointer to a PML4 table. `pgroot` is the main root, in which
 * the process finds itself as the host kernel maps it: virtual address = host
 * address, entries made when they are first needed. An empty (zero) directory
 * entry in it means "nobody asked yet", so:
 *   - dune_vm_lookup(), mprotect, unmap, scan ... ask first, and see what is
 *     mapped; dune_vm_page_walk() shows what is in the tables, and no more.
 *   - an entry of the last level that is zero, or not what libc made it, is
 *     the program's wish: touching the page is the fault handler's business.
 *   - munmap(), mprotect(), mremap(), brk() keep entries of the main root true.
 * The tables of the main root are never freed. A *following* root
 * (dune_vm_clone(), dune_root_new(DUNE_ROOT_FOLLOW)) takes what it has no entry
 * for, zero entries of the last level included, from the main root;
 * DUNE_PTE_NONE is the entry of a page that is to stay unmapped there.
 *
 * What all roots share: the 512 GiB that hold libdune's own tables, stacks and
 * the page pool (0x500000000000). Edits of ranges step over it. Entries that
 * lead to a root (a table that maps itself) are followed by lookups
 * only: ranges, walks and clones leave them out.
 *
 * Entries may be edited directly, by single stores or atomic operations, the
 * host side and other threads doing the same. Making an absent entry present
 * needs no flush; any other change takes effect with dune_flush_tlb(),
 * dune_flush_tlb_one() or a load of CR3. The functions here flush
 * themselves, on all threads in Dune mode, once a call.
 *
 * Supervisor pages: those without PERM_U. On a software KVM, where ring 0 is
 * emulated, their entries have PTE_U and DUNE_PTE_SUPER set; use
 * dune_pte_user() to ask. An entry stored with PTE_U clear means the same, and
 * is what a handler finds when ring 3 touched such a page: setting PTE_U in it
 * opens the page on both kinds (but not in libdune's own image).
 *
 * Forwarded system calls see the process's own page at an address, whatever the
 * current root says of it. So where an entry does not map its identity page
 * (dune_va_to_pa(va)), pass no pointers into it to system calls. For the
 * same reason what a system call writes into a page a clone still shares
 * is seen by the clone: write to it (or dune_vm_cow() it) first.
 *
 * All functions: callable by a thread in Dune mode, trap handlers included,
 * thread-safe; errors are negative errno values, -EPERM outside Dune mode.
 * They return what is documented, leave dune_errmsg() alone, call no malloc.
 * Two threads that edit the same entry: one of them wins.
 */
#ifndef DUNE_PGTABLE_H
#define DUNE_PGTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef DUNE_API
#define DUNE_API __attribute__((visibility("default")))
#endif

typedef uint64_t ptent_t;
typedef uint64_t physaddr_t;	/* guest physical */
struct page;

/* Entries (SDM vol. 3, tables 4-15 to 4-20). */
#define PTE_P		0x0001ul
#define PTE_W		0x0002ul
#define PTE_U		0x0004ul
#define PTE_PWT		0x0008ul
#define PTE_PCD		0x0010ul
#define PTE_A		0x0020ul
#define PTE_D		0x0040ul
#define PTE_PS		0x0080ul	/* a 2 MiB or 1 GiB leaf */
#define PTE_PAT		0x0080ul	/* 4 KiB leaf */
#define PTE_G		0x0100ul
#define PTE_AVAIL	0x0e00ul
#define PTE_PAT_PS	0x1000ul	/* PAT of a larger leaf */
#define PTE_AVAIL2	0x7ff0000000000000ul
#define PTE_NX		0x8000000000000000ul
#define PTE_COW		0x0200ul	/* not writable: copy on write */
#define PTE_USR1	0x4000000000000000ul	/* the program's */
#define PTE_USR2	0x2000000000000000ul
#define PTE_USR3	0x1000000000000000ul
#define PTE_ADDR(e)	((physaddr_t)(e) & 0x000ffffffffff000ul)
#define PTE_FLAGS(e)	((physaddr_t)(e) & 0xfff0000000000ffful)

/* libdune's own. */
#define DUNE_PTE_HOST	0x0400ul	/* not present: ask the host side */
#define DUNE_PTE_SUPER	0x0800ul	/* see above */
#define DUNE_PTE_FOLLOW	(1ul << 52)	/* root's entry of the shared range */
#define DUNE_PTE_NONE	(1ul << 53)	/* not present, and stays so */
#define DUNE_PTE_SNAP	(1ul << 54)	/* PTE_COW by dune_vm_clone() */

/* Rights of the calls below. PERM_R is implied by a present page. */
#define PERM_NONE	0
#define PERM_R		0x0001
#define PERM_W		0x0002
#define PERM_X		0x0004
#define PERM_U		0x0008		/* ring 3 as well */
#define PERM_UC		0x0010		/* uncached */
#define PERM_COW	0x0020
#define PERM_BIG	0x0100		/* 2 MiB pages */
#define PERM_BIG_1GB	0x0200		/* 1 GiB pages */
#define PERM_USR1	0x1000		/* PTE_USR1 ... */
#define PERM_USR2	0x2000
#define PERM_USR3	0x4000		/* the original: 0x3000, 1 and 2 */
#define PERM_SCODE	(PERM_R | PERM_X)
#define PERM_STEXT	(PERM_R | PERM_W)
#define PERM_SSTACK	PERM_STEXT
#define PERM_UCODE	(PERM_R | PERM_U | PERM_X)
#define PERM_UTEXT	(PERM_R | PERM_U | PERM_W)
#define PERM_USTACK	PERM_UTEXT

#define VA_START	((void *)0)
#define VA_END		((void *)-1)

enum {
	CREATE_NONE = 0,
	CREATE_NORMAL = 1,
	CREATE_BIG = 2,
	CREATE_BIG_1GB = 3,
};

#define CR3_NOFLUSH	(1ul << 63)
#define CR3_PCID	0xffful

/* Set when Dune mode is first entered; the main root until the process ends. */
extern DUNE_API ptent_t *pgroot;

/* May ring 3 reach what the entry maps? The entry itself; not those above. */
static inline bool dune_pte_user(ptent_t e)
{
	return (e & (PTE_U | DUNE_PTE_SUPER)) == PTE_U;
}

/* ---- looking ---- */

/*
 * The entry that maps va: of a 4 KiB page, or of the larger page va is in.
 * create: CREATE_NORMAL makes missing tables for a 4 KiB entry (a larger leaf
 * is returned as it is); CREATE_BIG and CREATE_BIG_1GB for an entry of that
 * size, -EEXIST where smaller tables are. *pte stays valid as long as the root;
 * the entry in it may be absent (PTE_P clear).
 * 0; -ENOENT: no table, CREATE_NONE; -ENOMEM; -EINVAL: va not canonical,
 * 1 GiB pages on a CPU without; -EFAULT: a table entry leads nowhere.
 */
DUNE_API int dune_vm_lookup(ptent_t *root, void *va, int create,
			    ptent_t **pte);

/*
 * The entry for va in the table of the given level: 3 PML4, 2 page directory
 * pointers, 1 directory, 0 page table. Creates nothing.
 * 0; -ENOENT: the way down ends earlier (absent, or a larger leaf); -EINVAL:
 * va, level; -EFAULT: a table entry leads nowhere.
 */
DUNE_API int dune_vm_lookup_level(ptent_t *root, void *va, int level,
				  ptent_t **pte);

/*
 * Makes the entries of what the process has mapped in [va, va + len), so
 * that walks see them. The main root and following roots; else does nothing.
 */
DUNE_API int dune_vm_fill(ptent_t *root, void *va, size_t len);

/*
 * Calls cb for each leaf entry that is not zero from start to end, both
 * included, in order of addresses; larger leaves are one call, with the address
 * they begin at. cb may change the entry (and must flush, see above). What cb
 * returns other than 0 ends the walk and is returned.
 */
typedef int (*page_walk_cb)(const void *arg, ptent_t *pte, void *va);
DUNE_API int dune_vm_page_walk(ptent_t *root, void *start, void *end,
			       page_walk_cb cb, const void *arg);

/*
 * The same for entries of all levels, each directory entry before what is below
 * it; level as in dune_vm_lookup_level(). A directory entry that cb clears
 * is not followed.
 */
typedef int (*dune_walk_cb)(const void *arg, ptent_t *pte, void *va,
			    int level);
DUNE_API int dune_vm_walk(ptent_t *root, void *start, void *end,
			  dune_walk_cb cb, const void *arg);

/* ---- editing ----
 *
 * Ranges are of bytes; all pages they touch are meant. Larger leaves are split
 * where a range covers a part of one. -EINVAL: a range that wraps around, is
 * not canonical or lies in the shared range; perm out of its values. -ENOMEM:
 * no table page left; what comes before in the range is done.
 */

/*
 * Gives present entries of the range the rights of perm; A, D and the page
 * stay. PERM_NONE (perm without PERM_R) makes entries not present and keeps the
 * page in
 * them: a later call with PERM_R brings it back. -EINVAL: PERM_W alone.
 */
DUNE_API int dune_vm_mprotect(ptent_t *root, void *va, size_t len, int perm);

/*
 * Many of them with one flush. The first error ends it; flushed all the same.
 */
struct dune_vm_range {
	void *va;
	size_t len;
	int perm;
};
DUNE_API int dune_vm_protect_ranges(ptent_t *root,
				    const struct dune_vm_range *range,
				    size_t n);

/*
 * Maps the range to guest physical addresses from pa on; what was mapped goes.
 * PERM_BIG, PERM_BIG_1GB: va and pa aligned to that, len is rounded up. -EINVAL
 * otherwise, and for 1 GiB pages on a CPU without. A pool page
 * (dune_page_alloc()) that is mapped is owned by the entry: one reference each.
 */
DUNE_API int dune_vm_map_phys(ptent_t *root, void *va, size_t len, void *pa,
			      int perm);

/* Maps new zeroed pool pages. */
DUNE_API int dune_vm_map_pages(ptent_t *root, void *va, size_t len, int perm);

/* Maps one pool page and takes a reference to it. */
DUNE_API int dune_vm_insert_page(ptent_t *root, void *va, struct page *pg,
				 int perm);
/* The pool page at va, without a new reference; NULL: none. */
DUNE_API struct page *dune_vm_lookup_page(ptent_t *root, void *va);

/*
 * Empties the entries; pool pages lose a reference. In a following root the
 * pages stay unmapped (DUNE_PTE_NONE) although the main root has them.
 */
DUNE_API void dune_vm_unmap(ptent_t *root, void *va, size_t len);

/* Breaks larger leaves of the range into 4 KiB entries with the same bits. */
DUNE_API int dune_vm_split(ptent_t *root, void *va, size_t len);

/*
 * Moves the 4 KiB entries of [from, from + len) to `to`, whose entries go, and
 * leaves from unmapped; page aligned, not overlapping, or -EINVAL. Pages
 * do not move in memory, so they are no longer identity pages.
 */
struct dune_vm_move {
	void *from, *to;
	size_t len;
};
DUNE_API int dune_vm_move(ptent_t *root, const struct dune_vm_move *move,
			  size_t n);

/*
 * Sets and clears bits among PTE_USR1-3, of present entries. No flush needed.
 */
DUNE_API int dune_vm_user_bits(ptent_t *root, void *va, size_t len,
			       ptent_t set, ptent_t clear);

/*
 * Accessed and dirty bits of the len / 4 KiB pages from va on (both page
 * aligned) into bitmap: bit i % 64 of word i / 64 is page i. Of a larger leaf
 * all bits are the leaf's. Which: DUNE_SCAN_DIRTY, DUNE_SCAN_ACCESSED, or both:
 * the page has any of them. DUNE_SCAN_CLEAR also clears those, atomically, and
 * flushes once. Pages that nothing was asked about yet (no table) count as
 * touched, for the host may have written them. bitmap may be NULL (count, or
 * clear).
 * Returns the number of bits set. -EINVAL: not aligned, not canonical, flags.
 */
#define DUNE_SCAN_ACCESSED	0x20
#define DUNE_SCAN_DIRTY		0x40
#define DUNE_SCAN_CLEAR		1
DUNE_API long dune_vm_scan(ptent_t *root, void *va, size_t len, int flags,
			   uint64_t *bitmap);

/* ---- roots ---- */

/*
 * A new root, NULL when table pages are used up. DUNE_ROOT_FOLLOW: a live view
 * of the process, to be changed where the program likes. 0: empty but for the
 * shared range; code that runs in it has to be mapped first.
 */
#define DUNE_ROOT_FOLLOW	1
DUNE_API ptent_t *dune_root_new(int flags);

/*
 * A snapshot: private writable pages (MAP_PRIVATE mappings; pool pages) of both
 * become copy-on-write, all else is shared. Follows the main root in what is
 * mapped later. The live page stays where it is: when the main root is written,
 * the clones that share the page get a copy of its old contents. So a clone
 * that maps a process page at another address than its own sees that page
 * change. Faults on such pages are resolved before the program's handlers.
 * Costs a table page for each 2 MiB mapped by 4 KiB entries. NULL: no memory.
 */
DUNE_API ptent_t *dune_vm_clone(ptent_t *root);

/* Frees tables and references. The root must be in use by no thread. */
DUNE_API void dune_vm_free(ptent_t *root);

/* Turns following on or off. -EINVAL for the main root. */
DUNE_API int dune_root_follow(ptent_t *root, bool on);

/*
 * The calling thread goes on in root. pcid: 0, or a process-context identifier
 * (1-4095) for translations to survive switches; CR3_NOFLUSH may be or'ed to it
 * to keep those there are: then every edit of the root since has to have been
 * flushed while the root was current. Without PCID the CPU keeps none; on a
 * software KVM CR3_NOFLUSH keeps what ring 3 has of the root.
 * -EINVAL: not a root (but a table that can be read); or code and stack are not
 * mapped in it; or pcid.
 */
DUNE_API int dune_root_switch(ptent_t *root, uint64_t pcid);
DUNE_API ptent_t *dune_root_current(void);

/*
 * The write fault at addr on a page with PTE_COW in the current root: gives
 * it a page of its own (in the main root: gives clones theirs). 0; -ENOENT:
 * not such a page, or fec has no DUNE_PF_WRITE; -ENOMEM.
 */
DUNE_API int dune_vm_cow(uintptr_t addr, uint64_t fec);
/*
 * The same for page fault handlers; a fault it cannot resolve becomes a signal.
 */
DUNE_API void dune_vm_default_pgflt_handler(uintptr_t addr, uint64_t fec);

/* ---- physical pages ---- */

/* Guest physical address of a byte of the process or the pool; 0: none. */
DUNE_API physaddr_t dune_va_to_pa(const void *ptr);

/* A page of the pool (64 GiB at most, from the host 64 MiB at a time). */
struct page {
	struct {
		struct page *sle_next;
	} link;			/* the owner's; the pool's when free */
	uint64_t ref;
};

/* A zeroed page with one reference; NULL: no memory. */
DUNE_API struct page *dune_page_alloc(void);
/* Takes a reference and returns pg; drops one, with the last the page. */
DUNE_API struct page *dune_page_get(struct page *pg);
DUNE_API void dune_page_put(struct page *pg);
/* Frees the page whatever its references. */
DUNE_API void dune_page_free(struct page *pg);
DUNE_API physaddr_t dune_page2pa(const struct page *pg);
/* NULL: not of the pool. */
DUNE_API struct page *dune_pa2page(physaddr_t pa);
DUNE_API bool dune_page_isfrompool(physaddr_t pa);
/* Where the page can be read and written, in every root. */
DUNE_API void *dune_page_va(const struct page *pg);

struct dune_page_counts {
	uint64_t total;		/* ever taken from the host */
	uint64_t used;
	uint64_t tables_total, tables_used;	/* table pages */
};
DUNE_API void dune_page_counts(struct dune_page_counts *counts);

/* ---- TLB ---- */

/* This thread's translations of its root, and of one address. */
DUNE_API void dune_flush_tlb(void);
DUNE_API void dune_flush_tlb_one(uintptr_t va);
/* Those of all threads in Dune mode, in all roots they are in. */
DUNE_API void dune_flush_tlb_all(void);

/*
 * CR3: guest physical address of a root (or, as programs for the original
 * have it, the root's pointer) | PCID | CR3_NOFLUSH. -EINVAL: not a root.
 */
DUNE_API int dune_load_cr3(uint64_t cr3);
static inline void load_cr3(unsigned long cr3)
{
	dune_load_cr3(cr3);
}

#ifdef __cplusplus
}
#endif

#endif
