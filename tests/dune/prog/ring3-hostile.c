/*
 * Ring 3 that tries everything against the program's ring 0: what it must not
 * do comes to a handler, with the right vector, and nothing of it happens.
 */
#include "test.h"

#include <sys/time.h>
#include "dune/pgtable.h"
#include "dune/ring3.h"
#include "kern/layout.h"
#include "kern/self/percpu.h"

#define DONE	1000		/* ring 3's last system call */
#define ANSWER	(-4321)		/* what the handler says to any other */

/*
 * Ring 3's code, a page of it copied to where ring 3 may execute it. Each piece
 * ends in DONE. rdi: an address to try; rsi: a value.
 */
#define PIECE(name, ...)						\
	"piece_" #name ":\n\t" __VA_ARGS__				\
	"\n\tmov $1000, %eax\n\tsyscall\n\tud2\n"
#define ONE_BYTE_PORT(n)						\
	PIECE(out_##n, "out %al, $" #n) PIECE(in_##n, "in $" #n ", %al")

__asm__(
	".section .text\n"
	".balign 4096\n"
	"ring3_code:\n"
	PIECE(read, "mov (%rdi), %rax")
	PIECE(write, "movq $-1, (%rdi)")
	PIECE(jump, "jmp *%rdi")
	PIECE(call, "call *%rdi")
	PIECE(push, "mov %rdi, %rsp\n\tpush %rax")
	ONE_BYTE_PORT(0x10)
	ONE_BYTE_PORT(0x11)
	ONE_BYTE_PORT(0x12)
	ONE_BYTE_PORT(0x13)
	PIECE(out_dx, "mov $0x80, %edx\n\tout %eax, %dx")
	PIECE(outs, "mov $0x11, %edx\n\tmov %rdi, %rsi\n\toutsb")
	PIECE(cli, "cli")
	PIECE(sti, "sti")
	PIECE(hlt, "hlt")
	PIECE(clts, "clts")
	PIECE(invd, "invd")
	PIECE(wbinvd, "wbinvd")
	PIECE(invlpg, "invlpg (%rdi)")
	PIECE(invpcid, "sub $16, %rsp\n\tmov $2, %eax\n\tinvpcid (%rsp), %rax")
	PIECE(lgdt, "sub $16, %rsp\n\tlgdt (%rsp)")
	PIECE(lidt, "sub $16, %rsp\n\tlidt (%rsp)")
	PIECE(lldt, "mov $0x2b, %eax\n\tlldt %ax")
	PIECE(ltr, "mov $0x40, %eax\n\tltr %ax")
	PIECE(lmsw, "mov $0, %eax\n\tlmsw %ax")
	PIECE(read_cr0, "mov %cr0, %rax")
	PIECE(write_cr0, "xor %eax, %eax\n\tmov %rax, %cr0")
	PIECE(read_cr3, "mov %cr3, %rax")
	PIECE(write_cr3, "mov %rsi, %cr3")
	PIECE(write_cr4, "xor %eax, %eax\n\tmov %rax, %cr4")
	PIECE(write_cr8, "xor %eax, %eax\n\tmov %rax, %cr8")
	PIECE(write_dr7, "xor %eax, %eax\n\tmov %rax, %dr7")
	PIECE(rdmsr, "mov $0xc0000082, %ecx\n\trdmsr")
	PIECE(wrmsr, "mov $0xc0000082, %ecx\n\tmov %edi, %eax\n\t"
	      "xor %edx, %edx\n\twrmsr")
	PIECE(swapgs, "swapgs")
	PIECE(xsetbv, "xor %ecx, %ecx\n\tmov $1, %eax\n\txor %edx, %edx\n\t"
	      "xsetbv")
	PIECE(sysret, "mov %rdi, %rcx\n\tmov $0x202, %r11\n\tsysretq")
	PIECE(sysexit, "sysexitl")
	/* a frame of ring 0, by both names that ring 0's code segment has */
	PIECE(iret_0, "push $0x18\n\tpush %rsp\n\tpush $2\n\tpush $0x10\n\t"
	      "push %rdi\n\tiretq")
	PIECE(iret_1, "push $0x18\n\tpush %rsp\n\tpush $2\n\tpush $0x11\n\t"
	      "push %rdi\n\tiretq")
	PIECE(far_jump, "push $0x10\n\tpush %rdi\n\tlretq")
	PIECE(load_ss, "mov $0x18, %eax\n\tmov %eax, %ss")
	PIECE(int_pf, "int $14")
	PIECE(int_gp, "int $13")
	PIECE(int_df, "int $8")
	/* flags that ring 0 must not start with, and a call */
	PIECE(flags, "push %rsi\n\tpopfq\n\tmov $39, %eax\n\tsyscall\n\t"
	      "pushq $2\n\tpopfq\n\tmov %rax, %rdi")
	/* in vain: another FS base, bad selectors, no stack */
	PIECE(segments, "xor %eax, %eax\n\tmov %eax, %fs\n\tmov %eax, %gs\n\t"
	      "mov %eax, %ds\n\tmov %eax, %es\n\tmov %rsi, %rsp\n\t"
	      "mov $39, %eax\n\tsyscall\n\tmov %rax, %rdi")
	PIECE(spin, "1: pause\n\tcmpl $0, (%rdi)\n\tje 1b")
	".balign 4096\n"
	"ring3_code_end:\n"
	".previous\n");
extern char ring3_code[], ring3_code_end[];

extern char piece_read[], piece_write[], piece_jump[], piece_call[],
	piece_push[], piece_flags[], piece_segments[], piece_spin[];
int main(void);

static char *code, *stack, *page;
static uint64_t secret = 0x5ec2e7;

static struct {
	int vector, calls, stops;
	uint32_t err;
	uint64_t addr, rdi;
} seen;

static enum dune_trap_action on_trap(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	(void)arg;
	if (!(tf->cs & 3))
		return DUNE_TRAP_PASS;
	seen.vector = vector;
	seen.err = tf->err;
	seen.addr = addr;
	dune_ret_from_user(1);
}

static enum dune_trap_action on_call(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	if ((int)tf->rax == DONE) {
		seen.vector = DUNE_VEC_CALL;
		seen.rdi = tf->rdi;
		dune_ret_from_user(0);
	}
	seen.calls++;
	tf->rax = ANSWER;
	return DUNE_TRAP_RESUME;
}

/* As a debugger that steps through ring 3; ring 0 is never stepped through. */
static enum dune_trap_action on_step(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	CHECK(tf->cs & 3);
	seen.stops++;
	return DUNE_TRAP_RESUME;
}

static void run(const char *piece, uint64_t rdi, uint64_t rsi)
{
	struct dune_tf tf = {
		.rip = (uint64_t)code + (piece - ring3_code), .rflags = 0x202,
		.rsp = (uint64_t)stack + PAGE - 64, .rdi = rdi, .rsi = rsi,
	};
	int r;

	memset(&seen, 0, sizeof(seen));
	seen.vector = -1;
	r = dune_jump_to_user(&tf);
	CHECK(r == 0 || r == 1);
	CHECK(seen.vector >= 0);
	CHECK(secret == 0x5ec2e7);
}

/* ---- pages of ring 0 ---- */

static void faults(const char *piece, const void *at, uint32_t err)
{
	run(piece, (uint64_t)at, 0);
	if (seen.vector != DUNE_VEC_PF || seen.addr != (uint64_t)at ||
	    seen.err != err) {
		say("FAILED: %p: vector %d, %#lx, error %#x, not %#x\n", at,
		    seen.vector, seen.addr, seen.err, err);
		_exit(1);
	}
}

static void pages_of_ring_0(void)
{
	const uint32_t u = DUNE_PF_USER | DUNE_PF_PRESENT;
	static uint64_t block;
	const void *page_of[] = {
		&secret, &block, main, pgroot, &pgroot[511],
		page, (char *)page + 8,
	};
	unsigned int i;

	for (i = 0; i < sizeof(page_of) / sizeof(page_of[0]); i++) {
		faults(piece_read, page_of[i], u);
		faults(piece_write, page_of[i], u | DUNE_PF_WRITE);
		faults(piece_jump, page_of[i], u | DUNE_PF_FETCH);
		faults(piece_call, page_of[i], u | DUNE_PF_FETCH);
	}
	/* its own code is not to be written, its stack not to be executed */
	faults(piece_write, code, u | DUNE_PF_WRITE);
	faults(piece_jump, stack, u | DUNE_PF_FETCH);
	run(piece_read, (uint64_t)stack, 0);
	CHECK(seen.vector == DUNE_VEC_CALL);
	/* what is not mapped at all looks different */
	faults(piece_read, (void *)0x123456000, DUNE_PF_USER);
}

/* This thread's block: stubs, tables, stacks, all of ring 0's. */
static void block_of_ring_0(void)
{
	static const uint32_t parts[] = {
		0, DUNE_PC_STUBS, DUNE_PC_TRAPS, DUNE_PC_IDT, DUNE_PC_GDT,
		DUNE_PC_IST_TOP - 64, DUNE_PC_HSTACK_TOP - 64,
	};
	uint64_t at;
	unsigned int i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		at = DUNE_RING0_GVA + DUNE_RING0_BLOCKS + parts[i];
		run(piece_read, at, 0);
		CHECK(seen.vector == DUNE_VEC_PF && seen.addr == at);
		run(piece_write, at, 0);
		CHECK(seen.vector == DUNE_VEC_PF && seen.addr == at);
		run(piece_push, at + 8, 0);
		CHECK(seen.vector == DUNE_VEC_PF && seen.addr == at);
		if (parts[i] == DUNE_PC_STUBS)
			continue;	/* a software KVM's system call */
		run(piece_jump, at, 0);
		CHECK(seen.vector == DUNE_VEC_PF && seen.addr == at);
	}
}

