/*
 * The guest's page tables: lookups and edits. No KVM. The rest: self-walks.c.
 */
#include "tests/unit/fake-tables.h"

/* ---- lookups ---- */

static void lookup_asks_once(void **state)
{
	ptent_t *e;

	(void)state;
	assert_int_equal(dune_vm_lookup(pgroot, VA(SMALL_MAP + 0x3123), 0, &e),
			 0);
	assert_int_equal(*e, identity(SMALL_MAP + 0x3000) | HOST_BITS | PTE_W);
	assert_int_equal(dune_vm_lookup(pgroot, VA(SMALL_MAP), 0, &e), 0);
	assert_int_equal(fake.fills, 1);
	/* nothing mapped: a table, and a zero entry in it */
	assert_int_equal(dune_vm_lookup(pgroot, VA(SMALL_MAP - LARGE), 0, &e),
			 0);
	assert_int_equal(*e, 0);
	assert_int_equal(fake.fills, 2);
}

static void lookup_of_larger_leaf(void **state)
{
	ptent_t *e, *again;

	(void)state;
	assert_int_equal(dune_vm_lookup(pgroot, VA(BIG_MAP + 0x5000), 0, &e),
			 0);
	assert_true(*e & PTE_PS);
	assert_int_equal(dune_vm_lookup(pgroot, VA(BIG_MAP), CREATE_NORMAL,
					&again), 0);
	assert_ptr_equal(e, again);
	assert_int_equal(dune_vm_lookup(pgroot, VA(SMALL_MAP), CREATE_BIG, &e),
			 -EEXIST);
}

static void lookup_creates(void **state)
{
	ptent_t *root = dune_root_new(0), *e;

	(void)state;
	assert_int_equal(dune_vm_lookup(root, VA(0x1000), 0, &e), -ENOENT);
	assert_int_equal(dune_vm_lookup(root, VA(0x1000), CREATE_NORMAL, &e),
			 0);
	*e = 0x5000 | PTE_P;
	assert_int_equal(entry(root, 0x1fff), 0x5000 | PTE_P);
	assert_int_equal(dune_vm_lookup(root, VA(LARGE), CREATE_BIG, &e), 0);
	assert_int_equal(*e, 0);
	assert_int_equal(dune_vm_lookup(root, VA(1ul << 30), CREATE_BIG_1GB,
					&e), 0);
	assert_int_equal(fake.fills, 0);
	dune_vm_free(root);
}

static void lookup_refuses(void **state)
{
	ptent_t *e;

	(void)state;
	assert_int_equal(dune_vm_lookup(pgroot, VA(1ul << 47), 0, &e),
			 -EINVAL);
	assert_int_equal(dune_vm_lookup(pgroot, VA(0), 4, &e), -EINVAL);
	dune_vms->flags = 0;
	assert_int_equal(dune_vm_lookup(pgroot, VA(0), CREATE_BIG_1GB, &e),
			 -EINVAL);
	fake.outside = true;
	assert_int_equal(dune_vm_lookup(pgroot, VA(0), 0, &e), -EPERM);
	assert_int_equal(dune_vm_mprotect(pgroot, VA(0), 1, PERM_R), -EPERM);
	assert_null(dune_root_new(0));
	assert_null(dune_page_alloc());
	fake.outside = false;
}

static void lookup_of_stray_entries(void **state)
{
	ptent_t *root = dune_root_new(0), *e;

	(void)state;
	root[0] = 0x7fffffffff000ul | DUNE_TABLE_FLAGS;
	assert_int_equal(dune_vm_lookup(root, VA(0x1000), 0, &e), -EFAULT);
	root[0] = dune_table_gpa(root) | DUNE_TABLE_FLAGS;	/* itself */
	assert_int_equal(dune_vm_lookup(root, VA(0), 0, &e), 0);
	assert_ptr_equal(e, root);
	root[0] = 0;
	dune_vm_free(root);
}

