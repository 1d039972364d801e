/* Trap and emulate: the table of operations, operands, and the short ones. */
#include <stddef.h>
#include "libdune/emulate-internal.h"

uint64_t *dune_emul_gpr(struct dune_tf *tf, unsigned int n)
{
	static const uint8_t at[16] = {
		offsetof(struct dune_tf, rax), offsetof(struct dune_tf, rcx),
		offsetof(struct dune_tf, rdx), offsetof(struct dune_tf, rbx),
		offsetof(struct dune_tf, rsp), offsetof(struct dune_tf, rbp),
		offsetof(struct dune_tf, rsi), offsetof(struct dune_tf, rdi),
		offsetof(struct dune_tf, r8), offsetof(struct dune_tf, r9),
		offsetof(struct dune_tf, r10), offsetof(struct dune_tf, r11),
		offsetof(struct dune_tf, r12), offsetof(struct dune_tf, r13),
		offsetof(struct dune_tf, r14), offsetof(struct dune_tf, r15),
	};

	return (uint64_t *)((char *)tf + at[n & 15]);
}

static int page_fault(struct dune_emul *e, const struct dune_emul_pf *pf)
{
	e->v->cr2 = pf->va;
	return dune_emul_raise(e, DUNE_VEC_PF, pf->error);
}

static int check_range(struct dune_emul *e, uint64_t va, size_t len,
		       bool stack)
{
	if (dune_canonical(va) && dune_canonical(va + len - 1))
		return 0;
	return dune_emul_raise(e, stack ? DUNE_VEC_SS : DUNE_VEC_GP, 0);
}

int dune_emul_load(struct dune_emul *e, uint64_t va, void *buf, size_t len,
		   bool stack)
{
	struct dune_emul_pf pf = { 0, 0 };
	int r = check_range(e, va, len, stack);

	if (!r && e->ops->read(e->ops->ctx, va, buf, len, e->user, &pf))
		r = page_fault(e, &pf);
	return r;
}

int dune_emul_store(struct dune_emul *e, uint64_t va, const void *buf,
		    size_t len, bool stack)
{
	struct dune_emul_pf pf = { 0, 0 };
	int r = check_range(e, va, len, stack);

	if (!r && e->ops->write(e->ops->ctx, va, buf, len, e->user, &pf))
		r = page_fault(e, &pf);
	return r;
}

uint64_t dune_emul_address(const struct dune_emul *e)
{
	const struct dune_insn *in = &e->in;
	uint64_t va = (int64_t)in->disp;

	if (in->base == DUNE_RIP)
		va += e->tf->rip + in->len;
	else if (in->base != DUNE_NO_REG)
		va += *dune_emul_gpr(e->tf, in->base);
	if (in->index != DUNE_NO_REG)
		va += *dune_emul_gpr(e->tf, in->index) * in->scale;
	if (in->addr32)
		va = (uint32_t)va;
	if (in->seg)
		va += e->ops->get_base(e->ops->ctx, in->seg);
	return va;
}

/* rsp or rbp as base, and no segment named: the stack segment. */
static bool on_stack(const struct dune_insn *in)
{
	return !in->seg && (in->base == 4 || in->base == 5);
}

int dune_emul_load_rm(struct dune_emul *e, void *buf, size_t len)
{
	return dune_emul_load(e, dune_emul_address(e), buf, len,
			      on_stack(&e->in));
}

int dune_emul_load_rm16(struct dune_emul *e, uint16_t *value)
{
	if (e->in.mem)
		return dune_emul_load_rm(e, value, sizeof(*value));
	*value = *dune_emul_gpr(e->tf, e->in.rm);
	return 0;
}

/* Into a register, as instructions of that size do: 4 bytes clear the rest. */
static void set_gpr(struct dune_emul *e, unsigned int n, uint64_t value,
		    size_t size)
{
	uint64_t *reg = dune_emul_gpr(e->tf, n);

	if (size == 8)
		*reg = value;
	else if (size == 4)
		*reg = (uint32_t)value;
	else
		*reg = (*reg & ~0xfffful) | (uint16_t)value;
}

int dune_emul_store_rm(struct dune_emul *e, const void *buf, size_t len)
{
	return dune_emul_store(e, dune_emul_address(e), buf, len,
			       on_stack(&e->in));
}

/* sldt, str, smsw: 16 bits to memory, the operand's size to a register. */
static int store_word(struct dune_emul *e, uint64_t value)
{
	uint16_t low = value;

	if (e->in.mem)
		return dune_emul_store_rm(e, &low, sizeof(low));
	set_gpr(e, e->in.rm, value, e->in.size);
	return 0;
}

