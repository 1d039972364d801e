/* Enters Dune mode, divides by zero in ring 0 and goes on. */
#include <dune.h>
#include <dune/trap.h>
#include <stdio.h>

#define IDIV_LEN 2	/* bytes of `idiv %ecx` */

static unsigned int divided_by_zero;

/* Runs in ring 0, instead of SIGFPE; the thread goes on with the frame. */
static enum dune_trap_action on_divide(struct dune_tf *tf,
				       unsigned int vector, uint64_t addr,
				       void *arg)
{
	(void)vector, (void)addr;
	tf->rip += IDIV_LEN;
	tf->rax = 0;
	++*(unsigned int *)arg;
	return DUNE_TRAP_RESUME;
}

static int divide(int a, int b)
{
	__asm__ volatile("cdq; idiv %%ecx" : "+a"(a) : "c"(b) : "edx", "cc");
	return a;
}

int main(void)
{
	struct dune_caps caps = { .size = sizeof(caps) };
	unsigned short cs;

	if (dune_caps(&caps) || dune_enter()) {
		fprintf(stderr, "hello: %s\n", dune_errmsg());
		return 1;
	}
	dune_trap_set(DUNE_VEC_DE, 0, on_divide, &divided_by_zero);
	__asm__("mov %%cs, %0" : "=r"(cs));
	printf("hello from Dune mode, %s, CPL %d\n", dune_caps_kind(&caps),
	       cs & 3);
	printf("42 / 6 = %d, 42 / 0 = %d\n", divide(42, 6), divide(42, 0));
	printf("divided by zero: %u\n", divided_by_zero);
	dune_leave();
	return divided_by_zero != 1;
}
