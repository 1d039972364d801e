/* Control and debug registers, and the state everything starts with. */
#include <cpuid.h>
#include <string.h>
#include "libdune/emulate-internal.h"

#define CR0_PE		(1ul << 0)
#define CR0_TS		(1ul << 3)
#define CR0_ET		(1ul << 4)
#define CR0_WP		(1ul << 16)
#define CR0_NW		(1ul << 29)
#define CR0_CD		(1ul << 30)
#define CR0_PG		(1ul << 31)
/* PE MP EM TS ET NE WP AM NW CD PG: the others below bit 32 are ignored */
#define CR0_DEFINED	0xe005003ful
#define CR0_START	0x80050033ul	/* as under Linux */

#define CR4_DE		(1ul << 3)
#define CR4_PAE		(1ul << 5)
#define CR4_PGE		(1ul << 7)
#define CR4_UMIP	(1ul << 11)
#define CR4_LA57	(1ul << 12)
#define CR4_FSGSBASE	(1ul << 16)
#define CR4_PCIDE	(1ul << 17)
#define CR4_OSXSAVE	(1ul << 18)
#define CR4_SMEP	(1ul << 20)
#define CR4_SMAP	(1ul << 21)
/* VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT */
#define CR4_BASIC	0x7fful
#define CR4_START	(CR4_PAE | 3ul << 9)

#define CR3_KEEP	(1ul << 63)
#define CR3_PCID	0xffful

#define EFER_SCE	(1ul << 0)
#define EFER_LME	(1ul << 8)
#define EFER_LMA	(1ul << 10)
#define EFER_NXE	(1ul << 11)

#define DR6_FIXED	0xffff0ff0ul
#define DR6_WRITABLE	0xe00ful
#define DR7_FIXED	0x400ul
#define DR7_WRITABLE	0xffff23fful
#define DR7_GD		(1ul << 13)

#define XCR0_X87	(1ul << 0)
#define XCR0_SSE	(1ul << 1)
#define XCR0_AVX	(1ul << 2)
#define XCR0_MPX	(3ul << 3)
#define XCR0_AVX512	(7ul << 5)
#define XCR0_AMX	(3ul << 17)

void dune_emul_cpuid(struct dune_emul_features *f)
{
	unsigned int a, b, c, d;

	memset(f, 0, sizeof(*f));
	f->cr4 = CR4_BASIC;
	f->efer = EFER_SCE | EFER_LME | EFER_LMA;
	f->phys_bits = 36;
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		f->cr4 |= c & bit_XSAVE ? CR4_OSXSAVE : 0;
		f->cr4 |= c & 1u << 17 ? CR4_PCIDE : 0;
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		f->cr4 |= b & 1u << 0 ? CR4_FSGSBASE : 0;
		f->cr4 |= b & 1u << 7 ? CR4_SMEP : 0;
		f->cr4 |= b & 1u << 20 ? CR4_SMAP : 0;
		f->cr4 |= c & 1u << 2 ? CR4_UMIP : 0;
		f->invpcid = b & 1u << 10;
	}
	if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
		f->efer |= d & 1u << 20 ? EFER_NXE : 0;
		f->rdtscp = d & 1u << 27;
	}
	if (__get_cpuid(0x80000008, &a, &b, &c, &d))
		f->phys_bits = a & 0xff;
	if ((f->cr4 & CR4_OSXSAVE) &&
	    __get_cpuid_count(13, 0, &a, &b, &c, &d))
		f->xcr0 = a | (uint64_t)d << 32;
}

