/*
 * Jumps, returns and loads at non-canonical and kernel addresses; unaligned SSE
 * and AVX; alignment checks switched on.
 */
#include "hostile.h"

static const unsigned long wild[] = {
	0x800000000000ul, 0xffff7ffffffffffful, 0x8000000000000000ul,
	0xffff800000000000ul, 0xffffffffffffffffUL, 0x7fffffffffffUL,
};

static unsigned long a;
static char buf[128] __attribute__((aligned(64)));

static void jump(void)
{
	__asm__ volatile("jmp *%0" : : "r"(a));
}

static void ret(void)
{
	__asm__ volatile("push %0\n\tret" : : "r"(a));
}

static void load(void)
{
	__asm__ volatile("mov (%0), %%rax" : : "r"(a) : "rax");
}

static void movaps(void)
{
	__asm__ volatile("movaps %%xmm0, 1(%0)" : : "r"(buf) : "memory");
}

__attribute__((target("avx")))
static void vmovaps(void)
{
	__asm__ volatile("vmovaps %%ymm0, 1(%0)" : : "r"(buf) : "memory");
}

static void ac_flag(void)
{
	__asm__ volatile("pushf\n\torl $0x40000, (%%rsp)\n\tpopf\n\t"
			 "mov 1(%0), %%rax\n\t"
			 "pushf\n\tandl $~0x40000, (%%rsp)\n\tpopf" : :
			 "r"(buf) : "rax", "memory", "cc");
}

int main(void)
{
	try_init();
	for (unsigned int i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		a = wild[i];
		if (TRY(jump()) || TRY(ret()) || TRY(load()))
			ESCAPED("%#lx", a);
	}
	if (TRY(movaps()) || try_sig != SIGSEGV)
		ESCAPED("unaligned movaps: signal %d", try_sig);
	/* a software KVM's emulator may not know the instruction: SIGILL */
	if (__builtin_cpu_supports("avx") &&
	    (TRY(vmovaps()) || (try_sig != SIGSEGV && try_sig != SIGILL)))
		ESCAPED("unaligned vmovaps: signal %d", try_sig);
	if (!TRY(ac_flag()) && try_sig != SIGBUS)
		ESCAPED("alignment check: signal %d", try_sig);
	__asm__ volatile("pushf\n\tandl $~0x40000, (%%rsp)\n\tpopf" : : :
			 "memory", "cc");
	contained("all of them fault");
	return 0;
}
