/*
 * Dune mode's memory without a VM: what the calls that change mappings leave,
 * and who else is told. Entries, faults and files: self-mem.c.
 */
#include "tests/unit/fake-smem.h"

#include <sys/shm.h>

static void heap(void **state)
{
	dune_gva_t old, to;

	(void)state;
	begin(true);
	old = call(SYS_brk, 0, 0, 0, 0, 0, 0);
	assert_int_equal(old, dune_raw3(SYS_brk, 0, 0, 0));
	to = DUNE_PAGE_UP(old) + 3 * P;
	assert_int_equal(call(SYS_brk, to - 5, 0, 0, 0, 0, 0), to - 5);
	assert_int_equal(touch(to - P, WRITE), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_brk, to - P, 0, 0, 0, 0, 0), to - P);
	assert_int_equal(touch(to - P, WRITE), DUNE_FAULT_MAPERR);
	assert_int_equal(touch(to - 2 * P, WRITE), DUNE_FAULT_OK);
	/* refused: the answer is the old one, the heap is whole */
	assert_int_equal(call(SYS_brk, P, 0, 0, 0, 0, 0), to - P);
	assert_int_equal(touch(to - 2 * P, WRITE), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_brk, 1ul << 46, 0, 0, 0, 0, 0), to - P);
	assert_int_equal(call(SYS_brk, old, 0, 0, 0, 0, 0), old);
	end();
}

static void system_v_memory(void **state)
{
	int id = shmget(IPC_PRIVATE, 3 * P, 0600);
	long at;

	(void)state;
	if (id < 0)
		skip();
	begin(true);
	at = call(SYS_shmat, id, 0, 0, 0, 0, 0);
	assert_int_equal(touch(at + 2 * P, WRITE), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_shmdt, at, 0, 0, 0, 0, 0), 0);
	assert_int_equal(leaf(at), 0);
	assert_int_equal(touch(at, READ), DUNE_FAULT_MAPERR);
	map(BASE, P, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_shmat, id, BASE, SHM_RDONLY | SHM_REMAP, 0,
			      0, 0), BASE);
	shmctl(id, IPC_RMID, NULL);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_ACCERR);
	assert_int_equal(touch(BASE + 2 * P, READ), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_shmdt, BASE, 0, 0, 0, 0, 0), 0);
	end();
}

static void remaps(void **state)
{
	dune_gva_t at;

	(void)state;
	begin(true);
	map(BASE, 2 * P, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	/* grows and shrinks where it is */
	assert_int_equal(call(SYS_mremap, BASE, 2 * P, 4 * P, 0, 0, 0), BASE);
	assert_true(leaf(BASE + 3 * P) & DUNE_PTE_W);
	assert_int_equal(call(SYS_mremap, BASE, 4 * P, P, 0, 0, 0), BASE);
	assert_int_equal(leaf(BASE + P), 0);
	/* has to move */
	map(BASE + P, P, R);
	at = call(SYS_mremap, BASE, P, 2 * P, MREMAP_MAYMOVE, 0, 0);
	assert_int_not_equal(at, BASE);
	assert_int_equal(leaf(BASE), 0);
	assert_int_equal(touch(at + P, WRITE), DUNE_FAULT_OK);
	assert_int_equal(touch(BASE, READ), DUNE_FAULT_MAPERR);
	/* over something else, keeping the old */
	assert_int_equal(call(SYS_mremap, at, P, P, MREMAP_MAYMOVE |
			      MREMAP_FIXED, BASE + P, 0), BASE + P);
	assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_OK);
	assert_int_equal(touch(at, READ), DUNE_FAULT_MAPERR);
	assert_int_equal(touch(at + P, WRITE), DUNE_FAULT_OK);
	if (call(SYS_mremap, at + P, P, P, MREMAP_MAYMOVE | MREMAP_FIXED | 4,
		 BASE, 0) == BASE) {
		assert_int_equal(touch(at + P, WRITE), DUNE_FAULT_OK);
		assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	}
	call(SYS_munmap, at, 2 * P, 0, 0, 0, 0);
	call(SYS_munmap, BASE, 2 * P, 0, 0, 0, 0);
	end();
}

/* Where only writing or executing is asked for, KVM must be able to read. */
static void reading_comes_with_it(void **state)
{
	(void)state;
	begin(true);
	map(BASE, P, W);
	map(BASE + P, P, X);
	assert_int_equal(touch(BASE, READ), DUNE_FAULT_OK);
	assert_int_equal(touch(BASE + P, READ), DUNE_FAULT_OK);
	assert_int_equal(touch(BASE + P, EXEC), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_mprotect, BASE, P, X, 0, 0, 0), 0);
	assert_int_equal(touch(BASE, EXEC), DUNE_FAULT_OK);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_ACCERR);
	call(SYS_munmap, BASE, 2 * P, 0, 0, 0, 0);
	end();
}

static struct {
	dune_gva_t va;
	uint64_t len;
	bool gone, before, there;
} told;

/* When it is told, the main root has lost the page, and the host has it. */
static void hear(uint64_t va, uint64_t len, bool gone)
{
	told.va = va;
	told.len = len;
	told.gone = gone;
	told.before = !(leaf(va) & DUNE_PTE_W);
	told.there = !dune_touch(va, false);
}

static void others_are_told(void **state)
{
	static const struct {
		long nr;
		uint64_t arg[4];
		bool gone;
	} change[] = {
		{ SYS_mprotect, { BASE, P, R }, false },
		{ SYS_mprotect, { BASE, P, PROT_NONE }, false },
		{ SYS_munmap, { BASE, P }, true },
		{ SYS_mremap, { BASE, P, 2 * P, MREMAP_MAYMOVE }, true },
		{ SYS_mmap, { BASE, P, R, ANON | MAP_FIXED }, true },
	};
	unsigned int i;
	long ret;

	(void)state;
	begin(true);
	for (i = 0; i < DUNE_ARRAY_SIZE(change); i++) {
		const uint64_t *a = change[i].arg;

		map(BASE, 2 * P, R | W);
		assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
		told.va = 0;
		m.changed = hear;
		ret = call(change[i].nr, a[0], a[1], a[2], a[3], -1, 0);
		m.changed = NULL;
		if (change[i].nr == SYS_mremap) {
			/* the last it heard of is where it has gone */
			assert_int_equal(told.va, ret);
			call(SYS_munmap, ret, 2 * P, 0, 0, 0, 0);
			continue;
		}
		assert_int_equal(told.va, BASE);
		assert_int_equal(told.len, P);
		assert_int_equal(told.gone, change[i].gone);
		assert_true(told.before);
		assert_true(told.there);
	}
	m.changed = hear;
	assert_int_equal(call(SYS_madvise, BASE + P, P, MADV_DONTNEED, 0, 0,
			      0), 0);
	assert_true(told.va == BASE + P && told.gone);
	m.changed = NULL;
	call(SYS_munmap, BASE, 2 * P, 0, 0, 0, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap),
		cmocka_unit_test(system_v_memory),
		cmocka_unit_test(remaps),
		cmocka_unit_test(reading_comes_with_it),
		cmocka_unit_test(others_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