void dune_vcpu_state_init(struct dune_vcpu_state *v,
			  const struct dune_emul_features *f, uint64_t cr3,
			  uint64_t block)
{
	memset(v, 0, sizeof(*v));
	v->f = *f;
	v->cr0 = CR0_START;
	v->cr3 = cr3;
	v->cr4 = CR4_START | (f->cr4 & (CR4_FSGSBASE | CR4_OSXSAVE | CR4_UMIP));
	v->xcr0 = f->xcr0 ? f->xcr0 : XCR0_X87;
	v->dr[6] = DR6_FIXED;
	v->dr[7] = DR7_FIXED;
	v->efer = EFER_SCE | EFER_LME | EFER_LMA | (f->efer & EFER_NXE);
	/* sysret: ss is 8 above the upper field, cs 16 */
	v->star = (uint64_t)(DUNE_SELF_VUSER_SS - 8) << 48 |
		  (uint64_t)DUNE_SELF_KERN_CS << 32;
	v->lstar = v->boot_lstar = block + DUNE_PC_STUBS;
	v->fmask = 0x47700;
	v->pat = 0x0007040600070406;
	v->boot_gdt = block + DUNE_PC_GDT;
	v->boot_idt = block + DUNE_PC_IDT;
	v->gdtr = (struct dune_emul_table) { .base = v->boot_gdt,
					     .limit = 0x7f };
	v->idtr = (struct dune_emul_table) { .base = v->boot_idt,
					     .limit = DUNE_VECTORS * 16 - 1 };
	v->tr = (struct dune_emul_table) { .base = block + DUNE_PC_TSS,
					   .limit = 0x67, .sel = 0x40 };
	v->rsp0 = block + DUNE_PC_IST_TOP;
	v->cs[0] = DUNE_SELF_KERN_CS;
	v->ss[0] = DUNE_SELF_KERN_SS;
	v->cs[1] = DUNE_SELF_VUSER_CS;
	v->ss[1] = DUNE_SELF_VUSER_SS;
	v->iflag = true;
}

static int write_cr0(struct dune_emul *e, uint64_t value)
{
	if (value >> 32 || !(value & CR0_PG) || !(value & CR0_PE) ||
	    (value & (CR0_NW | CR0_CD)) == CR0_NW || !(value & CR0_WP))
		return dune_emul_gp(e);
	e->v->cr0 = (value & CR0_DEFINED) | CR0_ET;
	return 0;
}

static int write_cr3(struct dune_emul *e, uint64_t value)
{
	bool keep = value & CR3_KEEP && e->v->cr4 & CR4_PCIDE;

	if (keep)
		value &= ~CR3_KEEP;
	if (value >> e->v->f.phys_bits ||
	    e->ops->set_cr3(e->ops->ctx, value, keep))
		return dune_emul_gp(e);
	e->v->cr3 = value;
	return 0;
}

static int write_cr4(struct dune_emul *e, uint64_t value)
{
	struct dune_vcpu_state *v = e->v;
	uint64_t changed = value ^ v->cr4;

	if (value & ~v->f.cr4 || !(value & CR4_PAE) || changed & CR4_LA57)
		return dune_emul_gp(e);
	if (changed & value & CR4_PCIDE && v->cr3 & CR3_PCID)
		return dune_emul_gp(e);
	v->cr4 = value;
	if (changed & CR4_PGE || changed & v->cr4 & CR4_SMEP ||
	    changed & ~v->cr4 & CR4_PCIDE)
		e->ops->flush_all(e->ops->ctx);
	return 0;
}

/* NULL: no such register. */
static uint64_t *cr_of(struct dune_vcpu_state *v, unsigned int n)
{
	switch (n) {
	case 0:
		return &v->cr0;
	case 2:
		return &v->cr2;
	case 3:
		return &v->cr3;
	case 4:
		return &v->cr4;
	case 8:
		return &v->cr8;
	}
	return NULL;
}

int dune_emul_read_cr(struct dune_emul *e)
{
	uint64_t *cr = cr_of(e->v, e->in.reg);

	if (!cr)
		return dune_emul_ud(e);
	if (e->user)
		return dune_emul_gp(e);
	*dune_emul_gpr(e->tf, e->in.rm) = *cr;
	return 0;
}

int dune_emul_write_cr(struct dune_emul *e)
{
	uint64_t value = *dune_emul_gpr(e->tf, e->in.rm);

	if (!cr_of(e->v, e->in.reg))
		return dune_emul_ud(e);
	if (e->user)
		return dune_emul_gp(e);
	switch (e->in.reg) {
	case 0:
		return write_cr0(e, value);
	case 3:
		return write_cr3(e, value);
	case 4:
		return write_cr4(e, value);
	case 8:
		if (value > 15)
			return dune_emul_gp(e);
		break;
	}
	*cr_of(e->v, e->in.reg) = value;
	return 0;
}

