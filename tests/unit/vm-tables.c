/*
 * Page tables are guest memory. One whose ring 0 has written them makes the
 * host's walks wrong, never go elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include "kern/vm/vm.h"

static const uint64_t wild[] = {
	DUNE_RING0_SIZE, DUNE_RING0_SIZE + DUNE_PAGE_SIZE, 1ul << 39,
	DUNE_PTE_ADDR, DUNE_PTE_ADDR & ~(1ul << 51), 0,
};

static void *page(void *ctx, dune_gpa_t *gpa)
{
	struct dune_vm *vm = ctx;

	*gpa = vm->ring0_used += DUNE_PAGE_SIZE;
	return vm->ring0 + *gpa;
}

static void *host(void *ctx, dune_gpa_t gpa)
{
	char *at = dune_vm_table_host(ctx, gpa);
	struct dune_vm *vm = ctx;

	assert_in_range(at - vm->ring0, 0, DUNE_RING0_SIZE - DUNE_PAGE_SIZE);
	return at;
}

static void forged_entries_stay_inside(void **state)
{
	static struct dune_vm vm;
	struct dune_pt pt = { .alloc = page, .host = host, .ctx = &vm };
	const dune_gva_t at = 0x300000000000ul;
	uint64_t *table[4], e;
	bool forget;

	(void)state;
	vm.ring0 = mmap(NULL, DUNE_RING0_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(vm.ring0, MAP_FAILED);
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(wild); i++)
		for (int level = 3; level > 0; level--) {
			vm.ring0_used = DUNE_PAGE_SIZE;
			memset(vm.ring0, 0, 16 * DUNE_PAGE_SIZE);
			assert_int_equal(dune_pt_init(&pt), 0);
			assert_int_equal(dune_pt_map(&pt, at, 0, DUNE_PTE_U),
					 0);
			e = pt.root;
			for (int l = 3; l >= level; l--) {
				table[l] = host(&vm, e & DUNE_PTE_ADDR);
				e = table[l][at >> (12 + 9 * l) & 511];
			}
			table[level][at >> (12 + 9 * level) & 511] =
				wild[i] | DUNE_PTE_P | DUNE_PTE_W;
			dune_pt_lookup(&pt, at, NULL);
			dune_pt_map(&pt, at, 0, DUNE_PTE_U);
			dune_pt_protect(&pt, at, DUNE_LARGE_SIZE, DUNE_PTE_U,
					&forget);
			dune_pt_unmap(&pt, at, DUNE_LARGE_SIZE, &forget);
		}
	munmap(vm.ring0, DUNE_RING0_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_entries_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
