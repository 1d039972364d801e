/*
 * The guest's page tables: walks, accessed and dirty bits, CR3, the page pool,
 * several threads. No KVM. Lookups and edits: self-pgtable.c.
 */
#include "tests/unit/fake-tables.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- walks ---- */

struct seen {
	unsigned int n;
	uint64_t va[16];
	int level[16];
	unsigned int stop_at;
};

static int see(const void *arg, ptent_t *pte, void *va)
{
	struct seen *s = (struct seen *)arg;

	assert_int_not_equal(*pte, 0);
	s->va[s->n++ % 16] = (uint64_t)va;
	return s->n == s->stop_at ? 77 : 0;
}

static int see_all(const void *arg, ptent_t *pte, void *va, int level)
{
	struct seen *s = (struct seen *)arg;

	s->level[s->n % 16] = level;
	return see(arg, pte, va);
}

static void page_walk_shows_what_is_there(void **state)
{
	ptent_t *root = dune_root_new(0);
	struct seen s = { .n = 0 };

	(void)state;
	dune_vm_map_phys(root, VA(0x7fffffffe000), PAGE, VA(0x1000), PERM_R);
	dune_vm_map_phys(root, VA(LARGE), LARGE, VA(0), PERM_R | PERM_BIG);
	dune_vm_map_phys(root, VA(0x3000), PAGE, VA(0x1000), PERM_R);
	assert_int_equal(dune_vm_page_walk(root, VA_START, VA_END, see, &s),
			 0);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.va[0], 0x3000);
	assert_int_equal(s.va[1], LARGE);
	assert_int_equal(s.va[2], 0x7fffffffe000);
	s.n = 0;
	dune_vm_page_walk(root, VA(0x3fff), VA(LARGE - 1), see, &s);
	assert_int_equal(s.n, 1);
	s.n = 0;
	s.stop_at = 2;
	assert_int_equal(dune_vm_page_walk(root, VA_START, VA_END, see, &s),
			 77);
	assert_int_equal(fake.fills, 0);
	dune_vm_free(root);
}

static void walk_of_the_upper_half(void **state)
{
	ptent_t *root = dune_root_new(0);
	struct seen s = { .n = 0 };

	(void)state;
	dune_vm_map_phys(root, VA(0xffff800000000000), PAGE, VA(0x1000),
			 PERM_R);
	dune_vm_map_phys(root, VA(0xfffffffffffff000), PAGE, VA(0x1000),
			 PERM_R);
	dune_vm_page_walk(root, VA_START, VA_END, see, &s);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.va[0], 0xffff800000000000);
	assert_int_equal(s.va[1], 0xfffffffffffff000);
	dune_vm_free(root);
}

static void walk_of_all_levels(void **state)
{
	static const int level[] = { 3, 2, 1, 0, 0, 1 };
	ptent_t *root = dune_root_new(0);
	struct seen s = { .n = 0 };
	unsigned int i;

	(void)state;
	dune_vm_map_phys(root, VA(0), 2 * PAGE, VA(0x1000), PERM_R);
	dune_vm_map_phys(root, VA(LARGE), LARGE, VA(0), PERM_R | PERM_BIG);
	dune_vm_walk(root, VA_START, VA_END, see_all, &s);
	assert_int_equal(s.n, DUNE_ARRAY_SIZE(level));
	for (i = 0; i < s.n; i++)
		assert_int_equal(s.level[i], level[i]);
	dune_vm_free(root);
}

static void walk_steps_over_what_is_shared(void **state)
{
	struct seen s = { .n = 0 };

	(void)state;
	dune_vm_page_walk(pgroot, VA_START, VA_END, see, &s);
	assert_int_equal(s.n, 0);
}

/* ---- accessed and dirty ---- */

