/*
 * Dune mode's memory over a VM that is not there, and the guest's side of it:
 * what libdune and KVM do about a touch of an address.
 */
#ifndef DUNE_TESTS_FAKE_SMEM_H
#define DUNE_TESTS_FAKE_SMEM_H

#include <sys/syscall.h>
#include "kern/self/mem_internal.h"
#include "kern/raw.h"
#include "tests/unit/fake-kvm.h"

/* Error codes of #PF. */
#define READ	0
#define WRITE	2
#define USER	4
#define EXEC	0x10

static struct dune_smem m;

static inline void begin(bool native_ring0)
{
	begin_vm();
	vm.kind.native_ring0 = native_ring0;
	assert_int_equal(dune_smem_init(&m, &vm), 0);
}

static inline void end(void)
{
	dune_smem_destroy(&m);
	end_vm();
}

static inline long call(long nr, uint64_t a, uint64_t b, uint64_t c,
			uint64_t d, uint64_t e, uint64_t f)
{
	const uint64_t arg[6] = { a, b, c, d, e, f };

	assert_true(dune_smem_is_call(nr));
	return dune_smem_call(&m, nr, arg);
}

static inline void map(dune_gva_t at, uint64_t len, int prot)
{
	assert_int_equal(call(SYS_mmap, at, len, prot, ANON | MAP_FIXED, -1,
			      0), at);
}

static inline uint64_t *entry(dune_gva_t va)
{
	int level;

	return dune_entry_find(&vm.pt, va, &level, NULL);
}

static inline uint64_t leaf(dune_gva_t va)
{
	return *entry(va);
}

static inline bool has_table(dune_gva_t va)
{
	int level;

	dune_entry_find(&vm.pt, va, &level, NULL);
	return level == 0;
}

/* Would the CPU go through with it? */
static inline bool walk_allows(dune_gva_t va, uint32_t error, bool *ask)
{
	uint64_t rights, *e;
	int level;

	e = dune_entry_find(&vm.pt, va, &level, &rights);
	*ask = level ? *e == 0 : *e == DUNE_PTE_HOST;
	if (!(rights & DUNE_PTE_P))
		return false;
	return (!(error & WRITE) || (rights & DUNE_PTE_W)) &&
	       (!(error & EXEC) || !(rights & DUNE_PTE_NX));
}

/*
 * The guest touches va, in a program without handlers: OK, or what it gets. A
 * page that the host has not got is KVM's EFAULT; OOM for one without end.
 */
static inline enum dune_fault touch(dune_gva_t va, uint32_t error)
{
	enum dune_fault f;
	int i;
	bool ask;

	for (i = 0; i < 30; i++) {
		if (walk_allows(va, error, &ask)) {
			if (!dune_touch(va, error & WRITE))
				return DUNE_FAULT_OK;
			if (dune_smem_efault(&m))
				return DUNE_FAULT_OOM;
			continue;
		}
		if (ask && dune_smem_fill(&m, va) == DUNE_FAULT_OK)
			continue;
		f = dune_smem_fault(&m, va, error);
		if (f != DUNE_FAULT_OK)
			return f;
	}
	fail_msg("%#lx: the same fault again and again", va);
	return DUNE_FAULT_OOM;
}

#endif
