/* A thread's block in the ring 0 area: stubs, descriptor tables, stacks. */
#include <errno.h>
#include <string.h>
#include "kern/err.h"
#include "kern/self/self.h"
#include "kern/vm/desc.h"
#include "kern/vm/ring0.h"

extern const char dune_guest_code[], dune_guest_end[], dune_guest_trap[],
	dune_guest_soft_trap[], dune_guest_soft_bp[], dune_guest_pf[],
	dune_guest_soft_pf[], dune_guest_tramp[], dune_guest_gate[],
	dune_guest_hcall[], dune_guest_syscall[], dune_guest_to_user[],
	dune_guest_resume[], dune_guest_finish[];

#define VEC_BP		3
#define VEC_PF		14
#define CR4_UMIP	(1ul << 11)
#define CR4_PCIDE	(1ul << 17)

_Static_assert(offsetof(struct dune_tss, iomap_base) ==
	       DUNE_PC_IOMAP - DUNE_PC_TSS, "percpu.h");
_Static_assert(offsetof(struct dune_tss, iomap) == DUNE_IOMAP_OPEN, "percpu.h");

dune_gva_t dune_block_label(const struct dune_percpu *pc, const char *label)
{
	return (dune_gva_t)(uintptr_t)pc + DUNE_PC_STUBS +
	       (label - dune_guest_code);
}

/* push $0 where the CPU pushes no error code; push $vector; jmp target */
static void trap_stub(uint8_t *at, unsigned int vector, dune_gva_t target,
		      bool pushes_vector)
{
	static const uint32_t has_error = 0x60227d00;
	uint8_t *p = at;
	int32_t rel;

	if (vector >= 32 || !(has_error >> vector & 1)) {
		*p++ = 0x6a;
		*p++ = 0;
	}
	if (pushes_vector) {
		uint32_t imm = vector;

		*p++ = 0x68;
		memcpy(p, &imm, 4);
		p += 4;
	}
	*p++ = 0xe9;
	rel = target - ((dune_gva_t)(uintptr_t)p + 4);
	memcpy(p, &rel, 4);
}

static void make_traps(struct dune_percpu *pc, bool native)
{
	uint8_t *stubs = (uint8_t *)pc + DUNE_PC_TRAPS;
	struct dune_gate *idt = (void *)((char *)pc + DUNE_PC_IDT);
	const char *any = native ? dune_guest_trap : dune_guest_soft_trap;
	const char *pf = native ? dune_guest_pf : dune_guest_soft_pf;
	unsigned int v;

	for (v = 0; v < DUNE_VECTORS; v++) {
		const char *to = v == VEC_PF ? pf :
				 v == VEC_BP && !native ? dune_guest_soft_bp :
				 any;
		uint64_t stub = (uintptr_t)stubs + v * DUNE_PC_TRAP_SIZE;

		trap_stub(stubs + v * DUNE_PC_TRAP_SIZE, v,
			  dune_block_label(pc, to), v != VEC_PF);
		/* int3 and int 0x80 are ring 3's to execute */
		idt[v] = dune_desc_gate(stub, v == 3 || v == 4 || v >= 32);
	}
}

static void make_gdt(struct dune_percpu *pc, bool native)
{
	struct dune_tss *tss = (void *)((char *)pc + DUNE_PC_TSS);

	dune_desc_gdt((uint64_t *)((char *)pc + DUNE_PC_GDT), (uintptr_t)tss);
	dune_desc_tss(tss, (uintptr_t)pc + DUNE_PC_IST_TOP);
	if (native)
		return;
	/* The program runs in ring 3: the four ports of ours are open. */
	tss->iomap[DUNE_PORT_SYSCALL / 8] = 0xf0;
}

/* The state of a block before its thread runs. */
void dune_block_init(struct dune_vm *vm, struct dune_percpu *pc)
{
	bool native = vm->kind.native_ring0;

	memset(pc, 0, sizeof(*pc));
	memcpy((char *)pc + DUNE_PC_STUBS, dune_guest_code,
	       dune_guest_end - dune_guest_code);
	make_traps(pc, native);
	make_gdt(pc, native);
	pc->hstack_lo = (uintptr_t)pc + DUNE_PC_HSTACK;
	pc->hstack_size = DUNE_PC_HSTACK_TOP - DUNE_PC_HSTACK;
	pc->trap_rsp = pc->hstack_lo + pc->hstack_size;
	pc->xsave_size = vm->kind.xcr0 ? (vm->kind.xsave_size + 63) & ~63u :
			 512;
	pc->xsave_lo = vm->kind.xcr0;
	pc->xsave_hi = vm->kind.xcr0 >> 32;
	pc->hstack_min = pc->hstack_lo + pc->xsave_size + 2048;
	pc->flags = (vm->kind.fsgsbase ? DUNE_PCF_FSGSBASE : 0) |
		    (vm->kind.xcr0 ? DUNE_PCF_XSAVE : 0) |
		    (native ? DUNE_PCF_NATIVE : 0);
	pc->tramp = (void *)dune_block_label(pc, dune_guest_tramp);
	pc->gate = (void *)dune_block_label(pc, dune_guest_gate);
	pc->entry = dune_block_label(pc, dune_guest_syscall);
	pc->hcall = (void *)dune_block_label(pc, dune_guest_hcall);
	pc->to_user = (void *)dune_block_label(pc, dune_guest_to_user);
	pc->resume = (void *)dune_block_label(pc, dune_guest_resume);
	pc->finish = (void *)dune_block_label(pc, dune_guest_finish);
	pc->kern_cr3 = pc->user_cr3 = vm->pt.root;
}

