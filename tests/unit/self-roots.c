/*
 * Several roots: following, snapshots, copy on write, first aid for faults,
 * what the host changes. No KVM. Ring 3's views of them: self-views.c.
 */
#include "tests/unit/fake-roots.h"

static int setup(void **state)
{
	(void)state;
	return fake_start(0);
}

/* ---- following ---- */

static void following_sees_the_process(void **state)
{
	ptent_t *root = dune_root_new(DUNE_ROOT_FOLLOW), *e;

	(void)state;
	write_byte(pgroot, SMALL_MAP, 'a');
	assert_int_equal(read_byte(root, SMALL_MAP), 'a');
	write_byte(root, SMALL_MAP + 7, 'b');
	assert_int_equal(read_byte(pgroot, SMALL_MAP + 7), 'b');
	assert_ptr_equal(byte(root, SMALL_MAP), byte(pgroot, SMALL_MAP));
	assert_int_equal(touch(root, BIG_MAP + 9, true), 0);
	assert_true(entry(root, BIG_MAP) & PTE_PS);
	/* and by lookup */
	assert_int_equal(dune_vm_lookup(root, VA(SHARED_MAP), 0, &e), 0);
	assert_int_equal(PTE_ADDR(*e), identity(SHARED_MAP));
	dune_vm_free(root);
}

static void a_change_is_the_roots_own(void **state)
{
	ptent_t *root = dune_root_new(DUNE_ROOT_FOLLOW);

	(void)state;
	dune_vm_mprotect(root, VA(SMALL_MAP), PAGE, PERM_R);
	assert_int_equal(touch(root, SMALL_MAP, true), -EFAULT);
	assert_int_equal(touch(pgroot, SMALL_MAP, true), 0);
	dune_vm_unmap(root, VA(SMALL_MAP + PAGE), PAGE);
	assert_int_equal(touch(root, SMALL_MAP + PAGE, false), -EFAULT);
	assert_int_equal(touch(root, SMALL_MAP + 2 * PAGE, false), 0);
	assert_int_equal(touch(pgroot, SMALL_MAP + PAGE, false), 0);
	/* a large hole stays one when its neighbours get smaller entries */
	dune_vm_unmap(root, VA(BIG_MAP), LARGE);
	assert_int_equal(touch(root, BIG_MAP, false), -EFAULT);
	dune_vm_map_phys(root, VA(BIG_MAP + PAGE), PAGE, VA(0x1000), PERM_R);
	assert_int_equal(touch(root, BIG_MAP, false), -EFAULT);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_tables, 0);
}

static void zero_means_as_the_main_root(void **state)
{
	ptent_t *root = dune_root_new(DUNE_ROOT_FOLLOW);

	(void)state;
	dune_vm_unmap(pgroot, VA(SMALL_MAP), PAGE);
	assert_int_equal(touch(root, SMALL_MAP, false), -EFAULT);
	/* mapped later, as brk() grows a heap in a span that exists */
	*entry_at(pgroot, SMALL_MAP) = identity(SMALL_MAP) | HOST_BITS | PTE_W;
	assert_int_equal(touch(root, SMALL_MAP, true), 0);
	dune_root_follow(root, false);
	dune_vm_unmap(pgroot, VA(SMALL_MAP + PAGE), PAGE);
	*entry_at(root, SMALL_MAP + PAGE) = 0;
	*entry_at(pgroot, SMALL_MAP + PAGE) = identity(SMALL_MAP + PAGE) |
					      HOST_BITS;
	assert_int_equal(touch(root, SMALL_MAP + PAGE, false), -EFAULT);
	assert_int_equal(touch(root, READ_MAP, false), -EFAULT);
	dune_vm_free(root);
}

static void free_leaves_nothing(void **state)
{
	ptent_t *root[5];
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++)
		root[i] = dune_root_new(i & 1 ? DUNE_ROOT_FOLLOW : 0);
	for (i = 0; i < 5; i++) {
		dune_vm_fill(root[i], VA(0), 1ul << 47);
		dune_vm_map_pages(root[i], VA(0x5000), PAGE, PERM_R);
	}
	for (i = 0; i < 5; i++)
		dune_vm_free(root[(i + 2) % 5]);
	dune_vm_free(pgroot);
	dune_vm_free(NULL);
	assert_int_equal(dune_vms->used_tables, 0);
	assert_int_equal(dune_vms->used_pages, 0);
	assert_null(dune_root_next(pgroot));
	assert_int_equal(touch(pgroot, SMALL_MAP, true), 0);
}

