/*
 * Trap and emulate: every instruction, its encodings and its faults (SDM
 * vol. 2). Segments and gates are self-gates.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "tests/unit/self-emul-run.h"

/* ---- the decoder ---- */

struct encoding {
	const char *bytes;
	uint8_t n;
	bool valid;
	enum dune_op op;
};

#define YES(bytes, op)	{ bytes, sizeof(bytes) - 1, true, DUNE_OP_##op }
#define NO(bytes)	{ bytes, sizeof(bytes) - 1, false, 0 }

static const struct encoding encodings[] = {
	YES("\xfa", CLI), YES("\xfb", STI), YES("\xf4", HLT),
	YES("\xcd\x80", INT), YES("\xcf", IRET), YES("\x48\xcf", IRET),
	YES("\xcb", LRET), YES("\x48\xca\x10\x00", LRET),
	YES("\x8e\xd8", MOV_SREG), YES("\x8e\x1d\0\0\0\0", MOV_SREG),
	YES("\x0f\x00\xc0", SLDT), YES("\x0f\x00\x4b\x10", STR),
	YES("\x0f\x00\xd0", LLDT), YES("\x0f\x00\xd8", LTR),
	YES("\x0f\x01\x03", SGDT), YES("\x0f\x01\x4b\x08", SIDT),
	YES("\x0f\x01\x93\0\0\0\0", LGDT),
	YES("\x0f\x01\x1c\x25\0\0\0\0", LIDT),
	YES("\x0f\x01\xe0", SMSW), YES("\x0f\x01\x23", SMSW),
	YES("\x0f\x01\xf0", LMSW), YES("\x41\x0f\x01\x34\x24", LMSW),
	YES("\x0f\x01\x3b", INVLPG), YES("\x0f\x01\x7c\x8b\x01", INVLPG),
	YES("\x0f\x01\xc8", MONITOR), YES("\x0f\x01\xc9", MONITOR),
	YES("\x0f\x01\xca", CLAC), YES("\x0f\x01\xcb", CLAC),
	YES("\x0f\x01\xd1", XSETBV), YES("\x0f\x01\xf8", SWAPGS),
	YES("\x0f\x01\xf9", RDTSCP), YES("\x0f\x31", RDTSC),
	YES("\x0f\x06", CLTS), YES("\x48\x0f\x07", SYSRET),
	YES("\x0f\x08", WBINVD), YES("\x0f\x09", WBINVD),
	YES("\xf3\x0f\x09", WBINVD),
	YES("\x0f\x20\xc0", RD_CR), YES("\x44\x0f\x20\xc0", RD_CR),
	YES("\x0f\x22\xd8", WR_CR), YES("\x0f\x21\xf8", RD_DR),
	YES("\x0f\x23\xc0", WR_DR),
	/* mod is ignored: no displacement, no SIB */
	YES("\x0f\x20\x00", RD_CR), YES("\x0f\x22\x44", WR_CR),
	YES("\x0f\x23\x85", WR_DR),
	YES("\x0f\x30", WRMSR), YES("\x0f\x32", RDMSR), YES("\x0f\x33", RDPMC),
	YES("\x66\x0f\x38\x82\x03", INVPCID),
	YES("\x66\x41\x0f\x38\x82\x44\x24\x08", INVPCID),
	YES("\xf3\x48\x0f\xae\xc0", RD_FSGS), YES("\xf3\x0f\xae\xcb", RD_FSGS),
	YES("\xf3\x49\x0f\xae\xd7", WR_FSGS), YES("\xf3\x0f\xae\xdb", WR_FSGS),
	/* prefixes that mean nothing, and many of them */
	YES("\x66\xf2\x2e\xfa", CLI), YES("\x40\x48\x4f\xfa", CLI),
	YES("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
	    "\xfa", CLI),
	YES("\x65\x67\x0f\x01\xbc\xcb\0\0\0\0", INVLPG),
	/* one byte too long */
	NO("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xfa"),
	NO("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\x01\x9b\0\0\0\0"),
	/* others */
	NO("\x90"), NO("\x0f\x0b"), NO("\xcc"), NO("\x0f\x05"), NO("\xe4\x80"),
	NO("\xee"), NO("\x0f\x01\xc1"), NO("\x0f\x01\xd9"), NO("\x0f\x01\xd0"),
	NO("\x0f\x01\xfa"), NO("\x0f\x01\xe8"), NO("\x0f\x00\xe0"),
	NO("\x0f\x38\x82\x03"), NO("\x66\x0f\x38\x82\xc3"),
	NO("\xf3\x66\x0f\x38\x82\x03"), NO("\x0f\xae\xc0"),
	NO("\xf2\x0f\xae\xc0"), NO("\xf3\x0f\x01\xf8"), NO("\x66\x0f\x01\xd1"),
	NO("\xc5\xf8\x77"), NO("\x62\xf1\x7c\x48\x28\xc0"),
	NO("\xf3\x0f\xae\xe0"), NO("\x0f\x24\xc0"), NO("\x66"), NO("\x48"),
	NO("\x0f"), NO("\x0f\x38"), NO("\x64\x64\x64"),
};

