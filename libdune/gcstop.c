/*
 * dune/gc.h: the world stopped. Each thread gets the signal and stands in its
 * handler, its registers noted in its block, until the stop's number is not
 * the current one any more.
 */
#include "libdune/guest.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "dune/gc.h"
#include "kern/err.h"
#include "kern/raw.h"

#define RED_ZONE	128

struct dune_stopped {
	uint32_t stop;
	struct dune_tf regs;
	const void *sp;
};

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static struct dune_percpu *owner;	/* who holds `one` */
static uint32_t current;		/* the stop's number; 0: none */
static uint32_t last;
static int signal_set;			/* whose handler is ours */

static void note(struct dune_stopped *s, const greg_t *g)
{
	s->regs = (struct dune_tf) {
		.rdi = g[REG_RDI], .rsi = g[REG_RSI], .rdx = g[REG_RDX],
		.rcx = g[REG_RCX], .r8 = g[REG_R8], .r9 = g[REG_R9],
		.r10 = g[REG_R10], .r11 = g[REG_R11], .rbx = g[REG_RBX],
		.rbp = g[REG_RBP], .r12 = g[REG_R12], .r13 = g[REG_R13],
		.r14 = g[REG_R14], .r15 = g[REG_R15], .rax = g[REG_RAX],
		.rip = g[REG_RIP], .rflags = g[REG_EFL], .rsp = g[REG_RSP],
	};
	s->sp = (const void *)(s->regs.rsp - RED_ZONE);
}

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
	const uint32_t stop = __atomic_load_n(&current, __ATOMIC_SEQ_CST);
	const struct dune_stopped *before;
	struct dune_stopped here = { .stop = stop };
	struct dune_guest *g;

	(void)sig;
	(void)info;
	/* late, or not in Dune mode: nobody waits */
	if (!stop || !dune_in_dune_mode())
		return;
	g = dune_guest_of(dune_guest_cpu());
	before = g->stopped;
	note(&here, ((ucontext_t *)ctx)->uc_mcontext.gregs);
	__atomic_store_n(&g->stopped, &here, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&current, __ATOMIC_SEQ_CST) == stop)
		dune_raw6(SYS_futex, (long)&current, FUTEX_WAIT_PRIVATE, stop,
			  0, 0, 0);
	__atomic_store_n(&g->stopped, before, __ATOMIC_SEQ_CST);
}

static int set_signal(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_RESTART };

	if (sig && sig == signal_set)
		return 0;
	sigfillset(&sa.sa_mask);
	if (sigaction(sig, &sa, NULL))
		return dune_err(-EINVAL, "dune_gc_stop: %d is no signal that "
				"can be handled", sig);
	signal_set = sig;
	return 0;
}

static const struct dune_stopped *standing(const struct dune_sthread *t)
{
	const struct dune_stopped *s =
		__atomic_load_n(&dune_guest_of(t->pc)->stopped,
				__ATOMIC_SEQ_CST);

	return s && s->stop == current ? s : NULL;
}

/* One look at all threads. How many do not stand yet; *n: how many do. */
static unsigned int tell_all(struct dune_percpu *self, int sig, long *n)
{
	unsigned int running = 0;
	struct dune_sthread *t;

	*n = 0;
	dune_guest_lock_threads();
	for (t = dune_self.threads; t; t = t->next) {
		struct dune_guest *g = dune_guest_of(t->pc);
		int tid = __atomic_load_n(&t->pc->tid, __ATOMIC_SEQ_CST);

		if (t->pc == self || !__atomic_load_n(&t->active,
						      __ATOMIC_SEQ_CST))
			continue;
		if (standing(t)) {
			++*n;
			continue;
		}
		running++;
		/* one that is being made has no number yet */
		if (tid && g->stop_sent != current) {
			g->stop_sent = current;
			dune_raw3(SYS_tgkill, getpid(), tid, sig);
		}
	}
	dune_guest_unlock_threads();
	return running;
}

long dune_gc_stop(int sig)
{
	struct dune_percpu *pc;
	long n;
	int r;

	if (!dune_in_dune_mode())
		return -EPERM;
	pc = dune_guest_cpu();
	if (owner == pc)
		return dune_err(-EBUSY, "dune_gc_stop: this thread has stopped "
				"the others already");
	pthread_mutex_lock(&one);
	r = set_signal(sig);
	if (r) {
		pthread_mutex_unlock(&one);
		return r;
	}
	owner = pc;
	last = last + 1 ? last + 1 : 1;
	__atomic_store_n(&current, last, __ATOMIC_SEQ_CST);
	while (tell_all(pc, sig, &n))
		sched_yield();
	return n;
}

int dune_gc_resume(void)
{
	if (!dune_in_dune_mode() || !current || owner != dune_guest_cpu())
		return -EPERM;
	owner = NULL;
	__atomic_store_n(&current, 0, __ATOMIC_SEQ_CST);
	dune_raw6(SYS_futex, (long)&current, FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0,
		  0);
	pthread_mutex_unlock(&one);
	return 0;
}

int dune_gc_each_stopped(dune_gc_thread cb, void *arg)
{
	const struct dune_stopped *s;
	struct dune_percpu *pc;
	struct dune_sthread *t;
	int r = 0;

	if (!dune_in_dune_mode() || owner != dune_guest_cpu())
		return -EPERM;
	pc = dune_guest_cpu();
	dune_guest_lock_threads();
	for (t = dune_self.threads; t && !r; t = t->next) {
		s = t->pc != pc && t->active ? standing(t) : NULL;
		if (s)
			r = cb(t->pc->tid, &s->regs, s->sp, arg);
	}
	dune_guest_unlock_threads();
	return r;
}
