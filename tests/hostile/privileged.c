/*
 * Instructions of the kernel, each in a child: all end in a signal of the
 * child's own, or do nothing.
 */
#include "hostile.h"

#define INSNS(X)							\
	X(hlt, "hlt") X(cli, "cli") X(sti, "sti") X(clts, "clts")	\
	X(lgdt, "lgdt (%%rsp)") X(lidt, "lidt (%%rsp)")			\
	X(lldt, "lldt %%ax") X(ltr, "ltr %%ax") X(lmsw, "lmsw %%ax")	\
	X(mov_to_cr0, "mov %%rax, %%cr0") X(mov_cr0, "mov %%cr0, %%rax")\
	X(mov_to_cr3, "mov %%rax, %%cr3") X(mov_cr3, "mov %%cr3, %%rax")\
	X(mov_to_cr4, "mov %%rax, %%cr4") X(mov_to_cr8, "mov %%rax, %%cr8")\
	X(mov_dr7, "mov %%rax, %%db7") X(mov_dr0, "mov %%db0, %%rax")	\
	X(wrmsr, "mov $0xc0000082, %%ecx\n\twrmsr")			\
	X(rdmsr, "mov $0xc0000082, %%ecx\n\trdmsr")			\
	X(wrmsr_efer, "mov $0xc0000080, %%ecx\n\twrmsr")		\
	X(rdpmc, "xor %%ecx, %%ecx\n\trdpmc") X(invd, "invd")		\
	X(wbinvd, "wbinvd") X(invlpg, "invlpg (%%rsp)")			\
	X(swapgs, "swapgs") X(sysretq, "sysretq")			\
	X(sysexit, "sysexitl") X(sysretl, "sysretl")			\
	X(sysenter, "sysenter")						\
	X(iret_cs8, "push $0\n\tpush %%rsp\n\tpush $2\n\tpush $8\n\t"	\
	  "lea 1f(%%rip), %%rax\n\tpush %%rax\n\tiretq\n1:")		\
	X(iret_cs10, "push $0x18\n\tpush %%rsp\n\tpush $2\n\tpush $0x10\n\t"\
	  "lea 1f(%%rip), %%rax\n\tpush %%rax\n\tiretq\n1:")		\
	X(lret_cs8, "push $8\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\t"	\
	  "lretq\n1:")							\
	X(lret_cs23, "push $0x23\n\tpush $0x10000\n\tlretq")		\
	X(lret_tss, "push $0x40\n\tpush $0\n\tlretq")			\
	X(mov_ss, "mov $0x18, %%eax\n\tmov %%eax, %%ss")		\
	X(mov_ds8, "mov $8, %%eax\n\tmov %%eax, %%ds")			\
	X(int0, "int $0") X(int2, "int $2") X(int8, "int $8")		\
	X(int13, "int $13") X(int14, "int $14") X(int32, "int $32")	\
	X(int128, "mov $20, %%eax\n\tint $0x80") X(int255, "int $255")	\
	X(icebp, ".byte 0xf1") X(xsetbv, "xor %%ecx, %%ecx\n\txsetbv")	\
	X(vmcall, "xor %%eax, %%eax\n\tvmcall")				\
	X(vmmcall, "xor %%eax, %%eax\n\tvmmcall")			\
	X(vmrun, ".byte 0x0f,0x01,0xd8") X(skinit, ".byte 0x0f,0x01,0xde")\
	X(clgi, ".byte 0x0f,0x01,0xdd") X(stgi, ".byte 0x0f,0x01,0xdc")	\
	X(vmxoff, ".byte 0x0f,0x01,0xc4") X(monitor, "monitor")		\
	X(mwait, "mwait") X(stac, "stac") X(clac, "clac")		\
	X(rsm, "rsm") X(getsec, ".byte 0x0f,0x37") X(ud0, ".byte 0x0f,0xff")\
	X(in_cmos, "in $0x70, %%al") X(out_80, "out %%al, $0x80")	\
	X(in_dx, "mov $0x3f8, %%edx\n\tin %%dx, %%eax")			\
	X(outsb, "mov $0x3f8, %%edx\n\tmov %%rsp, %%rsi\n\toutsb")	\
	X(insb, "mov $0x3f8, %%edx\n\tlea -256(%%rsp), %%rdi\n\tinsb")	\
	X(rep_outsb, "mov $0x10, %%edx\n\tmov $4096, %%ecx\n\t"		\
	  "mov %%rsp, %%rsi\n\trep outsb")				\
	X(popf, "push $-1\n\tpopf") X(popf_tf, "push $0x100\n\tpopf\n\tnop")\
	X(sgdt, "sgdt -64(%%rsp)") X(sidt, "sidt -64(%%rsp)")		\
	X(smsw, "smsw %%eax") X(str, "str %%eax") X(sldt, "sldt %%eax")	\
	X(cpuid, "mov $0x40000000, %%eax\n\tcpuid")			\
	X(rdtscp, "rdtscp") X(far_jmp, "ljmp *(%%rsp)")			\
	X(xrstor, "mov $-1, %%eax\n\tmov %%eax, %%edx\n\t"		\
	  "and $-64, %%rsp\n\txrstor (%%rsp)")				\
	X(wrpkru, "xor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"		\
	  "mov $0xfffffffc, %%eax\n\t.byte 0x0f,0x01,0xef")

#define FUNCTION(name, text)						\
static void do_##name(void)						\
{									\
	unsigned long cs;						\
									\
	__asm__ volatile("sub $1024, %%rsp\n\t" text : : "a"(0) :	\
			 "rbx", "rcx", "rdx", "rsi", "rdi", "memory");	\
	__asm__ volatile("mov %%cs, %0" : "=r"(cs));			\
	_exit((cs & 3) == 3 ? 0 : 99);					\
}
INSNS(FUNCTION)

#define ENTRY(name, text) { #name, do_##name },
static const struct {
	const char *name;
	void (*f)(void);
} insns[] = { INSNS(ENTRY) };

int main(void)
{
	int killed = 0, passed = 0, st;

	for (unsigned int i = 0; i < sizeof(insns) / sizeof(*insns); i++) {
		st = guarded(insns[i].f);
		if (WIFEXITED(st) && WEXITSTATUS(st) == 0) {
			say("# %s does nothing\n", insns[i].name);
			passed++;
		} else if (!WIFSIGNALED(st)) {
			ESCAPED("%s: %s", insns[i].name, how(st));
		} else if (WTERMSIG(st) == SIGALRM || WTERMSIG(st) == SIGKILL) {
			ESCAPED("%s hangs or ends the monitor: %s",
				insns[i].name, how(st));
		} else {
			killed++;
		}
	}
	if (killed < 45)
		ESCAPED("only %d of them fault", killed);
	contained("%d fault, %d do nothing", killed, passed);
	return 0;
}