/* ---- instructions of ring 0 ---- */

extern char piece_out_0x10[], piece_in_0x10[], piece_out_0x11[],
	piece_in_0x11[], piece_out_0x12[], piece_in_0x12[], piece_out_0x13[],
	piece_in_0x13[], piece_out_dx[], piece_outs[], piece_cli[], piece_sti[],
	piece_hlt[], piece_clts[], piece_invd[], piece_wbinvd[], piece_invlpg[],
	piece_invpcid[], piece_lgdt[], piece_lidt[], piece_lldt[], piece_ltr[],
	piece_lmsw[], piece_read_cr0[], piece_write_cr0[], piece_read_cr3[],
	piece_write_cr3[], piece_write_cr4[], piece_write_cr8[],
	piece_write_dr7[], piece_rdmsr[], piece_wrmsr[], piece_swapgs[],
	piece_xsetbv[],
	piece_sysret[], piece_sysexit[], piece_iret_0[], piece_iret_1[],
	piece_far_jump[], piece_load_ss[], piece_int_pf[], piece_int_gp[],
	piece_int_df[];

static const struct {
	const char *name, *piece;
} privileged[] = {
#define TRY(name) { #name, piece_##name }
	TRY(out_0x10), TRY(in_0x10), TRY(out_0x11), TRY(in_0x11),
	TRY(out_0x12), TRY(in_0x12), TRY(out_0x13), TRY(in_0x13),
	TRY(out_dx), TRY(outs), TRY(cli), TRY(sti), TRY(hlt), TRY(clts),
	TRY(invd), TRY(wbinvd), TRY(invlpg), TRY(invpcid), TRY(lgdt),
	TRY(lidt), TRY(lldt), TRY(ltr), TRY(lmsw), TRY(read_cr0),
	TRY(write_cr0), TRY(read_cr3), TRY(write_cr3), TRY(write_cr4),
	TRY(write_cr8), TRY(write_dr7), TRY(rdmsr), TRY(wrmsr),
	TRY(swapgs), TRY(xsetbv), TRY(sysret), TRY(sysexit),
	TRY(iret_0), TRY(iret_1), TRY(far_jump), TRY(load_ss),
	TRY(int_pf), TRY(int_gp), TRY(int_df),
};