static void scan_and_clear(void **state)
{
	const int get = DUNE_SCAN_DIRTY, clear = get | DUNE_SCAN_CLEAR;
	uint64_t map[MAP_SIZE / PAGE / 64], i;

	(void)state;
	/* nobody asked: all of it */
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP), MAP_SIZE, get,
				      map), MAP_SIZE / PAGE);
	assert_int_equal(fake.fills, 0);
	dune_vm_fill(pgroot, VA(SMALL_MAP), MAP_SIZE);
	dune_vm_scan(pgroot, VA(SMALL_MAP), MAP_SIZE, clear, map);
	for (i = 0; i < DUNE_ARRAY_SIZE(map); i++)
		assert_int_equal(map[i], ~0ul);
	forget_counts();
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP), MAP_SIZE, clear,
				      map), 0);
	assert_int_equal(fake.shootdowns, 0);
	assert_int_equal(map[0], 0);
	*entry_at(pgroot, SMALL_MAP + 65 * PAGE) |= PTE_D;
	*entry_at(pgroot, SMALL_MAP + LARGE) |= PTE_D;
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP + PAGE),
				      MAP_SIZE - PAGE, clear, map), 2);
	assert_int_equal(map[1], 1);
	assert_int_equal(map[511 / 64], 1ul << 63);
	assert_int_equal(fake.shootdowns, 1);
	assert_int_equal(fake.reloads, 1);
	/* accessed bits are others */
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP), MAP_SIZE,
				      DUNE_SCAN_ACCESSED, NULL),
			 MAP_SIZE / PAGE);
}

static void scan_of_larger_leaves(void **state)
{
	uint64_t map[8];

	(void)state;
	dune_vm_fill(pgroot, VA(BIG_MAP), MAP_SIZE);
	assert_int_equal(dune_vm_scan(pgroot, VA(BIG_MAP + PAGE), 3 * PAGE,
				      DUNE_SCAN_DIRTY, map), 3);
	assert_int_equal(map[0], 7);
	assert_true(entry(pgroot, BIG_MAP) & PTE_PS);
	/* clearing a part takes nothing from the rest */
	dune_vm_scan(pgroot, VA(BIG_MAP), PAGE,
		     DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR, NULL);
	assert_int_equal(dune_vm_scan(pgroot, VA(BIG_MAP), LARGE,
				      DUNE_SCAN_DIRTY, map), 511);
	assert_int_equal(map[0], ~1ul);
	assert_int_equal(dune_vm_scan(pgroot, VA(BIG_MAP + LARGE), LARGE,
				      DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR, map),
			 512);
	assert_true(entry(pgroot, BIG_MAP + LARGE) & PTE_PS);
}

static void scan_refuses(void **state)
{
	(void)state;
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP), PAGE,
				      DUNE_SCAN_CLEAR, NULL), -EINVAL);
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP + 1), PAGE,
				      DUNE_SCAN_DIRTY, NULL), -EINVAL);
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP), PAGE,
				      DUNE_SCAN_DIRTY | 2, NULL), -EINVAL);
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP), 0,
				      DUNE_SCAN_DIRTY, NULL), 0);
}

/* ---- CR3 ---- */

static void cr3_takes_addresses_and_pointers(void **state)
{
	ptent_t *root = dune_root_new(DUNE_ROOT_FOLLOW);
	uint64_t gpa = dune_table_gpa(root);

	(void)state;
	assert_int_equal(dune_load_cr3(gpa), 0);
	assert_int_equal(fake.cr3, gpa);
	assert_ptr_equal(dune_root_current(), root);
	load_cr3((unsigned long)pgroot);
	assert_int_equal(fake.cr3, MAIN_GPA);
	/* without PCID its bits are nothing */
	load_cr3((unsigned long)root | 5 | CR3_NOFLUSH);
	assert_int_equal(fake.cr3, gpa);
	dune_vms->flags |= DUNE_VMF_PCID;
	assert_int_equal(dune_root_switch(root, 5 | CR3_NOFLUSH), 0);
	assert_int_equal(fake.cr3, gpa | 5 | CR3_NOFLUSH);
	assert_int_equal(dune_root_switch(pgroot, 0), 0);
	dune_vm_free(root);
}

static void cr3_refuses(void **state)
{
	ptent_t *root = dune_root_new(0);

	(void)state;
	assert_int_equal(dune_load_cr3(0x123000), -EINVAL);
	assert_int_equal(dune_load_cr3(1ul << 45), -EINVAL);
	assert_int_equal(dune_root_switch(NULL, 0), -EINVAL);
	/* no code in it */
	assert_int_equal(dune_root_switch(root, 0), -EINVAL);
	assert_int_equal(dune_root_switch(pgroot, 1ul << 40), -EINVAL);
	assert_int_equal(fake.cr3, MAIN_GPA);
	dune_vm_free(root);
}

