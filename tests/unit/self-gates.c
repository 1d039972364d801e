/*
 * Trap and emulate: descriptor tables, returns between levels, and traps
 * through gates of the program's own (SDM vol. 3, chapters 3 and 6).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/self-emul-run.h"

/* ---- descriptor tables ---- */

#define GDT	(DATA + 0x1000)
#define IDT	(DATA + 0x2000)
#define TSS	(DATA + 0x1800)
#define LDT	(DATA + 0x1900)
#define KCODE	0x08
#define KDATA	0x10
#define UDATA	0x1b
#define UCODE	0x23
#define TSS_SEL	0x28
#define LDT_SEL	0x38
#define ABSENT	0x48
#define CODE32	0x50

static void load_table(const char *what, uint64_t base, uint16_t limit)
{
	memcpy(m.data, &limit, 2);
	memcpy(m.data + 2, &base, 8);
	if (*what == 'g')
		DOES("lgdt " MB);
	else
		DOES("lidt " MB);
}

static void own_gdt(void)
{
	put(GDT + KCODE, 0x00af9b000000ffff);
	put(GDT + KDATA, 0x00cf93000000ffff);
	put(GDT + (UDATA & ~7), 0x00cff3000000ffff);
	put(GDT + (UCODE & ~7), 0x00affb000000ffff);
	put(GDT + TSS_SEL, 0x0000890000000067 | (TSS & 0xffffff) << 16 |
	    (TSS >> 24 & 0xff) << 56);
	put(GDT + TSS_SEL + 8, TSS >> 32);
	put(GDT + LDT_SEL, 0x000082000000001f | (LDT & 0xffffff) << 16);
	put(GDT + LDT_SEL + 8, 0);
	put(GDT + ABSENT, 0x00cf13000000ffff);
	put(GDT + CODE32, 0x00cf9b000000ffff);
	load_table("gdt", GDT, 0x5f);
}

static void tables(void **state)
{
	(void)state;
	DOES("sidt " MB);
	assert_int_equal(get(DATA) & 0xffff, 0xfff);
	assert_int_equal(get(DATA + 2), BLOCK + DUNE_PC_IDT);
	DOES("lidt " MB);			/* the same again: not own */
	assert_false(m.v.idtr.own);
	DOES("sgdt " MB);
	assert_int_equal(get(DATA + 2), BLOCK + DUNE_PC_GDT);
	load_table("idt", IDT, 0x1ff);
	assert_true(m.v.idtr.own);
	load_table("gdt", GDT, 0x5f);
	put(DATA, -1);
	put(DATA + 8, -1);
	DOES("sgdt " MB);
	assert_int_equal(get(DATA) & 0xffff, 0x5f);
	assert_int_equal(get(DATA + 2), GDT);
	assert_int_equal(get(DATA + 10) & 0xff, 0xff);	/* ten bytes only */
	put(DATA + 2, NONCANONICAL);
	RAISES("lidt " MB, GP, 0);
	RAISES("lgdt 0x5000", PF, 0);
	RAISES("sgdt 0x5000", PF, DUNE_PF_WRITE);
	RAISES("lidt " MB " + 0x4000 - 9", PF, 0);	/* ends too early */
	assert_int_equal(m.v.cr2, DATA + DATA_SIZE);
	m.tf.rsp = NONCANONICAL;
	RAISES("lidt (%%rsp)", SS, 0);
	m.tf.rax = NONCANONICAL;
	RAISES("lidt (%%rax)", GP, 0);
	ring3();
	RAISES("lidt " MB, GP, 0);
	RAISES("lgdt " MB, GP, 0);
	RAISES("sidt " MB, GP, 0);		/* UMIP */
	RAISES("str %%ax", GP, 0);
	m.v.cr4 &= ~(1ul << 11);
	DOES("sidt " MB);
	DOES("smsw %%rax");
	RAISES("sidt 0x5000", PF, DUNE_PF_WRITE | DUNE_PF_USER);
}

