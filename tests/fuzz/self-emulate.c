/*
 * Trap and emulate on any bytes: registers, tables and instruction. The
 * decoder reads no byte it was not given and finds no instruction longer
 * than 15; whatever happens, what must hold of the state still does.
 */
#include <stdlib.h>
#include "tests/unit/self-emul.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes n bytes of the input, zeros when it is used up. */
static void take(const uint8_t **data, size_t *size, void *to, size_t n)
{
	size_t some = n < *size ? n : *size;

	memset(to, 0, n);
	memcpy(to, *data, some);
	*data += some;
	*size -= some;
}

static void check(const struct machine *m, int r, const struct machine *old)
{
	if (r != DUNE_EMUL_NONE && r != DUNE_EMUL_DONE && r != -EFAULT &&
	    (r & ~0xff) != DUNE_EMUL_TRAP)
		abort();
	if (r == DUNE_EMUL_NONE && memcmp(&m->v, &old->v, sizeof(m->v)))
		abort();
	if ((m->v.cr0 & 0x80010011) != 0x80010011 || !(m->v.cr4 & 0x20) ||
	    (m->v.efer & 0xd00) != 0xd00 || !(m->v.xcr0 & 1) ||
	    m->v.cr8 > 15 || m->v.cr3 >> 46)
		abort();
	if (r >= 0 && (m->tf.cs & 3) != 0 && (m->tf.cs & 3) != 3)
		abort();
	/* ring 3 gets to ring 0 by nothing but a gate */
	if (r == DUNE_EMUL_DONE && (old->tf.cs & 3) && !(m->tf.cs & 3) &&
	    !old->v.idtr.own)
		abort();
	/* and frames never show it the real selectors of ring 0 */
	if (m->v.cs[1] == DUNE_SELF_USER_CS || !(m->v.cs[1] & 3))
		abort();
}

static void try_decode(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct dune_insn in;

	/* a block of its own, so that ASan sees its end */
	memcpy(copy, data, size);
	if (dune_decode(&in, copy, size) &&
	    (!in.len || in.len > DUNE_INSN_MAX || in.len > size ||
	     in.op >= DUNE_OPS || in.reg > 15 || in.rm > 15 || in.ext > 7))
		abort();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t vector[] = { 6, 11, 12, 13 };
	static struct machine m, old;
	struct dune_emul_ops ops;
	uint8_t how;
	int r;

	try_decode(data, size);
	m_init(&m, &ops);
	take(&data, &size, &how, 1);
	m.code_len = DUNE_INSN_MAX;
	take(&data, &size, m.code, DUNE_INSN_MAX);
	m.tf.rip = CODE_END - DUNE_INSN_MAX;
	m.tf.rax = m.tf.rbx = m.tf.rdi = DATA;
	take(&data, &size, &m.tf.rcx, 2 * sizeof(uint64_t));
	take(&data, &size, &m.tf.rflags, 2);
	if (how & 1) {
		m.tf.cs = DUNE_SELF_VUSER_CS;
		m.tf.ss = DUNE_SELF_VUSER_SS;
	}
	if (how & 2)
		m.v.gdtr = (struct dune_emul_table) { DATA, 0xff, 0, true };
	if (how & 4)
		m.v.idtr = (struct dune_emul_table) { DATA + 0x100, 0x7ff, 0,
						      true };
	if (how & 8)
		m.v.tr = (struct dune_emul_table) { DATA + 0x900, 0x67, 0x40,
						    true };
	if (how & 16)
		m.tf.rsp = DATA + 0xa00;
	if (size > 0x1000)
		size = 0x1000;
	memcpy(m.data, data, size);
	old = m;
	r = dune_emulate(&m.v, &m.tf, vector[how >> 6], &ops);
	check(&m, r, &old);
	if (how & 32) {
		old = m;
		r = dune_emulate_deliver(&m.v, &m.tf, m.tf.rcx & 0xff, 0x58,
					 how & 64, &ops);
		check(&m, r, &old);
	}
	return 0;
}
