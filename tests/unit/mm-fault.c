/*
 * Page faults of the guest, without a VM: which signal they become, what is
 * mapped by them and ahead of them, and files that end early.
 */
#include "tests/unit/fake-vm.h"

#include <errno.h>
#include <unistd.h>
#include "kern/mm/uaccess.h"

static void faults(void **state)
{
	const uint64_t rw = DUNE_PTE_P | DUNE_PTE_U | DUNE_PTE_A | DUNE_PTE_D |
			    DUNE_PTE_W | DUNE_PTE_NX;

	(void)state;
	begin(0);
	assert_int_equal(dune_mm_fault(&mm, BASE, PF_R), DUNE_FAULT_MAPERR);
	assert_int_equal(dune_mm_fault(&mm, 0, PF_R), DUNE_FAULT_MAPERR);
	assert_int_equal(dune_mm_fault(&mm, DUNE_RING0_GVA, PF_R),
			 DUNE_FAULT_MAPERR);
	/* NORESERVE: nothing is brought in before it is touched */
	map(BASE, 4 * P, R | W, ANON | MAP_FIXED | MAP_NORESERVE);
	map(BASE + 4 * P, P, PROT_NONE, ANON | MAP_FIXED);
	map(BASE + 5 * P, P, R, ANON | MAP_FIXED);
	map(BASE + 6 * P, P, X, ANON | MAP_FIXED);
	map(BASE + 7 * P, P, W, ANON | MAP_FIXED);
	assert_int_equal(dune_mm_fault(&mm, BASE + 4 * P, PF_R),
			 DUNE_FAULT_ACCERR);
	assert_int_equal(dune_mm_fault(&mm, BASE + 5 * P, PF_W),
			 DUNE_FAULT_ACCERR);
	assert_int_equal(dune_mm_fault(&mm, BASE + 5 * P, PF_X),
			 DUNE_FAULT_ACCERR);
	assert_int_equal(dune_mm_fault(&mm, BASE + 6 * P, PF_W),
			 DUNE_FAULT_ACCERR);
	assert_int_equal(entry(BASE), 0);
	assert_int_equal(dune_mm_fault(&mm, BASE + 7 * P + 5, PF_R),
			 DUNE_FAULT_OK);
	/* one fault fills its 2 MiB */
	assert_int_equal(entry(BASE), BASE | rw);
	assert_int_equal(entry(BASE + 3 * P), (BASE + 3 * P) | rw);
	assert_int_equal(entry(BASE + 4 * P), 0);
	assert_int_equal(entry(BASE + 5 * P),
			 (BASE + 5 * P) | (rw & ~DUNE_PTE_W));
	assert_int_equal(entry(BASE + 6 * P),
			 (BASE + 6 * P) | (rw & ~(DUNE_PTE_W | DUNE_PTE_NX)));
	assert_int_equal(entry(BASE + 8 * P), 0);
	/* spurious: another vCPU was faster */
	assert_int_equal(dune_mm_fault(&mm, BASE, PF_W), DUNE_FAULT_OK);
}

static bool resident(dune_gva_t va)
{
	unsigned char in = 0;

	assert_int_equal(mincore((void *)va, P, &in), 0);
	return in & 1;
}

static void what_will_be_filled_is_there_at_once(void **state)
{
	const dune_gva_t big = BASE + DUNE_LARGE_SIZE;
	int fd = memfd_create("f", MFD_CLOEXEC);

	(void)state;
	begin(0);
	map(BASE, 4 * P, R | W, ANON | MAP_FIXED);
	assert_int_not_equal(entry(BASE + 3 * P), 0);
	assert_true(resident(BASE + 3 * P));
	mm.brk_start = mm.brk = BASE + 8 * P;
	dune_mm_brk(&mm, BASE + 10 * P);
	assert_int_not_equal(entry(BASE + 9 * P), 0);
	/* more goes by windows of 256 KiB, a stack does not */
	map(big, 1 << 20, R | W, ANON | MAP_FIXED);
	assert_int_equal(entry(big), 0);
	assert_int_equal(dune_mm_fault(&mm, big + (256 << 10), PF_W),
			 DUNE_FAULT_OK);
	assert_int_equal(entry(big + (252 << 10)), 0);
	assert_true(resident(big + (508 << 10)));
	assert_int_equal(entry(big + (512 << 10)), 0);
	assert_false(resident(big + (512 << 10)));
	map(big, 16 * P, R | W, ANON | MAP_FIXED | MAP_STACK);
	assert_false(resident(big));
	/* a library's data, but no other file's */
	assert_int_equal(ftruncate(fd, 2 * P), 0);
	dune_mm_mmap(&mm, big, 3 * P, R | W, MAP_PRIVATE | MAP_FIXED |
		     MAP_DENYWRITE, fd, 0);
	assert_int_not_equal(entry(big), 0);
	dune_mm_mmap(&mm, big, 2 * P, R | W, MAP_PRIVATE | MAP_FIXED, fd, 0);
	assert_int_equal(entry(big), 0);
	close(fd);
}

