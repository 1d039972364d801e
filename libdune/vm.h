/*
 * Page tables from the guest's side: what libdune's files share, and what the
 * lead of Dune mode (mode.c, trap.c, kern/self) has to call. The public
 * contract is dune/pgtable.h.
 *
 *   vmtable.c  table pages, their descriptors    vmroot.c   roots, following
 *   vmwalk.c   the one walker; lookups, walks    vmclone.c  snapshots, COW
 *   vmedit.c   map, protect, unmap, split        vmfault.c  faults' first aid
 *   vmscan.c   accessed and dirty bits           vmflush.c  TLB, CR3, gathers
 *   page.c     the page pool                     userview.c ring 3's tables
 *   vmlog.c    dirty bits where KVM has shadows
 *
 * Rules of this code:
 *   - It runs inside page faults on any page of the process: all it writes
 *     is in the ring 0 area or the pool (`struct dune_vms`), neither of
 *     which is ever copied on write; it calls no libc and uses no FPU register.
 *   - Host code edits the main root at the same time: entries of any root
 *     change by single stores and compare-exchange only.
 *   - The one lock (dune_vm_lock()) is for things between roots: the list of
 *     them, copy-on-write, user views. While it is held: no hypercall that
 *     makes entries, no system call that changes mappings, no signal.
 */
#ifndef DUNE_LIBDUNE_VM_H
#define DUNE_LIBDUNE_VM_H

#include <errno.h>
#include "dune/pgtable.h"
#include "dune/trap.h"
#include "kern/layout.h"
#include "kern/types.h"

/* ---- for the lead ---- */

/*
 * What the guest side needs from the host side. None may be NULL but hold and
 * what comes after it. All are called in guest mode and must not use FPU
 * registers or libc.
 */
struct dune_vm_ops {
	bool (*inside)(void);		/* this thread is in Dune mode */
	long (*fill)(uint64_t va);	/* DUNE_HC_FILL: 0, -EFAULT, -ENOMEM */
	int (*back)(uint64_t va, uint64_t *gpa);	/* DUNE_HC_BACK */
	uint64_t (*cr3)(void);		/* of this thread, in ring 0 */
	void (*set_cr3)(uint64_t cr3);	/* loads it; flushes unless NOFLUSH */
	void (*invlpg)(uint64_t va);
	void (*shootdown)(void);	/* other threads; cheap when there is
					 * none in Dune mode */
	void (*hold)(bool on);		/* true: no signal is delivered to this
					 * thread till false; nests */
	void (*decline)(void);		/* the fault whose handler runs becomes
					 * a signal after all */
	/* calls cb for each mapping, in order, until it returns not 0; NULL:
	 * from /proc/self/maps */
	int (*mappings)(int (*cb)(void *arg, uint64_t lo, uint64_t hi,
				  bool writable, bool shared), void *arg);
	/* NULL: KVM does not shadow tables. What vm.h says of both. */
	int (*alias)(void);
	void (*unwrite)(const struct dune_windows *w, uint64_t *list,
			bool calls);
};

#define DUNE_VMF_SOFT	1	/* ring 0 is emulated: user views */
#define DUNE_VMF_GB	2	/* CPUID 80000001 EDX bit 26 */
#define DUNE_VMF_PCID	4	/* CR4.PCIDE is set */

struct dune_vm_setup {
	const struct dune_vm_ops *ops;
	char *area;		/* ring 0 area: host = guest address */
	uint64_t area_size;	/* gpa 0 .. area_size */
	/*
	 * The part [own, own + own_size) of it that is ours, page aligned,
	 * zero, at least DUNE_VM_OWN_MIN; every page of it mapped writable in
	 * the main root, by 4 KiB or 2 MiB entries, at area + gpa.
	 */
	uint64_t own, own_size;
	uint64_t root;		/* gpa of the main root */
	/* code and data of what resolves faults: in every following root */
	void *image;
	size_t image_len;
	unsigned int flags;	/* DUNE_VMF_* */
	/* tests: where the pool goes. 0: DUNE_VM_POOL */
	uint64_t pool;
};

#define DUNE_VM_OWN_MIN	(16ul << 20)

