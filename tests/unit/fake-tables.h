/*
 * A process and its host side for the guest's page-table code: mappings that
 * are really there, a fill that makes entries as dune_smem_fill() does, a TLB
 * of counters.
 */
#ifndef FAKE_TABLES_H
#define FAKE_TABLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include "libdune/vm.h"

#define PAGE		DUNE_PAGE_SIZE
#define LARGE		DUNE_LARGE_SIZE
#define MAIN_GPA	0x10000ul
#define SMALL_MAP	0x200000000000ul	/* 4 KiB entries, writable */
#define BIG_MAP		0x200040000000ul	/* 2 MiB leaves, writable */
#define READ_MAP	0x200080000000ul	/* 4 KiB, read-only */
#define SHARED_MAP	0x2000c0000000ul	/* 4 KiB, MAP_SHARED */
#define MAP_SIZE	(4 * LARGE)
#define HOST_BITS	(PTE_P | PTE_A | PTE_D | PTE_NX)

struct fake {
	struct dune_vm_setup setup;
	uint64_t cr3;
	unsigned int fills, reloads, invlpgs, shootdowns, declines;
	int held;
	bool outside;
	uint32_t windows;
	uint32_t window[4096];	/* number of each, in order of use */
	uint64_t host_tables;	/* where the host takes table pages from */
};

static struct fake fake;

static const struct fake_mapping {
	uint64_t lo;
	bool large, writable, shared;
} mappings[] = {
	{ SMALL_MAP, false, true, false },
	{ BIG_MAP, true, true, false },
	{ READ_MAP, false, false, false },
	{ SHARED_MAP, false, true, true },
};

static bool fake_inside(void)
{
	return !fake.outside;
}

static int fake_back(uint64_t va, uint64_t *gpa)
{
	uint32_t i, number = va >> DUNE_WINDOW_SHIFT;

	for (i = 0; i < fake.windows && fake.window[i] != number; i++)
		;
	if (i == DUNE_ARRAY_SIZE(fake.window))
		return -ENOMEM;
	if (i == fake.windows)
		fake.window[fake.windows++] = number;
	*gpa = (i + 2ul) * DUNE_WINDOW_SIZE + (va & (DUNE_WINDOW_SIZE - 1));
	return 0;
}

static uint64_t identity(uint64_t va)
{
	uint64_t gpa = 0;

	fake_back(va, &gpa);
	return gpa;
}

static ptent_t *host_table(ptent_t *e)
{
	if (!*e) {
		*e = fake.host_tables | DUNE_TABLE_FLAGS;
		fake.host_tables += PAGE;
	}
	return (ptent_t *)(fake.setup.area + PTE_ADDR(*e));
}

/* Entries of the span of va as the host side makes them. */
static long fake_fill(uint64_t va)
{
	ptent_t *t = (ptent_t *)(fake.setup.area + MAIN_GPA);
	uint64_t span = va & DUNE_LARGE_MASK;
	const struct fake_mapping *m = NULL;
	ptent_t bits;
	unsigned int i;

	fake.fills++;
	for (i = 0; i < DUNE_ARRAY_SIZE(mappings); i++)
		if (va - mappings[i].lo < MAP_SIZE)
			m = &mappings[i];
	t = host_table(&t[dune_pte_slot(va, 3)]);
	t = host_table(&t[dune_pte_slot(va, 2)]);
	bits = HOST_BITS | (m && m->writable ? PTE_W : 0) |
	       (fake.setup.flags & DUNE_VMF_SOFT ? PTE_U | DUNE_PTE_SUPER : 0);
	if (m && m->large) {
		t[dune_pte_slot(va, 1)] = identity(span) | bits | PTE_PS;
		return 0;
	}
	t = host_table(&t[dune_pte_slot(va, 1)]);
	for (i = 0; m && i < 512; i++)
		t[i] = identity(span + i * PAGE) | bits;
	return 0;
}

static uint64_t fake_cr3(void)
{
	return fake.cr3;
}

static void fake_set_cr3(uint64_t cr3)
{
	fake.cr3 = cr3;
	fake.reloads++;
}

/* Where the fake host has a guest physical address; NULL: nowhere. */
static char *fake_host(uint64_t pa)
{
	uint64_t i = pa / DUNE_WINDOW_SIZE - 2;

	if (i >= fake.windows)
		return NULL;
	return (char *)((uint64_t)fake.window[i] << DUNE_WINDOW_SHIFT) +
	       pa % DUNE_WINDOW_SIZE;
}

/*
 * The page through which vmclone.c reads what no root maps where it is needed
 * (its window_va()): a copy of what the entry says, gone with the invlpg.
 */
static char *fake_window(void)
{
	return fake.setup.area + fake.setup.area_size + LARGE;
}

static struct sigaction fake_others;	/* who is asked about other faults */

