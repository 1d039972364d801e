/*
 * Trap and emulate with real traps: an ordinary process executes privileged
 * instructions, its SIGSEGV and SIGILL handler plays the trap dispatcher.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <asm/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "kern/self/percpu.h"
#include "libdune/decode.h"
#include "libdune/emulate.h"

static struct dune_vcpu_state v;
static struct dune_emul_ops ops;
static uint64_t new_cr3, flushed;
static unsigned int done;

static size_t fetch(void *ctx, uint64_t va, uint8_t *buf, size_t len)
{
	(void)ctx;
	memcpy(buf, (void *)va, len);
	return len;
}

static int mem_read(void *ctx, uint64_t va, void *buf, size_t len, bool user,
		    struct dune_emul_pf *pf)
{
	(void)ctx;
	(void)user;
	(void)pf;
	memcpy(buf, (void *)va, len);
	return 0;
}

static int mem_write(void *ctx, uint64_t va, const void *buf, size_t len,
		     bool user, struct dune_emul_pf *pf)
{
	(void)ctx;
	(void)user;
	(void)pf;
	memcpy((void *)va, buf, len);
	return 0;
}

static int set_cr3(void *ctx, uint64_t cr3, bool keep)
{
	(void)ctx;
	(void)keep;
	new_cr3 = cr3;
	return 0;
}

static void invlpg(void *ctx, uint64_t va)
{
	(void)ctx;
	flushed = va;
}

static uint64_t get_base(void *ctx, int seg)
{
	uint64_t base = 0;

	(void)ctx;
	syscall(SYS_arch_prctl, seg == DUNE_SEG_FS ? ARCH_GET_FS : ARCH_GET_GS,
		&base);
	return base;
}

static void set_base(void *ctx, int seg, uint64_t base)
{
	(void)ctx;
	syscall(SYS_arch_prctl, seg == DUNE_SEG_FS ? ARCH_SET_FS : ARCH_SET_GS,
		base);
}

/* Registers of a Linux frame, by where struct dune_tf has them. */
static const struct {
	uint16_t at;
	uint16_t reg;
} reg[] = {
#define REG(name, NAME) { offsetof(struct dune_tf, name), REG_##NAME }
	REG(rdi, RDI), REG(rsi, RSI), REG(rdx, RDX), REG(rcx, RCX),
	REG(r8, R8), REG(r9, R9), REG(r10, R10), REG(r11, R11),
	REG(rbx, RBX), REG(rbp, RBP), REG(r12, R12), REG(r13, R13),
	REG(r14, R14), REG(r15, R15), REG(rax, RAX), REG(rip, RIP),
	REG(rflags, EFL), REG(rsp, RSP),
};

static void dispatch(int sig, siginfo_t *info, void *ucontext)
{
	greg_t *g = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
	struct dune_tf tf = { .cs = DUNE_SELF_KERN_CS,
			      .ss = DUNE_SELF_KERN_SS };
	unsigned int i;

	(void)info;
	for (i = 0; i < sizeof(reg) / sizeof(reg[0]); i++)
		*(uint64_t *)((char *)&tf + reg[i].at) = g[reg[i].reg];
	if (dune_emulate(&v, &tf, g[REG_TRAPNO], &ops) != DUNE_EMUL_DONE) {
		signal(sig, SIG_DFL);
		return;
	}
	done++;
	for (i = 0; i < sizeof(reg) / sizeof(reg[0]); i++)
		g[reg[i].reg] = *(uint64_t *)((char *)&tf + reg[i].at);
}