/* Once, on the host side, before the first thread enters. -EINVAL. */
int dune_vm_attach(const struct dune_vm_setup *setup);
/* In a forked child: locks other threads held are free. */
void dune_vm_forked(void);

/*
 * Called by the trap dispatcher for every page fault, before the program's
 * handlers. va: CR2; *error: the CPU's error code; user: from (virtual) ring 3,
 * whose root is the thread's current root. 0: resolved, resume. -EFAULT: the
 * program's: *error is what the CPU would have said with the program's own
 * table (on a software KVM they differ), va unchanged.
 */
int dune_vm_fault(uint64_t va, uint32_t *error, bool user);

/*
 * From the host side, with the smem lock held or not: the mappings of [va, va +
 * len) have changed, the main root's entries are already edited; before the
 * change reaches the host mapping (so that KVM drops what it made of the old
 * entries). Other roots drop what they have there, but for snapshots, which get
 * copies. gone: also pages of their own: the range is unmapped or mapped anew
 * (munmap, mmap, mremap, MADV_DONTNEED), not mprotected. Lock-free; no libc;
 * must not be called in guest mode.
 */
void dune_vm_changed(uint64_t va, uint64_t len, bool gone);

/* Software KVM: what ring 3 runs on when ring 0's CR3 is cr3. 0: no memory. */
uint64_t dune_userview_cr3(uint64_t cr3);

/* ---- inside ---- */

#define DUNE_VM_SHARED		(DUNE_RING0_GVA >> 39)	/* PML4 index */
#define DUNE_VM_SHARED_LO	(DUNE_VM_SHARED << 39)
#define DUNE_VM_SHARED_HI	(DUNE_VM_SHARED_LO + (1ul << 39))
#define DUNE_VM_POOL		(DUNE_VM_SHARED_LO + (256ul << 30))
#define DUNE_VM_POOL_SIZE	(64ul << 30)

#define DUNE_TABLE_FLAGS	(PTE_P | PTE_W | PTE_U | PTE_A)

/* Of each table page; index: (gpa - own) / 4 KiB. */
struct dune_tdesc {
	uint32_t next;		/* free list; root: next one. + 1, 0: end */
	uint32_t view;		/* of a root: its user view's root + 1 */
	uint32_t use;		/* enum dune_table_use */
};

enum dune_table_use { DUNE_TABLE_FREE, DUNE_TABLE_USED, DUNE_TABLE_ROOT };

/* In the area, never copied on write. */
struct dune_vms {
	struct dune_vm_ops ops;
	char *area;
	uint64_t area_size, own, main_root, pool;
	void *image;
	size_t image_len;
	uint64_t super;		/* bits of a supervisor entry */
	unsigned int flags;
	uint32_t lock;
	/* table pages: tag << 32 | index + 1 of the first free one */
	uint64_t free_tables;
	uint32_t n_tables, first_table, next_table, used_tables;
	struct dune_tdesc main_desc;	/* of the main root, not our page */
	char *stack_lo, *stack_top;	/* for dune_vm_clone(); the lock held */
	uint32_t walkers;	/* dune_vm_changed() at work */
	uint32_t log;		/* vmlog.c: whether its way works */
	uint64_t *cleared;	/* vmlog.c: a bit a page of physical space */
	uint64_t view_shared;	/* entry of the shared range in user views */
	/* the pool */
	uint64_t free_pages;	/* tag << 32 | page number + 1 */
	uint64_t next_page;	/* number of the next that was never used */
	uint32_t chunks;	/* ready */
	uint64_t used_pages;
	/* by number of 64 MiB of virtual, physical space; + 1; 0: not known */
	uint32_t *window, *rwindow;
	struct dune_tdesc *desc;
};

extern struct dune_vms *dune_vms;	/* NULL before dune_vm_attach() */

#define DUNE_VM_WINDOWS		(1u << (47 - DUNE_WINDOW_SHIFT))
#define DUNE_VM_RWINDOWS	(1u << 17)	/* 8 TiB of physical space */

static inline ptent_t dune_pte_load(const ptent_t *e)
{
	return __atomic_load_n(e, __ATOMIC_RELAXED);
}

