/* The guest's ring 0 image: descriptor tables, stubs, system registers. */
#include "kern/vm/ring0.h"

#include <errno.h>
#include <string.h>
#include "kern/err.h"
#include "kern/vm/desc.h"
#include "kern/vm/pagetable.h"

extern const char dune_ring0_syscall_code[], dune_ring0_syscall_end[];
extern const char dune_ring0_sites_code[], dune_ring0_sites_end[];
extern const char dune_ring0_traps_code[], dune_ring0_traps_end[];

#define EFER_SCE	(1ul << 0)
#define EFER_LME	(1ul << 8)
#define EFER_LMA	(1ul << 10)
#define EFER_NX		(1ul << 11)

/* PE MP ET NE WP AM PG: as Linux has it, so that #AC and #MF work. */
#define CR0_LINUX	0x80050033ul

#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_FMASK	0xc0000084
/* What Linux clears at entry: ID VIF VIP AC RF NT IOPL OF DF IF TF ... */
#define FMASK_LINUX	0x257fd5ul

static dune_gva_t gva(size_t offset)
{
	return DUNE_RING0_GVA + offset;
}

/* Lock-free: tables are made while vm->lock is held, and while it is not. */
char *dune_ring0_pages(struct dune_vm *vm, size_t bytes, dune_gpa_t *gpa)
{
	size_t at = __atomic_load_n(&vm->ring0_used, __ATOMIC_RELAXED);

	do {
		if (bytes > vm->ring0_end - at)
			return NULL;
	} while (!__atomic_compare_exchange_n(&vm->ring0_used, &at, at + bytes,
					      true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	if (dune_vm_ring0_reach(vm, at + bytes) < 0)
		return NULL;
	*gpa = at;
	return vm->ring0 + at;
}

static int map(struct dune_vm *vm, size_t offset, uint64_t flags)
{
	return dune_pt_map(&vm->pt, gva(offset), offset,
			   flags | DUNE_PTE_A | DUNE_PTE_D);
}

static void make_idt(struct dune_vm *vm)
{
	struct dune_gate *idt = (void *)(vm->ring0 + DUNE_RING0_IDT);
	unsigned int v;

	/* int3 and into are ring 3's to execute. */
	for (v = 0; v < DUNE_TRAPS; v++)
		idt[v] = dune_desc_gate(gva(DUNE_RING0_TRAPS +
					    v * DUNE_TRAP_STUB),
					v == 3 || v == 4);
}

int dune_ring0_init(struct dune_vm *vm)
{
	uint64_t entry = vm->kind.native_ring0 ? 0 : DUNE_PTE_U;
	int r;

	memcpy(vm->ring0 + DUNE_RING0_SYSCALL, dune_ring0_syscall_code,
	       dune_ring0_syscall_end - dune_ring0_syscall_code);
	memcpy(vm->ring0 + DUNE_RING0_TRAPS, dune_ring0_traps_code,
	       dune_ring0_traps_end - dune_ring0_traps_code);
	make_idt(vm);
	r = map(vm, DUNE_RING0_SYSCALL, entry);
	if (!r)
		r = map(vm, DUNE_RING0_TRAPS, 0);
	if (!r)
		r = map(vm, DUNE_RING0_IDT, DUNE_PTE_NX);
	return r;
}

int dune_ring0_block(struct dune_vm *vm, size_t *block)
{
	dune_gpa_t gpa;
	char *page = dune_ring0_pages(vm, DUNE_BLOCK_SIZE, &gpa);
	struct dune_tss *tss;
	int r;

	if (!page)
		return dune_err(-ENOMEM, "the VM's ring 0 area is used up");
	tss = (struct dune_tss *)(page + DUNE_BLOCK_TSS);
	dune_desc_gdt((uint64_t *)(page + DUNE_BLOCK_GDT),
		      gva(gpa + DUNE_BLOCK_TSS));
	dune_desc_tss(tss, gva(gpa + DUNE_BLOCK_STACK_TOP));
	/*
	 * Ports ring 3 may use: none where it enters ring 0; where `syscall`
	 * stays in ring 3, the one of the system call entry.
	 */
	if (!vm->kind.native_ring0)
		tss->iomap[DUNE_PORT_SYSCALL / 8] &=
			~(1u << DUNE_PORT_SYSCALL % 8);
	r = map(vm, gpa, DUNE_PTE_W | DUNE_PTE_NX);
	if (!r)
		r = map(vm, gpa + DUNE_PAGE_SIZE, DUNE_PTE_W | DUNE_PTE_NX);
	*block = gpa;
	return r;
}

/* Software KVM: both are ring 3's, the code to run, the mailbox to write. */
int dune_ring0_map_mailbox(struct dune_vm *vm, size_t offset)
{
	uint64_t user = vm->kind.native_ring0 ? 0 : DUNE_PTE_U;
	int r = map(vm, offset, user);

	return r ? r : map(vm, offset + DUNE_PAGE_SIZE,
			   user | DUNE_PTE_W | DUNE_PTE_NX);
}

int dune_ring0_own_root(struct dune_vm *vm, size_t offset, uint64_t **root,
			dune_gpa_t *gpa)
{
	const uint64_t *from = vm->pt.host(vm->pt.ctx, vm->pt.root);
	const uint64_t flags = DUNE_PTE_U | DUNE_PTE_A | DUNE_PTE_D;
	struct dune_pt own = vm->pt;
	unsigned int i;
	int r;

	*root = vm->pt.alloc(vm->pt.ctx, gpa);
	if (!*root)
		return dune_err(-ENOMEM, "the VM's ring 0 area is used up");
	/* what comes later is copied when it is missed: dune_vcpu_run() */
	for (i = 0; i < DUNE_PT_ENTRIES; i++)
		if (i != dune_pt_root_slot(DUNE_SITES_GVA))
			(*root)[i] = __atomic_load_n(&from[i],
						     __ATOMIC_ACQUIRE);
	own.root = *gpa;
	r = dune_pt_map(&own, DUNE_SITES_GVA, offset, flags);
	return r ? r : dune_pt_map(&own, DUNE_SITES_GVA + DUNE_PAGE_SIZE,
				   offset + DUNE_PAGE_SIZE,
				   flags | DUNE_PTE_W | DUNE_PTE_NX);
}

int dune_vm_sites(struct dune_vm *vm)
{
	dune_gpa_t gpa;
	char *page = dune_ring0_pages(vm, DUNE_PAGE_SIZE, &gpa);

	if (!page)
		return dune_err(-ENOMEM, "the VM's ring 0 area is used up");
	memcpy(page, dune_ring0_sites_code,
	       dune_ring0_sites_end - dune_ring0_sites_code);
	return dune_pt_map(&vm->pt, DUNE_SITES_GVA, gpa,
			   DUNE_PTE_U | DUNE_PTE_A | DUNE_PTE_D);
}

void dune_ring0_user_segments(struct kvm_sregs *s)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff, .selector = DUNE_SEL_USER_CS, .type = 11,
		.present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = DUNE_SEL_USER_SS, .type = 3,
		.present = 1, .dpl = 3, .s = 1, .db = 1, .g = 1,
	};
	uint64_t fs = s->fs.base, gs = s->gs.base;

	s->cs = code;
	s->ss = s->ds = s->es = s->fs = s->gs = data;
	/* Linux programs run with null data selectors. */
	s->ds.selector = s->es.selector = 0;
	s->fs.selector = s->gs.selector = 0;
	s->fs.base = fs;
	s->gs.base = gs;
}