static void instructions_of_ring_0(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
		run(privileged[i].piece, (uint64_t)main, (uint64_t)code);
		if (seen.vector == DUNE_VEC_GP || seen.vector == DUNE_VEC_UD)
			continue;
		say("FAILED: %s: vector %d\n", privileged[i].name,
		    seen.vector);
		_exit(1);
	}
}

/* ---- what ring 3 may set, and ring 0 must not start with ---- */

#define TF	0x100ul
#define DF	0x400ul
#define NT	0x4000ul
#define AC	0x40000ul

static void flags_of_ring_3(void)
{
	static const uint64_t flags[] = { DF, NT, AC, TF, TF | NT | AC | DF };
	unsigned int i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		run(piece_flags, 0, flags[i] | 0x202);
		if (seen.vector != DUNE_VEC_CALL || seen.calls != 1 ||
		    (int)seen.rdi != ANSWER) {
			say("FAILED: flags %#lx: vector %d, %d calls, %d\n",
			    flags[i], seen.vector, seen.calls, (int)seen.rdi);
			_exit(1);
		}
		CHECK(!seen.stops == !(flags[i] & TF));
	}
}

static void segments_of_ring_3(void)
{
	static const uint64_t rsp[] = {
		0, 0x800000000000, 0x123456000, DUNE_RING0_GVA +
		DUNE_RING0_BLOCKS + DUNE_PC_IST_TOP - 128, (uint64_t)&secret,
	};
	unsigned int i;

	for (i = 0; i < sizeof(rsp) / sizeof(rsp[0]); i++) {
		run(piece_segments, 0, rsp[i]);
		CHECK(seen.vector == DUNE_VEC_CALL && seen.calls == 1);
		CHECK((int)seen.rdi == ANSWER);
	}
}

