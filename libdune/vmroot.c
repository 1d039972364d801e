/* Roots: making, freeing, following the main one; what the host changed. */
#include "libdune/vm.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* Descriptors are of table pages of ours; the main root is the host's. */
struct dune_tdesc *dune_root_desc(const ptent_t *root)
{
	if (root == dune_vm_main())
		return &dune_vms->main_desc;
	return dune_table_desc(dune_table_gpa(root));
}

static ptent_t *root_at(uint32_t index)
{
	return index ? (ptent_t *)(dune_vms->area + dune_vms->own +
				   (index - 1) * DUNE_PAGE_SIZE) : NULL;
}

ptent_t *dune_root_next(ptent_t *root)
{
	struct dune_tdesc *d = dune_root_desc(root);

	return d ? root_at(__atomic_load_n(&d->next, __ATOMIC_ACQUIRE)) : NULL;
}

bool dune_root_follows(const ptent_t *root)
{
	return dune_pte_load(&root[DUNE_VM_SHARED]) & DUNE_PTE_FOLLOW;
}

int dune_root_follow(ptent_t *root, bool on)
{
	if (!dune_vm_inside())
		return -EPERM;
	if (root == dune_vm_main())
		return -EINVAL;
	if (on)
		__atomic_or_fetch(&root[DUNE_VM_SHARED], DUNE_PTE_FOLLOW,
				  __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&root[DUNE_VM_SHARED], ~DUNE_PTE_FOLLOW,
				   __ATOMIC_RELAXED);
	return 0;
}

static int nothing(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	(void)w, (void)e, (void)va, (void)level;
	return 0;
}

/*
 * What resolves faults must not fault itself: all of it is pulled into a new
 * root, by pages where the main root shares them with snapshots.
 */
static int pull_image(ptent_t *root)
{
	struct dune_walk w = { .root = root, .visit = nothing,
			       .flags = DUNE_WALK_FILL };
	int r = dune_walk_range(&w, dune_vms->image, dune_vms->image_len);

	return r ? 0 : dune_walk(&w);
}

ptent_t *dune_root_new(int flags)
{
	struct dune_tdesc *main_desc;
	ptent_t *root;
	uint64_t gpa;

	if (!dune_vm_inside() || flags & ~DUNE_ROOT_FOLLOW)
		return NULL;
	root = dune_table_new(&gpa);
	if (!root)
		return NULL;
	root[DUNE_VM_SHARED] = dune_pte_load(&dune_vm_main()[DUNE_VM_SHARED]);
	if (!(flags & DUNE_ROOT_FOLLOW))
		root[DUNE_VM_SHARED] &= ~DUNE_PTE_FOLLOW;
	main_desc = &dune_vms->main_desc;
	dune_table_desc(gpa)->use = DUNE_TABLE_ROOT;
	dune_vm_lock();
	dune_table_desc(gpa)->next = main_desc->next;
	__atomic_store_n(&main_desc->next,
			 dune_table_desc(gpa) - dune_vms->desc + 1,
			 __ATOMIC_RELEASE);
	dune_vm_unlock();
	if (flags & DUNE_ROOT_FOLLOW && pull_image(root)) {
		dune_vm_free(root);
		return NULL;
	}
	return root;
}

bool dune_table_is_root(ptent_t e)
{
	const struct dune_tdesc *d = dune_table_desc(PTE_ADDR(e));

	return d ? d->use == DUNE_TABLE_ROOT :
		   PTE_ADDR(e) == dune_vms->main_root;
}

/* A table of the program's own (in pool pages), or one of ours and no root. */
static bool may_drop(ptent_t e)
{
	const struct dune_tdesc *d = dune_table_desc(PTE_ADDR(e));

	return d ? d->use == DUNE_TABLE_USED :
		   PTE_ADDR(e) >= dune_vms->area_size;
}

