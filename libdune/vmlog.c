/*
 * Clearing dirty bits on a KVM that shadows tables.
 *
 * KVM notices what the guest writes to its tables, and pays for it: a fault for
 * each table, and 512 entries compared when CR3 is loaded. Cleared dirty bits
 * are a change that it need not notice, if only nobody can write to the page
 * any more without a fault: it reads the entry again then, and sets the bit.
 * So bits are cleared through another mapping of the tables, where KVM knows of
 * none (ops.alias), and its dirty log takes the right to write (ops.unwrite).
 *
 * A write that comes in between was by a right that is older than the clearing,
 * and belongs to what was read. A fault under way looks at the entry once more
 * under the lock that the dirty log takes, and begins again.
 *
 * That a KVM does all this is tried once, on a page of our own.
 */
#include "kern/self/percpu.h"
#include "libdune/vm.h"

#include <stdalign.h>

enum { UNTRIED, TRYING, YES, NO };

/* The entry where KVM does not see it written to; NULL: it is elsewhere. */
static ptent_t *unseen(ptent_t *e)
{
	uint64_t off = (char *)e - dune_vms->area;

	return off < DUNE_RING0_SIZE - DUNE_RING0_ALIAS ?
	       (ptent_t *)((char *)e + DUNE_RING0_ALIAS) : NULL;
}

static void begin(struct dune_cleared *c)
{
	c->any = false;
	dune_clear_words(&c->windows, sizeof(c->windows) / 8);
}

/* After the clearing: any thread's hypercall may take them from the list. */
static void list(uint64_t pa, int level)
{
	uint64_t page = pa / DUNE_PAGE_SIZE, i;

	if (!level)
		__atomic_or_fetch(&dune_vms->cleared[page / 64],
				  1ul << page % 64, __ATOMIC_SEQ_CST);
	for (i = 0; level && i < 512 / 64; i++)
		__atomic_store_n(&dune_vms->cleared[page / 64 + i], ~0ul,
				 __ATOMIC_SEQ_CST);
}

bool dune_cleared_add(struct dune_cleared *c, ptent_t *e, int level)
{
	ptent_t *at = unseen(e), old;
	uint64_t window;

	/* A leaf of 1 GiB is in many windows. */
	if (!at || level > 1)
		return false;
	old = __atomic_fetch_and(at, ~PTE_D, __ATOMIC_SEQ_CST);
	window = PTE_ADDR(old) >> DUNE_WINDOW_SHIFT;
	if (window / 64 < DUNE_ARRAY_SIZE(c->windows.bits))
		c->windows.bits[window / 64] |= 1ul << window % 64;
	if (window < DUNE_LISTED_WINDOWS)
		list(dune_leaf_pa(old, level), level);
	c->any = true;
	return true;
}

/* A page whose dirty bit must come and go. */
static bool works(void)
{
	static volatile alignas(DUNE_PAGE_SIZE) char page[DUNE_PAGE_SIZE];
	struct dune_cleared c;
	ptent_t *e;
	int level, i;

	for (i = 0; i < 2; i++) {
		page[0] = 1;
		if (dune_walk_leaf(dune_vm_main(), (uint64_t)page, &e,
				   &level) ||
		    !(dune_pte_load(e) & PTE_D))
			return false;
		begin(&c);
		if (!dune_cleared_add(&c, e, level) ||
		    dune_pte_load(e) & PTE_D)
			return false;
		dune_vms->ops.unwrite(&c.windows, dune_vms->cleared, false);
	}
	page[0] = 1;
	return dune_pte_load(e) & PTE_D;
}

/* Does it work here? The first who asks finds out; others do without it. */
static bool ready(void)
{
	uint32_t state = UNTRIED;

	if (!dune_vms->ops.alias ||
	    !__atomic_compare_exchange_n(&dune_vms->log, &state, TRYING, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return state == YES;
	state = !dune_vms->ops.alias() && works() ? YES : NO;
	__atomic_store_n(&dune_vms->log, state, __ATOMIC_RELEASE);
	return state == YES;
}

struct dune_cleared *dune_cleared_begin(struct dune_cleared *c,
					const ptent_t *root)
{
	const struct dune_tdesc *d = dune_root_desc(root);

	/* A view has entries of its own, and is flushed with the rest. */
	if (!d || d->view || !ready())
		return NULL;
	begin(c);
	return c;
}

bool dune_cleared_end(struct dune_cleared *c, bool calls)
{
	if (c->any)
		dune_vms->ops.unwrite(&c->windows, dune_vms->cleared, calls);
	return c->any;
}
