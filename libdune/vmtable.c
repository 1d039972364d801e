/*
 * Table pages: handing them out, finding them; the lock; the start of it all.
 */
#include "libdune/vm.h"
#include "kern/self/percpu.h"

#include <sys/syscall.h>

struct dune_vms *dune_vms;
ptent_t *pgroot;

/* Where the parts of our share of the ring 0 area begin, in bytes. */
#define OFF_DESC	DUNE_PAGE_SIZE
#define CLONE_STACK	(64ul << 10)

static void *take(struct dune_vms *s, uint64_t *at, uint64_t bytes)
{
	void *p = s->area + *at;

	*at += DUNE_PAGE_UP(bytes);
	return p;
}

int dune_vm_attach(const struct dune_vm_setup *setup)
{
	uint64_t at = setup->own, pages = setup->own_size / DUNE_PAGE_SIZE;
	struct dune_vms *s = (struct dune_vms *)(setup->area + at);
	ptent_t *root;

	_Static_assert(sizeof(*s) <= OFF_DESC, "one page");
	if (setup->own_size < DUNE_VM_OWN_MIN ||
	    setup->own + setup->own_size > setup->area_size ||
	    (setup->own | setup->own_size) & ~DUNE_PAGE_MASK)
		return -EINVAL;
	s->ops = *setup->ops;
	s->area = setup->area;
	s->area_size = setup->area_size;
	s->own = setup->own;
	s->main_root = setup->root;
	s->image = setup->image;
	s->image_len = setup->image_len;
	s->pool = setup->pool ? setup->pool : DUNE_VM_POOL;
	s->flags = setup->flags;
	s->super = setup->flags & DUNE_VMF_SOFT ? PTE_U | DUNE_PTE_SUPER : 0;
	at += OFF_DESC;
	s->desc = take(s, &at, pages * sizeof(*s->desc));
	s->window = take(s, &at, DUNE_VM_WINDOWS * sizeof(*s->window));
	s->rwindow = take(s, &at, DUNE_VM_RWINDOWS * sizeof(*s->rwindow));
	s->cleared = take(s, &at, DUNE_LISTED_WINDOWS * DUNE_WINDOW_SIZE /
			  DUNE_PAGE_SIZE / 8);
	s->stack_lo = take(s, &at, CLONE_STACK);
	s->stack_top = s->stack_lo + CLONE_STACK;
	s->first_table = s->next_table = (at - setup->own) / DUNE_PAGE_SIZE;
	s->n_tables = pages;
	root = (ptent_t *)(s->area + setup->root);
	root[DUNE_VM_SHARED] |= DUNE_PTE_FOLLOW;
	__atomic_store_n(&dune_vms, s, __ATOMIC_RELEASE);
	pgroot = root;
	return 0;
}

void dune_vm_forked(void)
{
	if (!dune_vms)
		return;
	dune_vms->lock = 0;
	dune_vms->walkers = 0;
}

void dune_vm_lock(void)
{
	struct dune_vms *s = dune_vms;
	unsigned int n = 0;

	s->ops.hold(true);
	while (__atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE)) {
		__builtin_ia32_pause();
		if (++n % 256 == 0)
			dune_raw_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	}
}

void dune_vm_unlock(void)
{
	struct dune_vms *s = dune_vms;

	__atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
	s->ops.hold(false);
}

struct dune_tdesc *dune_table_desc(uint64_t gpa)
{
	uint64_t i = (gpa - dune_vms->own) / DUNE_PAGE_SIZE;

	return gpa >= dune_vms->own && i < dune_vms->n_tables ?
	       &dune_vms->desc[i] : NULL;
}

/* From the free list, whose head has a tag that each change raises. */
static uint32_t pop(struct dune_vms *s)
{
	uint64_t head = __atomic_load_n(&s->free_tables, __ATOMIC_ACQUIRE);
	uint64_t next;

	do {
		if (!(uint32_t)head)
			return 0;
		next = s->desc[(uint32_t)head - 1].next |
		       ((head >> 32) + 1) << 32;
	} while (!__atomic_compare_exchange_n(&s->free_tables, &head, next,
					      false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return (uint32_t)head;
}

static uint32_t fresh(struct dune_vms *s)
{
	uint32_t i = __atomic_load_n(&s->next_table, __ATOMIC_RELAXED);

	do {
		if (i == s->n_tables)
			return 0;
	} while (!__atomic_compare_exchange_n(&s->next_table, &i, i + 1, false,
					      __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return i + 1;
}

ptent_t *dune_table_new(uint64_t *gpa)
{
	struct dune_vms *s = dune_vms;
	uint32_t i = pop(s);
	void *page;

	if (!i)
		i = fresh(s);
	if (!i)
		return NULL;
	__atomic_add_fetch(&s->used_tables, 1, __ATOMIC_RELAXED);
	*gpa = s->own + (uint64_t)(i - 1) * DUNE_PAGE_SIZE;
	s->desc[i - 1] = (struct dune_tdesc){ .use = DUNE_TABLE_USED };
	page = s->area + *gpa;
	dune_clear_page(page);
	return page;
}

/* Pages that are not ours (the host side's, the program's) stay as they are. */
void dune_table_free(uint64_t gpa)
{
	struct dune_tdesc *d = dune_table_desc(gpa);
	struct dune_vms *s = dune_vms;
	uint64_t head, next;

	if (!d || __atomic_exchange_n(&d->use, DUNE_TABLE_FREE,
				      __ATOMIC_ACQ_REL) == DUNE_TABLE_FREE)
		return;
	head = __atomic_load_n(&s->free_tables, __ATOMIC_RELAXED);
	do {
		d->next = (uint32_t)head;
		next = (d - s->desc + 1) | ((head >> 32) + 1) << 32;
	} while (!__atomic_compare_exchange_n(&s->free_tables, &head, next,
					      false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	__atomic_sub_fetch(&s->used_tables, 1, __ATOMIC_RELAXED);
}

/*
 * Tables are in the ring 0 area, or in pool pages where a program builds
 * its own. Anything else is a stray entry.
 */
ptent_t *dune_table_at(ptent_t e)
{
	uint64_t pa = PTE_ADDR(e), va;

	if (pa < dune_vms->area_size)
		return (ptent_t *)(dune_vms->area + pa);
	va = dune_pa_to_va(pa);
	if (va < dune_vms->pool || va >= dune_vms->pool + DUNE_VM_POOL_SIZE)
		return NULL;
	return (ptent_t *)va;
}

uint64_t dune_table_gpa(const ptent_t *table)
{
	uint64_t off = (const char *)table - dune_vms->area;

	return off < dune_vms->area_size ? off : dune_va_to_pa(table);
}

ptent_t *dune_vm_main(void)
{
	return (ptent_t *)(dune_vms->area + dune_vms->main_root);
}
