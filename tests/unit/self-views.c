/*
 * Ring 3's tables on a software KVM: derived from the program's, with what ring
 * 3 may and nothing else, flushed like a TLB. No KVM.
 */
#include "tests/unit/fake-roots.h"

static int setup(void **state)
{
	(void)state;
	return fake_start(DUNE_VMF_SOFT);
}

static void user_clear_means_supervisor(void **state)
{
	uint32_t error = P | U;
	ptent_t *e;

	(void)state;
	dune_vm_fill(pgroot, VA(SMALL_MAP), PAGE);
	e = entry_at(pgroot, SMALL_MAP);
	*e &= ~(PTE_U | DUNE_PTE_SUPER);
	assert_int_equal(dune_vm_fault(SMALL_MAP, &error, false), 0);
	assert_int_equal(*e & (PTE_U | DUNE_PTE_SUPER),
			 PTE_U | DUNE_PTE_SUPER);
	assert_false(dune_pte_user(*e));
}

static ptent_t *view_of_main(void)
{
	uint64_t cr3 = dune_userview_cr3(MAIN_GPA);

	assert_int_not_equal(cr3, 0);
	assert_int_not_equal(cr3, MAIN_GPA);
	return dune_table_at(cr3);
}

static int user_fault(uint64_t va, uint32_t *error)
{
	int r = dune_vm_fault(va, error, true);

	assert_true(*error & U);
	return r;
}

static void view_has_what_ring3_may(void **state)
{
	ptent_t *view = view_of_main();
	uint32_t error = U;

	(void)state;
	/* all supervisor's so far */
	assert_int_equal(user_fault(SMALL_MAP, &error), -EFAULT);
	assert_int_equal(error, U | P);
	error = U;
	assert_int_equal(user_fault(SMALL_MAP - PAGE, &error), -EFAULT);
	assert_int_equal(error, U);
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), PAGE,
			 PERM_R | PERM_W | PERM_U);
	dune_vm_mprotect(pgroot, VA(SMALL_MAP + PAGE), PAGE, PERM_R | PERM_U);
	error = U | W;
	assert_int_equal(user_fault(SMALL_MAP, &error), 0);
	assert_int_equal(entry(view, SMALL_MAP),
			 identity(SMALL_MAP) | HOST_BITS | PTE_W | PTE_U);
	assert_int_equal(entry(view, SMALL_MAP + PAGE),
			 identity(SMALL_MAP + PAGE) | HOST_BITS | PTE_U);
	assert_int_equal(entry(view, SMALL_MAP + 2 * PAGE), 0);
	error = U | W | P;
	assert_int_equal(user_fault(SMALL_MAP + PAGE, &error), -EFAULT);
	assert_int_equal(error, U | W | P);
}

/* So that a handler's *pte |= PTE_U opens the page; ring 0 keeps it. */
static void handler_finds_a_cpus_entry(void **state)
{
	uint32_t error = U | W;
	ptent_t *e;

	(void)state;
	assert_int_equal(user_fault(SMALL_MAP, &error), -EFAULT);
	e = entry_at(pgroot, SMALL_MAP);
	assert_int_equal(*e & (PTE_U | DUNE_PTE_SUPER), 0);
	error = P;
	assert_int_equal(dune_vm_fault(SMALL_MAP, &error, false), 0);
	assert_int_equal(*e & (PTE_U | DUNE_PTE_SUPER),
			 PTE_U | DUNE_PTE_SUPER);
	error = U | W;
	assert_int_equal(user_fault(SMALL_MAP, &error), -EFAULT);
	*e |= PTE_U;
	error = U | W;
	assert_int_equal(user_fault(SMALL_MAP, &error), 0);

	/* not where resolving faults would need the page itself */
	dune_vms->image = VA(SMALL_MAP);
	dune_vms->image_len = 2 * PAGE;
	error = U;
	assert_int_equal(user_fault(SMALL_MAP + PAGE, &error), -EFAULT);
	assert_int_equal(*entry_at(pgroot, SMALL_MAP + PAGE) &
			 (PTE_U | DUNE_PTE_SUPER), PTE_U | DUNE_PTE_SUPER);
}