static void task_and_local(void **state)
{
	(void)state;
	m.tf.rax = TSS_SEL;
	RAISES("ltr %%ax", GP, TSS_SEL);	/* not in libdune's GDT */
	own_gdt();
	DOES("ltr %%ax");
	assert_int_equal(m.v.tr.base, TSS);
	assert_int_equal(m.v.tr.limit, 0x67);
	assert_int_equal(m.data[GDT - DATA + TSS_SEL + 5], 0x8b);
	RAISES("ltr %%ax", GP, TSS_SEL);		/* busy now */
	m.tf.rbx = -1;
	DOES("str %%ebx");
	assert_int_equal(m.tf.rbx, TSS_SEL);
	put(DATA, -1);
	DOES("str " MB);
	assert_int_equal(get(DATA), 0xffffffffffff0000 | TSS_SEL);
	m.tf.rax = 0;
	RAISES("ltr %%ax", GP, 0);
	m.tf.rax = 0x60;			/* behind the limit */
	RAISES("ltr %%ax", GP, 0x60);
	m.tf.rax = 0x58;			/* half of it is */
	RAISES("ltr %%ax", GP, 0x58);
	m.tf.rax = TSS_SEL | 4;
	RAISES("ltr %%ax", GP, TSS_SEL | 4);
	m.tf.rax = LDT_SEL;
	RAISES("ltr %%ax", GP, LDT_SEL);
	DOES("lldt %%ax");
	assert_int_equal(m.v.ldtr.base, LDT);
	DOES("sldt %%r9");
	assert_int_equal(m.tf.r9, LDT_SEL);
	m.data[GDT - DATA + LDT_SEL + 5] = 0x02;
	RAISES("lldt %%ax", NP, LDT_SEL);
	m.tf.rax = 3;				/* null: no LDT */
	DOES("lldt %%ax");
	m.tf.rax = 4;
	RAISES("mov %%ax, %%ds", GP, 4);
}

static void segments(void **state)
{
	(void)state;
	m.tf.rax = DUNE_SELF_KERN_SS;
	DOES("mov %%ax, %%ds");
	DOES("mov %%ax, %%ss");
	m.tf.rax = KCODE;
	RAISES("mov %%ax, %%ds", GP, KCODE);
	own_gdt();
	m.tf.rax = KDATA;
	DOES("mov %%eax, %%es");
	DOES("mov %%ax, %%ss");
	assert_int_equal(m.v.ss[0], KDATA);
	put(DATA, KCODE);
	DOES("movw " MB ", %%ds");		/* readable code */
	RAISES("movw " MB ", %%ss", GP, KCODE);
	put(GDT + KDATA, 0x12cf93345678ffff);
	DOES("mov %%ax, %%fs");
	assert_int_equal(m.base[0], 0x12345678);
	m.tf.rax = ABSENT;
	RAISES("mov %%ax, %%gs", NP, ABSENT);
	RAISES("mov %%ax, %%ss", SS, ABSENT);
	m.tf.rax = UDATA;
	RAISES("mov %%ax, %%ss", GP, UDATA & ~3);
	DOES("mov %%ax, %%ds");
	m.tf.rax = 0;
	DOES("mov %%ax, %%ss");			/* null is good in ring 0 */
	DOES("mov %%ax, %%ds");
	m.tf.rax = 3;
	RAISES("mov %%ax, %%ss", GP, 0);
	RAISES(".byte 0x8e, 0xc8", UD, 0);	/* cs */
	RAISES(".byte 0x8e, 0xf8", UD, 0);
	ring3();
	m.tf.rax = KDATA;
	RAISES("mov %%ax, %%ds", GP, KDATA);
	m.tf.rax = 0;
	RAISES("mov %%ax, %%ss", GP, 0);
}

/* ---- iret, sysret, lret ---- */

static void push_frame(uint64_t rip, uint64_t cs, uint64_t flags,
		       uint64_t rsp, uint64_t ss)
{
	put(STACK, rip);
	put(STACK + 8, cs);
	put(STACK + 16, flags);
	put(STACK + 24, rsp);
	put(STACK + 32, ss);
	m.tf.rsp = STACK;
}

