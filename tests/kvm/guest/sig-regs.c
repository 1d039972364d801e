/*
 * A signal that comes at any instruction leaves no trace: all general
 * registers, flags, SSE and AVX registers, MXCSR, the x87 control word and the
 * red zone are the same after the handler, which spoils them all.
 */
#include <immintrin.h>
#include <sys/time.h>
#include "guest.h"

static volatile int runs;

__attribute__((target("avx")))
static void spoil_avx(void)
{
	__asm__ volatile("vpcmpeqd %%xmm0, %%xmm0, %%xmm0\n\t"
			 "vinsertf128 $1, %%xmm0, %%ymm0, %%ymm0\n\t"
			 "vmovaps %%ymm0, %%ymm1\n\tvmovaps %%ymm0, %%ymm7\n\t"
			 "vmovaps %%ymm0, %%ymm15" : : :
			 "xmm0", "xmm1", "xmm7", "xmm15");
}

static void spoil(int sig, siginfo_t *si, void *uc)
{
	unsigned int mx = 0x1f80 | 0x6000;
	unsigned short cw = 0x0f7f;

	(void)sig, (void)si, (void)uc;
	runs++;
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1\n\tfldpi\n\tstc\n\t"
			 "pcmpeqd %%xmm0, %%xmm0\n\t"
			 "pcmpeqd %%xmm5, %%xmm5\n\t"
			 "pcmpeqd %%xmm15, %%xmm15" : : "m"(mx), "m"(cw) :
			 "xmm0", "xmm5", "xmm15");
	if (__builtin_cpu_supports("avx"))
		spoil_avx();
}

struct regs {
	unsigned long r[15];		/* all but rsp */
	unsigned long red[16];		/* the red zone, below rsp */
	unsigned long flags;
};

/*
 * Sets every register from in, spins, and stores them in out. rdi holds out
 * and rcx the count; both are part of the check by the loop ending at all.
 */
void spin(struct regs *out, const struct regs *in, long count);
__asm__(".text\nspin:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"mov %rdx, %rcx\n"
	"mov 0(%rsi), %rax; mov 8(%rsi), %rbx; mov 32(%rsi), %rbp\n"
	"mov 40(%rsi), %r8; mov 48(%rsi), %r9; mov 56(%rsi), %r10\n"
	"mov 64(%rsi), %r11; mov 72(%rsi), %r12; mov 80(%rsi), %r13\n"
	"mov 88(%rsi), %r14; mov 96(%rsi), %r15\n"
	"mov %r15, -8(%rsp); mov %r14, -64(%rsp); mov %r13, -128(%rsp)\n"
	"mov 16(%rsi), %rdx; mov 24(%rsi), %rsi\n"
	"std; stc\n"
	"1: lea -1(%rcx), %rcx; jrcxz 2f; jmp 1b\n"
	"2: mov %rax, 0(%rdi); pushf; pop %rax; mov %rax, 248(%rdi); cld\n"
	"mov %rbx, 8(%rdi); mov %rdx, 16(%rdi); mov %rsi, 24(%rdi)\n"
	"mov %rbp, 32(%rdi); mov %r8, 40(%rdi); mov %r9, 48(%rdi)\n"
	"mov %r10, 56(%rdi); mov %r11, 64(%rdi); mov %r12, 72(%rdi)\n"
	"mov %r13, 80(%rdi); mov %r14, 88(%rdi); mov %r15, 96(%rdi)\n"
	"mov -64(%rsp), %rax; mov %rax, 120(%rdi)\n"
	"mov -128(%rsp), %rax; mov %rax, 128(%rdi)\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n");

__attribute__((target("avx")))
static void check_avx(void)
{
	char in[32] __attribute__((aligned(32))), out[32];

	for (int i = 0; i < 32; i++)
		in[i] = i + 1;
	for (int before = runs, i = 0; runs < before + 20; i++) {
		__asm__ volatile("vmovaps %1, %%ymm7\n\tvmovaps %1, %%ymm15\n\t"
				 "mov $100000, %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n"
				 "\tvmovups %%ymm7, %0\n\t"
				 : "=m"(out) : "m"(in) : "ecx", "xmm7",
				 "xmm15");
		CHECK(memcmp(in, out, 32) == 0);
		__asm__ volatile("vmovups %%ymm15, %0" : "=m"(out));
	}
}

int main(void)
{
	struct itimerval it = { { 0, 3000 }, { 0, 3000 } };
	struct regs in, out;
	unsigned int mx = 0x1f80 | 0x2000, mx2;
	unsigned short cw = 0x027f, cw2;
	long flags = 0;

	for (int i = 0; i < 15; i++)
		in.r[i] = 0x1111111111111111ul * (i + 1);
	handle(SIGALRM, spoil, 0);
	setitimer(ITIMER_REAL, &it, NULL);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mx), "m"(cw));
	while (runs < 60) {
		memset(&out, 0, sizeof(out));
		spin(&out, &in, 300000);
		for (int i = 0; i < 13; i++)
			CHECK(out.r[i] == in.r[i]);
		CHECK(out.red[0] == in.r[11] && out.red[1] == in.r[10]);
		flags = *(long *)((char *)&out + 248);
		CHECK((flags & 0x401) == 0x401);
		__asm__ volatile("stmxcsr %0\n\tfnstcw %1" :
				 "=m"(mx2), "=m"(cw2));
		CHECK(mx2 == mx && cw2 == cw);
	}
	say("general registers, flags, red zone, mxcsr, x87 kept\n");
	if (__builtin_cpu_supports("avx"))
		check_avx();
	say("vector registers kept\n");
	return 0;
}
