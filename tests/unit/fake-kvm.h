/*
 * What kern/vm would do for the tests of memory, faked: tables in plain
 * memory, and gpa = gva.
 */
#ifndef DUNE_TESTS_FAKE_KVM_H
#define DUNE_TESTS_FAKE_KVM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kern/vm/vm.h"
#include "tests/unit/catch-faults.h"

#define P	DUNE_PAGE_SIZE
#define R	PROT_READ
#define W	PROT_WRITE
#define X	PROT_EXEC
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)
#define BASE	0x300000000000ul

#define PF_W	7
#define PF_R	5
#define PF_X	0x15

#define TABLES	256

static struct {
	char *table[TABLES];
	unsigned int used, forgotten;
	uint64_t vvar;
} fake;

static struct dune_vm vm;

void *dune_vm_table_page(struct dune_vm *v, dune_gpa_t *gpa)
{
	(void)v;
	if (fake.used == TABLES)
		return NULL;
	fake.table[fake.used] = calloc(1, P);
	*gpa = (fake.used + 1) * P;
	return fake.table[fake.used++];
}

void *dune_vm_table_host(struct dune_vm *v, dune_gpa_t gpa)
{
	(void)v;
	return fake.table[gpa / P - 1];
}

int dune_vm_back(struct dune_vm *v, dune_gva_t va, dune_gpa_t *gpa)
{
	(void)v;
	*gpa = va & DUNE_PAGE_MASK;
	return 0;
}

int dune_vm_forget(struct dune_vm *v)
{
	(void)v;
	fake.forgotten++;
	return 0;
}

int dune_vm_vvar(struct dune_vm *v, void *host, size_t size, dune_gpa_t *gpa)
{
	(void)v;
	(void)host;
	fake.vvar = size;
	*gpa = 0x7000000;
	return 0;
}

static void *alloc(void *ctx, dune_gpa_t *gpa)
{
	return dune_vm_table_page(ctx, gpa);
}

static void *table(void *ctx, dune_gpa_t gpa)
{
	return dune_vm_table_host(ctx, gpa);
}

/* In the test's body, for cmocka sets handlers too. */
static void begin_vm(void)
{
	catch_faults();
	memset(&vm, 0, sizeof(vm));
	vm.pt = (struct dune_pt){ .alloc = alloc, .host = table, .ctx = &vm };
	assert_int_equal(dune_pt_init(&vm.pt), 0);
}

static void end_vm(void)
{
	while (fake.used)
		free(fake.table[--fake.used]);
}

#endif