/* In each test: cmocka sets signal handlers of its own before it. */
static void ready(void)
{
	static char stack[1 << 16];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction sa = {
		.sa_sigaction = dispatch,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	struct dune_emul_features f;

	dune_emul_cpuid(&f);
	dune_vcpu_state_init(&v, &f, 0x1000, 0x700000000000);
	ops = (struct dune_emul_ops) {
		.fetch = fetch, .read = mem_read, .write = mem_write,
		.set_cr3 = set_cr3, .invlpg = invlpg, .get_base = get_base,
		.set_base = set_base,
	};
	done = 0;
	assert_int_equal(sigaltstack(&alt, NULL), 0);
	assert_int_equal(sigaction(SIGSEGV, &sa, NULL), 0);
	assert_int_equal(sigaction(SIGILL, &sa, NULL), 0);
	assert_int_equal(sigaction(SIGBUS, &sa, NULL), 0);
}

static void registers(void **state)
{
	uint64_t x;
	uint32_t lo, hi;

	(void)state;
	ready();
	asm volatile("mov %%cr0, %0" : "=r" (x));
	assert_int_equal(x, v.cr0);
	asm volatile("mov %%cr4, %0" : "=r" (x));
	assert_int_equal(x, v.cr4);
	asm volatile("mov %0, %%cr3" : : "r" (0x5000ul) : "memory");
	assert_int_equal(new_cr3, 0x5000);
	asm volatile("mov %%cr3, %0" : "=r" (x));
	assert_int_equal(x, 0x5000);
	asm volatile("mov %1, %%cr8; mov %%cr8, %0" : "=r" (x)
		     : "r" (9ul));
	assert_int_equal(x, 9);
	asm volatile("mov %1, %%dr2; mov %%dr2, %0" : "=r" (x) : "r" (77ul));
	assert_int_equal(x, 77);
	asm volatile("invlpg (%0)" : : "r" (0x1234000ul));
	assert_int_equal(flushed, 0x1234000);
	asm volatile("wrmsr" : : "c" (0xc0000084), "a" (0x700), "d" (0));
	assert_int_equal(v.fmask, 0x700);
	asm volatile("rdmsr" : "=a" (lo), "=d" (hi) : "c" (0xc0000080));
	assert_int_equal(lo, v.efer);
	assert_int_equal(hi, 0);
	asm volatile("cli");
	assert_false(v.iflag);
	asm volatile("sti");
	assert_true(v.iflag);
	asm volatile("wbinvd; clts");
	assert_int_equal(done, 15);
}

static void gs_base(void **state)
{
	uint64_t old = get_base(NULL, DUNE_SEG_GS);

	(void)state;
	ready();
	v.kernel_gs_base = 0x123456000;
	asm volatile("swapgs");
	assert_int_equal(get_base(NULL, DUNE_SEG_GS), 0x123456000);
	asm volatile("swapgs");
	assert_int_equal(get_base(NULL, DUNE_SEG_GS), old);
}

static struct {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
} idt[256];

/* The handler of int 0x20: its frame's cs and flags, and back by iretq. */
void dune_test_handler(void);
asm(".pushsection .text\n"
    "dune_test_handler:\n"
    "	mov	8(%rsp), %rax\n"
    "	mov	16(%rsp), %rdx\n"
    "	iretq\n"
    ".popsection");

static void own_idt(void **state)
{
	const struct {
		uint16_t limit;
		void *base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, idt };
	uint64_t to = (uintptr_t)dune_test_handler, cs, flags;
	unsigned int i;

	(void)state;
	ready();
	idt[0x20].offset0 = to;
	idt[0x20].offset1 = to >> 16;
	idt[0x20].offset2 = to >> 32;
	idt[0x20].selector = DUNE_SELF_KERN_CS;
	idt[0x20].type = 0x8e;
	asm volatile("lidt %0" : : "m" (idtr));
	for (i = 0; i < 100; i++) {
		/* off the red zone */
		asm volatile("sub $128, %%rsp; int $0x20; add $128, %%rsp"
			     : "=a" (cs), "=d" (flags) : : "memory", "cc");
		assert_int_equal(cs, DUNE_SELF_KERN_CS);
		assert_true(flags & 1 << 9);
		assert_true(v.iflag);
	}
	assert_int_equal(done, 1 + 2 * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(gs_base),
		cmocka_unit_test(own_idt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
