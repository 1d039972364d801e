/*
 * Snapshots of a root, and copying on write.
 *
 * The page that the process's own mapping has stays at its identity physical
 * page, whoever shares it: system calls go there. So when the main root writes
 * to a shared page, the old contents move: to one pool page for all roots that
 * share it. Who shares it needs no list: a snapshot maps a page at the same
 * address as its original, so the roots' entries for that address say it.
 *
 *   SNAP          the page is (or was) shared; entry is not writable
 *   SNAP and COW  and its rights are to write: copy, then writable
 *
 * All of it is done with the lock held. Marking pages makes the caller's own
 * stack copy-on-write, whose fault would need the lock: so a clone is made on a
 * stack in the ring 0 area.
 */
#include "libdune/vm.h"

/* ---- copying on write ---- */

/* A guest-only address, used with the lock held, where nothing else is. */
static uint64_t window_va(void)
{
	return (uint64_t)dune_vms->area + dune_vms->area_size +
	       DUNE_LARGE_SIZE;
}

static bool maps(ptent_t *root, uint64_t va, uint64_t pa)
{
	ptent_t *e, v;
	int level;

	if (dune_walk_leaf(root, va, &e, &level))
		return false;
	v = dune_pte_load(e);
	return v & PTE_P &&
	       dune_leaf_pa(v, level) +
	       (va & (dune_level_size(level) - 1) & DUNE_PAGE_MASK) == pa;
}

static int copy_page(struct page *to, uint64_t pa, uint64_t va)
{
	struct page *pool = dune_pa2page(pa);
	ptent_t *here = dune_root_current(), *e;
	int r;

	if (pool) {
		dune_copy_page(dune_page_va(to), dune_page_va(pool));
		return 0;
	}
	if (maps(here, va, pa)) {
		dune_copy_page(dune_page_va(to), (void *)va);
		return 0;
	}
	r = dune_walk_create(dune_vm_main(), window_va(), 0, &e);
	if (r)
		return r;
	__atomic_store_n(e, pa | PTE_P | PTE_A | PTE_NX | dune_vms->super,
			 __ATOMIC_RELEASE);
	dune_copy_page(dune_page_va(to), (void *)window_va());
	__atomic_store_n(e, 0, __ATOMIC_RELEASE);
	dune_vms->ops.invlpg(window_va());
	return 0;
}

/* The 4 KiB entry for va; a larger leaf that is shared is split. */
static ptent_t *shared_entry(ptent_t *root, uint64_t va)
{
	ptent_t *e;
	int level;

	while (!dune_walk_leaf(root, va, &e, &level)) {
		if (!(dune_pte_load(e) & (DUNE_PTE_SNAP | PTE_COW)))
			return NULL;
		if (!level)
			return e;
		if (dune_vm_split_leaf(e, level))
			return NULL;
	}
	return NULL;
}

static ptent_t writable(ptent_t v)
{
	if (v & PTE_COW)
		v |= PTE_W;
	return v & ~(PTE_COW | DUNE_PTE_SNAP);
}

static void make_writable(ptent_t *e, ptent_t v)
{
	while (!dune_pte_cas(e, &v, writable(v)))
		;
}

/* Gives pg to root if it shares pa at va. 1: it did. */
static int give_old(ptent_t *root, uint64_t va, uint64_t pa, struct page *pg,
		    bool *copied)
{
	ptent_t *e = shared_entry(root, va), v;
	int r;

	if (!e)
		return 0;
	v = dune_pte_load(e);
	if (PTE_ADDR(v) != pa)
		return 0;
	if (!*copied) {
		r = copy_page(pg, pa, va);
		if (r)
			return r;
		*copied = true;
	}
	while (!dune_pte_cas(e, &v, dune_page2pa(pg) | PTE_FLAGS(v)))
		if (PTE_ADDR(v) != pa)
			return 0;
	dune_userview_drop_locked(root, va, va);
	return 1;
}

/* The main root keeps the page; who shares it gets the old contents. */
static int break_main(ptent_t *e, ptent_t v, uint64_t va, struct page **pg)
{
	uint64_t pa = PTE_ADDR(v), own = dune_pa_to_va(pa);
	bool copied = false;
	unsigned int n = 0;
	ptent_t *r;
	int got;

	for (r = dune_root_next(dune_vm_main()); r; r = dune_root_next(r)) {
		got = give_old(r, va, pa, *pg, &copied);
		if (!got && own && own != va)
			got = give_old(r, own, pa, *pg, &copied);
		if (got < 0)
			return got;
		n += got;
	}
	if (n) {
		(*pg)->ref = n;
		*pg = NULL;
		dune_vms->ops.shootdown();
	}
	make_writable(e, v);
	return 0;
}