static int do_cli(struct dune_emul *e)
{
	e->v->iflag = false;
	return 0;
}

static int do_sti(struct dune_emul *e)
{
	e->v->iflag = true;
	return 0;
}

static int do_hlt(struct dune_emul *e)
{
	e->tf->rip = e->next;
	e->ops->wait_for_signal(e->ops->ctx);
	e->next = e->tf->rip;	/* a signal's handler may have changed it */
	return 0;
}

static int do_nothing(struct dune_emul *e)
{
	(void)e;
	return 0;
}

/* User mode instruction prevention: CR4.UMIP makes these ring 0's. */
static int umip(struct dune_emul *e)
{
	if (e->user && (e->v->cr4 & 1ul << 11))
		return dune_emul_gp(e);
	return 0;
}

static int do_sldt(struct dune_emul *e)
{
	int r = umip(e);

	return r ? r : store_word(e, e->v->ldtr.sel);
}

static int do_str(struct dune_emul *e)
{
	int r = umip(e);

	return r ? r : store_word(e, e->v->tr.sel);
}

static int do_smsw(struct dune_emul *e)
{
	int r = umip(e);

	return r ? r : store_word(e, e->v->cr0);
}

static int do_table_store(struct dune_emul *e)
{
	int r = umip(e);

	return r ? r : dune_emul_table_store(e);
}

static int do_clts(struct dune_emul *e)
{
	e->v->cr0 &= ~(1ul << 3);
	return 0;
}

static int do_invlpg(struct dune_emul *e)
{
	uint64_t va = dune_emul_address(e);

	if (dune_canonical(va))	/* else the CPU does nothing either */
		e->ops->invlpg(e->ops->ctx, va);
	return 0;
}

static int do_swapgs(struct dune_emul *e)
{
	uint64_t gs = e->ops->get_base(e->ops->ctx, DUNE_SEG_GS);

	e->ops->set_base(e->ops->ctx, DUNE_SEG_GS, e->v->kernel_gs_base);
	e->v->kernel_gs_base = gs;
	return 0;
}

/* stac, clac: nothing here looks at AC for supervisor accesses. */
static int do_clac(struct dune_emul *e)
{
	if (e->user || !(e->v->f.cr4 & 1ul << 21))
		return dune_emul_ud(e);
	return 0;
}

static int do_monitor(struct dune_emul *e)
{
	return dune_emul_ud(e);	/* CPUID does not offer it in guests */
}

/* No performance counters in guests. */
static int do_rdpmc(struct dune_emul *e)
{
	return dune_emul_gp(e);
}

/* They trap only where CR4.TSD is real. */
static int do_rdtsc(struct dune_emul *e)
{
	uint64_t tsc;
	uint32_t aux = 0;
	bool rdtscp = e->in.op == DUNE_OP_RDTSCP;

	if (rdtscp && !e->v->f.rdtscp)
		return dune_emul_ud(e);
	if (e->user && (e->v->cr4 & 1ul << 2))
		return dune_emul_gp(e);
	if (rdtscp) {
		tsc = __builtin_ia32_rdtscp(&aux);
		e->tf->rcx = aux;
	} else {
		tsc = __builtin_ia32_rdtsc();
	}
	e->tf->rax = (uint32_t)tsc;
	e->tf->rdx = tsc >> 32;
	return 0;
}

/* rdfsbase and friends, on a CPU or KVM that has them not. */
static int do_fsgs(struct dune_emul *e)
{
	int seg = e->in.ext & 1 ? DUNE_SEG_GS : DUNE_SEG_FS;
	size_t size = e->in.size == 8 ? 8 : 4;
	uint64_t base;

	if (e->in.mem || !(e->v->cr4 & 1ul << 16))
		return dune_emul_ud(e);
	if (e->in.op == DUNE_OP_RD_FSGS) {
		base = e->ops->get_base(e->ops->ctx, seg);
		set_gpr(e, e->in.rm, base, size);
		return 0;
	}
	base = *dune_emul_gpr(e->tf, e->in.rm);
	if (size == 4)
		base = (uint32_t)base;
	if (!dune_canonical(base))
		return dune_emul_gp(e);
	e->ops->set_base(e->ops->ctx, seg, base);
	return 0;
}