static void lookup_by_level(void **state)
{
	ptent_t *e;

	(void)state;
	dune_vm_fill(pgroot, VA(BIG_MAP), 1);
	assert_int_equal(dune_vm_lookup_level(pgroot, VA(BIG_MAP), 3, &e), 0);
	assert_ptr_equal(e, pgroot + (BIG_MAP >> 39));
	assert_int_equal(dune_vm_lookup_level(pgroot, VA(BIG_MAP), 1, &e), 0);
	assert_true(*e & PTE_PS);
	assert_int_equal(dune_vm_lookup_level(pgroot, VA(BIG_MAP), 0, &e),
			 -ENOENT);
}

/* ---- rights ---- */

static void mprotect_keeps_the_page(void **state)
{
	ptent_t pa = identity(SMALL_MAP + PAGE);

	(void)state;
	assert_int_equal(dune_vm_mprotect(pgroot, VA(SMALL_MAP + PAGE), PAGE,
					  PERM_R), 0);
	assert_int_equal(entry(pgroot, SMALL_MAP + PAGE), pa | HOST_BITS);
	assert_true(entry(pgroot, SMALL_MAP) & PTE_W);
	assert_true(entry(pgroot, SMALL_MAP + 2 * PAGE) & PTE_W);
	dune_vm_mprotect(pgroot, VA(SMALL_MAP + PAGE), 1,
			 PERM_R | PERM_X | PERM_U | PERM_USR2);
	assert_int_equal(entry(pgroot, SMALL_MAP + PAGE),
			 pa | PTE_P | PTE_A | PTE_D | PTE_U | PTE_USR2);
}

static void mprotect_none_and_back(void **state)
{
	ptent_t pa = identity(SMALL_MAP);

	(void)state;
	assert_int_equal(dune_vm_mprotect(pgroot, VA(SMALL_MAP), PAGE,
					  PERM_NONE), 0);
	assert_false(entry(pgroot, SMALL_MAP) & PTE_P);
	assert_int_equal(PTE_ADDR(entry(pgroot, SMALL_MAP)), pa);
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), PAGE, PERM_R | PERM_W);
	assert_int_equal(entry(pgroot, SMALL_MAP), pa | HOST_BITS | PTE_W);
	assert_int_equal(dune_vm_mprotect(pgroot, VA(SMALL_MAP), PAGE, PERM_W),
			 -EINVAL);
	assert_int_equal(dune_vm_mprotect(pgroot, VA(SMALL_MAP), PAGE, 1 << 20),
			 -EINVAL);
}

static void mprotect_leaves_absent_absent(void **state)
{
	ptent_t *e;

	(void)state;
	dune_vm_unmap(pgroot, VA(SMALL_MAP), PAGE);
	e = entry_at(pgroot, SMALL_MAP + PAGE);
	*e = DUNE_PTE_HOST;
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), 2 * PAGE, PERM_R | PERM_W);
	assert_int_equal(entry(pgroot, SMALL_MAP), 0);
	assert_int_equal(*e, DUNE_PTE_HOST);
}

static void mprotect_splits(void **state)
{
	(void)state;
	dune_vm_mprotect(pgroot, VA(BIG_MAP + 5 * PAGE), PAGE, PERM_R);
	assert_int_equal(entry(pgroot, BIG_MAP + 5 * PAGE),
			 identity(BIG_MAP + 5 * PAGE) | HOST_BITS);
	assert_int_equal(entry(pgroot, BIG_MAP + 6 * PAGE),
			 identity(BIG_MAP + 6 * PAGE) | HOST_BITS | PTE_W);
	/* a whole one stays large */
	dune_vm_mprotect(pgroot, VA(BIG_MAP + LARGE), LARGE, PERM_R);
	assert_int_equal(entry(pgroot, BIG_MAP + LARGE),
			 identity(BIG_MAP + LARGE) | HOST_BITS | PTE_PS);
}

