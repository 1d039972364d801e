/*
 * Traps: the red zone and all registers of what they interrupt; handlers that
 * fault, nest, jump out, pass on; of a thread and of the process; software
 * interrupts; frames that handlers edit; and what nobody takes becomes the
 * signal it would be.
 */
#include "test.h"

#include <dune/pgtable.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static volatile unsigned int count;
static volatile int *absent;

/* ---- what was interrupted ---- */

static enum dune_trap_action skip2(struct dune_tf *tf, unsigned int vector,
				   uint64_t addr, void *arg)
{
	volatile char deep[2000];

	(void)vector, (void)addr, (void)arg;
	memset((char *)deep, 0xff, sizeof(deep));
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm15, %%xmm15"
			 : : : "xmm0", "xmm15");
	tf->rip += 2;
	count++;
	return DUNE_TRAP_RESUME;
}

static void red_zone(void)
{
	uint64_t in[4] = { 11, 12, 13, 14 }, out[4] = { 0 }, zone = 1, flags;

	OK(dune_trap_set(DUNE_VEC_UD, 0, skip2, NULL));
	__asm__ volatile(
		"mov $0x1122334455667788, %%rax\n\t"
		"mov %%rax, -8(%%rsp)\n\t"
		"mov %%rax, -128(%%rsp)\n\t"
		"movdqu (%[in]), %%xmm0\n\t"
		"movdqu 16(%[in]), %%xmm15\n\t"
		"stc\n\t"
		"ud2\n\t"
		"setc %b[flags]\n\t"
		"movdqu %%xmm0, (%[out])\n\t"
		"movdqu %%xmm15, 16(%[out])\n\t"
		"mov -8(%%rsp), %[zone]\n\t"
		"cmp -128(%%rsp), %[zone]\n\t"
		"jne 1f\n\t"
		"cmp %%rax, %[zone]\n\t"
		"jne 1f\n\t"
		"xor %k[zone], %k[zone]\n\t"
		"1:"
		: [zone] "+&r"(zone), [flags] "=&q"(flags)
		: [in] "r"(in), [out] "r"(out)
		: "rax", "xmm0", "xmm15", "memory", "cc");
	CHECK(zone == 0 && (flags & 0xff) == 1 && count == 1);
	CHECK(!memcmp(in, out, sizeof(in)));
	say("red zone\n");
}

static enum dune_trap_action edit(struct dune_tf *tf, unsigned int vector,
				  uint64_t addr, void *arg)
{
	(void)vector, (void)addr;
	tf->rip = (uint64_t)arg;
	tf->rbx = 0xb;
	tf->r9 = 0x9;
	tf->rflags |= 1;
	return DUNE_TRAP_RESUME;
}

static void edited_frame(void)
{
	uint64_t rbx = 1;
	register uint64_t r9 __asm__("r9") = 1;
	uint8_t carry = 0;
	void *to;

	__asm__ volatile("lea 2f(%%rip), %0" : "=r"(to));
	OK(dune_trap_set(DUNE_VEC_UD, 0, edit, to));
	__asm__ volatile("clc; ud2\n\t"
			 "mov $0, %%ebx\n\t"
			 "2: setc %2" : "+b"(rbx), "+r"(r9), "+r"(carry)
			 : : "memory", "cc");
	CHECK(rbx == 0xb && r9 == 9 && carry == 1);
	say("edited frame\n");
}

/* ---- nesting ---- */

static enum dune_trap_action on_page(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	(void)vector, (void)arg, (void)tf;
	if (addr - (uint64_t)absent >= 8 * PAGE)
		return DUNE_TRAP_PASS;
	count++;
	/* the next page is not there either: handlers nest */
	if (addr + PAGE < (uint64_t)absent + 8 * PAGE)
		*(volatile int *)(addr + PAGE) = 1;
	CHECK(dune_vm_mprotect(pgroot, (void *)(addr & -PAGE), PAGE,
			       PERM_R | PERM_W) == 0);
	return DUNE_TRAP_RESUME;
}

static void nested(void)
{
	int i;

	absent = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	OK(dune_vm_mprotect(pgroot, (void *)absent, 8 * PAGE, PERM_NONE));
	OK(dune_trap_set(DUNE_VEC_PF, 0, on_page, NULL));
	count = 0;
	absent[0] = 5;
	CHECK(count == 8 && absent[0] == 5);
	for (i = 1; i < 8; i++)
		CHECK(absent[i * 1024] == 1);
	say("nested\n");
}

static enum dune_trap_action faulting(struct dune_tf *tf, unsigned int vector,
				      uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	count++;
	__asm__ volatile("ud2");	/* another vector, in the handler */
	tf->rip += 2;
	tf->rax = 0;
	return DUNE_TRAP_RESUME;
}

static void fault_in_handler(void)
{
	int r = 1;

	OK(dune_trap_set(DUNE_VEC_UD, 0, skip2, NULL));
	OK(dune_trap_set(DUNE_VEC_DE, 0, faulting, NULL));
	count = 0;
	__asm__ volatile("idivl %%ecx" : "+a"(r) : "c"(0), "d"(0) : "cc");
	CHECK(r == 0 && count == 2);
	say("fault in a handler\n");
}