/* Entries lead to roots, to the same table twice: each is freed once. */
static void tables_that_map_tables(void **state)
{
	ptent_t *root = dune_root_new(0), *other = dune_root_new(0), *a, *b;

	(void)state;
	dune_vm_map_pages(root, VA(0), PAGE, PERM_R);
	root[300] = dune_table_gpa(root) | DUNE_TABLE_FLAGS;
	root[301] = dune_table_gpa(other) | DUNE_TABLE_FLAGS;
	root[302] = MAIN_GPA | DUNE_TABLE_FLAGS;
	root[1] = root[0];
	dune_vm_map_pages(pgroot, VA(0x300000000000ul), PAGE, PERM_R);
	a = dune_vm_clone(root);
	assert_non_null(a);
	dune_vm_free(a);
	assert_int_equal(dune_vms->used_pages, 2);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_pages, 1);
	a = dune_root_new(0);
	b = dune_root_new(0);
	assert_true(a != b && a != other && b != other);
	dune_vm_free(other);
	dune_vm_free(a);
	dune_vm_free(b);
	dune_vm_free(b);
	pgroot[300] = MAIN_GPA | DUNE_TABLE_FLAGS;
	dune_vm_map_phys(pgroot, VA(~0ul << 48 | 300ul << 39), 1ul << 30,
			 VA(0), PERM_R | PERM_BIG_1GB);
	pgroot[300] = 0;
	assert_int_equal(dune_vms->used_pages, 1);
	dune_vm_unmap(pgroot, VA(0x300000000000ul), PAGE);
}

/* ---- snapshots ---- */

static void snapshot_keeps_old_contents(void **state)
{
	uint64_t va[] = { SMALL_MAP + 5, BIG_MAP + 3 * PAGE };
	ptent_t *clone;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++)
		write_byte(pgroot, va[i], '1');
	clone = dune_vm_clone(pgroot);
	assert_non_null(clone);
	assert_int_equal(entry(pgroot, SMALL_MAP) &
			 (PTE_W | PTE_COW | DUNE_PTE_SNAP),
			 PTE_COW | DUNE_PTE_SNAP);
	for (i = 0; i < 2; i++) {
		write_byte(pgroot, va[i], '2');
		assert_int_equal(read_byte(clone, va[i]), '1');
		assert_int_equal(read_byte(pgroot, va[i]), '2');
		/* the live page stayed where it was */
		assert_int_equal(PTE_ADDR(entry(pgroot, va[i])),
				 identity(DUNE_PAGE_DOWN(va[i])));
		assert_int_equal(*(char *)va[i], '2');
		write_byte(clone, va[i], '3');
		assert_int_equal(read_byte(pgroot, va[i]), '2');
	}
	assert_int_equal(dune_vms->used_pages, 2);
	/* the neighbours are still shared */
	assert_ptr_equal(byte(clone, BIG_MAP + LARGE),
			 byte(pgroot, BIG_MAP + LARGE));
	dune_vm_free(clone);
	assert_int_equal(dune_vms->used_pages, 0);
	/* nobody shares: no copy */
	write_byte(pgroot, SMALL_MAP + PAGE, 'x');
	assert_int_equal(dune_vms->used_pages, 0);
}

static void clone_writes_first(void **state)
{
	ptent_t *clone;

	(void)state;
	write_byte(pgroot, SMALL_MAP, '1');
	clone = dune_vm_clone(pgroot);
	write_byte(clone, SMALL_MAP, '2');
	assert_int_equal(*(char *)SMALL_MAP, '1');
	write_byte(pgroot, SMALL_MAP, '3');
	assert_int_equal(read_byte(clone, SMALL_MAP), '2');
	assert_int_equal(dune_vms->used_pages, 1);
	dune_vm_free(clone);
	assert_int_equal(dune_vms->used_pages, 0);
}