static void mprotect_flushes_once(void **state)
{
	const struct dune_vm_range range[] = {
		{ VA(SMALL_MAP), PAGE, PERM_R },
		{ VA(SMALL_MAP + 90 * PAGE), 3 * PAGE, PERM_NONE },
		{ VA(BIG_MAP), PAGE, PERM_R },
	};

	(void)state;
	dune_vm_fill(pgroot, VA(SMALL_MAP), MAP_SIZE);
	forget_counts();
	dune_vm_mprotect(pgroot, VA(SMALL_MAP + 9 * PAGE), PAGE, PERM_R);
	assert_int_equal(fake.invlpgs, 1);
	assert_int_equal(fake.reloads, 0);
	assert_int_equal(fake.shootdowns, 1);
	/* more rights than before: no flush */
	dune_vm_mprotect(pgroot, VA(SMALL_MAP + 9 * PAGE), PAGE,
			 PERM_R | PERM_W);
	assert_int_equal(fake.shootdowns, 1);
	forget_counts();
	assert_int_equal(dune_vm_protect_ranges(pgroot, range, 3), 0);
	assert_int_equal(fake.reloads, 1);
	assert_int_equal(fake.shootdowns, 1);
	assert_false(entry(pgroot, BIG_MAP) & PTE_W);
}

static void ranges_that_are_none(void **state)
{
	uint64_t area = (uint64_t)fake.setup.area;

	(void)state;
	assert_int_equal(dune_vm_mprotect(pgroot, VA(SMALL_MAP), 0, PERM_R),
			 0);
	assert_int_equal(dune_vm_mprotect(pgroot, VA(SMALL_MAP), -1ul, PERM_R),
			 -EINVAL);
	assert_int_equal(dune_vm_mprotect(pgroot, VA(1ul << 47), 1, PERM_R),
			 -EINVAL);
	assert_int_equal(dune_vm_mprotect(pgroot, VA(area), PAGE, PERM_R),
			 -EINVAL);
	/* all there is: but not what all roots share */
	dune_vm_fill(pgroot, VA(0), 1ul << 47);
	assert_int_equal(dune_vm_mprotect(pgroot, VA_START, -1ul, PERM_NONE),
			 0);
	assert_false(entry(pgroot, SMALL_MAP) & PTE_P);
	assert_false(entry(pgroot, BIG_MAP) & PTE_P);
	assert_true(entry(pgroot, area) & PTE_P);
}

static void user_bits(void **state)
{
	(void)state;
	assert_int_equal(dune_vm_user_bits(pgroot, VA(SMALL_MAP), PAGE,
					   PTE_USR1 | PTE_USR3, 0), 0);
	assert_int_equal(entry(pgroot, SMALL_MAP) & PTE_AVAIL2,
			 PTE_USR1 | PTE_USR3);
	dune_vm_user_bits(pgroot, VA(SMALL_MAP), PAGE, PTE_USR2, PTE_USR1);
	assert_int_equal(entry(pgroot, SMALL_MAP) & PTE_AVAIL2,
			 PTE_USR2 | PTE_USR3);
	assert_int_equal(dune_vm_user_bits(pgroot, VA(SMALL_MAP), PAGE, PTE_W,
					   0), -EINVAL);
	assert_int_equal(fake.shootdowns, 0);
}

/* ---- mapping ---- */

static void map_phys_sizes(void **state)
{
	ptent_t *root = dune_root_new(0);
	uint64_t gb = 1ul << 30;

	(void)state;
	assert_int_equal(dune_vm_map_phys(root, VA(0x5000), 3 * PAGE,
					  VA(0x9000), PERM_R | PERM_W), 0);
	assert_int_equal(entry(root, 0x7000), 0xb000 | PTE_P | PTE_W | PTE_NX);
	assert_int_equal(entry(root, 0x8000), 0);
	assert_int_equal(dune_vm_map_phys(root, VA(LARGE), 1, VA(3 * LARGE),
					  PERM_R | PERM_BIG), 0);
	assert_int_equal(entry(root, 2 * LARGE - 1),
			 3 * LARGE | PTE_P | PTE_NX | PTE_PS);
	assert_int_equal(dune_vm_map_phys(root, VA(gb), gb, VA(5 * gb),
					  PERM_R | PERM_X | PERM_BIG_1GB), 0);
	assert_int_equal(entry(root, gb + LARGE), 5 * gb | PTE_P | PTE_PS);
	/* not aligned */
	assert_int_equal(dune_vm_map_phys(root, VA(LARGE + PAGE), LARGE, VA(0),
					  PERM_R | PERM_BIG), -EINVAL);
	assert_int_equal(dune_vm_map_phys(root, VA(LARGE), LARGE, VA(PAGE),
					  PERM_R | PERM_BIG), -EINVAL);
	assert_int_equal(dune_vm_map_phys(root, VA(LARGE), PAGE, VA(1),
					  PERM_R), -EINVAL);
	dune_vms->flags = 0;
	assert_int_equal(dune_vm_map_phys(root, VA(gb), gb, VA(0),
					  PERM_R | PERM_BIG_1GB), -EINVAL);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_tables, 0);
}

