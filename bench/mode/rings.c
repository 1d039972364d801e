/*
 * System calls of ring 3 under our ring 0: seen, and let through to the kernel
 * or answered on the spot.
 */
#include "bench/mode/mode.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define SYS_DONE 1000	/* the program in ring 3 has made all its calls */

/* Ring 3's program: rbx times getppid(2). It runs in a page of its own. */
extern const char ring3_begin[], ring3_end[];
__asm__(".pushsection .rodata\n"
	"ring3_begin:\n"
	"1:	mov $110, %eax\n"	/* SYS_getppid */
	"	syscall\n"
	"	dec %rbx\n"
	"	jnz 1b\n"
	"	mov $1000, %eax\n"	/* SYS_DONE */
	"	syscall\n"
	"	ud2\n"
	"ring3_end:\n"
	".popsection");

/* arg: not NULL, let it through. */
NOFPU static enum dune_trap_action
on_call(struct dune_tf *tf, unsigned int vector, uint64_t addr, void *arg)
{
	(void)vector;
	(void)addr;
	if (tf->rax == SYS_DONE)
		dune_ret_from_user(0);
	if (arg)
		dune_passthrough_syscall(tf);
	else
		tf->rax = 1;
	return DUNE_TRAP_RESUME;
}

static int64_t ring3(unsigned long n, void *through)
{
	static char *code, *stack;
	struct dune_tf tf = { 0 };
	int64_t t;
	int err;

	if (!code) {
		code = bench_map(PAGE, 0);
		stack = bench_map(PAGE, 0);
		if (!code || !stack)
			return -errno;
		memcpy(code, ring3_begin, ring3_end - ring3_begin);
		stack[0] = 0;
		if (mprotect(code, PAGE, PROT_READ | PROT_EXEC))
			return -errno;
		err = dune_vm_mprotect(pgroot, code, PAGE, PERM_UCODE);
		if (!err)
			err = dune_vm_mprotect(pgroot, stack, PAGE,
					       PERM_USTACK);
		if (err)
			return err;
	}
	err = dune_trap_set(DUNE_VEC_CALL, DUNE_TRAP_NOFPU, on_call, through);
	if (err)
		return err;
	tf.rip = (uintptr_t)code;
	tf.rsp = (uintptr_t)stack + PAGE - 64;
	tf.rflags = 0x202;
	tf.rbx = n;
	t = bench_now();
	err = dune_jump_to_user(&tf);
	return err ? err : bench_now() - t;
}

static int64_t run_intercept(unsigned long n)
{
	return ring3(n, (void *)1);
}

static int64_t run_answer(unsigned long n)
{
	return ring3(n, NULL);
}

const struct bench_case mode_rings[] = {
	{ "intercept", "getppid(2) of ring 3, let through by ring 0",
	  run_intercept, 0 },
	{ "answer", "getppid(2) of ring 3, answered by ring 0", run_answer, 0 },
	{ 0 },
};