static int break_other(ptent_t *root, ptent_t *e, ptent_t v, uint64_t va,
		       struct page **pg)
{
	struct page *old = dune_pa2page(PTE_ADDR(v));
	int r;

	if (old && __atomic_load_n(&old->ref, __ATOMIC_ACQUIRE) == 1) {
		make_writable(e, v);
		return 0;
	}
	r = copy_page(*pg, PTE_ADDR(v), va);
	if (r)
		return r;
	if (!dune_pte_cas(e, &v, writable(PTE_FLAGS(v) | dune_page2pa(*pg))))
		return 0;		/* changed meanwhile: fault again */
	*pg = NULL;
	dune_userview_drop_locked(root, va, va);
	if (root == dune_root_current())
		dune_vms->ops.invlpg(va);
	dune_vms->ops.shootdown();
	if (old)
		dune_page_put(old);
	return 0;
}

int dune_vm_break(ptent_t *root, uint64_t va)
{
	struct page *pg = dune_page_new();
	ptent_t *e, v;
	int r = 0;

	if (!pg)
		return -ENOMEM;
	va = DUNE_PAGE_DOWN(va);
	dune_vm_lock();
	e = shared_entry(root, va);
	if (e) {
		v = dune_pte_load(e);
		/* pool pages have no other claim to stay than their owners */
		r = root == dune_vm_main() && !dune_pa2page(PTE_ADDR(v)) ?
		    break_main(e, v, va, &pg) :
		    break_other(root, e, v, va, &pg);
	}
	dune_vm_unlock();
	if (pg)
		dune_page_put(pg);
	return r;
}

int dune_vm_cow(uintptr_t addr, uint64_t fec)
{
	ptent_t *root, *e;
	int level;

	if (!dune_vm_inside())
		return -EPERM;
	root = dune_root_current();
	if (!(fec & DUNE_PF_WRITE) ||
	    dune_walk_leaf(root, addr, &e, &level) ||
	    (dune_pte_load(e) & (PTE_P | PTE_COW)) != (PTE_P | PTE_COW))
		return -ENOENT;
	return dune_vm_break(root, addr);
}

void dune_vm_default_pgflt_handler(uintptr_t addr, uint64_t fec)
{
	if (dune_vm_cow(addr, fec) && dune_vm_inside())
		dune_vms->ops.decline();
}

/* ---- snapshots ---- */

struct clone {
	ptent_t *from, *to;
	ptent_t *table;		/* of 4 KiB entries copied last, for ... */
	uint64_t span;		/* ... this address */
};

static bool pool_page(ptent_t v)
{
	return dune_pa2page(PTE_ADDR(v));
}

/* Not a page, not even one that PERM_NONE hides. */
static bool nothing(ptent_t v)
{
	return !(v & PTE_P) && (v & (DUNE_PTE_HOST | DUNE_PTE_NONE) ||
				!PTE_ADDR(v));
}

/* Marks an entry as shared; what it is then. */
static ptent_t share(ptent_t *e)
{
	ptent_t old = dune_pte_load(e), new;

	do {
		new = old | DUNE_PTE_SNAP;
		if (new & PTE_W)
			new = (new & ~PTE_W) | PTE_COW;
	} while (!dune_pte_cas(e, &old, new));
	return new;
}

static int share_process_page(struct dune_walk *w, ptent_t *e, uint64_t va,
			      int level)
{
	(void)w, (void)va, (void)level;
	if (!nothing(dune_pte_load(e)) && !pool_page(dune_pte_load(e)))
		share(e);
	return 0;
}

/*
 * A live, writable view of what is a snapshot's now: to be followed anew. But
 * not what resolves faults: threads in that root would have nothing to do it
 * with.
 */
static int unfollow(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	const uint64_t image = (uint64_t)dune_vms->image;
	ptent_t v = dune_pte_load(e);

	(void)w;
	if (va < image + dune_vms->image_len &&
	    va + dune_level_size(level) > image)
		return 0;
	if (v & PTE_W && !(v & DUNE_PTE_SNAP) && !pool_page(v))
		dune_pte_cas(e, &v, 0);
	return 0;
}

