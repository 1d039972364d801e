/* Returns: iret, far ret, sysret. And syscall, which sysret returns from. */
#include <string.h>
#include "libdune/emulate-internal.h"

#define EFER_SCE	1ul

/*
 * The code segment of a return: 64-bit, of the same level or from ring 0 to
 * ring 3.
 */
static int check_cs(struct dune_emul *e, uint16_t sel, bool *user)
{
	struct dune_emul_desc d;
	unsigned int rpl = sel & 3;
	int r;

	if (!(sel & ~3))
		return dune_emul_gp(e);
	*user = rpl == 3 && sel != DUNE_SELF_USER_CS;
	if (dune_emul_is_real(sel) || dune_emul_is_vuser(sel))
		return sel == DUNE_SELF_VUSER_CS ||
		       (sel == DUNE_SELF_USER_CS && !e->user) ?
		       0 : dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	r = dune_emul_desc(e, sel, false, DUNE_VEC_GP, &d);
	if (r)
		return r;
	if ((d.type & DESC_CODE) != DESC_CODE || (rpl && rpl != 3) ||
	    (e->user && rpl != 3) ||
	    (d.type & DESC_CONFORMING ? d.dpl > rpl : d.dpl != rpl))
		return dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	if (!d.present)
		return dune_emul_raise(e, DUNE_VEC_NP, sel & ~3u);
	if (!d.l || d.db)
		return dune_emul_raise(e, DUNE_VEC_GP, sel & ~3u);
	return 0;
}

/* n values of the operand's size from the stack. */
static int pop(struct dune_emul *e, uint64_t at, uint64_t *value,
	       unsigned int n)
{
	unsigned int i, size = e->in.size;
	uint8_t raw[5 * 8];
	int r = dune_emul_load(e, at, raw, n * size, true);

	for (i = 0; !r && i < n; i++) {
		value[i] = 0;
		memcpy(&value[i], raw + i * size, size);
	}
	return r;
}

/* Where a return goes. */
struct target {
	uint64_t rip, rsp;
	uint16_t cs, ss;
	bool user, has_ss;
};

static int check_target(struct dune_emul *e, struct target *t)
{
	int r = check_cs(e, t->cs, &t->user);

	if (!r && t->has_ss)
		r = dune_emul_check_ss(e, t->ss, t->user);
	if (!r && !dune_canonical(t->rip))
		r = dune_emul_gp(e);
	return r;
}

static void go(struct dune_emul *e, const struct target *t)
{
	dune_emul_remember(&e->v->cs[t->user], t->cs, t->user);
	if (t->has_ss)
		dune_emul_remember(&e->v->ss[t->user], t->ss, t->user);
	e->next = t->rip;
	e->tf->rip = t->rip;
	e->tf->rsp = t->rsp;
	dune_emul_level(e, t->user);
}

static void load_flags(struct dune_emul *e, uint64_t value, uint64_t mask)
{
	if (!e->user)
		e->v->iflag = value & RFL_IF;
	/* the real IF stays set: v->iflag is the program's */
	e->tf->rflags = (e->tf->rflags & ~mask) | (value & mask) | RFL_FIXED |
			RFL_IF;
}

int dune_emul_iret(struct dune_emul *e)
{
	uint64_t f[5], mask = RFL_LOADABLE;
	struct target t;
	int r;

	if (e->tf->rflags & RFL_NT)
		return dune_emul_gp(e);
	r = pop(e, e->tf->rsp, f, 5);
	if (r)
		return r;
	t = (struct target) {
		.rip = f[0], .cs = f[1], .rsp = f[3], .ss = f[4],
		.has_ss = true,
	};
	r = check_target(e, &t);
	if (r)
		return r;
	if (e->in.size == 2)
		mask &= 0xffff;
	load_flags(e, f[2], mask);
	go(e, &t);
	return 0;
}

int dune_emul_lret(struct dune_emul *e)
{
	uint64_t at = e->tf->rsp, f[2];
	struct target t;
	int r;

	r = pop(e, at, f, 2);
	if (r)
		return r;
	at += 2 * e->in.size + e->in.imm;
	t = (struct target) { .rip = f[0], .cs = f[1], .rsp = at };
	r = check_cs(e, t.cs, &t.user);
	if (!r && t.user != e->user) {
		r = pop(e, at, f, 2);
		t.rsp = f[0] + e->in.imm;
		t.ss = f[1];
		t.has_ss = true;
	}
	if (!r)
		r = check_target(e, &t);
	if (!r)
		go(e, &t);
	return r;
}

int dune_emul_sysret(struct dune_emul *e)
{
	struct dune_vcpu_state *v = e->v;
	uint16_t base = v->star >> 48;
	struct target t = {
		.rip = e->tf->rcx, .rsp = e->tf->rsp, .cs = (base + 16) | 3,
		.ss = (base + 8) | 3, .user = true, .has_ss = true,
	};

	if (!(v->efer & EFER_SCE))
		return dune_emul_ud(e);
	if (e->user || e->in.size != 8 || !dune_canonical(t.rip))
		return dune_emul_gp(e);
	load_flags(e, e->tf->r11, RFL_LOADABLE & ~RFL_RF);
	go(e, &t);
	return 0;
}

int dune_emulate_syscall(struct dune_vcpu_state *v, struct dune_tf *tf)
{
	struct dune_emul e = { .v = v, .tf = tf, .user = true };

	if (v->lstar == v->boot_lstar)
		return DUNE_EMUL_NONE;
	if (!(v->efer & EFER_SCE)) {
		tf->rip -= 2;
		tf->err = 0;
		return DUNE_EMUL_TRAP | DUNE_VEC_UD;
	}
	tf->rcx = tf->rip;
	tf->r11 = tf->rflags & ~(RFL_RF | RFL_IF);
	if (v->iflag)
		tf->r11 |= RFL_IF;
	v->iflag = v->iflag && !(v->fmask & RFL_IF);
	tf->rflags = (tf->rflags & ~(v->fmask | RFL_RF)) | RFL_FIXED | RFL_IF;
	tf->rip = v->lstar;
	v->cs[0] = (v->star >> 32) & 0xfffc;
	v->ss[0] = v->cs[0] + 8;
	dune_emul_level(&e, false);
	return DUNE_EMUL_DONE;
}
