/*
 * Accesses through the roots of fake-tables.h: an access is dune_vm_fault()
 * until it says that the entry is good, and then a look at the page the entry
 * maps.
 */
#ifndef FAKE_ROOTS_H
#define FAKE_ROOTS_H

#include "tests/unit/fake-tables.h"

#define VA(x)	((void *)(x))
#define W	DUNE_PF_WRITE
#define U	DUNE_PF_USER
#define P	DUNE_PF_PRESENT

static inline int teardown(void **state)
{
	(void)state;
	assert_int_equal(fake.held, 0);
	assert_int_equal(dune_vms->lock, 0);
	fake_stop();
	return 0;
}

/* The byte that va is in root, through its entry. */
static inline char *byte(ptent_t *root, uint64_t va)
{
	ptent_t *e, v;
	int level;
	uint64_t pa;

	assert_int_equal(dune_walk_leaf(root, va, &e, &level), 0);
	v = *e;
	assert_true(v & PTE_P);
	pa = dune_leaf_pa(v, level) + (va & (dune_level_size(level) - 1));
	assert_non_null(fake_host(pa));
	return fake_host(pa);
}

/* As the CPU would: faults until the entry allows it; -EFAULT: never. */
static inline int touch(ptent_t *root, uint64_t va, bool write)
{
	uint64_t cr3 = fake.cr3;
	uint32_t error;
	ptent_t v;
	int r = 0, i;

	fake_watch_window();
	fake.cr3 = dune_table_gpa(root);
	for (i = 0; i < 5; i++) {
		v = entry(root, va);
		if (v & PTE_P && (!write || v & PTE_W))
			break;
		error = (v & PTE_P ? P : 0) | (write ? W : 0);
		r = dune_vm_fault(va, &error, false);
		if (r)
			break;
	}
	assert_true(i < 5);
	fake.cr3 = cr3;
	return r;
}

static inline void write_byte(ptent_t *root, uint64_t va, char c)
{
	assert_int_equal(touch(root, va, true), 0);
	*byte(root, va) = c;
}

static inline char read_byte(ptent_t *root, uint64_t va)
{
	assert_int_equal(touch(root, va, false), 0);
	return *byte(root, va);
}

#endif