static void map_into_larger_leaves(void **state)
{
	ptent_t *root = dune_root_new(0);
	uint64_t gb = 1ul << 30;

	(void)state;
	dune_vm_map_phys(root, VA(gb), gb, VA(5 * gb), PERM_R | PERM_BIG_1GB);
	dune_vm_map_phys(root, VA(gb + LARGE + PAGE), PAGE, VA(0x1000),
			 PERM_R);
	assert_int_equal(PTE_ADDR(entry(root, gb + LARGE + PAGE)), 0x1000);
	assert_int_equal(PTE_ADDR(entry(root, gb + LARGE)), 5 * gb + LARGE);
	assert_int_equal(PTE_ADDR(entry(root, gb + LARGE + 2 * PAGE)),
			 5 * gb + LARGE + 2 * PAGE);
	assert_int_equal(entry(root, gb + 3 * LARGE),
			 (5 * gb + 3 * LARGE) | PTE_P | PTE_PS | PTE_NX);
	/* and back to a large one, over the tables */
	dune_vm_map_phys(root, VA(gb), gb, VA(6 * gb), PERM_R | PERM_BIG_1GB);
	assert_int_equal(PTE_ADDR(entry(root, gb + LARGE + PAGE)), 6 * gb);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_tables, 0);
}

static void pat_moves_when_splitting(void **state)
{
	ptent_t *root = dune_root_new(0), *e;

	(void)state;
	dune_vm_map_phys(root, VA(LARGE), LARGE, VA(LARGE), PERM_R | PERM_BIG);
	e = entry_at(root, LARGE);
	*e |= PTE_PAT_PS;
	assert_int_equal(dune_vm_split(root, VA(LARGE), PAGE), 0);
	assert_int_equal(entry(root, LARGE + PAGE),
			 (LARGE + PAGE) | PTE_P | PTE_NX | PTE_PAT);
	dune_vm_free(root);
}

static void map_pages_owns_them(void **state)
{
	ptent_t *root = dune_root_new(0);
	struct page *pg, *first;

	(void)state;
	assert_int_equal(dune_vm_map_pages(root, VA(0), 600 * PAGE,
					   PERM_R | PERM_W), 0);
	assert_int_equal(dune_vms->used_pages, 600);
	first = dune_vm_lookup_page(root, VA(0x123));
	assert_non_null(first);
	assert_int_equal(first->ref, 1);
	assert_ptr_equal(dune_pa2page(dune_page2pa(first)), first);
	assert_int_equal(dune_va_to_pa(dune_page_va(first)),
			 dune_page2pa(first));
	/* a second entry, a second reference */
	assert_int_equal(dune_vm_insert_page(root, VA(LARGE * 9), first,
					     PERM_R), 0);
	assert_int_equal(first->ref, 2);
	dune_vm_unmap(root, VA(0), PAGE);
	assert_int_equal(first->ref, 1);
	assert_int_equal(dune_vms->used_pages, 600);
	/* mapped over */
	dune_vm_map_phys(root, VA(PAGE), PAGE, VA(0x1000), PERM_R);
	assert_int_equal(dune_vms->used_pages, 599);
	/* hidden by rights, it is still there */
	dune_vm_mprotect(root, VA(2 * PAGE), PAGE, PERM_NONE);
	assert_null(dune_vm_lookup_page(root, VA(2 * PAGE)));
	pg = dune_page_alloc();
	assert_int_equal(dune_vms->used_pages, 600);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_pages, 1);
	dune_page_put(pg);
	assert_int_equal(dune_vms->used_pages, 0);
	assert_int_equal(dune_vms->used_tables, 0);
}