/* ---- pages ---- */

static void pages_are_zero(void **state)
{
	struct page *pg = dune_page_alloc(), *again;
	char *p = dune_page_va(pg);

	(void)state;
	memset(p, 0x55, PAGE);
	dune_page_get(pg);
	dune_page_put(pg);
	assert_int_equal(p[0], 0x55);
	dune_page_put(pg);
	again = dune_page_alloc();
	assert_ptr_equal(again, pg);
	assert_int_equal(p[0], 0);
	assert_int_equal(p[PAGE - 1], 0);
	assert_true(dune_page_isfrompool(dune_page2pa(pg)));
	assert_false(dune_page_isfrompool(identity(SMALL_MAP)));
	/* the pages that hold struct page are none */
	assert_null(dune_pa2page(dune_va_to_pa(pg)));
	dune_page_free(again);
}

static void pool_grows(void **state)
{
	unsigned int n = DUNE_WINDOW_SIZE / PAGE + 100, i;
	struct page **pg = malloc(n * sizeof(*pg));
	struct dune_page_counts c;

	(void)state;
	for (i = 0; i < n; i++) {
		pg[i] = dune_page_alloc();
		assert_non_null(pg[i]);
		*(uint64_t *)dune_page_va(pg[i]) = i;
	}
	dune_page_counts(&c);
	assert_int_equal(c.used, n);
	assert_true(c.total >= n && c.total < 3 * n);
	for (i = 0; i < n; i++) {
		assert_int_equal(*(uint64_t *)dune_page_va(pg[i]), i);
		assert_ptr_equal(dune_pa2page(dune_page2pa(pg[i])), pg[i]);
		dune_page_put(pg[i]);
	}
	free(pg);
}

static void *churn(void *arg)
{
	struct page *pg[8];
	unsigned int round, i;

	for (round = 0; round < 3000; round++) {
		for (i = 0; i < 8; i++) {
			pg[i] = dune_page_alloc();
			*(void **)dune_page_va(pg[i]) = &pg[i];
		}
		for (i = 0; i < 8; i++) {
			if (*(void **)dune_page_va(pg[i]) != &pg[i])
				*(bool *)arg = true;
			dune_page_put(pg[i]);
		}
	}
	return NULL;
}

static void pages_of_many_threads(void **state)
{
	bool wrong = false;
	pthread_t t[4];
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, &wrong);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_false(wrong);
	assert_int_equal(dune_vms->used_pages, 0);
}

/* Threads split, map, and protect each its own pages of the same spans. */
static void *edit_every_fourth(void *arg)
{
	uint64_t me = (uint64_t)arg, i;

	for (i = me; i < MAP_SIZE / PAGE; i += 4) {
		uint64_t va = BIG_MAP + i * PAGE;

		dune_vm_mprotect(pgroot, VA(va), PAGE,
				 me & 1 ? PERM_R : PERM_R | PERM_W | PERM_X);
	}
	return NULL;
}

static void edits_of_many_threads(void **state)
{
	pthread_t t[4];
	uint64_t i;

	(void)state;
	dune_vm_fill(pgroot, VA(BIG_MAP), MAP_SIZE);
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, edit_every_fourth, (void *)i);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < MAP_SIZE / PAGE; i++)
		assert_int_equal(entry(pgroot, BIG_MAP + i * PAGE),
				 identity(BIG_MAP + i * PAGE) | PTE_P | PTE_A |
				 PTE_D | (i & 1 ? PTE_NX : PTE_W));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tables_setup, tables_teardown)
	const struct CMUnitTest tests[] = {
		T(page_walk_shows_what_is_there),
		T(walk_of_the_upper_half),
		T(walk_of_all_levels),
		T(walk_steps_over_what_is_shared),
		T(scan_and_clear),
		T(scan_of_larger_leaves),
		T(scan_refuses),
		T(cr3_takes_addresses_and_pointers),
		T(cr3_refuses),
		T(pages_are_zero),
		T(pool_grows),
		T(pages_of_many_threads),
		T(edits_of_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
