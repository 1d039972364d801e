/* Model-specific registers: those the manuals document for 64-bit kernels. */
#include "libdune/emulate-internal.h"

#define MSR_TSC			0x10
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_PAT			0x277
#define MSR_XSS			0xda0
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_FMASK		0xc0000084
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103

#define EFER_LME		(1ul << 8)
#define EFER_LMA		(1ul << 10)
#define EFER_NXE		(1ul << 11)

/* A write: may change the value before it is stored; false is #GP. */
typedef bool check_fn(const struct dune_vcpu_state *v, uint64_t *value);

static bool any(const struct dune_vcpu_state *v, uint64_t *value)
{
	(void)v;
	(void)value;
	return true;
}

static bool low32(const struct dune_vcpu_state *v, uint64_t *value)
{
	(void)v;
	return !(*value >> 32);
}

static bool address(const struct dune_vcpu_state *v, uint64_t *value)
{
	(void)v;
	return dune_canonical(*value);
}

/* Eight memory types, of which 2, 3 and 8 up are reserved. */
static bool pat(const struct dune_vcpu_state *v, uint64_t *value)
{
	uint64_t x;

	(void)v;
	for (x = *value; x; x >>= 8)
		if ((x & 0xff) > 7 || (x & 0xfe) == 2)
			return false;
	return true;
}

static bool efer(const struct dune_vcpu_state *v, uint64_t *value)
{
	if (*value & ~v->f.efer || !(*value & EFER_LME) ||
	    v->efer & ~*value & EFER_NXE)
		return false;
	*value |= EFER_LMA;	/* the CPU's own: writes do not count */
	return true;
}

static bool xss(const struct dune_vcpu_state *v, uint64_t *value)
{
	return !(*value & ~v->f.xss);
}

#define FIELD(f) offsetof(struct dune_vcpu_state, f)

static const struct msr {
	uint32_t index;
	uint32_t field;
	check_fn *check;
} table[] = {
	{ MSR_SYSENTER_CS, FIELD(sysenter_cs), any },
	{ MSR_SYSENTER_ESP, FIELD(sysenter_esp), address },
	{ MSR_SYSENTER_EIP, FIELD(sysenter_eip), address },
	{ MSR_PAT, FIELD(pat), pat },
	{ MSR_XSS, FIELD(xss), xss },
	{ MSR_EFER, FIELD(efer), efer },
	{ MSR_STAR, FIELD(star), any },
	{ MSR_LSTAR, FIELD(lstar), address },
	{ MSR_CSTAR, FIELD(cstar), address },
	{ MSR_FMASK, FIELD(fmask), low32 },
	{ MSR_KERNEL_GS_BASE, FIELD(kernel_gs_base), address },
};

static const struct msr *find(uint32_t index)
{
	unsigned int i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].index == index)
			return &table[i];
	return NULL;
}

static uint64_t *value_of(struct dune_vcpu_state *v, const struct msr *msr)
{
	return (uint64_t *)((char *)v + msr->field);
}

/* The segment a base MSR belongs to, 0 for other MSRs. */
static int base_of(uint32_t index)
{
	return index == DUNE_MSR_FS_BASE ? DUNE_SEG_FS :
	       index == DUNE_MSR_GS_BASE ? DUNE_SEG_GS : 0;
}

int dune_emul_rdmsr(struct dune_emul *e)
{
	uint32_t index = e->tf->rcx;
	const struct msr *msr = find(index);
	uint32_t aux = 0;
	uint64_t value;

	if (msr)
		value = *value_of(e->v, msr);
	else if (base_of(index))
		value = e->ops->get_base(e->ops->ctx, base_of(index));
	else if (index == MSR_TSC)
		value = __builtin_ia32_rdtsc();
	else if (index == MSR_TSC_AUX && e->v->f.rdtscp)
		value = (__builtin_ia32_rdtscp(&aux), aux);
	else
		return dune_emul_gp(e);
	e->tf->rax = (uint32_t)value;
	e->tf->rdx = value >> 32;
	return 0;
}

int dune_emul_wrmsr(struct dune_emul *e)
{
	uint32_t index = e->tf->rcx;
	uint64_t value = (uint32_t)e->tf->rax | e->tf->rdx << 32;
	const struct msr *msr = find(index);

	if (msr && msr->check(e->v, &value))
		*value_of(e->v, msr) = value;
	else if (base_of(index) && dune_canonical(value))
		e->ops->set_base(e->ops->ctx, base_of(index), value);
	else
		return dune_emul_gp(e);
	return 0;
}