static void large_pages(void **state)
{
	const dune_gva_t last = BASE + 3 * DUNE_LARGE_SIZE;
	bool large = false;

	(void)state;
	begin(0);
	map(BASE, 3 * DUNE_LARGE_SIZE + P, R | W, ANON | MAP_FIXED);
	assert_int_equal(dune_mm_fault(&mm, BASE + DUNE_LARGE_SIZE + 5, PF_W),
			 DUNE_FAULT_OK);
	dune_pt_lookup(&vm.pt, BASE + DUNE_LARGE_SIZE, &large);
	assert_true(large);
	assert_int_equal(dune_mm_fault(&mm, last, PF_W), DUNE_FAULT_OK);
	dune_pt_lookup(&vm.pt, last, &large);
	assert_false(large);
	/* all of it, then a part of one */
	fake.forgotten = 0;
	assert_int_equal(dune_mm_mprotect(&mm, BASE, 2 * DUNE_LARGE_SIZE, R),
			 0);
	assert_int_equal(fake.forgotten, 0);
	assert_int_equal(entry(BASE + DUNE_LARGE_SIZE) & DUNE_PTE_W, 0);
	assert_int_equal(dune_mm_munmap(&mm, BASE + DUNE_LARGE_SIZE, P), 0);
	assert_int_equal(fake.forgotten, 1);
	assert_int_equal(entry(BASE + DUNE_LARGE_SIZE + P), 0);
	assert_int_equal(dune_mm_fault(&mm, BASE + DUNE_LARGE_SIZE + P, PF_R),
			 DUNE_FAULT_OK);
	assert_int_equal(entry(BASE + DUNE_LARGE_SIZE), 0);
	assert_int_not_equal(entry(BASE + DUNE_LARGE_SIZE + P), 0);
}

static void stacks_and_small_mappings_stay_small(void **state)
{
	bool large = true;

	(void)state;
	begin(0);
	map(BASE, 8 << 20, R | W, ANON | MAP_FIXED | MAP_STACK);
	dune_mm_fault(&mm, BASE, PF_W);
	assert_int_not_equal(dune_pt_lookup(&vm.pt, BASE, &large), 0);
	assert_false(large);
}

static void stack_grows_down(void **state)
{
	const dune_gva_t low = BASE - 20 * P;

	(void)state;
	begin(0);
	map(BASE, 2 * P, R | W, ANON | MAP_FIXED | MAP_GROWSDOWN);
	assert_int_equal(dune_mm_fault(&mm, low, PF_W), DUNE_FAULT_OK);
	assert_int_equal(mm.regions.n, 1);
	assert_int_equal(mm.regions.v[0].start, low);
	assert_int_not_equal(entry(low), 0);
	/* far beyond any stack limit in use */
	assert_int_equal(dune_mm_fault(&mm, BASE - (8ul << 40), PF_W),
			 DUNE_FAULT_MAPERR);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R | PROT_GROWSDOWN),
			 0);
	assert_int_equal(dune_region_find(&mm.regions, low)->prot, R);
}

static void growing_down_is_counted(void **state)
{
	unsigned char in;

	(void)state;
	begin(8 * P);
	map(BASE, P, R | W, ANON | MAP_FIXED | MAP_GROWSDOWN);
	/* not by the host, for the kernel's own writes */
	assert_int_equal(dune_copy_out(BASE - P, "x", 1), -EFAULT);
	assert_int_equal(mincore((void *)(BASE - P), P, &in), -1);
	assert_int_equal(dune_mm_fault(&mm, BASE - 8 * P, PF_W),
			 DUNE_FAULT_MAPERR);
	assert_int_equal(dune_mm_fault(&mm, BASE - 4 * P, PF_W),
			 DUNE_FAULT_OK);
	assert_int_equal(dune_regions_committed(&mm.regions), 5 * P);
	/* what it comes near to */
	map(BASE - 32 * P, P, R, ANON | MAP_FIXED);
	assert_int_equal(dune_mm_fault(&mm, BASE - 5 * P, PF_W),
			 DUNE_FAULT_MAPERR);
}