static void decodes(void **state)
{
	const struct encoding *e;
	struct dune_insn in;
	size_t i, n;
	uint8_t *p;

	(void)state;
	for (i = 0; i < sizeof(encodings) / sizeof(*e); i++) {
		e = &encodings[i];
		p = malloc(e->n);	/* ASan sees its end */
		memcpy(p, e->bytes, e->n);
		if (dune_decode(&in, p, e->n) != e->valid)
			fail_msg("encoding %zu", i);
		if (e->valid && (in.op != e->op || in.len != e->n))
			fail_msg("encoding %zu: op %d, %d bytes", i, in.op,
				 in.len);
		free(p);
		/* cut short it is none */
		for (n = 0; e->valid && n < e->n; n++) {
			p = malloc(n ? n : 1);
			memcpy(p, e->bytes, n);
			if (dune_decode(&in, p, n))
				fail_msg("encoding %zu, %zu bytes", i, n);
			free(p);
		}
	}
}

/* Every form of address, by invlpg. */
static void addresses(void **state)
{
	(void)state;
	m.tf.rbx = 0x1000;
	m.tf.r12 = 0x2000;
	m.tf.r13 = 0x3000;
	m.tf.rbp = 0x4000;
	m.tf.rcx = 3;
	m.tf.r9 = 5;
	m.base[0] = 0x100000;
	m.base[1] = 0x200000;
#define GOES(text, va) do {						\
	DOES("invlpg " text);						\
	assert_int_equal(m.flushed_va, va);				\
} while (0)
	GOES("(%%rbx)", 0x1000);
	GOES("(%%r12)", 0x2000);
	GOES("(%%r13)", 0x3000);
	GOES("-8(%%rbp)", 0x3ff8);
	GOES("0x12345678(%%rbx)", 0x12346678);
	GOES("-0x1000(%%rbx)", 0);
	GOES("4(%%rbx,%%rcx,8)", 0x101c);
	GOES("(%%r12,%%r9,4)", 0x2014);
	GOES("(%%r13,%%r12,2)", 0x7000);	/* unlike rsp */
	GOES("(%%rsp)", STACK);
	GOES("0x1234", 0x1234);
	GOES("(,%%rcx,2)", 6);
	GOES("0x10(%%rip)", CODE_END + 0x10);
	GOES("%%fs:(%%rbx)", 0x101000);
	GOES("%%gs:8", 0x200008);
	GOES("%%ds:(%%rbx)", 0x1000);
	m.tf.rbx = 0xffffffff00000010;
	GOES("(%%ebx)", 0x10);
	GOES("%%gs:-0x20(%%ebx)", 0x200000 + 0xfffffff0ul);
	m.tf.rbx = NONCANONICAL;
	m.invlpgs = 0;
	DOES("invlpg (%%rbx)");
	assert_int_equal(m.invlpgs, 0);
}

