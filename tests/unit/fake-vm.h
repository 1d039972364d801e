/*
 * An address space without a VM, for the tests of mm/.
 */
#ifndef DUNE_TESTS_FAKE_VM_H
#define DUNE_TESTS_FAKE_VM_H

#include "kern/mm/mm.h"
#include "tests/unit/fake-kvm.h"

static struct dune_mm mm;

/* A new address space; in the test's body, as begin_vm(). */
static void begin(uint64_t limit)
{
	begin_vm();
	assert_int_equal(dune_mm_init(&mm, &vm, limit), 0);
}

static int end(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < mm.regions.n; i++)
		munmap((void *)mm.regions.v[i].start,
		       mm.regions.v[i].end - mm.regions.v[i].start);
	munmap((void *)DUNE_ARENA_HI, P);
	dune_regions_free(&mm.regions);
	end_vm();
	return 0;
}

static uint64_t entry(dune_gva_t va)
{
	return dune_pt_lookup(&vm.pt, va, NULL);
}

static inline long map(dune_gva_t at, uint64_t len, int prot, int flags)
{
	return dune_mm_mmap(&mm, at, len, prot, flags, -1, 0);
}

#endif