void dune_table_drop(ptent_t e, int level, bool keep)
{
	ptent_t *t = dune_table_at(e), v;
	struct page *pg;
	unsigned int i;

	if (!t || (keep ? dune_table_is_root(e) : !may_drop(e)))
		return;
	for (i = 0; i < 512; i++) {
		v = dune_pte_load(&t[i]);
		if (level && v & PTE_P && !dune_pte_leaf(v, level)) {
			dune_table_drop(v, level - 1, keep);
		} else if (!level) {
			pg = dune_pa2page(PTE_ADDR(v));
			if (pg)
				dune_page_put(pg);
		}
	}
	if (!keep)
		dune_table_free(PTE_ADDR(e));
}

/* Out of the list; afterwards nobody who walks the list is in it. */
static bool unlink_root(ptent_t *root)
{
	struct dune_tdesc *d = dune_root_desc(root);
	ptent_t *r;
	bool found = false;

	if (!d)
		return false;
	dune_vm_lock();
	for (r = dune_vm_main(); r && !found; r = dune_root_next(r)) {
		found = dune_root_next(r) == root;
		if (found)
			__atomic_store_n(&dune_root_desc(r)->next, d->next,
					 __ATOMIC_SEQ_CST);
	}
	dune_vm_unlock();
	while (__atomic_load_n(&dune_vms->walkers, __ATOMIC_SEQ_CST))
		dune_raw_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	return found;
}

void dune_vm_free(ptent_t *root)
{
	unsigned int i;
	ptent_t v;

	if (!dune_vm_inside() || !root || root == dune_vm_main() ||
	    root == dune_root_current() || !unlink_root(root))
		return;
	dune_userview_free(root);
	for (i = 0; i < 512; i++) {
		v = dune_pte_load(&root[i]);
		if (i != DUNE_VM_SHARED && v & PTE_P)
			dune_table_drop(v, 2, false);
	}
	dune_table_free(dune_table_gpa(root));
}

/* ---- following ---- */

/* The 4 KiB entry for va in what leaf e of a larger page says. */
static ptent_t small(ptent_t v, int level, uint64_t va)
{
	if (!level)
		return v;
	return (dune_leaf_pa(v, level) +
		(va & (dune_level_size(level) - 1) & DUNE_PAGE_MASK)) |
	       (PTE_FLAGS(v) & ~PTE_PS) | (v & PTE_PAT_PS ? PTE_PAT : 0);
}

/*
 * A zero entry of a following root becomes what the main root has. Pages the
 * main root shares with snapshots are the main root's own first: following
 * means to see what it sees.
 */
int dune_root_pull(ptent_t *root, uint64_t va)
{
	ptent_t *from, *to, v, old = 0;
	int level, r;

	r = dune_walk_leaf(root, va, &to, &level);
	if (r || level || dune_pte_load(to))
		return r ? r : -ENOENT;
	r = dune_walk_leaf(dune_vm_main(), va, &from, &level);
	if (!r && dune_pte_load(from) & DUNE_PTE_SNAP) {
		r = dune_vm_break(dune_vm_main(), va);
		if (!r)
			r = dune_walk_leaf(dune_vm_main(), va, &from, &level);
	}
	if (r)
		return r;
	v = dune_pte_load(from);
	if (!(v & PTE_P) || v & DUNE_PTE_SNAP)
		return -ENOENT;
	dune_pte_cas(to, &old, small(v, level, va));
	return 0;
}

/* ---- what the process has mapped ---- */

struct reader {
	int fd;
	unsigned int at, n;
	char buf[2048];
};

static int next_char(struct reader *r)
{
	long n;

	if (r->at == r->n) {
		n = dune_raw_call(SYS_read, r->fd, (long)r->buf,
				  sizeof(r->buf), 0, 0, 0);
		if (n <= 0)
			return -1;
		r->n = n;
		r->at = 0;
	}
	return r->buf[r->at++];
}

/* A hexadecimal number; *end: the character after it. */
static uint64_t number(struct reader *r, int *end)
{
	uint64_t v = 0;
	int c;

	for (;;) {
		c = next_char(r);
		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else
			break;
	}
	*end = c;
	return v;
}