/* ---- control registers ---- */

static void control_registers(void **state)
{
	(void)state;
	DOES("mov %%cr0, %%rax");
	assert_int_equal(m.tf.rax, 0x80050033);
	m.v.cr2 = 0xabc;
	DOES("mov %%cr2, %%r8");
	assert_int_equal(m.tf.r8, 0xabc);
	DOES("mov %%cr3, %%r15");
	assert_int_equal(m.tf.r15, 0x1000);
	DOES("mov %%cr4, %%rsp");
	assert_int_equal(m.tf.rsp, m.v.cr4);
	m.tf.rsp = STACK;
	m.tf.r9 = 0x123456789;
	DOES("mov %%r9, %%cr2");
	assert_int_equal(m.v.cr2, 0x123456789);
	m.tf.r9 = 7;
	DOES("mov %%r9, %%cr8");
	DOES("mov %%cr8, %%rdi");
	assert_int_equal(m.tf.rdi, 7);
	m.tf.r9 = 16;
	RAISES("mov %%r9, %%cr8", GP, 0);
	RAISES(".byte 0x0f, 0x20, 0xc8", UD, 0);	/* CR1 */
	RAISES(".byte 0x0f, 0x22, 0xe8", UD, 0);	/* CR5 */
	RAISES(".byte 0x44, 0x0f, 0x22, 0xc8", UD, 0);	/* CR9 */
	RAISES(".byte 0xf0, 0x0f, 0x20, 0xc0", UD, 0);	/* lock */
	ring3();
	RAISES("mov %%cr0, %%rax", GP, 0);
	RAISES("mov %%rax, %%cr3", GP, 0);
	RAISES(".byte 0x0f, 0x20, 0xc8", UD, 0);
}

static void cr0(void **state)
{
	static const uint64_t bad[] = {
		1ul << 32 | 0x80050033, 0x00050033, 0x80050032, 0xa0050033,
		0x80040033, 0,
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		m.tf.rdx = bad[i];
		RAISES("mov %%rdx, %%cr0", GP, 0);
		assert_int_equal(m.v.cr0, 0x80050033);
	}
	m.tf.rdx = 0xe005002b | 0x1ff0ffc0;	/* undefined bits: ignored */
	DOES("mov %%rdx, %%cr0");
	assert_int_equal(m.v.cr0, 0xe005003b);	/* ET always */
	DOES("clts");
	assert_int_equal(m.v.cr0, 0xe0050033);
	m.tf.rdx = 0xfff8;
	DOES("lmsw %%dx");			/* PE stays, others not his */
	assert_int_equal(m.v.cr0, 0xe0050039);
	put(DATA, 0x2);
	DOES("lmsw " MB);
	assert_int_equal(m.v.cr0, 0xe0050033);
	m.tf.rax = -1;
	DOES("smsw %%rax");
	assert_int_equal(m.tf.rax, 0xe0050033);
	m.tf.r10 = -1;
	DOES("smsw %%r10d");
	assert_int_equal(m.tf.r10, 0xe0050033);
	m.tf.rcx = -1;
	DOES("smsw %%cx");
	assert_int_equal(m.tf.rcx, 0xffffffffffff0033);
	put(DATA, -1);
	DOES("smsw " MB);
	assert_int_equal(get(DATA), 0xffffffffffff0033);
}