static void fake_window_fault(int sig, siginfo_t *info, void *ctx)
{
	char *at = fake_window(), *from;
	ptent_t *e;
	int level;

	(void)ctx;
	if (DUNE_PAGE_DOWN((uint64_t)info->si_addr) != (uint64_t)at ||
	    dune_walk_leaf(dune_vm_main(), (uint64_t)at, &e, &level)) {
		sigaction(sig, &fake_others, NULL);
		return;
	}
	from = fake_host(PTE_ADDR(*e));
	if (from && mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at)
		memcpy(at, from, PAGE);
	else
		sigaction(sig, &fake_others, NULL);
}

/* Again and again: cmocka puts its own handler there for every test. */
static inline void fake_watch_window(void)
{
	struct sigaction act = {
		.sa_sigaction = fake_window_fault, .sa_flags = SA_SIGINFO,
	}, old;

	sigaction(SIGSEGV, &act, &old);
	if (old.sa_sigaction != fake_window_fault)
		fake_others = old;
}

static void fake_invlpg(uint64_t va)
{
	if (va == (uint64_t)fake_window())
		munmap(fake_window(), PAGE);
	fake.invlpgs++;
}

static void fake_shootdown(void)
{
	fake.shootdowns++;
}

static void fake_hold(bool on)
{
	__atomic_add_fetch(&fake.held, on ? 1 : -1, __ATOMIC_SEQ_CST);
}

static void fake_decline(void)
{
	fake.declines++;
}

static int fake_mappings(int (*cb)(void *, uint64_t, uint64_t, bool, bool),
			 void *arg)
{
	unsigned int i;
	int r = 0;

	for (i = 0; !r && i < DUNE_ARRAY_SIZE(mappings); i++)
		r = cb(arg, mappings[i].lo, mappings[i].lo + MAP_SIZE,
		       mappings[i].writable, mappings[i].shared);
	return r;
}

static const struct dune_vm_ops fake_ops = {
	.inside = fake_inside, .fill = fake_fill, .back = fake_back,
	.cr3 = fake_cr3, .set_cr3 = fake_set_cr3, .invlpg = fake_invlpg,
	.shootdown = fake_shootdown, .hold = fake_hold,
	.decline = fake_decline, .mappings = fake_mappings,
};

static char *map_at(uint64_t at, uint64_t size)
{
	return mmap((void *)at, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		    MAP_FIXED_NOREPLACE, -1, 0);
}

/* flags: DUNE_VMF_*. 0: all is as on the first day. */
static inline int fake_start(unsigned int flags)
{
	ptent_t *root, *t;
	unsigned int i;

	memset(&fake, 0, sizeof(fake));
	for (i = 0; i < DUNE_ARRAY_SIZE(mappings); i++)
		if (map_at(mappings[i].lo, MAP_SIZE) == MAP_FAILED)
			return -1;
	fake.setup = (struct dune_vm_setup){
		.ops = &fake_ops,
		.area = map_at(DUNE_RING0_GVA, DUNE_RING0_SIZE),
		.area_size = DUNE_RING0_SIZE, .own = 32ul << 20,
		.own_size = 32ul << 20, .root = MAIN_GPA, .flags = flags,
	};
	if (fake.setup.area == MAP_FAILED)
		return -1;
	fake.cr3 = MAIN_GPA;
	fake.host_tables = 0x100000;
	root = (ptent_t *)(fake.setup.area + MAIN_GPA);
	t = host_table(&root[DUNE_VM_SHARED]);
	t = host_table(&t[dune_pte_slot(DUNE_RING0_GVA, 2)]);
	for (i = 0; i < DUNE_RING0_SIZE / LARGE; i++)
		t[i] = i * LARGE | PTE_PS | PTE_W | HOST_BITS;
	return dune_vm_attach(&fake.setup);
}

static void fake_stop(void)
{
	unsigned int i;

	for (i = 0; i < DUNE_ARRAY_SIZE(mappings); i++)
		munmap((void *)mappings[i].lo, MAP_SIZE);
	for (i = 0; i < dune_vms->chunks; i++)
		munmap((char *)dune_vms->pool + i * DUNE_WINDOW_SIZE,
		       DUNE_WINDOW_SIZE);
	munmap(fake.setup.area, DUNE_RING0_SIZE);
	dune_vms = NULL;
}

/* The entry that maps va, whatever its size, without asking anybody. */
static ptent_t entry(ptent_t *root, uint64_t va)
{
	ptent_t *e;
	int level;

	return dune_walk_leaf(root, va, &e, &level) ? 0 : *e;
}

static inline ptent_t *entry_at(ptent_t *root, uint64_t va)
{
	ptent_t *e;
	int level;

	assert_int_equal(dune_walk_leaf(root, va, &e, &level), 0);
	return e;
}

/* ---- what a suite begins and ends a test with ---- */

#define VA(x)	((void *)(x))

static inline int tables_setup(void **state)
{
	(void)state;
	return fake_start(DUNE_VMF_GB);
}

static inline int tables_teardown(void **state)
{
	(void)state;
	assert_int_equal(fake.held, 0);
	assert_int_equal(dune_vms->lock, 0);
	fake_stop();
	return 0;
}

static inline void forget_counts(void)
{
	fake.fills = fake.reloads = fake.invlpgs = fake.shootdowns = 0;
}

#endif
