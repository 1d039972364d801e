/*
 * Traps through the program's own IDT (SDM vol. 3, 6.12-6.15): gates, stacks,
 * frames, and what becomes of a fault on the way.
 */
#include <errno.h>
#include "libdune/emulate-internal.h"

#define GATE_INTERRUPT	0xe
#define GATE_TRAP	0xf
#define TSS_RSP0	4
#define TSS_IST		0x24
#define ERROR_IDT	2
#define ERROR_EXT	1

struct event {
	unsigned int vector;
	uint32_t error;
	bool has_error;
	bool soft;		/* int n */
	uint64_t rip;		/* where the handler shall return to */
};

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

void dune_emul_level(struct dune_emul *e, bool user)
{
	bool enters = user && !e->user;

	e->tf->cs = user ? DUNE_SELF_VUSER_CS : DUNE_SELF_KERN_CS;
	e->tf->ss = user ? DUNE_SELF_VUSER_SS : DUNE_SELF_KERN_SS;
	e->user = user;
	if (enters)
		e->ops->enter_user(e->ops->ctx, e->tf);
}

/* The gate's code segment: 64-bit, of ring 0. */
static int check_handler(struct dune_emul *e, uint16_t sel, uint32_t ext)
{
	struct dune_emul_desc d;
	int r;

	if (sel == DUNE_SELF_USER_CS)
		return 0;
	if (!(sel & ~3))
		return dune_emul_raise(e, DUNE_VEC_GP, ext);
	r = dune_emul_desc(e, sel, false, DUNE_VEC_GP, &d);
	if (r) {
		if (r == (DUNE_EMUL_TRAP | DUNE_VEC_GP))
			e->error |= ext;
		return r;
	}
	if ((d.type & DESC_CODE) != DESC_CODE || d.dpl || !d.l || d.db)
		return dune_emul_raise(e, DUNE_VEC_GP, (sel & ~3u) | ext);
	if (!d.present)
		return dune_emul_raise(e, DUNE_VEC_NP, (sel & ~3u) | ext);
	return 0;
}

static int load_gate(struct dune_emul *e, const struct event *ev, bool user,
		     struct gate *g)
{
	uint32_t ext = ev->soft ? 0 : ERROR_EXT;
	uint32_t error = ev->vector * 8 | ERROR_IDT | ext;
	unsigned int type;
	int r;

	if (ev->vector * sizeof(*g) + sizeof(*g) - 1 > e->v->idtr.limit)
		return dune_emul_raise(e, DUNE_VEC_GP, error);
	r = dune_emul_load(e, e->v->idtr.base + ev->vector * sizeof(*g), g,
			   sizeof(*g), false);
	if (r)
		return r;
	type = g->type & 0x1f;
	if ((type != GATE_INTERRUPT && type != GATE_TRAP) ||
	    (ev->soft && user && (g->type >> 5 & 3) != 3))
		return dune_emul_raise(e, DUNE_VEC_GP, error);
	if (!(g->type & 0x80))
		return dune_emul_raise(e, DUNE_VEC_NP, error);
	return check_handler(e, g->selector, ext);
}

/* The stack: from the TSS, or going on where it is. */
static int find_stack(struct dune_emul *e, const struct event *ev, bool user,
		      unsigned int ist, uint64_t *rsp)
{
	const struct dune_emul_table *tr = &e->v->tr;
	unsigned int at = ist ? TSS_IST + (ist - 1) * 8 : TSS_RSP0;

	if (!ist && !user) {
		*rsp = e->tf->rsp;
		return 0;
	}
	if (!tr->own) {	/* libdune's: RSP0 and IST 1, the others are 0 */
		*rsp = ist > 1 ? 0 : e->v->rsp0;
		return 0;
	}
	if (at + 7 > tr->limit)
		return dune_emul_raise(e, DUNE_VEC_TS, (tr->sel & ~3u) |
				       (ev->soft ? 0 : ERROR_EXT));
	return dune_emul_load(e, tr->base + at, rsp, sizeof(*rsp), false);
}

static uint64_t flags_shown(const struct dune_emul *e, const struct event *ev)
{
	uint64_t flags = e->tf->rflags & ~RFL_IF;

	if (ev->soft)
		flags &= ~RFL_RF;
	return flags | (e->v->iflag ? RFL_IF : 0);
}

