/*
 * Jumps outside the program's own memory, and to every byte of the gate's stub
 * page: it is as good as a system call instruction, nothing more.
 */
#include "hostile.h"

static unsigned long target;
static int ran;

/* A stray system call is getppid; every way back leads to `back`. */
static void jump(void)
{
	__asm__ volatile(
		"mov %%rsp, %%rbp\n\t"
		"lea 2f(%%rip), %%rcx\n\t"
		"mov $24, %%ecx\n\t"
		"1: pushf\n\tpush $0x33\n\tpush %%rdx\n\tdec %%ecx\n\tjnz 1b\n\t"
		"lea 2f(%%rip), %%rcx\n\tmov $64, %%edi\n\t"
		"3: push %%rcx\n\tdec %%edi\n\tjnz 3b\n\t"
		"mov %[nr], %%eax\n\tmov $0x202, %%r11d\n\t"
		"xor %%esi, %%esi\n\txor %%edx, %%edx\n\tjmp *%[to]\n"
		"2: mov %%rbp, %%rsp\n\t"
		: : [to] "b"(target), [nr] "i"(SYS_getppid)
		: "rax", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10",
		  "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void one(void)
{
	if (TRY(jump()))
		ran++;
}

static void stub_page(void)
{
	for (unsigned long off = 0; off < 256; off++) {
		unsigned long base = target;

		target += off;
		one();
		target = base;
	}
	_exit(ran ? 2 : 0);
}

int main(void)
{
	int ends[3] = { 0 }, st;

	try_init();
	for (unsigned int i = 0; i < OUTSIDE; i++) {
		target = outside[i];
		if (target < RING0 || target >= VVAR)
			one();
	}
	if (ran)
		ESCAPED("%d jumps came back", ran);
	for (int page = 0; page < 32; page++) {
		target = RING0 + page * PAGE;
		st = guarded(stub_page);
		/* Death is fine: it is the program's own. */
		if (WIFSIGNALED(st))
			ends[2]++;
		else
			ends[WEXITSTATUS(st) / 2]++;
	}
	CHECK(getpid() > 0);
	contained("jumps fault or are system calls");
	return 0;
}