static void many_clones_share_one_copy(void **state)
{
	ptent_t *clone[6];
	unsigned int i;

	(void)state;
	write_byte(pgroot, SMALL_MAP, '1');
	for (i = 0; i < 6; i++)
		clone[i] = dune_vm_clone(pgroot);
	write_byte(pgroot, SMALL_MAP, '2');
	assert_int_equal(dune_vms->used_pages, 1);
	for (i = 0; i < 6; i++)
		assert_int_equal(read_byte(clone[i], SMALL_MAP), '1');
	for (i = 0; i < 6; i++)
		write_byte(clone[i], SMALL_MAP, 'a' + i);
	assert_int_equal(dune_vms->used_pages, 6);
	for (i = 0; i < 6; i++) {
		assert_int_equal(read_byte(clone[i], SMALL_MAP), 'a' + i);
		dune_vm_free(clone[i]);
	}
	assert_int_equal(dune_vms->used_pages, 0);
	assert_int_equal(dune_vms->used_tables, 0);
}

static void clone_of_a_clone(void **state)
{
	ptent_t *one, *two;

	(void)state;
	write_byte(pgroot, SMALL_MAP, '0');
	write_byte(pgroot, SMALL_MAP + PAGE, '0');
	one = dune_vm_clone(pgroot);
	write_byte(one, SMALL_MAP, '1');
	two = dune_vm_clone(one);
	assert_int_equal(read_byte(two, SMALL_MAP), '1');
	write_byte(one, SMALL_MAP, 'x');
	assert_int_equal(read_byte(two, SMALL_MAP), '1');
	write_byte(two, SMALL_MAP, 'y');
	assert_int_equal(read_byte(one, SMALL_MAP), 'x');
	/* a page all three share */
	write_byte(pgroot, SMALL_MAP + PAGE, '9');
	assert_int_equal(read_byte(one, SMALL_MAP + PAGE), '0');
	assert_int_equal(read_byte(two, SMALL_MAP + PAGE), '0');
	write_byte(two, SMALL_MAP + PAGE, '2');
	assert_int_equal(read_byte(one, SMALL_MAP + PAGE), '0');
	dune_vm_free(one);
	assert_int_equal(read_byte(two, SMALL_MAP), 'y');
	dune_vm_free(two);
	assert_int_equal(dune_vms->used_pages, 0);
}

static void shared_mappings_stay_shared(void **state)
{
	ptent_t *clone;

	(void)state;
	write_byte(pgroot, SHARED_MAP, '1');
	clone = dune_vm_clone(pgroot);
	write_byte(pgroot, SHARED_MAP, '2');
	assert_int_equal(read_byte(clone, SHARED_MAP), '2');
	write_byte(clone, SHARED_MAP, '3');
	assert_int_equal(read_byte(pgroot, SHARED_MAP), '3');
	assert_int_equal(dune_vms->used_pages, 0);
	dune_vm_free(clone);
}

static void pool_pages_are_snapshot_too(void **state)
{
	uint64_t va = 0x300000000000ul;
	ptent_t *clone;

	(void)state;
	dune_vm_map_pages(pgroot, VA(va), PAGE, PERM_R | PERM_W);
	write_byte(pgroot, va, '1');
	clone = dune_vm_clone(pgroot);
	assert_int_equal(dune_vms->used_pages, 1);
	write_byte(pgroot, va, '2');
	assert_int_equal(read_byte(clone, va), '1');
	write_byte(clone, va, '3');
	assert_int_equal(read_byte(pgroot, va), '2');
	dune_vm_unmap(pgroot, VA(va), PAGE);
	assert_int_equal(read_byte(clone, va), '3');
	dune_vm_free(clone);
	assert_int_equal(dune_vms->used_pages, 0);
}

/* What is read-only at the time of the snapshot may be written later. */
static void rights_and_snapshots(void **state)
{
	ptent_t *clone;

	(void)state;
	write_byte(pgroot, SMALL_MAP, '1');
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), PAGE, PERM_R);
	clone = dune_vm_clone(pgroot);
	assert_int_equal(touch(pgroot, SMALL_MAP, true), -EFAULT);
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), PAGE, PERM_R | PERM_W);
	assert_false(entry(pgroot, SMALL_MAP) & PTE_W);
	write_byte(pgroot, SMALL_MAP, '2');
	assert_int_equal(read_byte(clone, SMALL_MAP), '1');
	assert_int_equal(touch(clone, SMALL_MAP, true), -EFAULT);
	dune_vm_mprotect(clone, VA(SMALL_MAP), PAGE, PERM_R | PERM_W);
	write_byte(clone, SMALL_MAP, '3');
	assert_int_equal(read_byte(pgroot, SMALL_MAP), '2');
	/* taking the right away from a shared page */
	dune_vm_mprotect(clone, VA(SMALL_MAP + PAGE), PAGE, PERM_R);
	assert_int_equal(touch(clone, SMALL_MAP + PAGE, true), -EFAULT);
	dune_vm_free(clone);
}

