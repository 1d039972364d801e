/*
 * Vector registers, x87 and their control words: a trap, a signal, a fork and a
 * system call keep all of them, whatever the handler does with its own; what
 * dune_enter() and dune_leave() must keep are the control words.
 */
#include "test.h"

#include <immintrin.h>
#include <sys/time.h>

typedef uint64_t quads __attribute__((vector_size(32)));

static bool avx;
static volatile int traps, signals;

/* Something else in every register. */
static void scribble(void)
{
	uint16_t fcw = 0x27f;

	if (avx)
		__asm__ volatile("vzeroall" : : : "memory");
	else
		__asm__ volatile("pxor %%xmm5, %%xmm5\n\tpxor %%xmm12, %%xmm12"
				 : : : "memory");
	__builtin_ia32_ldmxcsr(0x9fc0);
	__asm__ volatile("fninit\n\tfldz\n\tfldcw %0" : : "m"(fcw));
}

static enum dune_trap_action on_trap(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	scribble();
	tf->rip += 2;
	traps++;
	return DUNE_TRAP_RESUME;
}

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)sig, (void)info, (void)uc;
	scribble();
	signals++;
}

/* ud2, or a system call with its number; rax: what that returns. */
#define AROUND(insn, nr, a0, a1) ({					\
	long ret_;							\
	__asm__ volatile("vmovdqu %5, %%ymm5\n\t"			\
			 "vmovdqu %6, %%ymm12\n\t"			\
			 "fninit\n\tfldpi\n\tfldcw %7\n\tldmxcsr %8\n\t" \
			 insn "\n\t"					\
			 "vmovdqu %%ymm5, %1\n\tvmovdqu %%ymm12, %2\n\t" \
			 "fstpl %3\n\tfnstcw %4\n\tstmxcsr %9\n\t"	\
			 "fninit"					\
			 : "=a"(ret_), "=m"(out5), "=m"(out12), "=m"(pi),\
			   "=m"(fcw2)					\
			 : "m"(in5), "m"(in12), "m"(fcw), "m"(mxcsr),	\
			   "m"(mxcsr2), "a"((long)(nr)), "D"((long)(a0)),\
			   "S"((long)(a1)), "d"(0l)			\
			 : "rcx", "r11", "xmm5", "xmm12", "memory");	\
	ret_;								\
})

static void around(int round)
{
	quads in5 = { 1, round, 3, 4 }, in12 = { 5, 6, round, 8 }, out5, out12;
	uint32_t mxcsr = 0x7f80, mxcsr2 = 0;
	uint16_t fcw = 0xb7f, fcw2;
	double pi;
	long ret = 0;

	switch (round % 4) {
	case 0:
		AROUND("ud2", 0, 0, 0);
		break;
	case 1:
		ret = AROUND("syscall", SYS_kill, getpid(), SIGUSR1);
		break;
	case 2:
		ret = AROUND("syscall", SYS_getppid, 0, 0);
		break;
	case 3:
		ret = AROUND("syscall", SYS_fork, 0, 0);
		break;
	}
	__builtin_ia32_ldmxcsr(0x1f80);
	CHECK(ret >= 0);
	CHECK(!memcmp(&in5, &out5, 32) && !memcmp(&in12, &out12, 32));
	CHECK(pi > 3.14159 && pi < 3.1416);
	CHECK(fcw2 == fcw);
	CHECK((mxcsr2 & 0xffc0) == mxcsr);
	if (round % 4 != 3)
		return;
	if (!ret)
		_exit(3);
	CHECK(WEXITSTATUS(reap(ret)) == 3);
}

static void *rounds(void *n)
{
	struct itimerval it = { { 0, 0 }, { 0, 200 } };
	int i;

	CHECK(dune_in_dune_mode());
	for (i = 0; i < *(int *)n; i++) {
		/* a signal somewhere in it */
		CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
		around(i);
	}
	return NULL;
}

int main(void)
{
	int n = times(200, 12);
	pthread_t t[2];

	avx = __builtin_cpu_supports("avx");
	if (!avx)
		SKIP("the CPU has no AVX");
	OK(dune_enter());
	handle(SIGUSR1, on_signal, 0);
	handle(SIGALRM, on_signal, SA_RESTART);
	OK(dune_trap_set(DUNE_VEC_UD, 0, on_trap, NULL));
	rounds(&n);
	CHECK(traps == n / 4 && signals >= n / 4);
	say("rounds\n");
	CHECK(pthread_create(&t[0], NULL, rounds, &n) == 0);
	CHECK(pthread_create(&t[1], NULL, rounds, &n) == 0);
	rounds(&n);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	say("vectors\n");
	return 0;
}
