/*
 * x87, SSE, AVX and AVX-512 registers keep their contents over system calls,
 * page faults, signals, forks and switches between threads.
 */
#include <immintrin.h>
#include "guest.h"

static volatile int runs;

static void usr1(int sig, siginfo_t *si, void *uc)
{
	volatile double d = runs * 1.5;

	(void)sig, (void)si, (void)uc;
	runs++;
	__asm__ volatile("pxor %%xmm2, %%xmm2\n\tpxor %%xmm9, %%xmm9" : : :
			 "xmm2", "xmm9");
	d = d * d;
}

/* Something that leaves the guest, without touching vector registers. */
static long leave_guest(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

static void disturb(volatile char *page, int i)
{
	leave_guest(SYS_getppid, 0, 0, 0);
	page[i * PAGE] = 1;
	if (i % 8 == 0)
		leave_guest(SYS_kill, leave_guest(SYS_getpid, 0, 0, 0),
			    SIGUSR1, 0);
	if (i % 16 == 0)
		leave_guest(SYS_sched_yield, 0, 0, 0);
}

static void sse(long seed, volatile char *page)
{
	uint64_t in[2] = { seed, ~seed }, out[2], out2[2];

	for (int i = 0; i < 128; i++) {
		__asm__ volatile("movdqu %0, %%xmm2\n\tmovdqu %0, %%xmm9" : :
				 "m"(in) : "xmm2", "xmm9");
		disturb(page, i);
		__asm__ volatile("movdqu %%xmm2, %0\n\tmovdqu %%xmm9, %1" :
				 "=m"(out), "=m"(out2));
		CHECK(!memcmp(in, out, 16) && !memcmp(in, out2, 16));
	}
}

__attribute__((target("avx")))
static void avx(long seed, volatile char *page)
{
	uint64_t in[4] = { seed, seed + 1, seed + 2, seed + 3 }, out[4];

	for (int i = 0; i < 128; i++) {
		__asm__ volatile("vmovdqu %0, %%ymm10" : : "m"(in) : "xmm10");
		disturb(page, i);
		__asm__ volatile("vmovdqu %%ymm10, %0" : "=m"(out));
		CHECK(!memcmp(in, out, 32));
	}
}

__attribute__((target("avx512f")))
static void avx512(long seed, volatile char *page)
{
	uint64_t in[8], out[8], k;

	for (int i = 0; i < 8; i++)
		in[i] = seed * (i + 1);
	for (int i = 0; i < 128; i++) {
		__asm__ volatile("vmovdqu64 %0, %%zmm21\n\tkmovw %1, %%k3" : :
				 "m"(in), "r"((int)(seed & 0xffff)) : "xmm21",
				 "k3");
		disturb(page, i);
		__asm__ volatile("vmovdqu64 %%zmm21, %0\n\tkmovw %%k3, %k1" :
				 "=m"(out), "=r"(k));
		CHECK(!memcmp(in, out, 64) && (k & 0xffff) == (seed & 0xffff));
	}
}

static void x87(volatile char *page)
{
	long double v = 3.25L, out;

	for (int i = 0; i < 128; i++) {
		__asm__ volatile("fldt %0\n\tfldpi" : : "m"(v));
		disturb(page, i);
		__asm__ volatile("fstp %%st(0)\n\tfstpt %0" : "=m"(out));
		CHECK(out == v);
	}
}

static void *all(void *arg)
{
	long seed = (long)arg * 0x123456789abl + 1;
	char *p = map(128 * PAGE, PROT_READ | PROT_WRITE);

	sse(seed, p);
	munmap(p, 128 * PAGE);
	p = map(128 * PAGE, PROT_READ | PROT_WRITE);
	if (__builtin_cpu_supports("avx"))
		avx(seed, p);
	if (__builtin_cpu_supports("avx512f"))
		avx512(seed, p);
	x87(p);
	return arg;
}

int main(void)
{
	uint64_t in[4] = { 1, 2, 3, 4 }, out[4];
	pthread_t t[4];
	pid_t pid;

	handle(SIGUSR1, usr1, 0);
	all((void *)9l);
	say("alone: kept\n");
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, all, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	say("threads: kept\n");

	if (__builtin_cpu_supports("avx")) {
		__asm__ volatile("vmovdqu %0, %%ymm13" : : "m"(in) : "xmm13");
		pid = leave_guest(SYS_fork, 0, 0, 0);
		__asm__ volatile("vmovdqu %%ymm13, %0" : "=m"(out));
		if (pid == 0)
			_exit(memcmp(in, out, 32) != 0);
		CHECK(memcmp(in, out, 32) == 0);
		CHECK(reap(pid) == 0);
	}
	say("fork: kept\n");
	return 0;
}
