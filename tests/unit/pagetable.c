/* Guest page tables: editing, large leaves, and cost in huge ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "kern/vm/pagetable.h"

#define RW	(DUNE_PTE_U | DUNE_PTE_W | DUNE_PTE_NX)
#define RO	(DUNE_PTE_U | DUNE_PTE_NX)
#define VA	0x123456789000ul
#define LARGE	0x155555600000ul
#define TABLES	64

/* Table pages come from a small pool; `allowed` of them can be had. */
struct pool {
	uint64_t page[TABLES][512];
	unsigned int used, allowed;
	unsigned int looked_at;
};

static void *alloc(void *ctx, dune_gpa_t *gpa)
{
	struct pool *p = ctx;

	if (p->used == p->allowed)
		return NULL;
	*gpa = (p->used + 1) * DUNE_PAGE_SIZE;
	return p->page[p->used++];
}

static void *host(void *ctx, dune_gpa_t gpa)
{
	struct pool *p = ctx;

	p->looked_at++;
	return p->page[gpa / DUNE_PAGE_SIZE - 1];
}

static int setup(void **state)
{
	struct pool *p = calloc(1, sizeof(*p));
	struct dune_pt *pt = calloc(1, sizeof(*pt));

	p->allowed = TABLES;
	*pt = (struct dune_pt){ .alloc = alloc, .host = host, .ctx = p };
	*state = pt;
	return dune_pt_init(pt);
}

static int teardown(void **state)
{
	struct dune_pt *pt = *state;

	free(pt->ctx);
	free(pt);
	return 0;
}

static void maps_and_unmaps_a_page(void **state)
{
	struct dune_pt *pt = *state;
	bool large = true, forget = false;

	assert_int_equal(dune_pt_lookup(pt, VA, NULL), 0);
	assert_int_equal(dune_pt_map(pt, VA, 0x5000, RW), 0);
	assert_int_equal(dune_pt_lookup(pt, VA, &large),
			 0x5000 | RW | DUNE_PTE_P);
	assert_false(large);
	assert_int_equal(dune_pt_lookup(pt, VA + DUNE_PAGE_SIZE, NULL), 0);
	assert_int_equal(dune_pt_lookup(pt, VA - DUNE_PAGE_SIZE, NULL), 0);
	dune_pt_unmap(pt, VA, DUNE_PAGE_SIZE, &forget);
	assert_int_equal(dune_pt_lookup(pt, VA, NULL), 0);
	assert_false(forget);
}