static void live_views_see_what_the_process_writes(void **state)
{
	ptent_t *live = dune_root_new(DUNE_ROOT_FOLLOW), *clone;

	(void)state;
	write_byte(live, SMALL_MAP, '1');
	clone = dune_vm_clone(pgroot);
	write_byte(live, SMALL_MAP, '2');
	assert_int_equal(*(char *)SMALL_MAP, '2');
	assert_int_equal(read_byte(clone, SMALL_MAP), '1');
	assert_int_equal(read_byte(live, SMALL_MAP + PAGE), 0);
	write_byte(pgroot, SMALL_MAP + PAGE, '3');
	assert_int_equal(read_byte(live, SMALL_MAP + PAGE), '3');
	assert_int_equal(read_byte(clone, SMALL_MAP + PAGE), 0);
	dune_vm_free(live);
	dune_vm_free(clone);
}

static void the_programs_own_cow(void **state)
{
	ptent_t *root = dune_root_new(0);
	uint64_t va = SMALL_MAP;
	uint32_t error = P | W;

	(void)state;
	*(char *)va = '1';
	dune_vm_map_phys(root, VA(va), PAGE, VA(dune_va_to_pa(VA(va))),
			 PERM_R | PERM_COW);
	fake.cr3 = dune_table_gpa(root);
	/* the program's handler decides */
	assert_int_equal(dune_vm_fault(va, &error, false), -EFAULT);
	assert_int_equal(error, P | W);
	dune_vm_default_pgflt_handler(va, P);
	assert_int_equal(fake.declines, 1);
	dune_vm_default_pgflt_handler(va, P | W);
	assert_int_equal(fake.declines, 1);
	*byte(root, va) = '2';
	assert_int_equal(*(char *)va, '1');
	assert_true(entry(root, va) & PTE_W);
	fake.cr3 = MAIN_GPA;
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_pages, 0);
	/* in the main root the page is the process's, and stays */
	dune_vm_mprotect(pgroot, VA(va), PAGE, PERM_R | PERM_COW);
	assert_int_equal(dune_vm_cow(va, P | W), 0);
	assert_int_equal(PTE_ADDR(entry(pgroot, va)), identity(va));
	assert_int_equal(dune_vm_cow(va, P | W), -ENOENT);
}

/* ---- what the host changes ---- */

static void unmapped_by_the_host(void **state)
{
	ptent_t *live = dune_root_new(DUNE_ROOT_FOLLOW), *clone;

	(void)state;
	write_byte(pgroot, SMALL_MAP, '1');
	write_byte(pgroot, SMALL_MAP + PAGE, '1');
	assert_int_equal(touch(live, SMALL_MAP, true), 0);
	clone = dune_vm_clone(pgroot);
	write_byte(clone, SMALL_MAP, '2');
	assert_int_equal(dune_vms->used_pages, 1);
	*entry_at(pgroot, SMALL_MAP) = 0;
	*entry_at(pgroot, SMALL_MAP + PAGE) = 0;
	dune_vm_changed(SMALL_MAP, 2 * PAGE, true);
	assert_int_equal(touch(live, SMALL_MAP, false), -EFAULT);
	/* the clone's own page goes, too; what it shared it keeps */
	assert_int_equal(touch(clone, SMALL_MAP, false), -EFAULT);
	assert_int_equal(read_byte(clone, SMALL_MAP + PAGE), '1');
	assert_int_equal(dune_vms->used_pages, 1);
	dune_vm_free(live);
	dune_vm_free(clone);
	assert_int_equal(dune_vms->used_pages, 0);
}

