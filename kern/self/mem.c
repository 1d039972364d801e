/* Dune mode's memory: the guest's questions and its faults. */
#include "kern/self/mem_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "dune/trap.h"
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/raw.h"

/* The end of what a process may map: of the lower half. */
#define USER_END	(1ul << 47)

/* EFAULTs of KVM_RUN with no mapping taken away in between. */
#define EFAULTS_SUSPECT	4
#define EFAULTS_LOST	12

/* Faults in a row at one address that the entries do not explain. */
#define SPURIOUS_MAX	64

void dune_smem_lock(struct dune_smem *m)
{
	int err = errno;

	pthread_mutex_lock(&m->lock);
	m->saved_errno = err;
}

void dune_smem_unlock(struct dune_smem *m)
{
	int err = m->saved_errno;

	pthread_mutex_unlock(&m->lock);
	errno = err;
}

/* ---- beginning and end ---- */

static int map_vvar(struct dune_smem *m)
{
	dune_gva_t end = 0;
	size_t i;

	for (i = 0; i < m->regions.n; i++) {
		const struct dune_region *r = &m->regions.v[i];

		if (!(r->flags & DUNE_R_VDSO))
			continue;
		if (r->start != end)
			m->vvar = r->start;
		end = r->end;
	}
	if (!end)
		return 0;
	m->vvar_size = end - m->vvar;
	return dune_vm_vvar(m->vm, (void *)m->vvar, m->vvar_size,
			    &m->vvar_gpa);
}

int dune_smem_init(struct dune_smem *m, struct dune_vm *vm)
{
	struct rlimit64 rl = { 0 };
	int err;

	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->lock, NULL);
	dune_regions_init(&m->regions);
	dune_regions_init(&m->fresh);
	m->vm = vm;
	m->tables.pt = &vm->pt;
	if (!vm->kind.native_ring0)
		m->super = DUNE_PTE_U | DUNE_PTE_SUPER;
	dune_raw6(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)&rl, 0, 0);
	m->stack_room = rl.rlim_cur;
	m->exec_implied = dune_raw3(SYS_personality, 0xffffffff, 0, 0) &
			  READ_IMPLIES_EXEC;
	dune_smem_lock(m);
	err = dune_smem_resync(m, NULL);
	if (err)
		dune_err(err, "cannot read /proc/self/maps");
	else
		err = map_vvar(m);
	dune_smem_unlock(m);
	return err;
}

void dune_smem_destroy(struct dune_smem *m)
{
	dune_regions_free(&m->regions);
	dune_regions_free(&m->fresh);
	pthread_mutex_destroy(&m->lock);
}

/*
 * What the child has not got (MADV_DONTFORK) is a change behind our back, and
 * found out about like others.
 */
void dune_smem_forked(struct dune_smem *m)
{
	pthread_mutex_init(&m->lock, NULL);
	m->efaults = 0;
	errno = m->saved_errno;
}

/* ---- entries on demand ---- */

static bool may_be_large(const struct dune_region *r, dune_gva_t span)
{
	const uint32_t never = DUNE_R_FILE | DUNE_R_SHARED | DUNE_R_CAREFUL |
		DUNE_R_STACK | DUNE_R_GROWSDOWN | DUNE_R_VDSO;

	return r && r->prot && !(r->flags & never) && r->start <= span &&
	       r->end >= span + DUNE_LARGE_SIZE;
}

static void fill_table(struct dune_smem *m, uint64_t *t, dune_gva_t span)
{
	dune_gva_t va = span, to = span + DUNE_LARGE_SIZE, end;

	while (va < to) {
		uint64_t e = dune_smem_truth(m, va, to, &end);

		for (; va < end; va += DUNE_PAGE_SIZE) {
			*t++ = e;
			if (e & DUNE_PTE_P)
				e += DUNE_PAGE_SIZE;
		}
	}
}

/* The directory entry that says all about the span; 0: no page left. */
static uint64_t make_span(struct dune_smem *m, dune_gva_t span,
			  uint64_t **table, dune_gpa_t *gpa)
{
	const struct dune_region *r = dune_region_find(&m->regions, span);
	uint64_t e;

	*table = NULL;
	if (may_be_large(r, span)) {
		e = dune_smem_rights(m, r->prot);
		if (!dune_vm_back(m->vm, span, gpa))
			return *gpa | e | DUNE_PTE_PS;
	}
	*table = dune_table_take(&m->tables, gpa);
	if (!*table)
		return 0;
	fill_table(m, *table, span);
	return dune_table_entry(*gpa);
}

/*
 * A program that has begun with a large mapping goes on with it: leaves cost no
 * table, so all of the window that can have one gets it. dir, e: span's.
 */
