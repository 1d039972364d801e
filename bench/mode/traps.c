/*
 * Traps in Dune mode, as bench/micro/barrier.c does it on Linux: the handler is
 * ours and edits the entry in our own page table.
 */
#include "bench/mode/mode.h"

#define PAGES 100

static char *area;
static uint16_t order[PAGES];
static int other;		/* appel1: the page to protect meanwhile */

static int prepare(dune_trap_handler *handler, unsigned int flags)
{
	int err = dune_trap_set(DUNE_VEC_PF, flags, handler, NULL);

	if (err || area)
		return err;
	area = mode_map(2 * PAGES * PAGE);
	if (!area)
		return -errno;
	for (int i = 0; i < PAGES; i++)
		order[i] = i * 37 % PAGES;
	return 0;
}

NOFPU static bool ours(uint64_t addr)
{
	return addr - (uintptr_t)area < 2 * PAGES * PAGE;
}

NOFPU static void set(void *p, ptent_t bits)
{
	ptent_t *e;

	if (!dune_vm_lookup(pgroot, p, CREATE_NONE, &e))
		*e |= bits;
}

NOFPU static void clear(void *p, ptent_t bits)
{
	ptent_t *e;

	if (!dune_vm_lookup(pgroot, p, CREATE_NONE, &e))
		*e &= ~bits;
	dune_flush_tlb_one((uintptr_t)p);
}

static inline void touch(void *p)
{
	__asm__ volatile("movb %%al, (%0)" : : "c"(p), "a"(1) :
			 "memory");
}

NOFPU static enum dune_trap_action
on_trap(struct dune_tf *tf, unsigned int vector, uint64_t addr, void *arg)
{
	(void)vector;
	(void)arg;
	if (!ours(addr))
		return DUNE_TRAP_PASS;
	tf->rip += 2;	/* over the store: see touch() */
	return DUNE_TRAP_RESUME;
}

static int64_t trap(unsigned long n, unsigned int flags)
{
	int err = prepare(on_trap, flags);
	int64_t t;

	if (err)
		return err;
	clear(area, PTE_P);
	t = bench_now();
	while (n--)
		touch(area);
	t = bench_now() - t;
	set(area, PTE_P);
	return t;
}

static int64_t run_trap(unsigned long n)
{
	return trap(n, DUNE_TRAP_NOFPU);
}

static int64_t run_trapfpu(unsigned long n)
{
	return trap(n, 0);
}

NOFPU static enum dune_trap_action
on_appel1(struct dune_tf *tf, unsigned int vector, uint64_t addr, void *arg)
{
	(void)tf;
	(void)vector;
	(void)arg;
	if (!ours(addr))
		return DUNE_TRAP_PASS;
	/* A present entry where there was none needs no flush. */
	set((void *)addr, PTE_P | PTE_W);
	clear(area + (PAGES + other++) * PAGE, PTE_P);
	return DUNE_TRAP_RESUME;
}

/* prot1 + trap + unprot; n counts pages. */
static int64_t run_appel1(unsigned long n)
{
	int err = prepare(on_appel1, DUNE_TRAP_NOFPU);
	int64_t ns = 0, t;

	if (err)
		return err;
	for (unsigned long done = 0; done < n; done += PAGES) {
		dune_vm_mprotect(pgroot, area, PAGES * PAGE, PERM_NONE);
		dune_vm_mprotect(pgroot, area + PAGES * PAGE, PAGES * PAGE,
				 PERM_R | PERM_W);
		other = 0;
		t = bench_now();
		for (unsigned long i = 0; i < PAGES && done + i < n; i++)
			touch(area + order[i] * PAGE);
		ns += bench_now() - t;
	}
	dune_vm_mprotect(pgroot, area, 2 * PAGES * PAGE, PERM_R | PERM_W);
	return ns;
}

NOFPU static enum dune_trap_action
on_appel2(struct dune_tf *tf, unsigned int vector, uint64_t addr, void *arg)
{
	(void)tf;
	(void)vector;
	(void)arg;
	if (!ours(addr))
		return DUNE_TRAP_PASS;
	set((void *)addr, PTE_P | PTE_W);
	return DUNE_TRAP_RESUME;
}

/* The pages lose the rights that perm lacks; n counts pages. */
static int64_t protected(unsigned long n, int perm, bool time_all)
{
	int err = prepare(on_appel2, DUNE_TRAP_NOFPU);
	int64_t ns = 0, t;

	if (err)
		return err;
	for (unsigned long done = 0; done < n; done += PAGES) {
		t = bench_now();
		err = dune_vm_mprotect(pgroot, area, PAGES * PAGE, perm);
		if (err)
			return err;
		if (!time_all)
			t = bench_now();
		for (unsigned long i = 0; i < PAGES && done + i < n; i++)
			touch(area + order[i] * PAGE);
		ns += bench_now() - t;
	}
	dune_vm_mprotect(pgroot, area, PAGES * PAGE, PERM_R | PERM_W);
	return ns;
}

/* protN + trap + unprot. */
static int64_t run_appel2(unsigned long n)
{
	return protected(n, PERM_NONE, true);
}

/* First writes to watched pages. */
static int64_t run_uffd(unsigned long n)
{
	return protected(n, PERM_R, false);
}

const struct bench_case mode_traps[] = {
	{ "trap", "a write that traps to a handler, and back", run_trap, 0 },
	{ "trapfpu", "the same, with FPU registers saved", run_trapfpu, 0 },
	{ "appel1", "for each page: trap, protect another one, unprotect it",
	  run_appel1, 0 },
	{ "appel2", "protect 100 pages, for each: trap, unprotect it",
	  run_appel2, 0 },
	{ "uffd", "a first write, resolved by a trap handler", run_uffd, 0 },
	{ 0 },
};
