/* Signal frames of x86-64 Linux, see sigframe.h. */
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include "kern/task/sigframe.h"

#define RED_ZONE	128
#define USER_CS		0x33
#define USER_DS		0x2b

/* Bits of RFLAGS a program may set, and so a frame may restore. */
#define RFLAGS_CF	(1u << 0)
#define RFLAGS_PF	(1u << 2)
#define RFLAGS_AF	(1u << 4)
#define RFLAGS_ZF	(1u << 6)
#define RFLAGS_SF	(1u << 7)
#define RFLAGS_TF	(1u << 8)
#define RFLAGS_DF	(1u << 10)
#define RFLAGS_OF	(1u << 11)
#define RFLAGS_RF	(1u << 16)
#define RFLAGS_AC	(1u << 18)
#define RFLAGS_USER	((uint64_t)(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | \
			 RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_DF | \
			 RFLAGS_OF | RFLAGS_RF | RFLAGS_AC))

/* In the XSAVE area. */
#define OFF_MXCSR	24
#define OFF_MXCSR_MASK	28
#define OFF_SW		464	/* the kernel's part of the legacy area */
#define OFF_HEADER	512
#define XFEATURE_FPSSE	3ull

struct sw_bytes {
	uint32_t magic1;
	uint32_t extended_size;	/* with MAGIC2 */
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t padding[7];
};

struct xsave_header {
	uint64_t xstate_bv, xcomp_bv, reserved[6];
};

_Static_assert(sizeof(struct dune_sigcontext) == 256, "ABI");
_Static_assert(sizeof(struct dune_sigucontext) == 304, "ABI");
_Static_assert(sizeof(siginfo_t) == 128, "ABI");
_Static_assert(sizeof(struct dune_sigframe) == 440, "ABI");
_Static_assert(OFF_SW + sizeof(struct sw_bytes) == OFF_HEADER, "ABI");

static uint32_t mxcsr_mask(void)
{
	uint8_t fx[DUNE_FXSAVE_SIZE] __attribute__((aligned(16)));
	uint32_t mask;

	memset(fx, 0, sizeof(fx));
	__asm__ volatile("fxsave64 %0" : "+m"(fx));
	memcpy(&mask, fx + OFF_MXCSR_MASK, sizeof(mask));
	return mask ? mask : 0xffbf;	/* processors of before the mask */
}

/* In the standard format the topmost feature ends the area. */
static uint32_t xsave_size(uint64_t features)
{
	unsigned int size, off, c, d;

	if (!(features & ~XFEATURE_FPSSE))
		return DUNE_XSAVE_MIN;
	if (!__get_cpuid_count(0xd, 63 - __builtin_clzll(features),
			       &size, &off, &c, &d) || !size)
		return DUNE_XSAVE_MIN;
	return off + size;
}

struct dune_xstate dune_xstate_of(uint64_t xcr0)
{
	static __thread struct dune_xstate known;
	uint64_t features = xcr0 | XFEATURE_FPSSE;

	if (known.features == features)
		return known;
	known.features = features;
	known.size = xsave_size(features);
	known.mxcsr_mask = mxcsr_mask();
	return known;
}

static bool inside(const struct dune_sigstack *alt, uint64_t sp)
{
	return sp > alt->sp && sp - alt->sp <= alt->size;
}

bool dune_on_altstack(const struct dune_sigstack *alt, uint64_t sp)
{
	return !((uint32_t)alt->flags & DUNE_SS_AUTODISARM) &&
	       inside(alt, sp);
}

bool dune_sigframe_place(struct dune_sigplace *place, uint64_t rsp,
			 uint64_t sa_flags, const struct dune_sigstack *alt,
			 const struct dune_xstate *xs)
{
	bool on_alt = dune_on_altstack(alt, rsp);
	uint64_t sp = rsp - RED_ZONE;

	if ((sa_flags & SA_ONSTACK) && alt->size &&
	    !dune_on_altstack(alt, sp)) {
		sp = alt->sp + alt->size;
		on_alt = true;
	}
	sp = (sp - xs->size - DUNE_FP_MAGIC2_SIZE) & ~63ull;
	place->fpstate = sp;
	/* as after a call: the return address makes it 8 modulo 16 */
	sp = ((sp - sizeof(struct dune_sigframe)) & ~15ull) - 8;
	place->frame = sp;
	/* nested frames must not run out of the stack's lower end */
	return !on_alt || inside(alt, sp);
}