int dune_vm_mappings(int (*cb)(void *, uint64_t, uint64_t, bool, bool),
		     void *arg)
{
	struct reader rd = { .at = 0 };
	int c, ret = 0;

	if (dune_vms->ops.mappings)
		return dune_vms->ops.mappings(cb, arg);
	rd.fd = dune_raw_call(SYS_openat, AT_FDCWD, (long)"/proc/self/maps",
			      O_RDONLY | O_CLOEXEC, 0, 0, 0);
	if (rd.fd < 0)
		return rd.fd;
	while (!ret) {
		uint64_t lo = number(&rd, &c), hi;
		bool writable, shared;

		if (c != '-')
			break;
		hi = number(&rd, &c);
		next_char(&rd);
		writable = next_char(&rd) == 'w';
		next_char(&rd);
		shared = next_char(&rd) == 's';
		do
			c = next_char(&rd);
		while (c >= 0 && c != '\n');
		if (dune_canonical(lo) && lo >> 47 == 0)
			ret = cb(arg, lo, hi, writable, shared);
	}
	dune_raw_call(SYS_close, rd.fd, 0, 0, 0, 0, 0);
	return ret;
}

/* ---- the host changed mappings ---- */

struct change {
	bool gone;
};

/*
 * Host side: reads the page as it is, if it can be read; no fault either way.
 */
static struct page *copy_of(uint64_t va)
{
	struct page *pg = dune_page_new();
	struct iovec to, from = { (void *)va, DUNE_PAGE_SIZE };

	if (!pg)
		return NULL;
	to = (struct iovec){ dune_page_va(pg), DUNE_PAGE_SIZE };
	if (dune_raw_call(SYS_process_vm_readv,
			  dune_raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0),
			  (long)&to, 1, (long)&from, 1, 0) == DUNE_PAGE_SIZE)
		return pg;
	dune_page_put(pg);
	return NULL;
}

static int changed(struct dune_walk *w, ptent_t *e, uint64_t va, int level)
{
	ptent_t new = dune_root_follows(w->root) ? 0 : DUNE_PTE_NONE, old;
	const struct change *c = w->arg;
	struct page *pg = NULL, *had;

	old = dune_pte_load(e);
	if (old & DUNE_PTE_NONE)
		return 0;
	had = level ? NULL : dune_pa2page(PTE_ADDR(old));
	if (had && !c->gone)
		return 0;		/* a page of the root's own */
	if (!level && !had && old & DUNE_PTE_SNAP)
		pg = copy_of(va);
	if (pg)
		new = dune_page2pa(pg) | PTE_FLAGS(old);
	if (!dune_pte_cas(e, &old, new))
		had = pg;		/* somebody else was faster */
	if (had)
		dune_page_put(had);
	return 0;
}

static int split_snapshot(struct dune_walk *w, ptent_t *e, uint64_t va,
			  int level)
{
	(void)w, (void)va;
	return level && dune_pte_load(e) & DUNE_PTE_SNAP ?
	       dune_vm_split_leaf(e, level) : 0;
}

void dune_vm_changed(uint64_t va, uint64_t len, bool gone)
{
	struct change c = { gone };
	struct dune_walk w = { .arg = &c, .flags = DUNE_WALK_SPLIT };
	ptent_t *r;

	if (!dune_vms || dune_walk_range(&w, (void *)va, len))
		return;
	__atomic_add_fetch(&dune_vms->walkers, 1, __ATOMIC_SEQ_CST);
	for (r = dune_root_next(dune_vm_main()); r; r = dune_root_next(r)) {
		w.root = r;
		w.visit = split_snapshot;
		dune_walk(&w);
		w.visit = changed;
		dune_walk(&w);
	}
	__atomic_sub_fetch(&dune_vms->walkers, 1, __ATOMIC_SEQ_CST);
}
