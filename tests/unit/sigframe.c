/*
 * Signal frames: ours against those the host kernel makes, byte for byte, and
 * against guests that write nonsense into them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "kern/task/sigframe.h"

#define STACK_SIZE	65536
#define OFF_SW		464
#define OFF_HEADER	512

/* What the handler saw of the kernel's frame. */
static struct {
	struct dune_sigframe *frame;
	struct dune_sigframe copy;
	uint8_t fpstate[DUNE_XSAVE_MAX + 64];
	bool rewrite;
	unsigned int runs;
} seen;

static struct dune_sigstack altstack;

static struct dune_xstate native_xstate(const uint8_t *fpstate)
{
	uint64_t features;

	memcpy(&features, fpstate + OFF_SW + 8, sizeof(features));
	return dune_xstate_of(features);
}

/* The kernel's frame made again by our code, from what it says itself. */
static void rebuild(const struct dune_sigframe *k, struct dune_sigframe *f)
{
	struct dune_sigtrap trap = {
		k->uc.mc.trapno, k->uc.mc.err, k->uc.mc.cr2,
	};
	struct kvm_regs u;

	memset(&u, 0, sizeof(u));
	dune_sigframe_regs(&k->uc.mc, &u);
	/* what a frame cannot set: IF and the constant bit */
	u.rflags |= k->uc.mc.flags & 0x202;
	memset(f, 0, sizeof(*f));
	dune_sigframe_fill(f, &u, &trap, k->uc.sigmask, &altstack,
			   k->uc.mc.fpstate, k->pretcode);
	f->info = k->info;
}

static void handler(int sig, siginfo_t *info, void *ctx)
{
	struct dune_sigframe *f = (void *)((char *)ctx -
				  offsetof(struct dune_sigframe, uc));
	uint8_t *fp = (uint8_t *)(uintptr_t)f->uc.mc.fpstate;
	struct dune_xstate xs;
	struct dune_sigframe ours;

	(void)sig;
	seen.runs++;
	if (seen.runs == 2)	/* came back to life by our frame */
		return;
	assert_ptr_equal(info, &f->info);
	seen.frame = f;
	seen.copy = *f;
	xs = native_xstate(fp);
	memcpy(seen.fpstate, fp, xs.size + DUNE_FP_MAGIC2_SIZE);
	if (seen.rewrite) {
		/* the kernel is to return by our frame, not by its own */
		rebuild(&seen.copy, &ours);
		memset(f, 0xee, sizeof(*f));
		*f = ours;
		memset(fp + OFF_SW, 0, 48);
		memset(fp + xs.size, 0, DUNE_FP_MAGIC2_SIZE);
		dune_fpstate_seal(fp, &xs);
	}
}

/* Runs the handler natively, the first time on a stack of zeros. */
static void native(int flags, bool twice)
{
	static uint8_t *stack;
	struct sigaction act = {
		.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO,
	};
	stack_t ss = { .ss_size = STACK_SIZE };

	if (!stack)
		stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(stack, MAP_FAILED);
	memset(stack, 0, STACK_SIZE);
	ss.ss_sp = stack;
	assert_return_code(sigaltstack(&ss, NULL), errno);
	altstack = (struct dune_sigstack){ (uintptr_t)stack, 0, 0,
					   STACK_SIZE };
	seen.runs = 0;
	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, SIGUSR2);
	assert_return_code(sigaction(SIGUSR1, &act, NULL), errno);
	assert_return_code(raise(SIGUSR1), errno);
	assert_int_equal(seen.runs, 1);
	if (twice)
		raise(SIGUSR1);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

static void check_place(int flags)
{
	struct dune_xstate xs = native_xstate(seen.fpstate);
	struct dune_sigplace at;

	assert_true(dune_sigframe_place(&at, seen.copy.uc.mc.sp, flags,
					&altstack, &xs));
	assert_int_equal(at.frame, (uintptr_t)seen.frame);
	assert_int_equal(at.fpstate, seen.copy.uc.mc.fpstate);
	assert_int_equal(at.frame % 16, 8);
	assert_int_equal(at.fpstate % 64, 0);
}