static void cr3(void **state)
{
	(void)state;
	m.tf.rax = 0x7018;
	DOES("mov %%rax, %%cr3");
	assert_int_equal(m.cr3, 0x7018);
	assert_int_equal(m.v.cr3, 0x7018);
	m.tf.rax = 1ul << 46;
	RAISES("mov %%rax, %%cr3", GP, 0);
	m.tf.rax = 1ul << 63 | 0x5000;		/* no PCIDE: reserved */
	RAISES("mov %%rax, %%cr3", GP, 0);
	m.tf.rax = m.v.cr4 | 1ul << 17;		/* PCIDE with a PCID */
	RAISES("mov %%rax, %%cr4", GP, 0);
	m.tf.rax = 0x7000;
	DOES("mov %%rax, %%cr3");
	m.tf.rax = m.v.cr4 | 1ul << 17;
	DOES("mov %%rax, %%cr4");
	m.tf.rax = 1ul << 63 | 0x5003;
	DOES("mov %%rax, %%cr3");
	assert_true(m.cr3_keep);
	assert_int_equal(m.cr3, 0x5003);
	DOES("mov %%cr3, %%rbx");
	assert_int_equal(m.tf.rbx, 0x5003);
	m.tf.rax = 0x6003;
	DOES("mov %%rax, %%cr3");
	assert_false(m.cr3_keep);
	m.cr3_bad = true;			/* no such root */
	m.tf.rax = 0x9000;
	RAISES("mov %%rax, %%cr3", GP, 0);
	assert_int_equal(m.v.cr3, 0x6003);
}

static void cr4(void **state)
{
	uint64_t old = m.v.cr4;

	(void)state;
	m.tf.rsi = old & ~(1ul << 5);		/* PAE */
	RAISES("mov %%rsi, %%cr4", GP, 0);
	m.tf.rsi = old | 1ul << 12;		/* LA57 */
	RAISES("mov %%rsi, %%cr4", GP, 0);
	m.tf.rsi = old | 1ul << 13;		/* VMXE: not there */
	RAISES("mov %%rsi, %%cr4", GP, 0);
	m.tf.rsi = old | 1ul << 32;
	RAISES("mov %%rsi, %%cr4", GP, 0);
	assert_int_equal(m.flushes, 0);
	m.tf.rsi = old | 1ul << 7;		/* PGE: flushes */
	DOES("mov %%rsi, %%cr4");
	assert_int_equal(m.flushes, 1);
	m.tf.rsi |= 1ul << 17;
	DOES("mov %%rsi, %%cr4");
	assert_int_equal(m.flushes, 1);
	m.tf.rsi &= ~(1ul << 17);		/* PCIDE off: flushes */
	DOES("mov %%rsi, %%cr4");
	assert_int_equal(m.flushes, 2);
}

static void debug_registers(void **state)
{
	(void)state;
	m.tf.rax = 0x1234;
	DOES("mov %%rax, %%dr0");
	DOES("mov %%dr0, %%r11");
	assert_int_equal(m.tf.r11, 0x1234);
	m.tf.rax = 0xffffffff;
	DOES("mov %%rax, %%dr6");
	assert_int_equal(m.v.dr[6], 0xffffeffful);
	m.tf.rax = 0;
	DOES(".byte 0x0f, 0x23, 0xe0");		/* DR4 is DR6 */
	assert_int_equal(m.v.dr[6], 0xffff0ff0);
	m.tf.rax = 1ul << 32;
	RAISES("mov %%rax, %%dr7", GP, 0);
	RAISES("mov %%rax, %%dr6", GP, 0);
	m.tf.rax = 0;
	DOES("mov %%rax, %%dr7");
	assert_int_equal(m.v.dr[7], 0x400);
	m.v.cr4 |= 1 << 3;			/* DE: no DR4, DR5 */
	RAISES(".byte 0x0f, 0x21, 0xe0", UD, 0);
	RAISES(".byte 0x44, 0x0f, 0x21, 0xc0", UD, 0);	/* DR8 */
	m.tf.rax = 1 << 13;			/* GD: the next access traps */
	DOES("mov %%rax, %%dr7");
	RAISES("mov %%dr1, %%rax", DB, 0);
	assert_true(m.v.dr[6] & 1 << 13);
	DOES("mov %%dr7, %%rax");
	assert_int_equal(m.tf.rax, 0x400);
	ring3();
	RAISES("mov %%dr0, %%rax", GP, 0);
}