/* lmsw loads PE, MP, EM, TS; PE it can set, not clear. */
int dune_emul_lmsw(struct dune_emul *e)
{
	uint16_t value;
	int r = dune_emul_load_rm16(e, &value);

	if (!r)
		e->v->cr0 = (e->v->cr0 & ~0xeul) | (value & 0xe);
	return r;
}

/* Which debug register; DR4 and DR5 are 6 and 7 unless CR4.DE. */
static int dr_of(struct dune_emul *e, uint64_t **dr)
{
	unsigned int n = e->in.reg;

	if (n == 4 || n == 5) {
		if (e->v->cr4 & CR4_DE)
			return dune_emul_ud(e);
		n += 2;
	}
	if (n > 7)
		return dune_emul_ud(e);
	if (e->user)
		return dune_emul_gp(e);
	if (e->v->dr[7] & DR7_GD) {
		e->v->dr[7] &= ~DR7_GD;
		e->v->dr[6] |= DR6_BD;
		return dune_emul_raise(e, DUNE_VEC_DB, 0);
	}
	*dr = &e->v->dr[n];
	return 0;
}

int dune_emul_read_dr(struct dune_emul *e)
{
	uint64_t *dr;
	int r = dr_of(e, &dr);

	if (!r)
		*dune_emul_gpr(e->tf, e->in.rm) = *dr;
	return r;
}

int dune_emul_write_dr(struct dune_emul *e)
{
	uint64_t *dr, value = *dune_emul_gpr(e->tf, e->in.rm);
	int r = dr_of(e, &dr);

	if (r)
		return r;
	if (dr >= &e->v->dr[6] && value >> 32)
		return dune_emul_gp(e);
	if (dr == &e->v->dr[6])
		value = (value & DR6_WRITABLE) | DR6_FIXED;
	else if (dr == &e->v->dr[7])
		value = (value & DR7_WRITABLE) | DR7_FIXED;
	*dr = value;
	return 0;
}

/* reg: the type; memory: PCID, address. More than one address: all. */
int dune_emul_invpcid(struct dune_emul *e)
{
	uint64_t type = *dune_emul_gpr(e->tf, e->in.reg), desc[2], pcid;
	bool pcide = e->v->cr4 & CR4_PCIDE;
	int r;

	if (!e->v->f.invpcid)
		return dune_emul_ud(e);
	if (e->user)
		return dune_emul_gp(e);
	r = dune_emul_load_rm(e, desc, sizeof(desc));
	if (r)
		return r;
	if (type > 3 || desc[0] & ~CR3_PCID)
		return dune_emul_gp(e);
	pcid = desc[0];
	if (type < 2 && pcid && !pcide)
		return dune_emul_gp(e);
	if (type == 0 && !dune_canonical(desc[1]))
		return dune_emul_gp(e);
	if (type == 0 && pcid == (pcide ? e->v->cr3 & CR3_PCID : 0))
		e->ops->invlpg(e->ops->ctx, desc[1]);
	else
		e->ops->flush_all(e->ops->ctx);
	return 0;
}

/* Which sets of state components XCR0 may have (SDM vol. 1, 13.3). */
static bool xcr0_valid(uint64_t x, uint64_t supported)
{
	if (x & ~supported || !(x & XCR0_X87))
		return false;
	if (x & XCR0_AVX && !(x & XCR0_SSE))
		return false;
	if (x & XCR0_AVX512 &&
	    (!(x & XCR0_AVX) || (x & XCR0_AVX512) != XCR0_AVX512))
		return false;
	if (x & XCR0_MPX && (x & XCR0_MPX) != XCR0_MPX)
		return false;
	return !(x & XCR0_AMX) || (x & XCR0_AMX) == XCR0_AMX;
}

int dune_emul_xsetbv(struct dune_emul *e)
{
	uint64_t value = (uint32_t)e->tf->rax | e->tf->rdx << 32;

	if (!(e->v->cr4 & CR4_OSXSAVE))
		return dune_emul_ud(e);
	if (e->user || (uint32_t)e->tf->rcx ||
	    !xcr0_valid(value, e->v->f.xcr0))
		return dune_emul_gp(e);
	e->v->xcr0 = value;
	return 0;
}