static void test_place_like_linux(void **state)
{
	(void)state;
	native(SA_ONSTACK, false);
	check_place(SA_ONSTACK);
	native(0, false);
	check_place(0);
}

static void test_frame_like_linux(void **state)
{
	struct dune_sigframe ours;

	(void)state;
	native(SA_ONSTACK, false);
	rebuild(&seen.copy, &ours);
	assert_memory_equal(&ours, &seen.copy, sizeof(ours));
}

static void test_fpstate_like_linux(void **state)
{
	static uint8_t ours[sizeof(seen.fpstate)];
	struct dune_xstate xs;

	(void)state;
	native(SA_ONSTACK, false);
	xs = native_xstate(seen.fpstate);
	memcpy(ours, seen.fpstate, xs.size);
	memset(ours + OFF_SW, 0, 48);
	dune_fpstate_seal(ours, &xs);
	assert_memory_equal(ours, seen.fpstate,
			    xs.size + DUNE_FP_MAGIC2_SIZE);
	assert_int_equal(dune_fpstate_size(ours, &xs), xs.size);
}

static void test_linux_returns_by_our_frame(void **state)
{
	volatile double x = 1.5;

	(void)state;
	seen.rewrite = true;
	native(SA_ONSTACK, true);
	seen.rewrite = false;
	assert_int_equal(seen.runs, 2);
	assert_true(x * 2 == 3.0);
}

static struct dune_xstate avx512(void)
{
	return (struct dune_xstate){ 0xe7, 2688, 0xffff };
}

static void test_altstack(void **state)
{
	struct dune_sigstack alt = { 0x100000, 0, 0, 8192 };
	struct dune_xstate xs = avx512();
	struct dune_sigplace at;

	(void)state;
	/* the lowest byte is not on the stack, its upper end is: as Linux */
	assert_false(dune_on_altstack(&alt, 0x100000));
	assert_true(dune_on_altstack(&alt, 0x100001));
	assert_true(dune_on_altstack(&alt, 0x102000));
	assert_false(dune_on_altstack(&alt, 0x102001));

	assert_true(dune_sigframe_place(&at, 0x7000000, SA_ONSTACK, &alt,
					&xs));
	assert_true(at.fpstate < 0x102000 && at.frame > 0x100000);
	/* without SA_ONSTACK: below the red zone */
	assert_true(dune_sigframe_place(&at, 0x7000000, 0, &alt, &xs));
	assert_true(at.fpstate + xs.size + 4 <= 0x7000000 - 128);
	/* already there: goes on downwards, and must not fall out of it */
	assert_true(dune_sigframe_place(&at, 0x101800, SA_ONSTACK, &alt,
					&xs));
	assert_true(at.fpstate < 0x101800);
	assert_false(dune_sigframe_place(&at, 0x100a00, SA_ONSTACK, &alt,
					 &xs));
	assert_false(dune_sigframe_place(&at, 0x100a00, 0, &alt, &xs));
	/* too small for any frame */
	alt.size = DUNE_MINSIGSTKSZ;
	assert_false(dune_sigframe_place(&at, 0x7000000, SA_ONSTACK, &alt,
					 &xs));
	/* none at all */
	alt.size = 0;
	assert_true(dune_sigframe_place(&at, 0x7000000, SA_ONSTACK, &alt,
					&xs));
	assert_true(at.frame > 0x6000000);
	/* SS_AUTODISARM: never on it, so it is entered anew */
	alt.size = 8192;
	alt.flags = (int32_t)DUNE_SS_AUTODISARM;
	assert_false(dune_on_altstack(&alt, 0x101000));
	assert_true(dune_sigframe_place(&at, 0x100a00, SA_ONSTACK, &alt,
					&xs));
	assert_true(at.frame > 0x101000);
}