static void invpcid(void **state)
{
	(void)state;
	m.tf.rbx = DATA;
	m.tf.r10 = 0;
	put(DATA, 0);
	put(DATA + 8, 0x1234000);
	DOES("invpcid (%%rbx), %%r10");
	assert_int_equal(m.flushed_va, 0x1234000);
	put(DATA, 5);				/* a PCID without PCIDE */
	RAISES("invpcid (%%rbx), %%r10", GP, 0);
	m.v.cr4 |= 1 << 17;
	DOES("invpcid (%%rbx), %%r10");		/* not the one in use */
	assert_int_equal(m.flushes, 1);
	put(DATA, 1ul << 12);
	RAISES("invpcid (%%rbx), %%r10", GP, 0);
	put(DATA, 0);
	put(DATA + 8, NONCANONICAL);
	RAISES("invpcid (%%rbx), %%r10", GP, 0);
	for (m.tf.r10 = 1; m.tf.r10 < 4; m.tf.r10++)
		DOES("invpcid (%%rbx), %%r10");
	assert_int_equal(m.flushes, 4);
	RAISES("invpcid (%%rbx), %%r10", GP, 0);
	m.tf.rbx = 0x5000;
	RAISES("invpcid (%%rbx), %%r10", PF, 0);
	assert_int_equal(m.v.cr2, 0x5000);
	m.tf.rbx = NONCANONICAL;
	RAISES("invpcid (%%rbx), %%r10", GP, 0);
	m.v.f.invpcid = false;
	RAISES("invpcid (%%rbx), %%r10", UD, 0);
}

static void xsetbv(void **state)
{
	static const uint64_t good[] = { 1, 3, 7, 0xe7, 0xff, 0x1f };
	static const uint64_t bad[] = {
		0, 2, 5, 0x27, 0xe3, 0x67, 0xf, 0x207, 1ul << 63 | 7,
	};
	unsigned int i;

	(void)state;
	m.tf.rcx = 0xffffffff00000000;		/* ecx counts */
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		m.tf.rax = good[i];
		m.tf.rdx = 0;
		DOES("xsetbv");
		assert_int_equal(m.v.xcr0, good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		m.tf.rax = bad[i];
		m.tf.rdx = bad[i] >> 32;
		RAISES("xsetbv", GP, 0);
	}
	m.tf.rax = 7;
	m.tf.rdx = 0;
	m.tf.rcx = 1;
	RAISES("xsetbv", GP, 0);
	m.v.cr4 &= ~(1ul << 18);
	RAISES("xsetbv", UD, 0);
}

/* ---- MSRs ---- */

static int write_msr(uint32_t index, uint64_t value)
{
	/* the upper halves do not count */
	m.tf.rcx = index | 0xfful << 32;
	m.tf.rax = (uint32_t)value | 0xfful << 32;
	m.tf.rdx = value >> 32 | 0xfful << 32;
	return RUN("wrmsr");
}

static uint64_t read_msr(uint32_t index)
{
	m.tf.rcx = index;
	m.tf.rax = m.tf.rdx = -1;
	DOES("rdmsr");
	assert_int_equal(m.tf.rax >> 32, 0);
	assert_int_equal(m.tf.rdx >> 32, 0);
	return m.tf.rax | m.tf.rdx << 32;
}

