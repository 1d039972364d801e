/* Instructions run on the machine of self-emul.h, for cmocka tests. */
#ifndef TESTS_SELF_EMUL_RUN_H
#define TESTS_SELF_EMUL_RUN_H

#include "tests/unit/self-emul.h"

#define TRAP(vec)	(DUNE_EMUL_TRAP | DUNE_VEC_##vec)
#define NONCANONICAL	0x800000000000ul
#define MB	"0x600000"		/* DATA, in assembly */

static struct machine m;
static struct dune_emul_ops ops;

static inline int fresh(void **state)
{
	(void)state;
	m_init(&m, &ops);
	return 0;
}

/* Runs the bytes; nothing can be read behind them. */
static inline int run_bytes(unsigned int vector, const uint8_t *p,
			    const uint8_t *end)
{
	m.code_len = end - p;
	assert_in_range(m.code_len, 1, DUNE_INSN_MAX);
	memcpy(m.code, p, m.code_len);
	m.tf.rip = CODE_END - m.code_len;
	m.tf.err = 0xdead;
	return dune_emulate(&m.v, &m.tf, vector, &ops);
}

/* Assembled by the assembler. */
#define RUN_VEC(vector, text) ({					\
	const uint8_t *s_, *e_;						\
	asm(".pushsection .rodata\n771: " text "\n772: .popsection\n"	\
	    "lea 771b(%%rip), %0\nlea 772b(%%rip), %1"			\
	    : "=r" (s_), "=r" (e_));					\
	run_bytes(vector, s_, e_);					\
})
#define RUN(text)	RUN_VEC(DUNE_VEC_GP, text)

/* Done, and rip behind it. */
#define DOES(text) do {							\
	assert_int_equal(RUN(text), DUNE_EMUL_DONE);			\
	assert_int_equal(m.tf.rip, CODE_END);				\
} while (0)

/* Raises that with that error code, and rip and rsp are where they were. */
#define RAISES(text, vec, error) do {					\
	uint64_t rsp_ = m.tf.rsp;					\
	assert_int_equal(RUN(text), TRAP(vec));				\
	assert_int_equal(m.tf.err, error);				\
	assert_int_equal(m.tf.rip, CODE_END - m.code_len);		\
	assert_int_equal(m.tf.rsp, rsp_);				\
} while (0)

static inline void ring3(void)
{
	m.tf.cs = DUNE_SELF_VUSER_CS;
	m.tf.ss = DUNE_SELF_VUSER_SS;
}

static inline void ring0(void)
{
	m.tf.cs = DUNE_SELF_KERN_CS;
	m.tf.ss = DUNE_SELF_KERN_SS;
}

static inline void put(uint64_t va, uint64_t value)
{
	memcpy(m.data + (va - DATA), &value, sizeof(value));
}

static inline uint64_t get(uint64_t va)
{
	uint64_t value;

	memcpy(&value, m.data + (va - DATA), sizeof(value));
	return value;
}

#endif