static void view_hides_ring_0(void **state)
{
	ptent_t *view = view_of_main(), v;
	uint64_t va;

	(void)state;
	for (va = DUNE_RING0_GVA; va < DUNE_RING0_GVA + DUNE_RING0_SIZE;
	     va += PAGE) {
		v = entry(view, va);
		assert_true(v & PTE_P && !(v & PTE_U) && !(v & PTE_NX));
	}
	assert_int_equal(entry(view, DUNE_RING0_GVA + DUNE_RING0_SIZE), 0);
	/* by way of the upper entries, too */
	assert_false(view[DUNE_VM_SHARED] & PTE_U);
}

static void view_obeys_upper_entries(void **state)
{
	ptent_t *view = view_of_main(), *pde;
	uint32_t error = U | W;

	(void)state;
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), LARGE,
			 PERM_R | PERM_W | PERM_X | PERM_U);
	dune_vm_lookup_level(pgroot, VA(SMALL_MAP), 1, &pde);
	*pde &= ~PTE_W;
	assert_int_equal(user_fault(SMALL_MAP, &error), -EFAULT);
	*pde |= PTE_NX;
	error = U;
	assert_int_equal(user_fault(SMALL_MAP, &error), 0);
	assert_int_equal(entry(view, SMALL_MAP) & (PTE_W | PTE_NX), PTE_NX);
	*pde |= DUNE_PTE_SUPER;
	dune_flush_tlb();
	error = U;
	assert_int_equal(user_fault(SMALL_MAP, &error), -EFAULT);
	*pde &= ~(DUNE_PTE_SUPER | PTE_NX);
	*pde |= PTE_W;
}

static void view_is_flushed_like_a_tlb(void **state)
{
	ptent_t *view = view_of_main();
	uint32_t error = U;

	(void)state;
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), 2 * LARGE, PERM_R | PERM_U);
	user_fault(SMALL_MAP, &error);
	error = U;
	user_fault(SMALL_MAP + LARGE, &error);
	/* an edit of the program's own: there till it flushes */
	*entry_at(pgroot, SMALL_MAP) = 0;
	assert_int_not_equal(entry(view, SMALL_MAP), 0);
	dune_flush_tlb_one(SMALL_MAP);
	assert_int_equal(entry(view, SMALL_MAP), 0);
	assert_int_not_equal(entry(view, SMALL_MAP + LARGE), 0);
	dune_load_cr3(MAIN_GPA);
	assert_int_equal(entry(view, SMALL_MAP + LARGE), 0);
	/* an edit by call is flushed by itself */
	error = U;
	user_fault(SMALL_MAP + PAGE, &error);
	dune_vm_mprotect(pgroot, VA(SMALL_MAP + PAGE), PAGE, PERM_R);
	assert_int_equal(entry(view, SMALL_MAP + PAGE), 0);
}

static void view_tells_accessed_and_dirty(void **state)
{
	const int clear = DUNE_SCAN_DIRTY | DUNE_SCAN_ACCESSED |
			  DUNE_SCAN_CLEAR;
	ptent_t *view = view_of_main();
	uint32_t error = U;
	uint64_t map[8];

	(void)state;
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), LARGE,
			 PERM_R | PERM_W | PERM_U);
	dune_vm_scan(pgroot, VA(SMALL_MAP), LARGE, clear, NULL);
	user_fault(SMALL_MAP, &error);
	assert_false(entry(view, SMALL_MAP) & (PTE_A | PTE_D));
	*entry_at(view, SMALL_MAP + 3 * PAGE) |= PTE_A | PTE_D;
	*entry_at(view, SMALL_MAP + 4 * PAGE) |= PTE_A;
	assert_int_equal(dune_vm_scan(pgroot, VA(SMALL_MAP), LARGE,
				      DUNE_SCAN_DIRTY, map), 1);
	assert_int_equal(map[0], 8);
	assert_int_equal(entry(pgroot, SMALL_MAP + 4 * PAGE) &
			 (PTE_A | PTE_D), PTE_A);
	/* not into an entry that maps another page by now */
	error = U;
	user_fault(SMALL_MAP, &error);
	*entry_at(view, SMALL_MAP + 5 * PAGE) |= PTE_D;
	*entry_at(pgroot, SMALL_MAP + 5 * PAGE) = 0x5000 | PTE_P;
	dune_flush_tlb();
	assert_int_equal(entry(pgroot, SMALL_MAP + 5 * PAGE), 0x5000 | PTE_P);
}