static inline bool dune_pte_cas(ptent_t *e, ptent_t *old, ptent_t v)
{
	return __atomic_compare_exchange_n(e, old, v, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static inline unsigned int dune_pte_slot(uint64_t va, int level)
{
	return va >> (DUNE_PAGE_SHIFT + 9 * level) & 511;
}

static inline uint64_t dune_level_size(int level)
{
	return 1ul << (DUNE_PAGE_SHIFT + 9 * level);
}

static inline bool dune_pte_leaf(ptent_t e, int level)
{
	return level == 0 || ((e & PTE_PS) && level < 3);
}

/* Bits of a larger leaf's address below its size are not address. */
static inline uint64_t dune_leaf_pa(ptent_t e, int level)
{
	return PTE_ADDR(e) & ~(dune_level_size(level) - 1);
}

static inline bool dune_vm_shared(uint64_t va)
{
	return dune_pte_slot(va, 3) == DUNE_VM_SHARED;
}

/* Copies and clears whole pages without libc, whose versions use SSE. */
static inline void dune_copy_page(void *to, const void *from)
{
	unsigned long n = DUNE_PAGE_SIZE / 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n)
			 : : "memory");
}

static inline void dune_clear_words(void *to, unsigned long n)
{
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(0ul)
			 : "memory");
}

static inline void dune_clear_page(void *to)
{
	dune_clear_words(to, DUNE_PAGE_SIZE / 8);
}

/* A system call without libc, which would touch errno. */
static inline long dune_raw_call(long nr, long a, long b, long c, long d,
				 long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall" : "+a"(nr) : "D"(a), "S"(b), "d"(c),
			 "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return nr;
}

static inline bool dune_vm_inside(void)
{
	return dune_vms && dune_vms->ops.inside();
}

/* vmtable.c */
void dune_vm_lock(void);
void dune_vm_unlock(void);
ptent_t *dune_table_new(uint64_t *gpa);		/* zeroed; NULL */
void dune_table_free(uint64_t gpa);
/*
 * Drops the pages and frees the tables below an entry that no root has any
 * more; level: of the table it points to. keep: leaves the tables alone.
 * Entries may lead anywhere (to a root: a table that maps itself): each table
 * is freed once, and only what this code has made.
 */
void dune_table_drop(ptent_t e, int level, bool keep);
/* The table an entry (or a root's gpa) points to; NULL: nowhere known. */
ptent_t *dune_table_at(ptent_t e);
uint64_t dune_table_gpa(const ptent_t *table);
/* Does an entry lead to a root, as in a table that maps itself? */
bool dune_table_is_root(ptent_t e);
/* Descriptor of a table page; NULL: the table is none of ours. */
struct dune_tdesc *dune_table_desc(uint64_t gpa);
ptent_t *dune_vm_main(void);

/* vmwalk.c */
#define DUNE_WALK_FILL		1	/* ask for, follow what is not there */
#define DUNE_WALK_SPLIT		2	/* larger leaves partly in the range */
#define DUNE_WALK_CREATE	4	/* tables down to `want` */
#define DUNE_WALK_ZERO		8	/* visit zero entries of level `want` */
#define DUNE_WALK_DIRS		16	/* visit directory entries too */
#define DUNE_WALK_ALL		32	/* the shared range, too */
#define DUNE_WALK_ABSENT	64	/* absent() where there is no table */
#define DUNE_WALK_ONE_BY_ONE	128	/* FILL: known to be mapped */
#define DUNE_WALK_PULL		256	/* follow zero entries only */