static void iret(void **state)
{
	(void)state;
	push_frame(0x1234, DUNE_SELF_VUSER_CS, 0x3246, 0x5678,
		   DUNE_SELF_VUSER_SS);
	assert_int_equal(RUN_VEC(DUNE_VEC_NP, "iretq"), DUNE_EMUL_DONE);
	assert_int_equal(m.entered, 1);
	assert_int_equal(m.tf.rip, 0x1234);
	assert_int_equal(m.tf.cs, DUNE_SELF_VUSER_CS);
	assert_int_equal(m.tf.ss, DUNE_SELF_VUSER_SS);
	assert_int_equal(m.tf.rsp, 0x5678);
	assert_int_equal(m.tf.rflags, 0x246);	/* no IOPL */
	/* and in ring 3: to ring 3 only, IF is not his */
	push_frame(0x4321, DUNE_SELF_VUSER_CS, 0, STACK, DUNE_SELF_VUSER_SS);
	assert_int_equal(RUN("iretq"), DUNE_EMUL_DONE);
	assert_true(m.v.iflag);
	assert_int_equal(m.entered, 1);
	push_frame(0x4321, DUNE_SELF_KERN_CS, 2, STACK, DUNE_SELF_KERN_SS);
	RAISES("iretq", GP, DUNE_SELF_KERN_CS);
	push_frame(0x4321, DUNE_SELF_USER_CS, 2, STACK, DUNE_SELF_USER_SS);
	RAISES("iretq", GP, DUNE_SELF_USER_CS & ~3);
	ring0();
	/* to ring 0 */
	push_frame(0x4321, DUNE_SELF_KERN_CS, 0x57, STACK, DUNE_SELF_KERN_SS);
	assert_int_equal(RUN("iretq"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.cs, DUNE_SELF_KERN_CS);
	assert_false(m.v.iflag);
	assert_int_equal(m.tf.rflags, 0x257);	/* IF: the real one */
	push_frame(0x4321, DUNE_SELF_USER_CS, 0x202, STACK, 0);
	assert_int_equal(RUN("iretq"), DUNE_EMUL_DONE);
	assert_true(m.v.iflag);
	/* 32-bit and 16-bit frames */
	put(STACK, 0x1000 | (uint64_t)DUNE_SELF_KERN_CS << 32);
	put(STACK + 8, 0x202 | 0x2000ul << 32);
	put(STACK + 16, 0xffffffff00000000 | DUNE_SELF_KERN_SS);
	m.tf.rsp = STACK;
	assert_int_equal(RUN("iretl"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rip, 0x1000);
	assert_int_equal(m.tf.rsp, 0x2000);
}

static void bad_iret(void **state)
{
	const uint64_t kcs = DUNE_SELF_KERN_CS, kss = DUNE_SELF_KERN_SS;
	const uint64_t ucs = DUNE_SELF_VUSER_CS, uss = DUNE_SELF_VUSER_SS;

	(void)state;
#define BAD(cs, ss, rip, vec, error) do {				\
	push_frame(rip, cs, 2, STACK, ss);				\
	RAISES("iretq", vec, error);					\
	assert_int_equal(m.entered, 0);					\
} while (0)
	BAD(0, kss, 0, GP, 0);
	BAD(3, uss, 0, GP, 0);
	BAD(0x20, kss, 0, GP, 0x20);
	BAD(0x1000, kss, 0, GP, 0x1000);
	BAD(kss, kss, 0, GP, kss);		/* data */
	BAD(kcs | 1, kss, 0, GP, kcs);
	BAD(kcs | 3, uss, 0, GP, kcs);
	BAD(ucs & ~3, kss, 0, GP, ucs & ~3);
	BAD(kcs, kss, NONCANONICAL, GP, 0);
	BAD(ucs, uss, NONCANONICAL, GP, 0);
	BAD(ucs, kss, 0, GP, kss);
	BAD(kcs, uss, 0, GP, uss & ~3);
	BAD(ucs, 0, 0, GP, 0);
	BAD(ucs, 3, 0, GP, 0);
	BAD(kcs, 0x1000, 0, GP, 0x1000);
	BAD(ucs, DUNE_SELF_USER_SS, 0, GP, DUNE_SELF_USER_SS & ~3);
	own_gdt();
	BAD(CODE32, KDATA, 0, GP, CODE32);	/* compatibility mode */
	put(GDT + KCODE, 0x00af1b000000ffff);
	BAD(KCODE, KDATA, 0, NP, KCODE);
	put(GDT + KCODE, 0x00af9b000000ffff);
	BAD(KCODE, ABSENT, 0, SS, ABSENT);
	put(GDT + KDATA, 0x00cf91000000ffff);	/* read only */
	BAD(KCODE, KDATA, 0, GP, KDATA);
	push_frame(0, UCODE, 2, 0, UDATA);
	m.tf.rflags |= 1 << 14;			/* NT */
	RAISES("iretq", GP, 0);
	m.tf.rflags &= ~(1ul << 14);
	m.tf.rsp = DATA + DATA_SIZE - 32;	/* ss is not there */
	RAISES("iretq", PF, 0);
	assert_int_equal(m.v.cr2, DATA + DATA_SIZE);
	m.tf.rsp = NONCANONICAL;
	RAISES("iretq", SS, 0);
	push_frame(0x10, UCODE, 2, 0x20, UDATA);
	assert_int_equal(RUN("iretq"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.cs, DUNE_SELF_VUSER_CS);
	assert_int_equal(m.v.cs[1], UCODE);
	assert_int_equal(m.v.ss[1], UDATA);
}

static void lret(void **state)
{
	(void)state;
	own_gdt();
	put(STACK, 0x1234);
	put(STACK + 8, KCODE);
	m.tf.rsp = STACK;
	assert_int_equal(RUN("lretq"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rip, 0x1234);
	assert_int_equal(m.tf.rsp, STACK + 16);
	assert_int_equal(m.v.cs[0], KCODE);
	put(STACK + 8, UCODE);
	put(STACK + 32, 0x9000);
	put(STACK + 40, UDATA);
	m.tf.rsp = STACK;
	assert_int_equal(RUN("lretq $16"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.cs, DUNE_SELF_VUSER_CS);
	assert_int_equal(m.tf.rsp, 0x9010);
	m.tf.rsp = STACK;
	put(STACK + 8, KCODE);
	RAISES("lretq", GP, KCODE);		/* not inwards */
}

static void sysret_and_syscall(void **state)
{
	(void)state;
	m.tf.rcx = 0x1234;
	m.tf.r11 = 0x1346d7;
	assert_int_equal(RUN("sysretq"), DUNE_EMUL_DONE);
	assert_int_equal(m.entered, 1);
	assert_int_equal(m.tf.rip, 0x1234);
	assert_int_equal(m.tf.cs, DUNE_SELF_VUSER_CS);
	assert_int_equal(m.tf.rflags, 0x46d7);	/* no IOPL, RF, VM */
	assert_int_equal(m.v.cs[1], DUNE_SELF_VUSER_CS);
	assert_int_equal(m.v.ss[1], DUNE_SELF_VUSER_SS);
	RAISES("sysretq", GP, 0);
	/* back in by syscall: libdune's LSTAR, then the program's */
	m.tf.rip = 0x1236;
	m.tf.rflags = 0x202;
	assert_int_equal(dune_emulate_syscall(&m.v, &m.tf), DUNE_EMUL_NONE);
	m.v.lstar = 0x9000;
	assert_int_equal(dune_emulate_syscall(&m.v, &m.tf), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rip, 0x9000);
	assert_int_equal(m.tf.rcx, 0x1236);
	assert_int_equal(m.tf.r11, 0x202);
	assert_int_equal(m.tf.cs, DUNE_SELF_KERN_CS);
	assert_false(m.v.iflag);		/* FMASK */
	assert_int_equal(m.v.cs[0], DUNE_SELF_KERN_CS);
	assert_int_equal(m.v.ss[0], DUNE_SELF_KERN_SS);
	RAISES("sysretl", GP, 0);
	m.tf.rcx = NONCANONICAL;
	RAISES("sysretq", GP, 0);
	/* a STAR for hardware: never the real selectors of ring 0 */
	m.v.star = 0x23ul << 48 | 0x10ul << 32;
	m.tf.rcx = 0x1236;
	assert_int_equal(RUN("sysretq"), DUNE_EMUL_DONE);
	assert_int_equal(m.v.cs[1], DUNE_SELF_VUSER_CS);
	m.v.efer &= ~1ul;
	assert_int_equal(dune_emulate_syscall(&m.v, &m.tf), TRAP(UD));
	assert_int_equal(m.tf.rip, 0x1234);
	ring0();
	RAISES("sysretq", UD, 0);
}

/* ---- gates ---- */

static void gate(unsigned int vector, uint64_t offset, uint16_t sel,
		 uint8_t type, uint8_t ist)
{
	put(IDT + vector * 16, (offset & 0xffff) | (uint64_t)sel << 16 |
	    (uint64_t)ist << 32 | (uint64_t)type << 40 |
	    (offset >> 16 & 0xffff) << 48);
	put(IDT + vector * 16 + 8, offset >> 32);
}

#define HANDLER	0x123456789abcul

static int deliver(unsigned int vector, uint32_t error, bool has_error)
{
	return dune_emulate_deliver(&m.v, &m.tf, vector, error, has_error,
				    &ops);
}

static void assert_frame(uint64_t at, const uint64_t *want, unsigned int n)
{
	unsigned int i;

	assert_int_equal(m.tf.rsp, at);
	for (i = 0; i < n; i++)
		if (get(at + i * 8) != want[i])
			fail_msg("word %u of the frame: %#lx, not %#lx", i,
				 get(at + i * 8), want[i]);
}

static void delivers(void **state)
{
	const uint64_t gp[] = { 0x58, 0x1000, 0x10, 0x10256, STACK + 5, 0x18 };
	const uint64_t de[] = { 0x1000, 0x10, 0x56, STACK + 5, 0x18 };

	(void)state;
	m.tf.rip = 0x1000;
	assert_int_equal(deliver(13, 0x58, true), DUNE_EMUL_NONE);
	load_table("idt", IDT, 0xfff);
	gate(13, HANDLER, DUNE_SELF_KERN_CS, 0x8e, 0);
	gate(0, HANDLER + 1, DUNE_SELF_USER_CS, 0x8f, 0);
	m.tf.rip = 0x1000;
	m.tf.rsp = STACK + 5;
	m.tf.rflags = 0x10256;
	assert_int_equal(deliver(13, 0x58, true), DUNE_EMUL_DONE);
	assert_frame(((STACK + 5) & ~15ul) - 48, gp, 6);
	assert_int_equal(m.tf.rip, HANDLER);
	assert_int_equal(m.tf.cs & 3, 0);
	assert_int_equal(m.tf.rflags & 0x10000, 0);
	assert_false(m.v.iflag);		/* an interrupt gate */
	m.tf.rip = 0x1000;
	m.tf.rsp = STACK + 5;
	m.tf.rflags = 0x156 & ~0x100;
	assert_int_equal(deliver(0, 0, false), DUNE_EMUL_DONE);
	assert_frame(((STACK + 5) & ~15ul) - 40, de, 5);
	m.v.iflag = true;
	assert_int_equal(deliver(0, 0, false), DUNE_EMUL_DONE);
	assert_true(m.v.iflag);			/* a trap gate */
}

static void delivers_from_ring3(void **state)
{
	const uint64_t frame[] = {
		4, 0x1000, DUNE_SELF_VUSER_CS, 0x202, 0x7000,
		DUNE_SELF_VUSER_SS,
	};

	(void)state;
	own_gdt();
	load_table("idt", IDT, 0xfff);
	m.tf.rax = TSS_SEL;
	DOES("ltr %%ax");
	put(TSS + 4, DATA + 0x800);		/* RSP0 */
	put(TSS + 0x24, DATA + 0x900);		/* IST 1 */
	put(TSS + 0x54, DATA + 0xa08);		/* IST 7 */
	gate(14, HANDLER, KCODE, 0x8e, 0);
	ring3();
	m.tf.rip = 0x1000;
	m.tf.rsp = 0x7000;
	m.tf.rflags = 0x202;
	assert_int_equal(deliver(14, 4, true), DUNE_EMUL_DONE);
	assert_frame(DATA + 0x800 - 48, frame, 6);
	assert_int_equal(m.tf.cs, DUNE_SELF_KERN_CS);
	assert_int_equal(m.v.cs[0], KCODE);
	assert_int_equal(m.v.ss[0], 0);
	/* and iretq back */
	m.tf.rsp += 8;
	assert_int_equal(RUN("iretq"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rip, 0x1000);
	assert_int_equal(m.tf.rsp, 0x7000);
	assert_int_equal(m.tf.cs, DUNE_SELF_VUSER_CS);
	gate(14, HANDLER, KCODE, 0x8e, 1);
	assert_int_equal(deliver(14, 4, true), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rsp, DATA + 0x900 - 48);
	gate(14, HANDLER, KCODE, 0x8e, 7);	/* from ring 0 as well */
	assert_int_equal(deliver(14, 4, true), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rsp, DATA + 0xa00 - 48);
}

/* What arrives at the #GP, #DF ... handler, with which error code. */
static void bad_gates(void **state)
{
	(void)state;
	own_gdt();
	load_table("idt", IDT, 0x1ff);
	gate(8, HANDLER + 8, KCODE, 0x8e, 0);
	gate(10, HANDLER + 10, KCODE, 0x8e, 0);
	gate(11, HANDLER + 11, KCODE, 0x8e, 0);
	gate(12, HANDLER + 12, KCODE, 0x8e, 0);
	gate(13, HANDLER + 13, KCODE, 0x8e, 0);
	gate(14, HANDLER + 14, KCODE, 0x8e, 0);
#define ENDS(first, second, error) do {					\
	ring0();							\
	m.tf.rsp = STACK;						\
	m.tf.rip = 0x1000;						\
	assert_int_equal(deliver(first, 0, false), DUNE_EMUL_DONE);	\
	assert_int_equal(m.tf.rip, HANDLER + (second));			\
	assert_int_equal(get(m.tf.rsp), error);				\
	assert_int_equal(get(m.tf.rsp + 8), 0x1000);			\
} while (0)
	gate(6, HANDLER, KCODE, 0x0e, 0);	/* not present */
	ENDS(6, 11, 6 * 8 + 3);
	gate(6, HANDLER, KCODE, 0x8c, 0);	/* a call gate */
	ENDS(6, 13, 6 * 8 + 3);
	ENDS(200, 13, 200 * 8 + 3);		/* behind the limit */
	gate(6, HANDLER, 0, 0x8e, 0);
	ENDS(6, 13, 1);
	gate(6, HANDLER, KDATA, 0x8e, 0);
	ENDS(6, 13, KDATA | 1);
	gate(6, HANDLER, CODE32, 0x8e, 0);
	ENDS(6, 13, CODE32 | 1);
	gate(6, HANDLER, 0x1000, 0x8e, 0);
	ENDS(6, 13, 0x1001);
	gate(6, NONCANONICAL, KCODE, 0x8e, 0);
	ENDS(6, 13, 1);
	gate(6, HANDLER, KCODE, 0x8e, 2);	/* no such stack */
	ENDS(6, 14, DUNE_PF_WRITE);
	m.tf.rax = TSS_SEL;
	DOES("ltr %%ax");
	m.v.tr.limit = 0x20;			/* no ISTs in it */
	ENDS(6, 10, TSS_SEL | 1);
	m.v.tr.limit = 0x67;
	put(TSS + 0x2c, NONCANONICAL + 0x100);
	ENDS(6, 12, 0);
	/* a fault at a contributory one is a double fault */
	gate(0, HANDLER, KCODE, 0x0e, 0);
	ENDS(0, 8, 0);
	gate(14, HANDLER, KCODE, 0x0e, 0);
	ENDS(14, 8, 0);
	/* and without a gate for that: the end, nothing changed */
	gate(8, HANDLER, KCODE, 0x0e, 0);
	ring0();
	m.tf.rip = 0x1000;
	m.tf.rsp = STACK;
	assert_int_equal(deliver(14, 0, true), -EFAULT);
	assert_int_equal(m.tf.rip, 0x1000);
	assert_int_equal(m.tf.rsp, STACK);
	/* the IDT itself is not there */
	load_table("idt", 0x5000, 0xfff);
	assert_int_equal(deliver(6, 0, false), -EFAULT);
}

static void software_interrupts(void **state)
{
	const uint64_t frame[] = {
		CODE_END, DUNE_SELF_KERN_CS, 0x202, STACK, DUNE_SELF_KERN_SS,
	};

	(void)state;
	/* no IDT of its own: the dispatcher gets the vector */
	assert_int_equal(RUN_VEC(DUNE_VEC_UD, "int $0x20"),
			 DUNE_EMUL_TRAP | 0x20);
	assert_int_equal(m.tf.rip, CODE_END);
	assert_int_equal(m.tf.err, 0);
	assert_int_equal(RUN("int $13"), TRAP(GP));
	assert_int_equal(m.tf.rip, CODE_END);
	ring3();
	assert_int_equal(RUN("int $0x80"), DUNE_EMUL_TRAP | 0x80);
	RAISES("int $14", GP, 14 * 8 + 2);
	RAISES("int $0", GP, 2);
	ring0();
	load_table("idt", IDT, 0xfff);
	gate(0x20, HANDLER, DUNE_SELF_KERN_CS, 0x8e, 0);
	gate(0x80, HANDLER, DUNE_SELF_KERN_CS, 0xee, 0);
	gate(13, HANDLER + 13, DUNE_SELF_KERN_CS, 0x8e, 0);
	m.tf.rflags = 0x10302;			/* RF, TF */
	m.tf.rflags &= ~0x100ul;
	assert_int_equal(RUN_VEC(DUNE_VEC_UD, "int $0x20"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rip, HANDLER);
	assert_frame(STACK - 40, frame, 5);
	ring3();
	m.v.rsp0 = DATA + 0x800;
	m.tf.rsp = 0x7000;
	assert_int_equal(RUN("int $0x80"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rip, HANDLER);
	assert_int_equal(m.tf.rsp, DATA + 0x800 - 40);
	ring3();				/* DPL 0: not ring 3's */
	assert_int_equal(RUN("int $0x20"), DUNE_EMUL_DONE);
	assert_int_equal(m.tf.rip, HANDLER + 13);
	assert_int_equal(get(m.tf.rsp), 0x20 * 8 + 2);
	assert_int_equal(get(m.tf.rsp + 8), CODE_END - 2);
	gate(13, HANDLER, DUNE_SELF_KERN_CS, 0x0e, 0);
	ring3();
	assert_int_equal(RUN("int $0x20"), -EFAULT);
	assert_int_equal(m.tf.rip, CODE_END - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tables, fresh),
		cmocka_unit_test_setup(task_and_local, fresh),
		cmocka_unit_test_setup(segments, fresh),
		cmocka_unit_test_setup(iret, fresh),
		cmocka_unit_test_setup(bad_iret, fresh),
		cmocka_unit_test_setup(lret, fresh),
		cmocka_unit_test_setup(sysret_and_syscall, fresh),
		cmocka_unit_test_setup(delivers, fresh),
		cmocka_unit_test_setup(delivers_from_ring3, fresh),
		cmocka_unit_test_setup(bad_gates, fresh),
		cmocka_unit_test_setup(software_interrupts, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