static void msrs(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t good, bad;
	} msr[] = {
		{ 0x174, 0x10, 0 },
		{ 0x175, 0x7fffffffffff, NONCANONICAL },
		{ 0x176, 0xffff800000000000, NONCANONICAL },
		{ 0x277, 0x0007040600070401, 2 },
		{ 0x277, 0x0606060606060606, 0x08ul << 56 },
		{ 0x277, 0, 3ul << 16 },
		{ 0xc0000080, 0xd00, 0x1d01 },
		{ 0xc0000080, 0xd01, 0xc01 },	/* LME off */
		{ 0xc0000080, 0xd01, 0x501 },	/* NXE off */
		{ 0xc0000081, 0x0043001000000000, 0 },
		{ 0xc0000082, 0xffffffff80000000, NONCANONICAL },
		{ 0xc0000083, 0x1000, 1ul << 63 },
		{ 0xc0000084, 0x47700, 1ul << 32 },
		{ 0xc0000100, 0x12345678, NONCANONICAL },
		{ 0xc0000101, 0x1234567890, NONCANONICAL },
		{ 0xc0000102, 0xffff888000000000, NONCANONICAL },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(msr) / sizeof(*msr); i++) {
		if (write_msr(msr[i].index, msr[i].good) != DUNE_EMUL_DONE ||
		    read_msr(msr[i].index) != msr[i].good)
			fail_msg("msr %#x", msr[i].index);
		if (msr[i].bad &&
		    (write_msr(msr[i].index, msr[i].bad) != TRAP(GP) ||
		     read_msr(msr[i].index) != msr[i].good))
			fail_msg("msr %#x, bad value", msr[i].index);
	}
	assert_int_equal(m.base[0], 0x12345678);
	assert_int_equal(m.base[1], 0x1234567890);
	/* LMA is the CPU's */
	assert_int_equal(write_msr(0xc0000080, 0x901), DUNE_EMUL_DONE);
	assert_int_equal(read_msr(0xc0000080), 0xd01);
	assert_true(read_msr(0x10) < read_msr(0x10));
	assert_int_equal(write_msr(0x10, 0), TRAP(GP));
	m.tf.rcx = 0xdead;
	RAISES("rdmsr", GP, 0);
	RAISES("wrmsr", GP, 0);
	m.tf.rcx = 0;
	RAISES("rdpmc", GP, 0);
	ring3();
	m.tf.rcx = 0x10;
	RAISES("rdmsr", GP, 0);
	RAISES("wrmsr", GP, 0);
}

static void bases(void **state)
{
	(void)state;
	m.base[0] = 0x1111111111;
	m.base[1] = 0x2222222222;
	m.v.kernel_gs_base = 0x3333333333;
	DOES("swapgs");
	assert_int_equal(m.base[1], 0x3333333333);
	assert_int_equal(m.v.kernel_gs_base, 0x2222222222);
	DOES("rdfsbase %%r14");
	assert_int_equal(m.tf.r14, 0x1111111111);
	DOES("rdgsbase %%eax");
	assert_int_equal(m.tf.rax, 0x33333333);
	m.tf.rax = 0x4444444444;
	DOES("wrgsbase %%rax");
	assert_int_equal(m.base[1], 0x4444444444);
	DOES("wrfsbase %%eax");
	assert_int_equal(m.base[0], 0x44444444);
	m.tf.rax = NONCANONICAL;
	RAISES("wrfsbase %%rax", GP, 0);
	ring3();
	DOES("rdfsbase %%rax");			/* not privileged */
	RAISES("swapgs", GP, 0);
	m.v.cr4 &= ~(1ul << 16);
	RAISES("rdfsbase %%rax", UD, 0);
}

/* ---- the short ones ---- */

