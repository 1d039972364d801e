/*
 * A software KVM: privileged instructions of the program, which runs in ring 3
 * there, from the trap dispatcher to the emulator (emulate.h) and back.
 */
#include "libdune/privileged.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include "dune/pgtable.h"
#include "libdune/emulate-internal.h"
#include "libdune/vm.h"

#define HAS_ERROR	0x60227d00u	/* vectors the CPU pushes a code for */

/* After struct dune_percpu, on its page. */
#define STATE_OFFSET	0x800

_Static_assert(sizeof(struct dune_percpu) <= STATE_OFFSET, "room");
_Static_assert(STATE_OFFSET + sizeof(struct dune_vcpu_state) <= 0x1000,
	       "room");

static struct dune_vcpu_state *state_of(struct dune_percpu *pc)
{
	struct dune_guest *g = dune_guest_of(pc);
	struct dune_emul_features f;

	if (!g->state) {
		g->state = (void *)((char *)pc + STATE_OFFSET);
		dune_emul_cpuid(&f);
		dune_vcpu_state_init(g->state, &f, pc->kern_cr3,
				     (uintptr_t)pc);
	}
	g->state->cr3 = pc->kern_cr3;
	g->state->cr2 = pc->cr2;
	return g->state;
}

/* May the bytes be used, by the tables in use? Else *pf says why not. */
static int check(uint64_t va, size_t len, bool write, bool user,
		 struct dune_emul_pf *pf)
{
	uint64_t at = va & DUNE_PAGE_MASK;
	uint32_t error = (write ? DUNE_PF_WRITE : 0) |
			 (user ? DUNE_PF_USER : 0);
	ptent_t *pte, e;

	for (; at < va + len; at += DUNE_PAGE_SIZE) {
		e = 0;
		if (!dune_vm_lookup(dune_root_current(), (void *)at, 0, &pte))
			e = __atomic_load_n(pte, __ATOMIC_RELAXED);
		if ((e & PTE_P) && (!write || (e & PTE_W)) &&
		    (!user || dune_pte_user(e)))
			continue;
		*pf = (struct dune_emul_pf) {
			.va = at < va ? va : at,
			.error = error | (e & PTE_P ? DUNE_PF_PRESENT : 0),
		};
		return -EFAULT;
	}
	return 0;
}

static size_t fetch(void *ctx, uint64_t va, uint8_t *buf, size_t len)
{
	size_t room = DUNE_PAGE_SIZE - (va & (DUNE_PAGE_SIZE - 1));
	struct dune_emul_pf pf;

	(void)ctx;
	if (len > room && check(va + room, 1, false, false, &pf))
		len = room;
	if (check(va, 1, false, false, &pf))
		return 0;
	memcpy(buf, (const void *)va, len);
	return len;
}

static int read_memory(void *ctx, uint64_t va, void *buf, size_t len,
		       bool user, struct dune_emul_pf *pf)
{
	int r = check(va, len, false, user, pf);

	(void)ctx;
	if (!r)
		memcpy(buf, (const void *)va, len);
	return r;
}

static int write_memory(void *ctx, uint64_t va, const void *buf, size_t len,
			bool user, struct dune_emul_pf *pf)
{
	int r = check(va, len, true, user, pf);

	(void)ctx;
	if (!r)
		memcpy((void *)va, buf, len);
	return r;
}

/* A root is a page of the ring 0 area that maps the ring 0 area. */
static int set_cr3(void *ctx, uint64_t cr3, bool keep)
{
	uint64_t root = PTE_ADDR(cr3), main = dune_self.vm.pt.root;
	const uint64_t *area = (const uint64_t *)dune_self.vm.ring0;

	(void)ctx;
	(void)keep;
	if (root >= DUNE_RING0_SIZE ||
	    PTE_ADDR(area[root / 8 + DUNE_VM_SHARED]) !=
	    PTE_ADDR(area[main / 8 + DUNE_VM_SHARED]))
		return -EINVAL;
	dune_guest_set_cr3(cr3);
	return 0;
}

static void invlpg(void *ctx, uint64_t va)
{
	(void)ctx;
	dune_flush_tlb_one(va);
}

static void flush_all(void *ctx)
{
	(void)ctx;
	dune_flush_tlb();
}

/* The dispatcher looks at the frame's level by itself. */
static void enter_user(void *ctx, struct dune_tf *tf)
{
	(void)ctx;
	(void)tf;
}

static long call(long nr, uint64_t a0, uint64_t a1)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a0), "S"(a1)
			 : "rcx", "r11", "memory");
	return ret;
}

static void wait_for_signal(void *ctx)
{
	(void)ctx;
	call(SYS_pause, 0, 0);
}

#define ARCH_SET_GS	0x1001
#define ARCH_SET_FS	0x1002
#define ARCH_GET_FS	0x1003
#define ARCH_GET_GS	0x1004

static uint64_t get_base(void *ctx, int seg)
{
	uint64_t base = 0;

	(void)ctx;
	call(SYS_arch_prctl, seg == DUNE_SEG_FS ? ARCH_GET_FS : ARCH_GET_GS,
	     (uintptr_t)&base);
	return base;
}

static void set_base(void *ctx, int seg, uint64_t base)
{
	(void)ctx;
	call(SYS_arch_prctl, seg == DUNE_SEG_FS ? ARCH_SET_FS : ARCH_SET_GS,
	     base);
}

static const struct dune_emul_ops ops = {
	.fetch = fetch, .read = read_memory, .write = write_memory,
	.set_cr3 = set_cr3, .invlpg = invlpg, .flush_all = flush_all,
	.enter_user = enter_user, .wait_for_signal = wait_for_signal,
	.get_base = get_base, .set_base = set_base,
};

int dune_privileged(struct dune_percpu *pc, struct dune_tf *tf,
		    unsigned int *vector, uint64_t *addr)
{
	struct dune_vcpu_state *v = state_of(pc);
	int r = dune_emulate(v, tf, *vector, &ops);

	if (r & DUNE_EMUL_TRAP) {
		*vector = r & 0xff;
		*addr = *vector == DUNE_VEC_PF ? v->cr2 : 0;
		r = DUNE_EMUL_NONE;
	}
	return r == DUNE_EMUL_NONE ? -ENOENT : r < 0 ? r : 0;
}

int dune_own_idt(struct dune_percpu *pc, struct dune_tf *tf,
		 unsigned int vector, uint64_t addr)
{
	struct dune_vcpu_state *v = state_of(pc);
	int r;

	if (vector == DUNE_VEC_CALL) {
		r = dune_emulate_syscall(v, tf);
	} else {
		if (vector == DUNE_VEC_PF)
			v->cr2 = addr;
		r = dune_emulate_deliver(v, tf, vector, tf->err, vector < 32 &&
					 (HAS_ERROR >> vector & 1), &ops);
	}
	return r == DUNE_EMUL_DONE ? 0 : -ENOENT;
}
