/*
 * ucontext: a handler reads the interrupted registers, changes them, and the
 * program goes on with the changed ones, vector registers included; uc_mask,
 * uc_link, the extended state's markers are as Linux writes them.
 */
#include <ucontext.h>
#include "guest.h"

static volatile int runs;
static unsigned long rip, rbx;

static void edit(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;
	greg_t *g = uc->uc_mcontext.gregs;
	struct _libc_fpstate *fp = uc->uc_mcontext.fpregs;
	uint32_t *sw = (uint32_t *)fp + 464 / 4, *magic2;

	CHECK(sig == SIGILL && si->si_code == ILL_ILLOPN);
	CHECK(si->si_addr == (void *)g[REG_RIP]);
	runs++;
	rip = g[REG_RIP];
	rbx = g[REG_RBX];
	CHECK(g[REG_TRAPNO] == 6);
	CHECK(((unsigned long)g[REG_CSGSFS] & 0xffff) == 0x33);
	CHECK(g[REG_CSGSFS] >> 48 == 0x2b);
	CHECK(uc->uc_link == NULL);
	CHECK(((unsigned long)fp & 63) == 0);
	CHECK(fp->_xmm[3].element[0] == 0x01020304);
	/* FP_XSTATE_MAGIC1, then _MAGIC2 behind the area. */
	if (uc->uc_flags & 1) {
		CHECK(sw[0] == 0x46505853);
		magic2 = (uint32_t *)((char *)fp + sw[1] - 4);
		CHECK(*magic2 == 0x46505845);
	}
	g[REG_RIP] += 2;		/* over the ud2 */
	g[REG_RBX] = 4711;
	fp->_xmm[3].element[0] = 0x0a0b0c0d;
	fp->mxcsr = 0x1f80 | 0x4000;
}

static void mask(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;

	(void)sig, (void)si;
	CHECK(!sigismember(&uc->uc_sigmask, SIGUSR2));
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

static void caught(int sig, siginfo_t *si, void *p)
{
	(void)sig, (void)si, (void)p;
	runs++;
}

int main(void)
{
	uint32_t x[4] = { 0x01020304, 0, 0, 0 };
	unsigned long b = 99;
	unsigned int mx;
	sigset_t set;

	handle(SIGILL, edit, 0);
	__asm__ volatile("movdqu %1, %%xmm3\n\tud2\n\tmovdqu %%xmm3, %1\n\t"
			 "stmxcsr %2" : "+b"(b), "+m"(x), "=m"(mx) : : "xmm3");
	CHECK(rip && rbx == 99);
	say("rbx %lu, xmm3 %#x, mxcsr %#x, runs %d\n", b, x[0], mx & 0x6000,
	    runs);

	/* A mask edited in the frame is the mask after the handler. */
	handle(SIGUSR1, mask, 0);
	handle(SIGUSR2, caught, 0);
	raise(SIGUSR1);
	runs = 0;
	raise(SIGUSR2);
	CHECK(runs == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	say("mask from the frame, %d run after unblocking\n", runs);
	return 0;
}