/* ring0: #GP(0) in ring 3 before anything else is looked at. */
static const struct {
	int (*run)(struct dune_emul *e);
	bool ring0;
} operation[DUNE_OPS] = {
	[DUNE_OP_CLI] = { do_cli, true },
	[DUNE_OP_STI] = { do_sti, true },
	[DUNE_OP_HLT] = { do_hlt, true },
	[DUNE_OP_INT] = { dune_emul_int, false },
	[DUNE_OP_IRET] = { dune_emul_iret, false },
	[DUNE_OP_LRET] = { dune_emul_lret, false },
	[DUNE_OP_MOV_SREG] = { dune_emul_mov_sreg, false },
	[DUNE_OP_SLDT] = { do_sldt, false },
	[DUNE_OP_STR] = { do_str, false },
	[DUNE_OP_LLDT] = { dune_emul_lldt, true },
	[DUNE_OP_LTR] = { dune_emul_ltr, true },
	[DUNE_OP_SGDT] = { do_table_store, false },
	[DUNE_OP_SIDT] = { do_table_store, false },
	[DUNE_OP_LGDT] = { dune_emul_table_load, true },
	[DUNE_OP_LIDT] = { dune_emul_table_load, true },
	[DUNE_OP_SMSW] = { do_smsw, false },
	[DUNE_OP_LMSW] = { dune_emul_lmsw, true },
	[DUNE_OP_INVLPG] = { do_invlpg, true },
	[DUNE_OP_MONITOR] = { do_monitor, false },
	[DUNE_OP_CLAC] = { do_clac, false },
	[DUNE_OP_XSETBV] = { dune_emul_xsetbv, false },
	[DUNE_OP_SWAPGS] = { do_swapgs, true },
	[DUNE_OP_RDTSC] = { do_rdtsc, false },
	[DUNE_OP_RDTSCP] = { do_rdtsc, false },
	[DUNE_OP_CLTS] = { do_clts, true },
	[DUNE_OP_SYSRET] = { dune_emul_sysret, false },
	[DUNE_OP_WBINVD] = { do_nothing, true },
	[DUNE_OP_RD_CR] = { dune_emul_read_cr, false },
	[DUNE_OP_RD_DR] = { dune_emul_read_dr, false },
	[DUNE_OP_WR_CR] = { dune_emul_write_cr, false },
	[DUNE_OP_WR_DR] = { dune_emul_write_dr, false },
	[DUNE_OP_WRMSR] = { dune_emul_wrmsr, true },
	[DUNE_OP_RDMSR] = { dune_emul_rdmsr, true },
	[DUNE_OP_RDPMC] = { do_rdpmc, false },
	[DUNE_OP_INVPCID] = { dune_emul_invpcid, false },
	[DUNE_OP_RD_FSGS] = { do_fsgs, false },
	[DUNE_OP_WR_FSGS] = { do_fsgs, false },
};

static int run(struct dune_emul *e)
{
	if (e->in.lock)
		return dune_emul_ud(e);
	if (e->user && operation[e->in.op].ring0)
		return dune_emul_gp(e);
	return operation[e->in.op].run(e);
}

int dune_emulate(struct dune_vcpu_state *v, struct dune_tf *tf,
		 unsigned int vector, const struct dune_emul_ops *ops)
{
	struct dune_emul e = { .v = v, .tf = tf, .ops = ops };
	uint8_t bytes[DUNE_INSN_MAX];
	uint64_t stepping = tf->rflags & RFL_TF;
	int r;

	if (vector != DUNE_VEC_UD && vector != DUNE_VEC_NP &&
	    vector != DUNE_VEC_SS && vector != DUNE_VEC_GP)
		return DUNE_EMUL_NONE;
	if (!dune_canonical(tf->rip) ||
	    !dune_decode(&e.in, bytes, ops->fetch(ops->ctx, tf->rip, bytes,
						  sizeof(bytes))))
		return DUNE_EMUL_NONE;
	e.user = tf->cs & 3;
	e.next = tf->rip + e.in.len;
	r = run(&e);
	if (r < 0)
		return r;
	if (r & DUNE_EMUL_TRAP) {
		tf->err = e.error;
		return r;
	}
	/* `int n` and iret leave flags of their own making */
	if (e.in.op != DUNE_OP_INT && e.in.op != DUNE_OP_IRET)
		tf->rflags &= ~RFL_RF;
	tf->rip = e.next;
	if (stepping && e.in.op != DUNE_OP_INT) {
		v->dr[6] |= DR6_BS;
		tf->err = 0;
		return DUNE_EMUL_TRAP | DUNE_VEC_DB;
	}
	return DUNE_EMUL_DONE;
}
