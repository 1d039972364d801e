/*
 * Interrupts between threads: libdune/dune.h. The sender sets a bit in the
 * other thread's block and sends a signal. Its handler, in Dune mode wherever
 * the thread was, makes a trap of that: what it interrupted becomes the frame
 * of one, as the CPU would have pushed it, on the handler stack, and returning
 * from the signal goes to the stub that saves the rest and calls the
 * dispatcher.
 *
 * Ring 3 has been left when a signal is delivered, its frame stored: there the
 * dispatcher is called at once.
 */
#include "libdune/guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/raw.h"
#include "libdune/dune.h"

#define IPI_SIGNAL	64
#define RED_ZONE	128
/* Handlers nest; with less than this left of their stack interrupts wait. */
#define ROOM		(24ul << 10)
#define RFLAGS_DF	0x400ul

extern const char dune_guest_on_handler_stack[];

/* What the stub at on_handler_stack finds on the stack. */
struct trap_words {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

static struct sigaction before;	/* the program's handler of the signal */
static bool installed;

static struct dune_percpu *block_of(uint32_t id)
{
	return id < dune_self.blocks ? dune_block_at(&dune_self.vm, id) : NULL;
}

static uint32_t id_of(const struct dune_percpu *pc)
{
	return ((const char *)pc - (const char *)block_of(0)) / DUNE_PC_SIZE;
}

/* Tells a thread to look at its bits. &installed: it was us. */
static long notify(uint64_t tid)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = IPI_SIGNAL;
	info.si_code = SI_QUEUE;
	info.si_value.sival_ptr = &installed;
	return dune_raw6(SYS_rt_tgsigqueueinfo, dune_raw3(SYS_getpid, 0, 0, 0),
			 tid, IPI_SIGNAL, (long)&info, 0, 0);
}

/* ---- the thread that is interrupted ---- */

/* Takes the highest vector, as an APIC does; 0: none that anybody wants. */
static unsigned int take(struct dune_percpu *pc)
{
	struct dune_guest *g = dune_guest_of(pc);
	unsigned int v;

	for (v = DUNE_VECTORS - 1; v >= 32; v--) {
		uint64_t bit = 1ul << v % 64, *word = &g->pending[v / 64];

		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) & bit &&
		    __atomic_fetch_and(word, ~bit, __ATOMIC_ACQ_REL) & bit &&
		    dune_trap_wanted(pc, v))
			return v;
	}
	return 0;
}

static bool any(const struct dune_guest *g)
{
	unsigned int i;

	for (i = 0; i < DUNE_ARRAY_SIZE(g->pending); i++)
		if (__atomic_load_n(&g->pending[i], __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Nothing is in service any more; what has come meanwhile comes now. */
static void next(struct dune_percpu *pc)
{
	struct dune_guest *g = dune_guest_of(pc);

	g->ipi = NULL;
	g->ipi_waits = false;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (any(g))
		notify(pc->tid);
}

void dune_apic_done(struct dune_percpu *pc, const struct dune_tf *tf)
{
	struct dune_guest *g = dune_guest_of(pc);

	if (g->ipi == tf && tf->cs & 3)
		g->ipi = NULL;		/* serve_ring3() looks itself */
	else if (g->ipi == tf || !g->ipi)
		next(pc);
}

/* The handler stack below what is in use of it. */
static uint64_t stack_for(const struct dune_percpu *pc, uint64_t rsp)
{
	uint64_t top = pc->hstack_lo + pc->hstack_size;

	if (rsp - pc->hstack_lo < pc->hstack_size)
		top = rsp - RED_ZONE;
	return top & ~15ul;
}

/* The thread goes on with a trap, which returns to where it was. */
static void inject(struct dune_percpu *pc, unsigned int vector, greg_t *g)
{
	const bool native = dune_guest_native();
	uint64_t top = stack_for(pc, g[REG_RSP]);
	struct trap_words *w = (struct trap_words *)top - 1;

	*w = (struct trap_words) {
		.vector = vector, .rip = g[REG_RIP],
		.cs = native ? DUNE_SELF_KERN_CS : DUNE_SELF_USER_CS,
		.rflags = g[REG_EFL], .rsp = g[REG_RSP],
		.ss = native ? DUNE_SELF_KERN_SS : DUNE_SELF_USER_SS,
	};
	dune_guest_of(pc)->ipi = (struct dune_tf *)
		((uint64_t)w - offsetof(struct dune_tf, rax));
	g[REG_RSP] = (uint64_t)w;
	g[REG_RIP] = dune_block_label(pc, dune_guest_on_handler_stack);
	g[REG_EFL] &= ~RFLAGS_DF;
}

static void serve_ring3(struct dune_percpu *pc, unsigned int vector,
			ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	struct dune_tf *tf = (struct dune_tf *)g[REG_RDI];
	uint64_t ret;

	/* the handler need not come back here */
	dune_guest_of(pc)->ipi = tf;
	dune_raw6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&uc->uc_sigmask, 0,
		  sizeof(uint64_t), 0, 0);
	do {
		dune_guest_of(pc)->ipi = tf;
		pc->hold++;	/* as the stubs do */
		ret = dune_guest_dispatch(tf, vector, 0, 1, pc);
		pc->hold--;
		vector = ret == DUNE_RET_USER ? take(pc) : 0;
	} while (vector);
	/* the handler may go on in ring 0 */
	if (ret == DUNE_RET_RESUME)
		g[REG_RIP] = (uint64_t)pc->resume;
}

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
	greg_t *g = ((ucontext_t *)ctx)->uc_mcontext.gregs;
	struct dune_percpu *pc;
	unsigned int vector;

	if (info->si_code != SI_QUEUE ||
	    info->si_value.sival_ptr != &installed) {
		if (before.sa_flags & SA_SIGINFO)
			before.sa_sigaction(sig, info, ctx);
		else if (before.sa_handler != SIG_DFL &&
			 before.sa_handler != SIG_IGN)
			before.sa_handler(sig);
		return;
	}
	pc = dune_in_dune_mode() ? dune_guest_cpu() : NULL;
	if (!pc || dune_guest_of(pc)->ipi)
		return;
	if (g[REG_RSP] - pc->hstack_lo < ROOM) {
		dune_guest_of(pc)->ipi_waits = true;
		return;
	}
	vector = take(pc);
	if (!vector)
		return;
	if ((uint64_t)g[REG_RIP] == (uint64_t)pc->to_user)
		serve_ring3(pc, vector, ctx);
	else
		inject(pc, vector, g);
}

/* ---- the one that interrupts ---- */

static int install(void)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_RESTART }, old;

	if (__atomic_load_n(&installed, __ATOMIC_ACQUIRE))
		return 0;
	act.sa_sigaction = on_signal;
	if (sigaction(IPI_SIGNAL, &act, &old))
		return -errno;
	if (old.sa_sigaction != on_signal)
		before = old;
	__atomic_store_n(&installed, true, __ATOMIC_RELEASE);
	return 0;
}