static const struct {
	unsigned int from, to;
	uint64_t flags;
	bool soft_user;		/* ring 3 needs it where ring 0 is emulated */
} part[] = {
	{ 0, DUNE_PC_STUBS, DUNE_PTE_W | DUNE_PTE_NX, true },
	{ DUNE_PC_STUBS, DUNE_PC_TRAPS, 0, true },
	{ DUNE_PC_TRAPS, DUNE_PC_IDT, 0, false },
	{ DUNE_PC_IDT, DUNE_PC_GDT + DUNE_PAGE_SIZE, DUNE_PTE_W | DUNE_PTE_NX,
	  false },
	{ DUNE_PC_IST, DUNE_PC_IST_TOP, DUNE_PTE_W | DUNE_PTE_NX, true },
	{ DUNE_PC_HSTACK, DUNE_PC_HSTACK_TOP, DUNE_PTE_W | DUNE_PTE_NX, true },
};

struct dune_percpu *dune_block_at(const struct dune_vm *vm,
				  unsigned int index)
{
	return (struct dune_percpu *)(vm->ring0 + DUNE_RING0_BLOCKS +
				      (size_t)index * DUNE_PC_SIZE);
}

int dune_block_make(struct dune_vm *vm, unsigned int index,
		    struct dune_percpu **pc)
{
	dune_gpa_t gpa = DUNE_RING0_BLOCKS + (dune_gpa_t)index * DUNE_PC_SIZE;
	unsigned int i;
	int r;

	if (gpa > DUNE_RING0_ALIAS - DUNE_PC_SIZE)
		return dune_err(-EAGAIN, "too many threads in Dune mode: %u",
				index);
	for (i = 0; i < DUNE_ARRAY_SIZE(part); i++) {
		uint64_t flags = part[i].flags | DUNE_PTE_A | DUNE_PTE_D;

		if (!vm->kind.native_ring0 && part[i].soft_user)
			flags |= DUNE_PTE_U | DUNE_PTE_SUPER;
		r = dune_pt_map_range(&vm->pt,
				      DUNE_RING0_GVA + gpa + part[i].from,
				      part[i].to - part[i].from,
				      gpa + part[i].from, flags);
		if (r)
			return dune_err(r, "no room for page tables");
	}
	*pc = dune_block_at(vm, index);
	return 0;
}

void dune_block_segments(const struct dune_vm *vm, bool user,
			 struct kvm_sregs *s)
{
	dune_ring0_user_segments(s);
	if (user || !vm->kind.native_ring0)
		return;
	s->cs.selector = DUNE_SEL_KERN_CS;
	s->ss.selector = DUNE_SEL_KERN_SS;
	s->cs.dpl = s->ss.dpl = 0;
}

bool dune_kind_has(const struct dune_kvm_kind *kind, uint32_t leaf, char reg,
		   unsigned int bit)
{
	const struct kvm_cpuid_entry2 *e = kind->cpuid;

	for (; e < kind->cpuid + kind->cpuids; e++)
		if (e->function == leaf && e->index == 0)
			return (reg == 'c' ? e->ecx : e->edx) >> bit & 1;
	return false;
}

/*
 * Not where KVM shadows tables: seen on VT-x without EPT, a load of CR3 that
 * does not flush brought rights back that INVLPG had ended.
 */
bool dune_kind_pcid(const struct dune_kvm_kind *kind)
{
	return kind->host_pte_edits && dune_kind_has(kind, 1, 'c', 17);
}

bool dune_kind_1g(const struct dune_kvm_kind *kind)
{
	return dune_kind_has(kind, 0x80000001, 'd', 26);
}

void dune_block_sregs(const struct dune_vm *vm, const struct dune_percpu *p,
		      dune_gpa_t root, struct kvm_sregs *s)
{
	uint64_t pc = (uintptr_t)p;

	dune_ring0_sregs(vm, (char *)p - vm->ring0, s);
	s->cr3 = root;
	if (dune_kind_pcid(&vm->kind))
		s->cr4 |= CR4_PCIDE;
	/* so that sidt and its kin trap, and say what lidt loaded */
	if (!vm->kind.native_ring0 && dune_kind_has(&vm->kind, 7, 'c', 2))
		s->cr4 |= CR4_UMIP;
	s->gdt.base = pc + DUNE_PC_GDT;
	s->idt.base = pc + DUNE_PC_IDT;
	s->idt.limit = DUNE_VECTORS * sizeof(struct dune_gate) - 1;
	s->tr.base = pc + DUNE_PC_TSS;
	s->tr.limit = sizeof(struct dune_tss) - 1;
	dune_block_segments(vm, false, s);
}