static void unmap_in_the_main_root(void **state)
{
	(void)state;
	dune_vm_unmap(pgroot, VA(BIG_MAP + PAGE), LARGE);
	assert_int_equal(entry(pgroot, BIG_MAP + PAGE), 0);
	assert_int_equal(entry(pgroot, BIG_MAP + LARGE), 0);
	assert_true(entry(pgroot, BIG_MAP) & PTE_P);
	assert_true(entry(pgroot, BIG_MAP + LARGE + PAGE) & PTE_P);
	/* the program's wish: asking again changes nothing */
	forget_counts();
	dune_vm_fill(pgroot, VA(BIG_MAP), MAP_SIZE);
	assert_int_equal(entry(pgroot, BIG_MAP + PAGE), 0);
}

static void split_a_gigabyte(void **state)
{
	ptent_t *root = dune_root_new(0);
	uint64_t gb = 1ul << 30;

	(void)state;
	dune_vm_map_phys(root, VA(gb), gb, VA(gb), PERM_R | PERM_BIG_1GB);
	assert_int_equal(dune_vm_split(root, VA(gb + LARGE), LARGE), 0);
	assert_int_equal(entry(root, gb + LARGE + 7 * PAGE),
			 (gb + LARGE + 7 * PAGE) | PTE_P | PTE_NX);
	assert_int_equal(entry(root, gb), gb | PTE_P | PTE_NX | PTE_PS);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_tables, 0);
}

static void move_takes_the_page_along(void **state)
{
	struct dune_vm_move move[] = {
		{ VA(SMALL_MAP), VA(SMALL_MAP + 2 * LARGE), 2 * PAGE },
		{ VA(BIG_MAP), VA(BIG_MAP + LARGE + PAGE), PAGE },
	};

	(void)state;
	dune_vm_fill(pgroot, VA(0), 1ul << 47);
	forget_counts();
	assert_int_equal(dune_vm_move(pgroot, move, 2), 0);
	assert_int_equal(fake.shootdowns, 1);
	assert_int_equal(entry(pgroot, SMALL_MAP), 0);
	assert_int_equal(entry(pgroot, SMALL_MAP + 2 * LARGE + PAGE),
			 identity(SMALL_MAP + PAGE) | HOST_BITS | PTE_W);
	assert_int_equal(PTE_ADDR(entry(pgroot, BIG_MAP + LARGE + PAGE)),
			 identity(BIG_MAP));
	assert_int_equal(entry(pgroot, BIG_MAP), 0);
	move[0].len = LARGE * 3;
	assert_int_equal(dune_vm_move(pgroot, move, 1), -EINVAL);
	move[0].len = 1;
	assert_int_equal(dune_vm_move(pgroot, move, 1), -EINVAL);
}

static void out_of_tables(void **state)
{
	ptent_t *root = dune_root_new(0);
	uint32_t all = dune_vms->n_tables;

	(void)state;
	dune_vms->n_tables = dune_vms->next_table + 2;
	assert_int_equal(dune_vm_map_phys(root, VA(0), PAGE, VA(0), PERM_R),
			 -ENOMEM);
	assert_null(dune_root_new(0));
	assert_null(dune_vm_clone(pgroot));
	dune_vms->n_tables = all;
	assert_int_equal(dune_vm_map_phys(root, VA(0), PAGE, VA(0), PERM_R),
			 0);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_tables, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tables_setup, tables_teardown)
	const struct CMUnitTest tests[] = {
		T(lookup_asks_once),
		T(lookup_of_larger_leaf),
		T(lookup_creates),
		T(lookup_refuses),
		T(lookup_of_stray_entries),
		T(lookup_by_level),
		T(mprotect_keeps_the_page),
		T(mprotect_none_and_back),
		T(mprotect_leaves_absent_absent),
		T(mprotect_splits),
		T(mprotect_flushes_once),
		T(ranges_that_are_none),
		T(user_bits),
		T(map_phys_sizes),
		T(map_into_larger_leaves),
		T(pat_moves_when_splitting),
		T(map_pages_owns_them),
		T(unmap_in_the_main_root),
		T(split_a_gigabyte),
		T(move_takes_the_page_along),
		T(out_of_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