/* Changes nothing unless it gets through. */
static int through_gate(struct dune_emul *e, const struct event *ev, bool user)
{
	struct dune_vcpu_state *v = e->v;
	struct dune_tf *tf = e->tf;
	unsigned int skip = ev->has_error ? 0 : 1;
	uint64_t f[6], rsp, offset;
	struct gate g;
	int r;

	r = load_gate(e, ev, user, &g);
	if (r)
		return r;
	offset = g.offset0 | (uint32_t)g.offset1 << 16 |
		 (uint64_t)g.offset2 << 32;
	if (!dune_canonical(offset))
		return dune_emul_raise(e, DUNE_VEC_GP,
				       ev->soft ? 0 : ERROR_EXT);
	r = find_stack(e, ev, user, g.ist & 7, &rsp);
	if (r)
		return r;
	f[0] = ev->error;
	f[1] = ev->rip;
	f[2] = v->cs[user];
	f[3] = flags_shown(e, ev);
	f[4] = tf->rsp;
	f[5] = v->ss[user];
	rsp = (rsp & ~15ul) - (6 - skip) * 8;
	r = dune_emul_store(e, rsp, f + skip, (6 - skip) * 8, true);
	if (r)
		return r;
	if ((g.type & 0x1f) == GATE_INTERRUPT)
		v->iflag = false;
	tf->rflags &= ~(RFL_TF | RFL_NT | RFL_RF | RFL_VM);
	dune_emul_remember(&v->cs[0], g.selector == DUNE_SELF_USER_CS ?
			   g.selector : g.selector & ~3, false);
	if (user)
		v->ss[0] = 0;	/* as the CPU loads it at a change of level */
	tf->rsp = rsp;
	e->next = offset;
	dune_emul_level(e, false);
	return 0;
}

static bool contributory(unsigned int vector)
{
	return vector == DUNE_VEC_DE || (vector >= DUNE_VEC_TS &&
					 vector <= DUNE_VEC_GP);
}

static bool makes_double(const struct event *first, unsigned int second)
{
	if (first->soft)
		return false;
	if (contributory(first->vector))
		return contributory(second);
	return first->vector == DUNE_VEC_PF &&
	       (second == DUNE_VEC_PF || contributory(second));
}

static int deliver(struct dune_emul *e, struct event ev)
{
	bool user = e->user;
	int r;

	/* Each turn is nearer to a double fault: four at most. */
	for (;;) {
		e->user = false;	/* the CPU's own accesses */
		r = through_gate(e, &ev, user);
		if (!r)
			return DUNE_EMUL_DONE;
		if (ev.vector == DUNE_VEC_DF && !ev.soft)
			return -EFAULT;
		r &= 0xff;
		if (makes_double(&ev, r)) {
			r = DUNE_VEC_DF;
			e->error = 0;
		}
		ev = (struct event) {
			.vector = r, .error = e->error, .has_error = true,
			.rip = e->tf->rip,
		};
	}
}

/* Software KVMs do not deliver it. */
int dune_emul_int(struct dune_emul *e)
{
	struct event ev = { .vector = e->in.imm, .soft = true, .rip = e->next };

	if (e->v->idtr.own)
		return deliver(e, ev);
	/* libdune's gates: 3, 4 and those that are no exceptions */
	if (e->user && ev.vector < 32 && ev.vector != 3 && ev.vector != 4)
		return dune_emul_raise(e, DUNE_VEC_GP,
				       ev.vector * 8 | ERROR_IDT);
	e->tf->rip = e->next;
	e->tf->rflags &= ~RFL_RF;
	return dune_emul_raise(e, ev.vector, 0);
}

int dune_emulate_deliver(struct dune_vcpu_state *v, struct dune_tf *tf,
			 unsigned int vector, uint32_t error, bool has_error,
			 const struct dune_emul_ops *ops)
{
	struct dune_emul e = {
		.v = v, .tf = tf, .ops = ops,
		.user = tf->cs & 3,
	};
	struct event ev = {
		.vector = vector, .error = error, .has_error = has_error,
		.rip = tf->rip,
	};
	int r;

	if (!v->idtr.own)
		return DUNE_EMUL_NONE;
	r = deliver(&e, ev);
	if (r == DUNE_EMUL_DONE)
		tf->rip = e.next;
	return r;
}
