/* Descriptor tables and what loads from them (SDM vol. 3, chapter 3). */
#include <string.h>
#include "libdune/emulate-internal.h"

#define TYPE_LDT	2
#define TYPE_TSS	9
#define TYPE_TSS_BUSY	11
#define DATA_SEG	0x10
#define READABLE	0x02

/* Until lgdt: libdune's GDT as a CPU in ring 0 would have it, by index. */
static const uint64_t boot_gdt[] = {
	[DUNE_SELF_KERN_CS / 8] = 0x00af9b000000ffff,
	[DUNE_SELF_KERN_SS / 8] = 0x00cf93000000ffff,
	[DUNE_SELF_VUSER_SS / 8] = 0x00cff3000000ffff,
	[DUNE_SELF_VUSER_CS / 8] = 0x00affb000000ffff,
};

bool dune_emul_is_real(uint16_t sel)
{
	return sel == DUNE_SELF_USER_CS || sel == DUNE_SELF_USER_SS;
}

bool dune_emul_is_vuser(uint16_t sel)
{
	return sel == DUNE_SELF_VUSER_CS || sel == DUNE_SELF_VUSER_SS;
}

static void unpack(struct dune_emul_desc *d, const uint64_t raw[2])
{
	uint64_t lo = raw[0];

	d->base = (lo >> 16 & 0xffffff) | (lo >> 56) << 24 | raw[1] << 32;
	d->limit = (lo & 0xffff) | (lo >> 32 & 0xf0000);
	if (lo & 1ul << 55)
		d->limit = d->limit << 12 | 0xfff;
	d->type = lo >> 40 & 0x1f;
	d->dpl = lo >> 45 & 3;
	d->present = lo & 1ul << 47;
	d->l = lo & 1ul << 53;
	d->db = lo & 1ul << 54;
}

int dune_emul_desc(struct dune_emul *e, uint16_t sel, bool wide,
		   unsigned int vector, struct dune_emul_desc *d)
{
	const struct dune_emul_table *t = sel & 4 ? &e->v->ldtr : &e->v->gdtr;
	size_t at = sel & ~7u, len = wide ? 16 : 8;
	uint64_t raw[2] = { 0, 0 };
	bool user = e->user;
	int r = 0;

	if ((sel & 4 && !(t->sel & ~3u)) || at + len - 1 > t->limit)
		return dune_emul_raise(e, vector, sel & ~3u);
	if (!(sel & 4) && !t->own) {
		if (at / 8 < sizeof(boot_gdt) / 8)
			raw[0] = boot_gdt[at / 8];
	} else {
		e->user = false;	/* the CPU's own access */
		r = dune_emul_load(e, t->base + at, raw, len, false);
		e->user = user;
	}
	if (!r)
		unpack(d, raw);
	return r;
}

static struct dune_emul_table *table_of(struct dune_emul *e)
{
	return e->in.op == DUNE_OP_SGDT || e->in.op == DUNE_OP_LGDT ?
	       &e->v->gdtr : &e->v->idtr;
}

struct pseudo {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

int dune_emul_table_load(struct dune_emul *e)
{
	struct dune_emul_table *t = table_of(e);
	struct pseudo p;
	int r = dune_emul_load_rm(e, &p, sizeof(p));

	if (r)
		return r;
	if (!dune_canonical(p.base))
		return dune_emul_gp(e);
	t->base = p.base;
	t->limit = p.limit;
	t->own = p.base != (t == &e->v->gdtr ? e->v->boot_gdt :
					      e->v->boot_idt);
	return 0;
}

int dune_emul_table_store(struct dune_emul *e)
{
	const struct dune_emul_table *t = table_of(e);
	struct pseudo p = { .limit = t->limit, .base = t->base };

	return dune_emul_store_rm(e, &p, sizeof(p));
}

/* The system segment `sel` names, of the given type and present. */
static int system_segment(struct dune_emul *e, uint16_t sel, uint8_t type,
			  struct dune_emul_desc *d)
{
	int r;