static void test_registers_round_trip(void **state)
{
	struct dune_sigstack alt = { 1, 0, 0, 2 };
	struct dune_sigtrap trap = { 14, 6, 0xdeadbeef };
	struct dune_sigframe f;
	struct kvm_regs in, out;
	uint8_t *p = (uint8_t *)&in;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(in); i++)
		p[i] = rand();
	in.rflags = 0x246;
	dune_sigframe_fill(&f, &in, &trap, 0x1234, &alt, 64, 0x401000);
	memset(&out, 0, sizeof(out));
	out.rflags = 0x202;
	dune_sigframe_regs(&f.uc.mc, &out);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(f.uc.mc.cs, 0x33);
	assert_int_equal(f.uc.mc.ss, 0x2b);
	assert_int_equal(f.uc.mc.trapno, 14);
	assert_int_equal(f.uc.mc.err, 6);
	assert_int_equal(f.uc.mc.cr2, 0xdeadbeef);
	assert_int_equal(f.uc.sigmask, 0x1234);
	assert_int_equal(f.uc.mc.oldmask, 0x1234);
	assert_int_equal(f.uc.stack.size, 2);
	assert_int_equal(f.pretcode, 0x401000);
}

static void test_hostile_rflags(void **state)
{
	struct dune_sigcontext mc = { .flags = ~0ull };
	struct kvm_regs u = { .rflags = 0x202 };

	(void)state;
	dune_sigframe_regs(&mc, &u);
	/* no IOPL, NT, VM, VIF, VIP, ID */
	assert_int_equal(u.rflags, 0x50dd5 | 0x202);
	mc.flags = 0;
	dune_sigframe_regs(&mc, &u);
	assert_int_equal(u.rflags, 0x202);
}

static void test_hostile_selectors(void **state)
{
	struct dune_sigucontext uc = {
		.flags = DUNE_UC_STRICT_RESTORE_SS,
		.mc = { .cs = 0x33, .ss = 0x2b },
	};

	(void)state;
	assert_int_equal(dune_sigframe_bad_selector(&uc), -1);
	uc.mc.cs = 0x30;		/* ring 0 becomes ring 3 */
	assert_int_equal(dune_sigframe_bad_selector(&uc), -1);
	uc.mc.cs = 0x23;
	assert_int_equal(dune_sigframe_bad_selector(&uc), 0x23);
	uc.mc.cs = 0;
	assert_int_equal(dune_sigframe_bad_selector(&uc), 0);
	uc.mc.cs = 0x33;
	uc.mc.ss = 0;
	assert_int_equal(dune_sigframe_bad_selector(&uc), 0);
	uc.flags = 0;
	assert_int_equal(dune_sigframe_bad_selector(&uc), -1);
}

static void test_canonical(void **state)
{
	(void)state;
	assert_true(dune_canonical(0));
	assert_true(dune_canonical(0x7fffffffffff));
	assert_false(dune_canonical(0x800000000000));
	assert_false(dune_canonical(0xffff7fffffffffff));
	assert_true(dune_canonical(0xffff800000000000));
	assert_true(dune_canonical(~0ull));
}

/* A good fpstate to be spoilt. */
static void good(uint8_t *area, const struct dune_xstate *xs)
{
	uint32_t mxcsr = 0x1f80;

	memset(area, 0, DUNE_XSAVE_MAX);
	memcpy(area + 24, &mxcsr, sizeof(mxcsr));
	dune_fpstate_seal(area, xs);
}

static void put64(uint8_t *area, size_t off, uint64_t v)
{
	memcpy(area + off, &v, sizeof(v));
}

static uint64_t get64(const uint8_t *area, size_t off)
{
	uint64_t v;

	memcpy(&v, area + off, sizeof(v));
	return v;
}

