/* Ring 3 under the program's ring 0. */
#include "dune/ring3.h"

#include <errno.h>
#include <setjmp.h>
#include "kern/err.h"
#include "libdune/guest.h"
#include "libdune/vm.h"

uint64_t dune_userview_cr3(uint64_t cr3) __attribute__((weak));

/* Flags ring 3 may have at its start: status, DF, AC, ID, TF; IF always. */
#define RFLAGS_USER	0x240dd5ul
#define RFLAGS_ALWAYS	0x202ul

#define ROOM		512	/* below a handler's frame, red zone included */

/* One dune_jump_to_user(), on its caller's stack. */
struct dune_ring3 {
	jmp_buf back;
	int ret;
	uint64_t trap_rsp;
	struct dune_ring3 *outer;
};

/* Traps of ring 3 start here: below what is in use of the handler stack. */
static uint64_t trap_stack(const struct dune_percpu *pc)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);

	if (here - pc->hstack_lo < pc->hstack_size)
		return (here - ROOM) & ~63ul;
	return pc->hstack_lo + pc->hstack_size;
}

/* A copy on the handler stack, where emulated ring 0 can read it. */
static struct dune_tf *put_frame(const struct dune_percpu *pc, uint64_t top,
				 const struct dune_tf *tf)
{
	struct dune_tf *f = (struct dune_tf *)(top - ROOM);

	(void)pc;
	*f = *tf;
	f->cs = DUNE_SELF_USER_CS;
	f->ss = DUNE_SELF_USER_SS;
	f->rflags = (tf->rflags & RFLAGS_USER) | RFLAGS_ALWAYS;
	return f;
}

static int unable(const struct dune_percpu *pc)
{
	if (!pc)
		return dune_err(-EPERM, "ring 3: this thread is not in Dune "
				"mode");
	if (!dune_guest_native() && !(pc->flags & DUNE_PCF_FSGSBASE))
		return dune_err(-ENOTSUP, "ring 3: this software KVM's "
				"processor has no FSGSBASE");
	return 0;
}

int dune_jump_to_user(struct dune_tf *tf)
{
	struct dune_percpu *pc = dune_in_dune_mode() ? dune_guest_cpu() : NULL;
	uint32_t mxcsr = __builtin_ia32_stmxcsr();
	struct dune_guest *g;
	struct dune_ring3 here;
	uint16_t fcw;
	int r = unable(pc);

	if (r)
		return r;
	__asm__("fnstcw %0" : "=m"(fcw));
	g = dune_guest_of(pc);
	here.outer = g->ring3;
	here.trap_rsp = pc->trap_rsp;
	if (!_setjmp(here.back)) {
		uint64_t top = trap_stack(pc);

		if (!dune_guest_native())
			pc->user_cr3 = dune_userview_cr3(pc->kern_cr3);
		g->ring3 = &here;
		pc->trap_rsp = top;
		pc->to_user(put_frame(pc, top, tf));
	}
	g->ring3 = here.outer;
	pc->trap_rsp = here.trap_rsp;
	__builtin_ia32_ldmxcsr(mxcsr);
	__asm__ volatile("fldcw %0" : : "m"(fcw));
	return here.ret;
}

void dune_ret_from_user(int ret)
{
	struct dune_ring3 *r = dune_guest_of(dune_guest_cpu())->ring3;

	r->ret = ret;
	longjmp(r->back, 1);
}

void dune_pop_trap_frame(struct dune_tf *tf)
{
	struct dune_percpu *pc = dune_guest_cpu();
	uint64_t top = trap_stack(pc);
	struct dune_tf *f = put_frame(pc, top, tf);

	if (tf->cs & 3)
		pc->to_user(f);
	f->cs = dune_guest_native() ? DUNE_SELF_KERN_CS : DUNE_SELF_USER_CS;
	f->ss = dune_guest_native() ? DUNE_SELF_KERN_SS : DUNE_SELF_USER_SS;
	pc->resume(f);
}

void dune_passthrough_syscall(struct dune_tf *tf)
{
	register uint64_t r10 __asm__("r10") = ARG3(tf);
	register uint64_t r8 __asm__("r8") = ARG4(tf);
	register uint64_t r9 __asm__("r9") = ARG5(tf);
	uint64_t ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(tf->rax), "D"(ARG0(tf)), "S"(ARG1(tf)),
			   "d"(ARG2(tf)), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	tf->rax = ret;
}

unsigned long dune_get_user_fs(void)
{
	return dune_in_dune_mode() ? dune_guest_cpu()->user_fs : 0;
}

void dune_set_user_fs(unsigned long fs_base)
{
	if (dune_in_dune_mode())
		dune_guest_cpu()->user_fs = fs_base;
}
