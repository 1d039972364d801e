/*
 * FS and GS bases: arch_prctl, the FSGSBASE instructions where the kernel
 * offers them, kept over calls, faults, signals, forks and thread switches.
 */
#include <asm/prctl.h>
#include <sys/auxv.h>
#include "guest.h"

static volatile int runs;
static long block[4] = { 11, 22, 33, 44 };

static void usr1(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	runs++;
}

static long at_gs(long off)
{
	long v;

	__asm__ volatile("mov %%gs:(%1), %0" : "=r"(v) : "r"(off));
	return v;
}

static void *thread(void *arg)
{
	long own[2] = { (long)arg, -(long)arg };
	unsigned long got;

	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, own) == 0);
	for (int i = 0; i < 200; i++) {
		CHECK(at_gs(0) == (long)arg && at_gs(8) == -(long)arg);
		getppid();
		if (i % 20 == 0)
			sched_yield();
	}
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &got) == 0);
	CHECK(got == (unsigned long)own);
	return NULL;
}

__attribute__((target("fsgsbase")))
static void instructions(void)
{
	unsigned long fs = __builtin_ia32_rdfsbase64(), got;

	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &got) == 0 && got == fs);
	__builtin_ia32_wrgsbase64((unsigned long)&block[2]);
	CHECK(at_gs(0) == 33);
	getppid();
	raise(SIGUSR1);
	CHECK(at_gs(0) == 33);
	CHECK(__builtin_ia32_rdgsbase64() == (unsigned long)&block[2]);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &got) == 0);
	CHECK(got == (unsigned long)&block[2]);
	if (fork() == 0)
		_exit(at_gs(8) == 44 ? 0 : 1);
	CHECK(wait((int *)&got) > 0 && (int)got == 0);
	__builtin_ia32_wrfsbase64(fs);
}

int main(void)
{
	unsigned long fs, got;
	pthread_t t[4];

	handle(SIGUSR1, usr1, 0);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
	CHECK(*(unsigned long *)fs == fs);	/* the ABI's self pointer */
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, block) == 0);
	CHECK(at_gs(8) == 22);
	getppid();
	raise(SIGUSR1);
	CHECK(at_gs(8) == 22);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &got) == 0);
	CHECK(got == (unsigned long)block);
	FAILS(EPERM, syscall(SYS_arch_prctl, ARCH_SET_FS, 1ul << 63));
	FAILS(EPERM, syscall(SYS_arch_prctl, ARCH_SET_GS, 1ul << 47));
	FAILS(EINVAL, syscall(SYS_arch_prctl, 0x9999, 0));
	FAILS(EFAULT, syscall(SYS_arch_prctl, ARCH_GET_FS, 16));
	say("arch_prctl\n");
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread, (void *)(i + 5));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(at_gs(0) == 11);
	say("each thread has its own\n");
	if (getauxval(AT_HWCAP2) & 2)
		instructions();
	say("instructions, %d signals\n", runs > 0);
	return 0;
}