static int share_mapping(void *arg, uint64_t lo, uint64_t hi, bool writable,
			 bool shared)
{
	struct clone *c = arg;
	struct dune_walk w = { .arg = c, .flags = DUNE_WALK_SPLIT };
	ptent_t *r;
	int err = 0;

	(void)writable;
	if (shared || dune_walk_range(&w, (void *)lo, hi - lo))
		return 0;
	for (r = dune_vm_main(); r && !err; r = dune_root_next(r)) {
		if (r == c->to)
			continue;
		w.root = r;
		w.visit = r == c->from || r == dune_vm_main() ?
			  share_process_page : unfollow;
		if (w.visit == share_process_page || dune_root_follows(r))
			err = dune_walk(&w);
	}
	return err;
}

static int copy_entry(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	struct clone *c = w->arg;
	ptent_t v = dune_pte_load(e), *to;
	int r = 0;

	if (nothing(v) && !(v & DUNE_PTE_NONE))
		return 0;
	if (!level && c->table && c->span == (va & DUNE_LARGE_MASK)) {
		to = &c->table[dune_pte_slot(va, 0)];
	} else {
		r = dune_walk_create(c->to, va, level, &to);
		c->table = level ? NULL : to - dune_pte_slot(va, 0);
		c->span = va & DUNE_LARGE_MASK;
	}
	if (r)
		return r;
	if (!level && pool_page(v)) {
		v = share(e);
		dune_page_get(dune_pa2page(PTE_ADDR(v)));
	}
	*to = v;
	return 0;
}

/* The lock is held, and given up at the end. */
static int clone_locked(void *arg)
{
	struct clone *c = arg;
	struct dune_walk w = {
		.root = c->from, .last = ~0ul, .visit = copy_entry, .arg = c,
	};
	ptent_t *r;
	int err;

	err = dune_vm_mappings(share_mapping, c);
	if (!err)
		err = dune_walk(&w);
	for (r = dune_vm_main(); r; r = dune_root_next(r))
		dune_userview_drop_locked(r, 0, ~0ul);
	dune_vms->ops.set_cr3(dune_vms->ops.cr3());
	dune_vms->ops.shootdown();
	/* here: the next push on the caller's stack copies a page */
	dune_vm_unlock();
	return err;
}

static int ask(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	(void)w, (void)e, (void)va, (void)level;
	return 0;
}

/* What may change has to be in the tables, or it cannot be marked. */
static int ask_mapping(void *arg, uint64_t lo, uint64_t hi, bool writable,
		       bool shared)
{
	struct dune_walk w = {
		.root = arg, .visit = ask,
		.flags = DUNE_WALK_FILL | DUNE_WALK_ONE_BY_ONE,
	};

	if (shared || !writable || dune_walk_range(&w, (void *)lo, hi - lo))
		return 0;
	return dune_walk(&w);
}

/* In the ring 0 area and one at a time: the caller has the lock. */
static __attribute__((noinline)) int on_own_stack(int (*fn)(void *),
						  void *arg)
{
	int ret;

	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %[top], %%rsp\n\t"
			 "call *%[fn]\n\t"
			 "mov %%rbx, %%rsp"
			 : "=a"(ret), "+D"(arg)
			 : [top] "r"(dune_vms->stack_top), [fn] "r"(fn)
			 : "rbx", "rcx", "rdx", "rsi", "r8", "r9",
			   "r10", "r11", "memory", "cc");
	return ret;
}

ptent_t *dune_vm_clone(ptent_t *root)
{
	struct clone *c;
	ptent_t *to;
	int err;

	if (!dune_vm_inside())
		return NULL;
	if (dune_root_follows(root) &&
	    dune_vm_mappings(ask_mapping, root) < 0)
		return NULL;
	to = dune_root_new(DUNE_ROOT_FOLLOW);
	if (!to)
		return NULL;
	dune_vm_lock();
	/* At the bottom of the stack in use, where no page becomes COW. */
	c = (struct clone *)dune_vms->stack_lo;
	*c = (struct clone){ .from = root, .to = to };
	err = on_own_stack(clone_locked, c);
	if (!dune_root_follows(root))
		dune_root_follow(to, false);
	if (err) {
		dune_vm_free(to);
		return NULL;
	}
	return to;
}