uint32_t dune_apic_id(void)
{
	return dune_in_dune_mode() ? id_of(dune_guest_cpu()) : ~0u;
}

int dune_apic_send_ipi(uint8_t vector, uint32_t dest)
{
	struct dune_percpu *pc;
	uint64_t tid;
	int r;

	if (!dune_in_dune_mode())
		return dune_err(-EPERM, "dune_apic_send_ipi: this thread is "
				"not in Dune mode");
	if (vector < 32)
		return dune_err(-EINVAL, "dune_apic_send_ipi: vector %u is "
				"an exception's", vector);
	r = install();
	if (r)
		return r;
	pc = block_of(dest);
	tid = pc ? __atomic_load_n(&pc->tid, __ATOMIC_ACQUIRE) : 0;
	if (!tid)
		return dune_err(-ESRCH, "dune_apic_send_ipi: no thread %u in "
				"Dune mode", dest);
	__atomic_fetch_or(&dune_guest_of(pc)->pending[vector / 64],
			  1ul << vector % 64, __ATOMIC_ACQ_REL);
	r = notify(tid);
	return r < 0 ? r : 0;
}

void dune_apic_eoi(void)
{
	if (dune_in_dune_mode() && dune_guest_of(dune_guest_cpu())->ipi)
		next(dune_guest_cpu());
}

/* Field 39 of its stat; the name, field 2, may have anything in it. */
static long processor_of(uint64_t tid)
{
	char path[64], text[1024], *p;
	long n, cpu = -1;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/self/task/%lu/stat", tid);
	fd = dune_raw3(SYS_open, (long)path, 0, 0);
	if (fd < 0)
		return -1;
	n = dune_raw3(SYS_read, fd, (long)text, sizeof(text) - 1);
	dune_raw3(SYS_close, fd, 0, 0);
	text[n > 0 ? n : 0] = '\0';
	p = strrchr(text, ')');
	for (i = 2; p && i < 39; i++)
		p = strchr(p + 1, ' ');
	if (p)
		sscanf(p, "%ld", &cpu);
	return cpu;
}

uint32_t apic_id_for_cpu(uint32_t cpu, bool *error)
{
	struct dune_percpu *pc;
	uint32_t id;
	uint64_t tid;

	if (error)
		*error = false;
	for (id = 0; (pc = block_of(id)); id++) {
		tid = __atomic_load_n(&pc->tid, __ATOMIC_ACQUIRE);
		if (tid && processor_of(tid) == (long)cpu)
			return id;
	}
	if (error)
		*error = true;
	return 0;
}