static void file_that_ends_early(void **state)
{
	int fd = memfd_create("f", MFD_CLOEXEC);

	(void)state;
	begin(0);
	assert_int_equal(ftruncate(fd, 2 * P), 0);
	dune_mm_mmap(&mm, BASE, 4 * P, R | W, MAP_SHARED | MAP_FIXED, fd, 0);
	map(BASE + 4 * P, P, R | W, ANON | MAP_FIXED);
	dune_mm_fault(&mm, BASE + 3 * P, PF_R);
	dune_mm_fault(&mm, BASE + 4 * P, PF_R);
	assert_int_not_equal(entry(BASE + 3 * P), 0);
	fake.forgotten = 0;
	assert_int_equal(dune_mm_careful(&mm), 0);
	assert_true(fake.forgotten > 0);
	assert_int_equal(entry(BASE + 3 * P), 0);
	assert_int_not_equal(entry(BASE + 4 * P), 0);
	assert_int_equal(dune_mm_fault(&mm, BASE + 3 * P, PF_R),
			 DUNE_FAULT_BUS);
	assert_int_equal(dune_mm_fault(&mm, BASE + 2 * P, PF_W),
			 DUNE_FAULT_BUS);
	assert_int_equal(dune_mm_fault(&mm, BASE + P, PF_W), DUNE_FAULT_OK);
	assert_int_not_equal(entry(BASE + P), 0);
	assert_int_equal(entry(BASE), 0);
	assert_int_equal(ftruncate(fd, 4 * P), 0);
	assert_int_equal(dune_mm_fault(&mm, BASE + 3 * P, PF_W),
			 DUNE_FAULT_OK);
	close(fd);
}

/* First touches of every stride-th byte, as the guest would make them. */
static unsigned int touch(dune_gva_t from, dune_gva_t to, uint64_t stride)
{
	unsigned int n = 0;

	for (; from < to; from += stride) {
		if (entry(from))
			continue;
		assert_int_equal(dune_mm_fault(&mm, from, PF_W),
				 DUNE_FAULT_OK);
		assert_int_not_equal(entry(from), 0);
		n++;
	}
	return n;
}

static void filling_costs_few_faults(void **state)
{
	const uint64_t size = 16ul << 20;
	const int sparse = ANON | MAP_FIXED | MAP_NORESERVE;

	(void)state;
	begin(0);
	/* windows double: 64 KiB, 128 KiB, ... to the end of 2 MiB */
	map(BASE, size, R | W, sparse);
	assert_in_range(touch(BASE, BASE + size, P), 8, 13);
	assert_true(resident(BASE + size - P));
	/* a page here and there: what is near, and of 2 MiB at most that */
	map(BASE, size, R | W, sparse);
	assert_int_equal(touch(BASE, BASE + size, DUNE_LARGE_SIZE), 8);
	assert_false(resident(BASE + (64 << 10)));
	assert_false(resident(BASE + size - P));
	assert_int_equal(touch(BASE + (1 << 20), BASE + size,
			       DUNE_LARGE_SIZE), 8);
	assert_int_equal(touch(BASE, BASE + size, P), 0);
	assert_false(resident(BASE + size - P));
	/* what is given large pages has all entries of a window at once */
	map(BASE + size, size, R | W, ANON | MAP_FIXED);
	assert_int_equal(touch(BASE + size, BASE + 2 * size, DUNE_LARGE_SIZE),
			 1);
}

static void efaults_without_end_are_reported(void **state)
{
	int i, err = 0;

	(void)state;
	begin(0);
	map(BASE, P, R | W, ANON | MAP_FIXED);
	for (i = 0; i < 100 && !err; i++)
		err = dune_mm_careful(&mm);
	assert_int_equal(err, -EFAULT);
	assert_true(mm.regions.v[0].flags & DUNE_R_CAREFUL);
	assert_int_equal(dune_mm_fault(&mm, BASE, PF_W), DUNE_FAULT_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, NULL, end)
	const struct CMUnitTest tests[] = {
		T(faults),
		T(what_will_be_filled_is_there_at_once),
		T(large_pages),
		T(stacks_and_small_mappings_stay_small),
		T(stack_grows_down),
		T(growing_down_is_counted),
		T(file_that_ends_early),
		T(filling_costs_few_faults),
		T(efaults_without_end_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