/* ---- jumping out ---- */

static jmp_buf back;

static enum dune_trap_action jump(struct dune_tf *tf, unsigned int vector,
				  uint64_t addr, void *arg)
{
	(void)tf, (void)vector, (void)addr, (void)arg;
	longjmp(back, ++count);
}

static void jumps_out(void)
{
	unsigned int i;

	OK(dune_trap_set(DUNE_VEC_UD, 0, jump, NULL));
	count = 0;
	for (i = 0; i < 2000; i++)
		if (!_setjmp(back))
			__asm__ volatile("ud2");
	CHECK(count == 2000);
	say("longjmp\n");
}

/* ---- whose handler ---- */

static enum dune_trap_action mark(struct dune_tf *tf, unsigned int vector,
				  uint64_t addr, void *arg)
{
	(void)vector, (void)addr;
	*(char *)arg += 1;
	if (*(char *)arg > 1)
		return DUNE_TRAP_PASS;
	tf->rip += 2;
	return DUNE_TRAP_RESUME;
}

static char of_process, of_thread;

static void *other_thread(void *arg)
{
	__asm__ volatile("ud2");
	CHECK(of_process == 1 && of_thread == 1);
	return arg;
}

static void whose(void)
{
	pthread_t t;

	OK(dune_trap_set(DUNE_VEC_UD, 0, mark, &of_process));
	OK(dune_trap_set(DUNE_VEC_UD, DUNE_TRAP_THREAD, mark, &of_thread));
	__asm__ volatile("ud2");
	CHECK(of_thread == 1 && of_process == 0);
	CHECK(!pthread_create(&t, NULL, other_thread, NULL));
	CHECK(!pthread_join(t, NULL));
	of_process = 0;
	__asm__ volatile("ud2");		/* it passes now */
	CHECK(of_thread == 2 && of_process == 1);
	OK(dune_trap_set(DUNE_VEC_UD, DUNE_TRAP_THREAD, NULL, NULL));
	of_process = 0;
	__asm__ volatile("ud2");
	CHECK(of_thread == 2 && of_process == 1);
	OK(dune_trap_set(DUNE_VEC_UD, 0, NULL, NULL));
	CHECK(dune_trap_set(DUNE_VEC_MAX, 0, mark, NULL) == -EINVAL);
	CHECK(dune_trap_set(0, 0x80, mark, NULL) == -EINVAL);
	say("threads\n");
}

static enum dune_trap_action interrupt(struct dune_tf *tf,
				       unsigned int vector, uint64_t addr,
				       void *arg)
{
	(void)addr, (void)arg;
	tf->rax = vector;
	return DUNE_TRAP_RESUME;
}

static void software_interrupts(void)
{
	uint64_t a = 0, b = 0;

	OK(dune_trap_set(0x21, 0, interrupt, NULL));
	OK(dune_trap_set(3, DUNE_TRAP_NOFPU, interrupt, NULL));
	__asm__ volatile("int $0x21" : "+a"(a));
	__asm__ volatile("int3" : "+a"(b));
	CHECK(a == 0x21 && b == 3);
	OK(dune_trap_set(3, 0, NULL, NULL));
	say("int\n");
}

/* ---- nobody's ---- */

static sigjmp_buf out;
static volatile int got_signal, got_code;
static void *volatile got_addr;

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
	(void)ctx;
	got_signal = sig;
	got_code = info->si_code;
	got_addr = info->si_addr;
	siglongjmp(out, 1);
}

static void unhandled(void)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO };
	int i;

	OK(dune_trap_set(DUNE_VEC_DE, 0, NULL, NULL));
	act.sa_sigaction = on_signal;
	sigaction(SIGFPE, &act, NULL);
	sigaction(SIGILL, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
	for (i = 0; i < 20; i++) {
		if (!sigsetjmp(out, 1))
			__asm__ volatile("idivl %0" : : "r"(0), "a"(1), "d"(0)
					 : "cc");
		CHECK(got_signal == SIGFPE && got_code == FPE_INTDIV);
		if (!sigsetjmp(out, 1))
			__asm__ volatile("ud2");
		CHECK(got_signal == SIGILL && got_code == ILL_ILLOPN);
		if (!sigsetjmp(out, 1))
			*(volatile int *)0x10 = 1;
		CHECK(got_signal == SIGSEGV && got_code == SEGV_MAPERR);
		CHECK(got_addr == (void *)0x10);
	}
	say("signals\n");
}

int main(void)
{
	CHECK(dune_trap_set(0, DUNE_TRAP_THREAD, mark, NULL) == -EPERM);
	OK(dune_enter());
	red_zone();
	edited_frame();
	nested();
	fault_in_handler();
	jumps_out();
	whose();
	software_interrupts();
	unhandled();
	OK(dune_leave());
	say("all taken\n");
	return 0;
}