/* ---- it does not hold the program up ---- */

static int alarms;

static void on_alarm(int sig)
{
	(void)sig;
	*(int *)stack = ++alarms >= 3;
}

static void endless_loop(void)
{
	const struct itimerval soon = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };

	signal(SIGALRM, on_alarm);
	*(int *)stack = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	run(piece_spin, (uint64_t)stack, 0);
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK(seen.vector == DUNE_VEC_CALL && alarms >= 3);
}

static void *user_page(const void *from, int prot, int perm)
{
	void *p = map(PAGE, PROT_READ | PROT_WRITE);

	if (from)
		memcpy(p, from, PAGE);
	else
		memset(p, 0, PAGE);
	CHECK(mprotect(p, PAGE, prot) == 0);
	OK(dune_vm_mprotect(pgroot, p, PAGE, perm | PERM_U));
	return p;
}

int main(void)
{
	unsigned int v;

	OK(dune_enter());
	CHECK(ring3_code_end - ring3_code == PAGE);
	code = user_page(ring3_code, PROT_READ | PROT_EXEC, PERM_R | PERM_X);
	stack = user_page(NULL, PROT_READ | PROT_WRITE, PERM_R | PERM_W);
	page = map(PAGE, PROT_READ | PROT_WRITE);
	*page = 1;
	for (v = 0; v < 32; v++)
		OK(dune_trap_set(v, 0, v == DUNE_VEC_DB ? on_step : on_trap,
				 NULL));
	OK(dune_trap_set(DUNE_VEC_CALL, 0, on_call, NULL));
	pages_of_ring_0();
	say("pages of ring 0\n");
	block_of_ring_0();
	say("ring 0's own pages\n");
	instructions_of_ring_0();
	say("instructions of ring 0\n");
	flags_of_ring_3();
	segments_of_ring_3();
	say("flags and segments\n");
	endless_loop();
	OK(dune_leave());
	say("ring 3 is kept where it is\n");
	return 0;
}