struct dune_walk {
	ptent_t *root;
	uint64_t lo, last;	/* canonical addresses, last included */
	unsigned int flags;
	int want;		/* leaves are looked for down to this level */
	/* not 0 ends the walk. level: of the entry */
	int (*visit)(struct dune_walk *w, ptent_t *e, uint64_t va, int level);
	int (*absent)(struct dune_walk *w, uint64_t va, uint64_t last);
	/* instead of visit, where a table of level `want` is: n entries */
	int (*table)(struct dune_walk *w, ptent_t *e, uint64_t va,
		     unsigned int n);
	void *arg;
};
int dune_walk(struct dune_walk *w);
/* lo, last from a range in bytes, whole pages. 1: empty; -EINVAL. */
int dune_walk_range(struct dune_walk *w, void *va, size_t len);
/* A leaf at level 1 or 2, becomes a table of smaller ones. -ENOMEM. */
int dune_vm_split_leaf(ptent_t *e, int level);
/* As dune_vm_lookup(), without asking for what is not there. */
int dune_walk_leaf(ptent_t *root, uint64_t va, ptent_t **e, int *level);
/* The entry for va of the level, tables above it made. -EEXIST: *e a leaf. */
int dune_walk_create(ptent_t *root, uint64_t va, int level, ptent_t **e);
/* What the CPU makes of all entries on the way. -ENOENT: not present. */
struct dune_rights {
	ptent_t *e;		/* the last one looked at */
	int level;
	ptent_t all;		/* of P, W, U those that all have */
	ptent_t any;		/* NX if one has */
	ptent_t up_all, up_any;	/* the same without *e */
};
int dune_walk_rights(ptent_t *root, uint64_t va, struct dune_rights *r);
/*
 * Makes the span around va in root (main, or following). -ENOENT: it has none
 */
int dune_vm_fill_span(ptent_t *root, uint64_t va);

/* vmroot.c */
bool dune_root_follows(const ptent_t *root);	/* also true: the main root */
int dune_root_pull(ptent_t *root, uint64_t va);	/* one zero entry from main */
struct dune_tdesc *dune_root_desc(const ptent_t *root);
int dune_vm_mappings(int (*cb)(void *, uint64_t, uint64_t, bool, bool),
		     void *arg);
/* The list begins with the main root; NULL: end. The lock held or a walker. */
ptent_t *dune_root_next(ptent_t *root);

/*
 * vmscan.c: many ranges, one flush. SPLIT: 2 MiB leaves that are found touched
 * become 4 KiB entries, as far as there are tables. told: system calls under
 * way are to mark theirs again if that costs no hypercall more; have they?
 * NULL: they are not to.
 */
#define DUNE_SCAN_SPLIT		2
struct dune_gc_range;
long dune_vm_scan_ranges(ptent_t *root, struct dune_gc_range *range, size_t n,
			 int flags, bool *told);

/*
 * vmlog.c: dirty bits that are cleared so that a KVM that shadows tables has
 * little to do.
 */
struct dune_cleared {
	bool any;
	struct dune_windows windows;	/* of pages */
};
/* c, or NULL: not for this root, or this KVM. */
struct dune_cleared *dune_cleared_begin(struct dune_cleared *c,
					const ptent_t *root);
/* Clears the entry's bit. False: nothing done, the table is elsewhere. */
bool dune_cleared_add(struct dune_cleared *c, ptent_t *e, int level);
/*
 * What a flush is for other edits. calls: system calls under way mark theirs
 * again. True: there was something to do, and it was done by a hypercall.
 */
bool dune_cleared_end(struct dune_cleared *c, bool calls);

/* vmclone.c */
int dune_vm_break(ptent_t *root, uint64_t va);

/* page.c */
struct page *dune_page_new(void);	/* not zeroed */

/* vmphys.c part of page.c: the identity page, and back. 0: none. */
uint64_t dune_vm_back_page(uint64_t va);
uint64_t dune_pa_to_va(uint64_t pa);

/* vmflush.c: what an edit leaves to be done at its end. */
struct dune_gather {
	ptent_t *root;
	uint64_t lo, last;	/* lo > last: nothing */
	unsigned int n;
	struct page *page[64];	/* to be put when no TLB has them */
};
void dune_gather_init(struct dune_gather *g, ptent_t *root);
/* The entry at va changed from old to new: a pool page it owned goes. */
void dune_gather_add(struct dune_gather *g, ptent_t old, ptent_t new,
		     uint64_t va, int level);
void dune_gather_end(struct dune_gather *g);

/* userview.c; all but _fault do nothing without a view. */
/* r: of va in root, where ring 3 may do it. -EFAULT: no memory for it. */
int dune_userview_fault(ptent_t *root, uint64_t va,
			const struct dune_rights *r);
void dune_userview_drop(ptent_t *root, uint64_t lo, uint64_t last);
void dune_userview_drop_locked(ptent_t *root, uint64_t lo, uint64_t last);
void dune_userview_free(ptent_t *root);
/* P with U clear: SUPER is meant. 0: changed. */
int dune_pte_fixup(ptent_t *root, uint64_t va);

#endif
