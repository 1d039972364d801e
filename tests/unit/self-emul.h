/* A machine of arrays, for tests of the emulation: unit and fuzz. */
#ifndef TESTS_SELF_EMUL_H
#define TESTS_SELF_EMUL_H

#include <errno.h>
#include <string.h>
#include "kern/self/percpu.h"
#include "libdune/decode.h"
#include "libdune/emulate.h"

#define CODE_END	0x401000ul	/* instructions end here */
#define DATA		0x600000ul
#define DATA_SIZE	0x4000ul
#define STACK		(DATA + DATA_SIZE - 0x100)
#define BLOCK		0x700000000000ul

struct machine {
	struct dune_vcpu_state v;
	struct dune_tf tf;
	uint8_t code[DUNE_INSN_MAX];	/* the last bytes before CODE_END */
	size_t code_len;
	uint8_t data[DATA_SIZE];
	uint64_t base[2];		/* FS, GS */
	uint64_t cr3, flushed_va;
	bool cr3_keep, cr3_bad;
	unsigned int invlpgs, flushes, entered, waits;
};

static size_t m_fetch(void *ctx, uint64_t va, uint8_t *buf, size_t len)
{
	struct machine *m = ctx;
	uint64_t start = CODE_END - m->code_len;

	if (va < start || va >= CODE_END)
		return 0;
	if (len > CODE_END - va)
		len = CODE_END - va;
	memcpy(buf, m->code + (va - start), len);
	return len;
}

static bool m_there(uint64_t va, size_t len, uint32_t error,
		    struct dune_emul_pf *pf)
{
	if (va >= DATA && va <= DATA + DATA_SIZE &&
	    len <= DATA + DATA_SIZE - va)
		return true;
	pf->va = va < DATA || va >= DATA + DATA_SIZE ? va : DATA + DATA_SIZE;
	pf->error = error;
	return false;
}

static int m_read(void *ctx, uint64_t va, void *buf, size_t len, bool user,
		  struct dune_emul_pf *pf)
{
	struct machine *m = ctx;

	if (!m_there(va, len, user ? DUNE_PF_USER : 0, pf))
		return -EFAULT;
	memcpy(buf, m->data + (va - DATA), len);
	return 0;
}

static int m_write(void *ctx, uint64_t va, const void *buf, size_t len,
		   bool user, struct dune_emul_pf *pf)
{
	struct machine *m = ctx;

	if (!m_there(va, len, DUNE_PF_WRITE | (user ? DUNE_PF_USER : 0), pf))
		return -EFAULT;
	memcpy(m->data + (va - DATA), buf, len);
	return 0;
}

static int m_set_cr3(void *ctx, uint64_t cr3, bool keep)
{
	struct machine *m = ctx;

	if (m->cr3_bad)
		return -EINVAL;
	m->cr3 = cr3;
	m->cr3_keep = keep;
	return 0;
}

static void m_invlpg(void *ctx, uint64_t va)
{
	struct machine *m = ctx;

	m->invlpgs++;
	m->flushed_va = va;
}

static void m_flush_all(void *ctx)
{
	((struct machine *)ctx)->flushes++;
}

static void m_enter_user(void *ctx, struct dune_tf *tf)
{
	(void)tf;
	((struct machine *)ctx)->entered++;
}

static void m_wait(void *ctx)
{
	((struct machine *)ctx)->waits++;
}

static uint64_t m_get_base(void *ctx, int seg)
{
	return ((struct machine *)ctx)->base[seg - DUNE_SEG_FS];
}

static void m_set_base(void *ctx, int seg, uint64_t base)
{
	((struct machine *)ctx)->base[seg - DUNE_SEG_FS] = base;
}

/* Ring 0 of a CPU that has everything. */
static inline void m_init(struct machine *m, struct dune_emul_ops *ops)
{
	static const struct dune_emul_features all = {
		.cr4 = 0x370fff, .efer = 0xd01, .xcr0 = 0xff,
		.phys_bits = 46, .invpcid = true, .rdtscp = true,
	};

	memset(m, 0, sizeof(*m));
	dune_vcpu_state_init(&m->v, &all, 0x1000, BLOCK);
	m->tf.cs = DUNE_SELF_KERN_CS;
	m->tf.ss = DUNE_SELF_KERN_SS;
	m->tf.rsp = STACK;
	m->tf.rflags = 0x202;
	*ops = (struct dune_emul_ops) {
		m, m_fetch, m_read, m_write, m_set_cr3, m_invlpg, m_flush_all,
		m_enter_user, m_wait, m_get_base, m_set_base,
	};
}

#endif