static void range_crosses_tables(void **state)
{
	dune_gva_t va = LARGE - 3 * DUNE_PAGE_SIZE;
	struct dune_pt *pt = *state;
	unsigned int i;

	assert_int_equal(dune_pt_map_range(pt, va, 6 * DUNE_PAGE_SIZE,
					   0x100000, RW), 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(dune_pt_lookup(pt, va + i * DUNE_PAGE_SIZE,
						NULL) & DUNE_PTE_ADDR,
				 0x100000 + i * DUNE_PAGE_SIZE);
	assert_int_equal(dune_pt_lookup(pt, va - 1, NULL), 0);
	assert_int_equal(dune_pt_lookup(pt, va + 6 * DUNE_PAGE_SIZE, NULL), 0);
}

static void unmap_takes_only_the_range(void **state)
{
	struct dune_pt *pt = *state;
	bool forget = false;

	dune_pt_map_range(pt, VA, 4 * DUNE_PAGE_SIZE, 0x100000, RW);
	dune_pt_unmap(pt, VA + DUNE_PAGE_SIZE, 2 * DUNE_PAGE_SIZE, &forget);
	assert_int_not_equal(dune_pt_lookup(pt, VA, NULL), 0);
	assert_int_equal(dune_pt_lookup(pt, VA + 0x1000, NULL), 0);
	assert_int_equal(dune_pt_lookup(pt, VA + 0x2000, NULL), 0);
	assert_int_not_equal(dune_pt_lookup(pt, VA + 0x3000, NULL), 0);
}

static void protect_keeps_absent_absent(void **state)
{
	struct dune_pt *pt = *state;
	bool forget = false;

	dune_pt_map(pt, VA, 0x5000, RW);
	dune_pt_protect(pt, VA - 0x1000, 3 * DUNE_PAGE_SIZE, RO, &forget);
	assert_int_equal(dune_pt_lookup(pt, VA, NULL),
			 0x5000 | RO | DUNE_PTE_P);
	assert_int_equal(dune_pt_lookup(pt, VA - 0x1000, NULL), 0);
	assert_int_equal(dune_pt_lookup(pt, VA + 0x1000, NULL), 0);
	assert_false(forget);
}

static void large_leaf(void **state)
{
	struct dune_pt *pt = *state;
	bool large = false, forget = false;

	assert_int_equal(dune_pt_map_large(pt, LARGE, 0x4000000, RW), 0);
	assert_int_equal(dune_pt_lookup(pt, LARGE + 0x1ff000, &large),
			 0x4000000 | RW | DUNE_PTE_PS | DUNE_PTE_P);
	assert_true(large);
	assert_int_equal(dune_pt_map(pt, LARGE + 0x1000, 0, RW), -EEXIST);
	dune_pt_protect(pt, LARGE, DUNE_LARGE_SIZE, RO, &forget);
	assert_int_equal(dune_pt_lookup(pt, LARGE, NULL),
			 0x4000000 | RO | DUNE_PTE_PS | DUNE_PTE_P);
	dune_pt_unmap(pt, LARGE, DUNE_LARGE_SIZE, &forget);
	assert_int_equal(dune_pt_lookup(pt, LARGE, NULL), 0);
	assert_false(forget);
	/* a table may take its place */
	assert_int_equal(dune_pt_map(pt, LARGE, 0x4000000, RW), 0);
}

static void part_of_a_large_leaf_drops_it(void **state)
{
	struct dune_pt *pt = *state;
	bool forget = false;

	dune_pt_map_large(pt, LARGE, 0x4000000, RW);
	dune_pt_map_large(pt, LARGE + DUNE_LARGE_SIZE, 0x4200000, RW);
	dune_pt_unmap(pt, LARGE + 0x1ff000, DUNE_PAGE_SIZE, &forget);
	assert_true(forget);
	assert_int_equal(dune_pt_lookup(pt, LARGE, NULL), 0);
	assert_int_not_equal(dune_pt_lookup(pt, LARGE + DUNE_LARGE_SIZE,
					    NULL), 0);
	forget = false;
	dune_pt_protect(pt, LARGE + DUNE_LARGE_SIZE, DUNE_PAGE_SIZE, RO,
			&forget);
	assert_true(forget);
	assert_int_equal(dune_pt_lookup(pt, LARGE + DUNE_LARGE_SIZE, NULL),
			 0);
}

static void table_stays_where_it_was(void **state)
{
	struct dune_pt *pt = *state;
	bool forget = false;

	dune_pt_map(pt, LARGE, 0x4000000, RW);
	dune_pt_unmap(pt, LARGE, DUNE_LARGE_SIZE, &forget);
	assert_int_equal(dune_pt_map_large(pt, LARGE, 0x4000000, RW),
			 -EEXIST);
}

static void out_of_table_pages(void **state)
{
	struct dune_pt *pt = *state;
	struct pool *p = pt->ctx;

	p->allowed = 3;
	assert_int_equal(dune_pt_map(pt, VA, 0x5000, RW), -ENOMEM);
	assert_int_equal(dune_pt_lookup(pt, VA, NULL), 0);
	p->allowed = 4;
	assert_int_equal(dune_pt_map(pt, VA, 0x5000, RW), 0);
	assert_int_equal(dune_pt_map(pt, VA + DUNE_LARGE_SIZE, 0x5000, RW),
			 -ENOMEM);
}

static void upper_entries_allow_everything(void **state)
{
	struct dune_pt *pt = *state;
	struct pool *p = pt->ctx;

	dune_pt_map(pt, VA, 0x5000, RO);
	assert_int_equal(p->page[0][VA >> 39] & (0xff | DUNE_PTE_NX),
			 DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_U | DUNE_PTE_A);
}

static void whole_arena_costs_what_is_mapped(void **state)
{
	struct dune_pt *pt = *state;
	struct pool *p = pt->ctx;
	bool forget = false;

	dune_pt_map(pt, VA, 0x5000, RW);
	dune_pt_map(pt, 0x10000, 0x6000, RW);
	p->looked_at = 0;
	dune_pt_unmap(pt, 0x10000, 0x500000000000 - 0x10000, &forget);
	assert_int_equal(dune_pt_lookup(pt, VA, NULL), 0);
	assert_int_equal(dune_pt_lookup(pt, 0x10000, NULL), 0);
	assert_true(p->looked_at < 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(maps_and_unmaps_a_page),
		T(range_crosses_tables),
		T(unmap_takes_only_the_range),
		T(protect_keeps_absent_absent),
		T(large_leaf),
		T(part_of_a_large_leaf_drops_it),
		T(table_stays_where_it_was),
		T(out_of_table_pages),
		T(upper_entries_allow_everything),
		T(whole_arena_costs_what_is_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