static void test_hostile_fpstate(void **state)
{
	uint8_t a[DUNE_XSAVE_MAX] __attribute__((aligned(64)));
	struct dune_xstate xs = avx512();

	(void)state;
	good(a, &xs);
	put64(a, OFF_HEADER, 7);
	assert_int_equal(dune_fpstate_size(a, &xs), xs.size);
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs), 0);
	assert_int_equal(get64(a, OFF_HEADER), 7);
	assert_int_equal(get64(a, OFF_SW), 0);
	assert_int_equal(get64(a, xs.size) & 0xffffffff, 0);

	/* sizes: too short, too long, longer than the whole */
	good(a, &xs);
	put64(a, OFF_SW + 16, 575);
	assert_int_equal(dune_fpstate_size(a, &xs), DUNE_FXSAVE_SIZE);
	put64(a, OFF_SW + 16, xs.size + 1);
	assert_int_equal(dune_fpstate_size(a, &xs), DUNE_FXSAVE_SIZE);
	put64(a, OFF_SW + 16, 0xffffffff);
	assert_int_equal(dune_fpstate_size(a, &xs), DUNE_FXSAVE_SIZE);
	good(a, &xs);
	put64(a, OFF_SW, DUNE_FP_MAGIC1 | 100ull << 32);
	assert_int_equal(dune_fpstate_size(a, &xs), DUNE_FXSAVE_SIZE);
	put64(a, OFF_SW, 0);
	assert_int_equal(dune_fpstate_size(a, &xs), DUNE_FXSAVE_SIZE);
	put64(a, OFF_HEADER, ~0ull);	/* not looked at */
	assert_int_equal(dune_fpstate_open(a, DUNE_FXSAVE_SIZE, sizeof(a),
					   &xs), 0);
	assert_int_equal(get64(a, OFF_HEADER), 3);

	/* no MAGIC2: only the legacy area counts */
	good(a, &xs);
	put64(a, OFF_HEADER, 7);
	a[600] = 0x55;
	a[xs.size] ^= 1;
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs), 0);
	assert_int_equal(get64(a, OFF_HEADER), 3);
	assert_int_equal(a[600], 0);

	/* what xrstor refuses */
	good(a, &xs);
	put64(a, OFF_HEADER, 1ull << 18);
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs),
			 -EINVAL);
	good(a, &xs);
	put64(a, OFF_HEADER + 8, 1ull << 63);
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs),
			 -EINVAL);
	good(a, &xs);
	put64(a, OFF_HEADER + 16, 1);
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs),
			 -EINVAL);
	good(a, &xs);
	put64(a, 24, 0x11f80);
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs),
			 -EINVAL);
	/* what it ignores */
	good(a, &xs);
	put64(a, OFF_HEADER + 24, ~0ull);
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs), 0);
	assert_int_equal(get64(a, OFF_HEADER + 24), 0);
	/* features the program does not want back */
	good(a, &xs);
	put64(a, OFF_HEADER, 0xe7);
	put64(a, OFF_SW + 8, 3);
	assert_int_equal(dune_fpstate_open(a, xs.size, sizeof(a), &xs), 0);
	assert_int_equal(get64(a, OFF_HEADER), 3);
}

/* Random fpstates: what is accepted is what KVM accepts. */
static void test_random_fpstate(void **state)
{
	uint8_t a[DUNE_XSAVE_MAX] __attribute__((aligned(64)));
	struct dune_xstate xs = avx512();
	unsigned int i, j, accepted = 0;

	(void)state;
	srand(1);
	for (i = 0; i < 20000; i++) {
		uint32_t size;

		good(a, &xs);
		for (j = rand() % 4; j; j--) {
			size_t off = rand() % (xs.size + 4);

			/* mostly where it hurts: kernel's bytes, header */
			if (j != 1)
				off = OFF_SW + off % 112;
			a[off] ^= 1u << rand() % 8;
		}
		size = dune_fpstate_size(a, &xs);
		assert_true(size == DUNE_FXSAVE_SIZE || size <= xs.size);
		if (dune_fpstate_open(a, size, sizeof(a), &xs))
			continue;
		accepted++;
		assert_int_equal(get64(a, OFF_HEADER) & ~xs.features, 0);
		for (j = OFF_HEADER + 8; j < DUNE_XSAVE_MIN; j += 8)
			assert_int_equal(get64(a, j), 0);
		assert_int_equal(get64(a, 24) & 0xffff0000, 0);
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place_like_linux),
		cmocka_unit_test(test_frame_like_linux),
		cmocka_unit_test(test_fpstate_like_linux),
		cmocka_unit_test(test_linux_returns_by_our_frame),
		cmocka_unit_test(test_altstack),
		cmocka_unit_test(test_registers_round_trip),
		cmocka_unit_test(test_hostile_rflags),
		cmocka_unit_test(test_hostile_selectors),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_hostile_fpstate),
		cmocka_unit_test(test_random_fpstate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