static void protected_by_the_host(void **state)
{
	ptent_t *clone;

	(void)state;
	write_byte(pgroot, BIG_MAP, '1');
	write_byte(pgroot, SMALL_MAP, '1');
	clone = dune_vm_clone(pgroot);
	write_byte(clone, SMALL_MAP, '2');
	/* mprotect(2) makes the main root's entry afresh */
	*entry_at(pgroot, BIG_MAP) = identity(BIG_MAP) | HOST_BITS | PTE_W |
				     PTE_PS;
	dune_vm_changed(SMALL_MAP, PAGE, false);
	dune_vm_changed(BIG_MAP, PAGE, false);
	*(char *)BIG_MAP = '3';
	assert_int_equal(read_byte(clone, BIG_MAP), '1');
	assert_int_equal(read_byte(clone, SMALL_MAP), '2');
	assert_int_equal(dune_vms->used_pages, 2);
	dune_vm_free(clone);
}

static void unmapped_for_good_stays_so(void **state)
{
	ptent_t *root = dune_root_new(DUNE_ROOT_FOLLOW), *fixed;

	(void)state;
	dune_vm_unmap(root, VA(SMALL_MAP), PAGE);
	assert_int_equal(touch(root, SMALL_MAP + PAGE, true), 0);
	dune_vm_changed(SMALL_MAP, 2 * PAGE, true);
	assert_int_equal(touch(root, SMALL_MAP, false), -EFAULT);
	assert_int_equal(touch(root, SMALL_MAP + PAGE, false), 0);
	/* a root that does not follow gets nothing new */
	fixed = dune_vm_clone(root);
	dune_root_follow(fixed, false);
	dune_vm_changed(SMALL_MAP + 3 * PAGE, PAGE, true);
	assert_int_equal(entry(fixed, SMALL_MAP + 3 * PAGE) & DUNE_PTE_SNAP,
			 DUNE_PTE_SNAP);
	dune_vm_changed(SHARED_MAP, MAP_SIZE, true);
	assert_int_equal(touch(fixed, SHARED_MAP, false), -EFAULT);
	dune_vm_free(fixed);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_pages, 0);
	assert_int_equal(dune_vms->used_tables, 0);
}

/* ---- first aid ---- */

static void faults_that_are_the_programs(void **state)
{
	uint32_t error;

	(void)state;
	touch(pgroot, READ_MAP, false);
	error = P | W;
	assert_int_equal(dune_vm_fault(READ_MAP, &error, false), -EFAULT);
	assert_int_equal(error, P | W);
	error = P | DUNE_PF_FETCH;
	assert_int_equal(dune_vm_fault(READ_MAP, &error, false), -EFAULT);
	error = 0;
	assert_int_equal(dune_vm_fault(READ_MAP - PAGE, &error, false),
			 -EFAULT);
	assert_int_equal(error, 0);
	error = 0;
	assert_int_equal(dune_vm_fault(1ul << 47, &error, false), -EFAULT);
	error = P | DUNE_PF_RSVD;
	assert_int_equal(dune_vm_fault(READ_MAP, &error, false), -EFAULT);
	/* the TLB was old */
	error = P;
	fake.invlpgs = 0;
	assert_int_equal(dune_vm_fault(READ_MAP, &error, false), 0);
	assert_int_equal(fake.invlpgs, 1);
}

static void host_entries_are_asked_again(void **state)
{
	uint32_t error = 0;

	(void)state;
	dune_vm_fill(pgroot, VA(SMALL_MAP), PAGE);
	*entry_at(pgroot, SMALL_MAP) = DUNE_PTE_HOST;
	assert_int_equal(dune_vm_fault(SMALL_MAP, &error, false), 0);
	assert_int_equal(fake.fills, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(following_sees_the_process),
		T(a_change_is_the_roots_own),
		T(zero_means_as_the_main_root),
		T(free_leaves_nothing),
		T(tables_that_map_tables),
		T(snapshot_keeps_old_contents),
		T(clone_writes_first),
		T(many_clones_share_one_copy),
		T(clone_of_a_clone),
		T(shared_mappings_stay_shared),
		T(pool_pages_are_snapshot_too),
		T(rights_and_snapshots),
		T(live_views_see_what_the_process_writes),
		T(the_programs_own_cow),
		T(unmapped_by_the_host),
		T(protected_by_the_host),
		T(unmapped_for_good_stays_so),
		T(faults_that_are_the_programs),
		T(host_entries_are_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