void dune_ring0_sregs(const struct dune_vm *vm, size_t block,
		      struct kvm_sregs *s)
{
	s->cr0 = CR0_LINUX;
	s->cr3 = vm->pt.root;
	s->cr4 = vm->kind.cr4;
	s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	s->gdt.base = gva(block + DUNE_BLOCK_GDT);
	s->gdt.limit = DUNE_SEL_CPUNODE | 7;
	s->idt.base = gva(DUNE_RING0_IDT);
	s->idt.limit = DUNE_TRAPS * sizeof(struct dune_gate) - 1;
	s->tr = (struct kvm_segment) {
		.base = gva(block + DUNE_BLOCK_TSS),
		.limit = sizeof(struct dune_tss) - 1,
		.selector = DUNE_SEL_TSS, .type = 11, .present = 1,
	};
	s->fs.base = s->gs.base = 0;
	dune_ring0_user_segments(s);
}

void dune_ring0_entry_msr(struct kvm_msr_entry *msr, size_t offset)
{
	*msr = (struct kvm_msr_entry) {
		.index = MSR_LSTAR, .data = gva(offset),
	};
}

unsigned int dune_ring0_msrs(struct kvm_msr_entry msr[DUNE_RING0_MSRS])
{
	msr[0] = (struct kvm_msr_entry) {
		.index = MSR_STAR,
		.data = (uint64_t)DUNE_SEL_STAR_USER << 48 |
			(uint64_t)DUNE_SEL_KERN_CS << 32,
	};
	dune_ring0_entry_msr(&msr[1], DUNE_RING0_SYSCALL);
	msr[2] = (struct kvm_msr_entry) {
		.index = MSR_FMASK, .data = FMASK_LINUX,
	};
	return DUNE_RING0_MSRS;
}