static void short_ones(void **state)
{
	(void)state;
	DOES("cli");
	assert_false(m.v.iflag);
	DOES("sti");
	assert_true(m.v.iflag);
	DOES("hlt");
	assert_int_equal(m.waits, 1);
	DOES("wbinvd");
	DOES("invd");
	DOES("wbnoinvd");
	DOES("stac");
	DOES("clac");
	RAISES("monitor", UD, 0);
	RAISES("mwait", UD, 0);
	DOES("rdtsc");
	assert_int_equal(m.tf.rax >> 32, 0);
	DOES("rdtscp");
	RAISES(".byte 0xf0, 0xfa", UD, 0);	/* lock cli */
	/* not ours */
	assert_int_equal(RUN_VEC(DUNE_VEC_UD, "ud2"), DUNE_EMUL_NONE);
	assert_int_equal(RUN("mov (%%rax), %%rax"), DUNE_EMUL_NONE);
	assert_int_equal(RUN("in $0x80, %%al"), DUNE_EMUL_NONE);
	assert_int_equal(RUN("out %%al, %%dx"), DUNE_EMUL_NONE);
	assert_int_equal(RUN("vmcall"), DUNE_EMUL_NONE);
	assert_int_equal(m.tf.rip, CODE_END - 3);
	assert_int_equal(RUN_VEC(DUNE_VEC_PF, "cli"), DUNE_EMUL_NONE);
	assert_int_equal(RUN_VEC(DUNE_VEC_BP, "cli"), DUNE_EMUL_NONE);
	m.tf.rip = 0x1000;			/* no bytes there */
	assert_int_equal(dune_emulate(&m.v, &m.tf, DUNE_VEC_GP, &ops),
			 DUNE_EMUL_NONE);
	ring3();
	RAISES("cli", GP, 0);
	RAISES("sti", GP, 0);
	RAISES("hlt", GP, 0);
	RAISES("wbinvd", GP, 0);
	RAISES("invlpg (%%rax)", GP, 0);
	RAISES("clts", GP, 0);
	RAISES("lmsw %%ax", GP, 0);
	RAISES("stac", UD, 0);
	assert_int_equal(m.waits, 1);
	DOES("rdtsc");
	m.v.cr4 |= 1 << 2;			/* TSD */
	RAISES("rdtsc", GP, 0);
	RAISES("rdtscp", GP, 0);
}

static void single_step(void **state)
{
	(void)state;
	m.tf.rflags |= 1 << 8 | 1 << 16;	/* TF, RF */
	assert_int_equal(RUN("cli"), TRAP(DB));
	assert_int_equal(m.tf.rip, CODE_END);
	assert_int_equal(m.tf.rflags & 1 << 16, 0);
	assert_true(m.v.dr[6] & 1 << 14);
	assert_int_equal(m.tf.err, 0);
	RAISES(".byte 0x0f, 0x20, 0xc8", UD, 0);
}

static void cpuid(void **state)
{
	struct dune_emul_features f;

	(void)state;
	dune_emul_cpuid(&f);
	assert_true(f.cr4 & 1 << 5);
	assert_in_range(f.phys_bits, 36, 52);
	assert_int_equal(f.xcr0 & 3, f.xcr0 ? 3 : 0);
	dune_vcpu_state_init(&m.v, &f, 0x1000, BLOCK);
	/* what it starts with it could have written */
	m.tf.rax = m.v.cr4;
	DOES("mov %%rax, %%cr4");
	m.tf.rax = m.v.cr0;
	DOES("mov %%rax, %%cr0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(decodes, fresh),
		cmocka_unit_test_setup(addresses, fresh),
		cmocka_unit_test_setup(control_registers, fresh),
		cmocka_unit_test_setup(cr0, fresh),
		cmocka_unit_test_setup(cr3, fresh),
		cmocka_unit_test_setup(cr4, fresh),
		cmocka_unit_test_setup(debug_registers, fresh),
		cmocka_unit_test_setup(invpcid, fresh),
		cmocka_unit_test_setup(xsetbv, fresh),
		cmocka_unit_test_setup(msrs, fresh),
		cmocka_unit_test_setup(bases, fresh),
		cmocka_unit_test_setup(short_ones, fresh),
		cmocka_unit_test_setup(single_step, fresh),
		cmocka_unit_test_setup(cpuid, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