static void view_of_larger_leaves(void **state)
{
	ptent_t *view = view_of_main();
	uint32_t error = U | W;

	(void)state;
	dune_vm_mprotect(pgroot, VA(BIG_MAP), LARGE, PERM_R | PERM_W | PERM_U);
	assert_int_equal(user_fault(BIG_MAP + 5, &error), 0);
	assert_int_equal(entry(view, BIG_MAP),
			 identity(BIG_MAP) | HOST_BITS | PTE_U | PTE_W |
			 PTE_PS);
	/* it becomes a table, and a leaf again */
	dune_vm_mprotect(pgroot, VA(BIG_MAP + PAGE), PAGE, PERM_R);
	error = U | W;
	assert_int_equal(user_fault(BIG_MAP, &error), 0);
	assert_int_equal(entry(view, BIG_MAP + PAGE), 0);
	assert_int_equal(PTE_ADDR(entry(view, BIG_MAP + 2 * PAGE)),
			 identity(BIG_MAP + 2 * PAGE));
	dune_vm_map_phys(pgroot, VA(BIG_MAP), LARGE, VA(identity(BIG_MAP)),
			 PERM_R | PERM_U | PERM_BIG);
	error = U;
	assert_int_equal(user_fault(BIG_MAP + PAGE, &error), 0);
	assert_int_equal(PTE_ADDR(entry(view, BIG_MAP + PAGE)),
			 identity(BIG_MAP + PAGE));
	assert_false(entry(view, BIG_MAP + PAGE) & PTE_W);
}

static void view_of_a_gigabyte(void **state)
{
	uint64_t gb = 1ul << 30, va = 0x300000000000ul;
	ptent_t *view = view_of_main();
	uint32_t error = U;

	(void)state;
	dune_vms->flags |= DUNE_VMF_GB;
	assert_int_equal(dune_vm_map_phys(pgroot, VA(va), gb, VA(5 * gb),
					  PERM_R | PERM_U | PERM_BIG_1GB), 0);
	assert_int_equal(user_fault(va + 3 * LARGE + PAGE, &error), 0);
	assert_int_equal(entry(view, va + 3 * LARGE),
			 (5 * gb + 3 * LARGE) | PTE_P | PTE_U | PTE_NX |
			 PTE_PS);
}

static void view_and_snapshots(void **state)
{
	ptent_t *view = view_of_main(), *clone;
	uint32_t error = U | W;

	(void)state;
	dune_vm_mprotect(pgroot, VA(SMALL_MAP), LARGE,
			 PERM_R | PERM_W | PERM_U);
	user_fault(SMALL_MAP, &error);
	*(char *)SMALL_MAP = '1';
	clone = dune_vm_clone(pgroot);
	assert_int_equal(entry(view, SMALL_MAP), 0);
	/* ring 3 writes: the clone gets its copy */
	error = U | W | P;
	assert_int_equal(user_fault(SMALL_MAP, &error), 0);
	assert_true(entry(pgroot, SMALL_MAP) & PTE_W);
	*(char *)SMALL_MAP = '2';
	assert_int_equal(read_byte(clone, SMALL_MAP), '1');
	dune_vm_free(clone);
}

static void views_go_with_their_roots(void **state)
{
	uint32_t used, error = U;
	ptent_t *root;

	(void)state;
	view_of_main();
	used = dune_vms->used_tables;
	root = dune_root_new(DUNE_ROOT_FOLLOW);
	dune_vm_mprotect(root, VA(SMALL_MAP), LARGE, PERM_R | PERM_U);
	fake.cr3 = dune_table_gpa(root);
	assert_int_equal(user_fault(SMALL_MAP, &error), 0);
	fake.cr3 = MAIN_GPA;
	assert_true(dune_vms->used_tables > used + 6);
	dune_vm_free(root);
	assert_int_equal(dune_vms->used_tables, used);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(user_clear_means_supervisor),
		T(view_has_what_ring3_may),
		T(handler_finds_a_cpus_entry),
		T(view_hides_ring_0),
		T(view_obeys_upper_entries),
		T(view_is_flushed_like_a_tlb),
		T(view_tells_accessed_and_dirty),
		T(view_of_larger_leaves),
		T(view_of_a_gigabyte),
		T(view_and_snapshots),
		T(views_go_with_their_roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