	if (sel & 4)
		return dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	r = dune_emul_desc(e, sel, true, DUNE_VEC_GP, d);
	if (r)
		return r;
	if (d->type != type)
		return dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	if (!d->present)
		return dune_emul_raise(e, DUNE_VEC_NP, sel & ~3u);
	return dune_canonical(d->base) ? 0 : dune_emul_gp(e);
}

int dune_emul_lldt(struct dune_emul *e)
{
	struct dune_emul_desc d = { .base = 0 };
	uint16_t sel;
	int r = dune_emul_load_rm16(e, &sel);

	if (!r && sel & ~3)
		r = system_segment(e, sel, TYPE_LDT, &d);
	if (!r)
		e->v->ldtr = (struct dune_emul_table) {
			.base = d.base, .limit = d.limit, .sel = sel,
			.own = true,
		};
	return r;
}

int dune_emul_ltr(struct dune_emul *e)
{
	struct dune_emul_desc d;
	uint8_t busy;
	uint16_t sel;
	int r = dune_emul_load_rm16(e, &sel);

	if (r)
		return r;
	if (!(sel & ~3))
		return dune_emul_gp(e);
	r = system_segment(e, sel, TYPE_TSS, &d);
	if (r)
		return r;
	busy = 0x80 | d.dpl << 5 | TYPE_TSS_BUSY;
	r = dune_emul_store(e, e->v->gdtr.base + (sel & ~7u) + 5, &busy, 1,
			    false);
	if (!r)
		e->v->tr = (struct dune_emul_table) {
			.base = d.base, .limit = d.limit, .sel = sel,
			.own = true,
		};
	return r;
}

/* May this segment be loaded into DS, ES, FS or GS? */
static int check_data(struct dune_emul *e, uint16_t sel,
		      const struct dune_emul_desc *d)
{
	bool code = (d->type & DESC_CODE) == DESC_CODE;
	unsigned int cpl = e->user ? 3 : 0;

	if (!(d->type & DESC_S) || (code && !(d->type & READABLE)))
		return dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	if (!(code && d->type & DESC_CONFORMING) &&
	    ((sel & 3) > d->dpl || cpl > d->dpl))
		return dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	if (!d->present)
		return dune_emul_raise(e, DUNE_VEC_NP, sel & ~3u);
	return 0;
}

int dune_emul_check_ss(struct dune_emul *e, uint16_t sel, bool user)
{
	struct dune_emul_desc d;
	int r;

	if (dune_emul_is_real(sel) || dune_emul_is_vuser(sel))
		return sel == (user ? DUNE_SELF_VUSER_SS : DUNE_SELF_USER_SS) ?
		       0 : dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	if (!(sel & ~3)) /* null: in ring 0 of 64-bit mode only */
		return sel || user ? dune_emul_gp(e) : 0;
	r = dune_emul_desc(e, sel, false, DUNE_VEC_GP, &d);
	if (r)
		return r;
	if ((sel & 3) != (user ? 3 : 0) || d.dpl != (sel & 3) ||
	    (d.type & (DESC_CODE | DESC_WRITABLE)) !=
	    (DATA_SEG | DESC_WRITABLE))
		return dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	if (!d.present)
		return dune_emul_raise(e, DUNE_VEC_SS, sel & ~3u);
	return 0;
}

int dune_emul_mov_sreg(struct dune_emul *e)
{
	struct dune_emul_desc d;
	uint16_t sel;
	int r;

	if (e->in.ext == 1 || e->in.ext > DUNE_SEG_GS)	/* cs; none */
		return dune_emul_ud(e);
	r = dune_emul_load_rm16(e, &sel);
	if (r)
		return r;
	if (e->in.ext == 2) {
		r = dune_emul_check_ss(e, sel, e->user);
		if (!r)
			dune_emul_remember(&e->v->ss[e->user], sel,
					   e->user);
		return r;
	}
	if (!(sel & ~3))
		return 0;
	r = dune_emul_desc(e, sel, false, DUNE_VEC_GP, &d);
	if (!r)
		r = check_data(e, sel, &d);
	if (!r && e->in.ext >= DUNE_SEG_FS)
		e->ops->set_base(e->ops->ctx, e->in.ext, d.base);
	return r;
}

void dune_emul_remember(uint16_t *shown, uint16_t sel, bool user)
{
	bool code = sel == DUNE_SELF_USER_CS || sel == DUNE_SELF_VUSER_CS;

	if (!dune_emul_is_real(sel) && !dune_emul_is_vuser(sel))
		*shown = sel;
	else if (code)
		*shown = user ? DUNE_SELF_VUSER_CS : DUNE_SELF_KERN_CS;
	else
		*shown = user ? DUNE_SELF_VUSER_SS : DUNE_SELF_KERN_SS;
}