static void fill_window(struct dune_smem *m, uint64_t *dir, uint64_t e,
			dune_gva_t span)
{
	const struct dune_region *r = dune_region_find(&m->regions, span);
	dune_gva_t window = span & ~(DUNE_WINDOW_SIZE - 1), at;

	dir -= (span - window) / DUNE_LARGE_SIZE;
	e -= span - window;
	for (at = window; at < window + DUNE_WINDOW_SIZE; dir++) {
		if (may_be_large(r, at))
			dune_entry_swap(dir, 0, e);
		at += DUNE_LARGE_SIZE;
		e += DUNE_LARGE_SIZE;
	}
}

static enum dune_fault fill_span(struct dune_smem *m, dune_gva_t va)
{
	dune_gva_t span = va & DUNE_LARGE_MASK;
	uint64_t *dir, *table, e;
	dune_gpa_t gpa;
	bool full;

	dir = dune_entry_dir(&m->tables, va, &full);
	if (full)
		return DUNE_FAULT_OOM;
	if (!dir || dune_entry_load(dir))
		return DUNE_FAULT_OK;
	/* what nothing is known of is worth a look */
	if (!dune_region_find(&m->regions, va))
		dune_smem_resync(m, NULL);
	e = make_span(m, span, &table, &gpa);
	if (!e)
		return DUNE_FAULT_OOM;
	if (!table)
		fill_window(m, dir, e, span);
	else if (!dune_entry_swap(dir, 0, e))
		dune_table_give(&m->tables, table, gpa);
	return DUNE_FAULT_OK;
}

/*
 * A region whose file may end early: the host decides for each page. The
 * touch may wait for a disk, so the lock is given up, and the region found
 * again. write: a page that can only be read will not do.
 */
static enum dune_fault careful(struct dune_smem *m, dune_gva_t va, bool write)
{
	const struct dune_region *r = dune_region_find(&m->regions, va);
	uint32_t prot = r->prot;
	bool changed = false;
	uint64_t *e, old;
	dune_gpa_t gpa;
	int level, err;

	dune_smem_unlock(m);
	err = dune_touch(va, prot & PROT_WRITE);
	if (err && !write && prot & PROT_WRITE) {
		prot &= ~PROT_WRITE;
		err = dune_touch(va, false);
	}
	dune_smem_lock(m);
	m->efaults = 0;
	if (err) {
		dune_smem_resync(m, &changed);
		if (changed)
			return DUNE_FAULT_OK;
	}
	r = dune_region_find(&m->regions, va);
	if (!r || !(r->flags & DUNE_R_CAREFUL) || (prot & ~r->prot))
		return DUNE_FAULT_OK;	/* changed meanwhile: ask again */
	if (err)
		return r->flags & DUNE_R_FILE ? DUNE_FAULT_BUS :
						DUNE_FAULT_MAPERR;
	if (dune_vm_back(m->vm, va & DUNE_PAGE_MASK, &gpa))
		return DUNE_FAULT_OOM;
	e = dune_entry_find(m->tables.pt, va, &level, NULL);
	old = dune_entry_load(e);
	if (!level)
		dune_entry_swap(e, old, gpa | dune_smem_rights(m, prot));
	return DUNE_FAULT_OK;
}

/*
 * Nothing is mapped at va. The host's mapping above may grow: touching it
 * ourselves asks the host (stack limit, gap to the mapping below).
 */
static enum dune_fault grow_down(struct dune_smem *m, dune_gva_t va)
{
	int err;

	dune_smem_unlock(m);
	err = dune_touch(va, true);
	dune_smem_lock(m);
	dune_smem_resync(m, NULL);
	return err && !dune_region_find(&m->regions, va) ? DUNE_FAULT_MAPERR :
							   DUNE_FAULT_OK;
}

/* The entry of va's page says HOST. */
static enum dune_fault ask_host(struct dune_smem *m, dune_gva_t va)
{
	dune_gva_t page = va & DUNE_PAGE_MASK, end;
	const struct dune_region *r;

	if (dune_smem_truth(m, page, page + DUNE_PAGE_SIZE, &end) !=
	    DUNE_PTE_HOST) {
		dune_smem_edit(m, page, page + DUNE_PAGE_SIZE, DUNE_EDIT_SET,
			       0);
		return DUNE_FAULT_OK;
	}
	r = dune_region_find(&m->regions, va);
	if (!r)
		return grow_down(m, va);
	return r->flags & DUNE_R_CAREFUL ? careful(m, va, false) :
					   DUNE_FAULT_OOM;
}

static enum dune_fault fill(struct dune_smem *m, dune_gva_t va)
{
	int level;
	uint64_t e;

	if (va >= USER_END || dune_smem_is_ring0(va))
		return DUNE_FAULT_MAPERR;
	e = dune_entry_load(dune_entry_find(m->tables.pt, va, &level, NULL));
	if (level && !e)
		return fill_span(m, va);
	if (!level && e == DUNE_PTE_HOST)
		return ask_host(m, va);
	return DUNE_FAULT_OK;
}

