/*
 * The Dune paper's operations on virtual memory, as tests of what they do:
 * trap, fault, appel1 (fault, protect another page, unprotect this one),
 * appel2 (protect all, then fault on and unprotect each), switch; pages in
 * random order.
 */
#include "test.h"

#include "dune/pgtable.h"

#define PAGES	100
#define ROUNDS	times(10, 2)

static char *area;
static unsigned int order[PAGES];
static volatile unsigned int faults;
static volatile int expected;		/* page; -1: none */
static int other;			/* appel1: to be protected, or -1 */

static void shuffle(void)
{
	unsigned int i, j, t;

	for (i = 0; i < PAGES; i++)
		order[i] = i;
	for (i = PAGES - 1; i; i--) {
		j = rand() % (i + 1);
		t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
}

static char *page(unsigned int i)
{
	return area + i * PAGE;
}

static void protect(unsigned int i, int perm)
{
	CHECK(dune_vm_mprotect(pgroot, page(i), PAGE, perm) == 0);
}

/* ---- trap ---- */

static enum dune_trap_action on_trap(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	CHECK(vector == DUNE_VEC_UD && addr == 0 && (tf->cs & 3) == 0);
	++*(unsigned int *)arg;
	tf->rip += 2;
	return DUNE_TRAP_RESUME;
}

static void trap(void)
{
	unsigned int n = 0, i;

	OK(dune_trap_set(DUNE_VEC_UD, 0, on_trap, &n));
	for (i = 0; i < 100; i++)
		__asm__ volatile("ud2" : : : "memory");
	CHECK(n == 100);
	OK(dune_trap_set(DUNE_VEC_UD, 0, NULL, NULL));
	say("trap\n");
}

/* ---- appel ---- */

static enum dune_trap_action on_fault(struct dune_tf *tf, unsigned int vector,
				      uint64_t addr, void *arg)
{
	uint64_t i = (addr - (uint64_t)area) / PAGE;

	(void)vector, (void)arg;
	if (addr - (uint64_t)area >= PAGES * PAGE)
		return DUNE_TRAP_PASS;
	CHECK(expected == (int)i);
	CHECK(tf->err == (DUNE_PF_PRESENT | DUNE_PF_WRITE));
	if (other >= 0)
		protect(other, PERM_R);
	protect(i, PERM_R | PERM_W);
	faults++;
	return DUNE_TRAP_RESUME;
}

static void write_page(unsigned int i, bool faulting)
{
	unsigned int before = faults;

	expected = faulting ? (int)i : -1;
	*(volatile char *)(page(i) + rand() % PAGE) = i;
	CHECK(faults == before + faulting);
}

/* One page is protected at any time, another after each fault. */
static void appel1(void)
{
	unsigned int i;

	shuffle();
	protect(order[0], PERM_R);
	for (i = 0; i < PAGES; i++) {
		other = i + 1 < PAGES ? (int)order[i + 1] : -1;
		write_page(order[i], true);
		write_page(order[i], false);
	}
}

static void appel2(void)
{
	struct dune_vm_range all = { area, PAGES * PAGE, PERM_R };
	unsigned int i;

	other = -1;
	shuffle();
	CHECK(dune_vm_protect_ranges(pgroot, &all, 1) == 0);
	for (i = 0; i < PAGES; i++)
		CHECK(*(volatile char *)page(order[i]) == 0 || true);
	for (i = 0; i < PAGES; i++) {
		write_page(order[i], true);
		write_page(order[i / 2], false);
	}
}

/* ---- fault: pages that were not there ---- */

static enum dune_trap_action on_absent(struct dune_tf *tf,
				       unsigned int vector, uint64_t addr,
				       void *arg)
{
	uint64_t i = (addr - (uint64_t)area) / PAGE;

	(void)vector, (void)arg;
	if (addr - (uint64_t)area >= PAGES * PAGE)
		return DUNE_TRAP_PASS;
	CHECK(expected == (int)i && !(tf->err & DUNE_PF_PRESENT));
	CHECK(dune_vm_map_pages(pgroot, page(i), PAGE, PERM_R | PERM_W) == 0);
	faults++;
	return DUNE_TRAP_RESUME;
}

static void fault(void)
{
	unsigned int i;

	shuffle();
	dune_vm_unmap(pgroot, area, PAGES * PAGE);
	for (i = 0; i < PAGES; i++) {
		expected = order[i];
		CHECK(*(volatile int *)page(order[i]) == 0);
		write_page(order[i], false);
	}
	for (i = 0; i < PAGES; i++)
		CHECK(memchr(page(i), i, PAGE));
}

/* ---- switch: the same pages, other contents ---- */

static void switches(void)
{
	ptent_t *root[2];
	unsigned int i, k;

	for (k = 0; k < 2; k++) {
		root[k] = dune_root_new(DUNE_ROOT_FOLLOW);
		CHECK(root[k]);
		OK(dune_vm_map_pages(root[k], area, PAGES * PAGE,
				     PERM_R | PERM_W));
	}
	shuffle();
	for (i = 0; i < 2 * PAGES; i++) {
		OK(dune_root_switch(root[i & 1], 1 + (i & 1)));
		CHECK(*(volatile int *)page(order[i / 2]) == 0);
		*(volatile int *)page(order[i / 2]) = i + 1;
	}
	for (i = 0; i < 2 * PAGES; i++) {
		OK(dune_root_switch(root[i & 1], 1 + (i & 1)));
		CHECK(*(volatile unsigned int *)page(order[i / 2]) == i + 1);
	}
	OK(dune_root_switch(pgroot, 0));
	dune_vm_free(root[0]);
	dune_vm_free(root[1]);
	say("switch\n");
}

int main(void)
{
	struct dune_page_counts before, after;
	int i;

	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED);
	OK(dune_enter());
	dune_page_counts(&before);
	trap();
	OK(dune_trap_set(DUNE_VEC_PF, 0, on_fault, NULL));
	for (i = 0; i < ROUNDS; i++) {
		appel1();
		appel2();
	}
	CHECK(faults == 2u * PAGES * ROUNDS);
	say("appel1, appel2\n");
	OK(dune_trap_set(DUNE_VEC_PF, 0, on_absent, NULL));
	for (i = 0; i < ROUNDS; i++)
		fault();
	OK(dune_trap_set(DUNE_VEC_PF, 0, NULL, NULL));
	dune_vm_unmap(pgroot, area, PAGES * PAGE);
	say("fault\n");
	switches();
	dune_page_counts(&after);
	CHECK(after.used == before.used);
	say("as in the paper\n");
	return 0;
}