void dune_sigframe_fill(struct dune_sigframe *frame, const struct kvm_regs *u,
			const struct dune_sigtrap *trap, uint64_t oldmask,
			const struct dune_sigstack *alt, uint64_t fpstate,
			uint64_t restorer)
{
	struct dune_sigcontext *mc = &frame->uc.mc;

	frame->pretcode = restorer;
	memset(&frame->uc, 0, sizeof(frame->uc));
	frame->uc.flags = DUNE_UC_FP_XSTATE | DUNE_UC_SIGCONTEXT_SS |
			  DUNE_UC_STRICT_RESTORE_SS;
	frame->uc.stack = *alt;
	frame->uc.sigmask = oldmask;

	mc->r8 = u->r8;
	mc->r9 = u->r9;
	mc->r10 = u->r10;
	mc->r11 = u->r11;
	mc->r12 = u->r12;
	mc->r13 = u->r13;
	mc->r14 = u->r14;
	mc->r15 = u->r15;
	mc->di = u->rdi;
	mc->si = u->rsi;
	mc->bp = u->rbp;
	mc->bx = u->rbx;
	mc->dx = u->rdx;
	mc->ax = u->rax;
	mc->cx = u->rcx;
	mc->sp = u->rsp;
	mc->ip = u->rip;
	mc->flags = u->rflags;
	mc->cs = USER_CS;
	mc->ss = USER_DS;
	mc->err = trap->error;
	mc->trapno = trap->number;
	mc->oldmask = oldmask;
	mc->cr2 = trap->cr2;
	mc->fpstate = fpstate;
}

void dune_sigframe_regs(const struct dune_sigcontext *mc, struct kvm_regs *u)
{
	u->r8 = mc->r8;
	u->r9 = mc->r9;
	u->r10 = mc->r10;
	u->r11 = mc->r11;
	u->r12 = mc->r12;
	u->r13 = mc->r13;
	u->r14 = mc->r14;
	u->r15 = mc->r15;
	u->rdi = mc->di;
	u->rsi = mc->si;
	u->rbp = mc->bp;
	u->rbx = mc->bx;
	u->rdx = mc->dx;
	u->rax = mc->ax;
	u->rcx = mc->cx;
	u->rsp = mc->sp;
	u->rip = mc->ip;
	u->rflags = (u->rflags & ~RFLAGS_USER) | (mc->flags & RFLAGS_USER);
}

int dune_sigframe_bad_selector(const struct dune_sigucontext *uc)
{
	/* Linux sets the privilege level itself */
	if ((uc->mc.cs | 3) != USER_CS)
		return uc->mc.cs;
	/* programs of before UC_STRICT_RESTORE_SS leave garbage in ss */
	if ((uc->flags & DUNE_UC_STRICT_RESTORE_SS) &&
	    (uc->mc.ss | 3) != USER_DS)
		return uc->mc.ss;
	return -1;
}

void dune_fpstate_seal(uint8_t *area, const struct dune_xstate *xs)
{
	const uint32_t magic2 = DUNE_FP_MAGIC2;
	struct sw_bytes sw = {
		.magic1 = DUNE_FP_MAGIC1,
		.extended_size = xs->size + DUNE_FP_MAGIC2_SIZE,
		.xfeatures = xs->features,
		.xstate_size = xs->size,
	};
	uint64_t bv;

	memcpy(area + OFF_SW, &sw, sizeof(sw));
	/*
	 * Handlers that know only the legacy area edit it without a look at
	 * the header: what they wrote must count.
	 */
	memcpy(&bv, area + OFF_HEADER, sizeof(bv));
	bv |= XFEATURE_FPSSE;
	memcpy(area + OFF_HEADER, &bv, sizeof(bv));
	memcpy(area + xs->size, &magic2, sizeof(magic2));
}

uint32_t dune_fpstate_size(const uint8_t *area, const struct dune_xstate *xs)
{
	struct sw_bytes sw;

	memcpy(&sw, area + OFF_SW, sizeof(sw));
	if (sw.magic1 != DUNE_FP_MAGIC1 || sw.xstate_size < DUNE_XSAVE_MIN ||
	    sw.xstate_size > xs->size || sw.xstate_size > sw.extended_size)
		return DUNE_FXSAVE_SIZE;
	return sw.xstate_size;
}

int dune_fpstate_open(uint8_t *area, uint32_t size, uint32_t room,
		      const struct dune_xstate *xs)
{
	struct xsave_header h;
	struct sw_bytes sw;
	uint32_t magic2 = 0, mxcsr;

	memcpy(&sw, area + OFF_SW, sizeof(sw));
	memset(area + OFF_SW, 0, sizeof(sw));
	if (size > DUNE_FXSAVE_SIZE)
		memcpy(&magic2, area + size, sizeof(magic2));
	if (magic2 != DUNE_FP_MAGIC2) {
		/* a frame of old, or cut short: the legacy area counts */
		size = DUNE_FXSAVE_SIZE;
		h = (struct xsave_header){ .xstate_bv = XFEATURE_FPSSE };
	} else {
		memcpy(&h, area + OFF_HEADER, sizeof(h));
		/* what makes xrstor raise #GP */
		if ((h.xstate_bv & ~xs->features) || h.xcomp_bv ||
		    h.reserved[0])
			return -EINVAL;
		h.xstate_bv &= sw.xfeatures;
		/* what it ignores, but KVM does not */
		memset(h.reserved, 0, sizeof(h.reserved));
	}
	memcpy(&mxcsr, area + OFF_MXCSR, sizeof(mxcsr));
	if (mxcsr & ~xs->mxcsr_mask)
		return -EINVAL;
	memset(area + size, 0, room - size);
	memcpy(area + OFF_HEADER, &h, sizeof(h));
	return 0;
}