enum dune_fault dune_smem_fill(struct dune_smem *m, dune_gva_t va)
{
	enum dune_fault ret;

	dune_smem_lock(m);
	m->spurious = 0;
	ret = fill(m, va);
	dune_smem_unlock(m);
	return ret;
}

/* ---- faults ---- */

/* Do the entries allow what has faulted? */
static bool permitted(const struct dune_smem *m, dune_gva_t va,
		      uint32_t error)
{
	uint64_t rights;
	int level;

	dune_entry_find(m->tables.pt, va, &level, &rights);
	return (rights & DUNE_PTE_P) && !(error & DUNE_PF_RSVD) &&
	       (!(error & DUNE_PF_WRITE) || (rights & DUNE_PTE_W)) &&
	       (!(error & DUNE_PF_USER) || (rights & DUNE_PTE_U)) &&
	       (!(error & DUNE_PF_FETCH) || !(rights & DUNE_PTE_NX));
}

/*
 * A fault that the entries do not explain: another thread has made them
 * meanwhile, or the CPU used old ones. But when it comes again and
 * again there is a reason that we do not know (CR4.SMEP ...).
 */
static bool spurious(struct dune_smem *m, dune_gva_t va)
{
	if (va != m->spurious_va)
		m->spurious = 0;
	m->spurious_va = va;
	return m->spurious++ < SPURIOUS_MAX;
}

/* The cache is fresh. */
static enum dune_fault verdict(struct dune_smem *m, dune_gva_t va,
			       uint32_t error)
{
	const struct dune_region *r = dune_region_find(&m->regions, va);
	uint64_t rights;
	int level;

	if (!r && grow_down(m, va) == DUNE_FAULT_OK)
		r = dune_region_find(&m->regions, va);
	if (!r)
		return DUNE_FAULT_MAPERR;
	if (!dune_region_allows(r, error))
		return DUNE_FAULT_ACCERR;
	if (permitted(m, va, error))
		return DUNE_FAULT_OK;
	if (r->flags & DUNE_R_CAREFUL)
		return careful(m, va, error & DUNE_PF_WRITE);
	dune_entry_find(m->tables.pt, va, &level, &rights);
	return rights & DUNE_PTE_P ? DUNE_FAULT_ACCERR : DUNE_FAULT_MAPERR;
}

static enum dune_fault fault(struct dune_smem *m, dune_gva_t va,
			     uint32_t error)
{
	enum dune_fault ret;

	if (va >= USER_END)
		return DUNE_FAULT_MAPERR;
	if (dune_smem_is_ring0(va))
		return DUNE_FAULT_ACCERR;
	if (permitted(m, va, error))
		return spurious(m, va) ? DUNE_FAULT_OK : DUNE_FAULT_ACCERR;
	ret = fill(m, va);
	if (ret == DUNE_FAULT_OOM)
		return ret;
	if (permitted(m, va, error))
		return DUNE_FAULT_OK;
	dune_smem_resync(m, NULL);
	return verdict(m, va, error);
}

enum dune_fault dune_smem_fault(struct dune_smem *m, dune_gva_t va,
				uint32_t error)
{
	enum dune_fault ret;

	dune_smem_lock(m);
	ret = fault(m, va, error);
	dune_smem_unlock(m);
	return ret;
}

/* If a file is shorter than its mapping, the last page shows it. */
static bool ends_early(const struct dune_region *r)
{
	return r->flags & DUNE_R_FILE && r->prot && dune_touch(r->end - 1, 0);
}

/*
 * A full disk under a shared file, or no huge pages left, does not show in
 * the last page. So when it goes on, suspect every mapping.
 */
static void look_for_cause(struct dune_smem *m)
{
	bool suspect = m->efaults == EFAULTS_SUSPECT;
	size_t i;

	for (i = 0; i < m->regions.n; i++) {
		struct dune_region *r = &m->regions.v[i];

		if (suspect ? !r->prot || (r->flags & DUNE_R_VDSO) :
			      !ends_early(r))
			continue;
		r->flags |= DUNE_R_CAREFUL;
		dune_smem_edit(m, r->start, r->end, DUNE_EDIT_SET, 0);
	}
}

int dune_smem_efault(struct dune_smem *m)
{
	bool changed = false, lost;

	dune_smem_lock(m);
	dune_smem_resync(m, &changed);
	if (m->changes != m->efault_changes)
		m->efaults = 0;
	m->efault_changes = m->changes;
	m->efaults++;
	if (!changed)
		look_for_cause(m);
	lost = m->efaults > EFAULTS_LOST;
	dune_smem_unlock(m);
	return lost ? -EFAULT : 0;
}
