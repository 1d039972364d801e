/*
 * The proxy thread: when it runs, and whose calls it serves.
 *
 * It pays where calls come fast: an exit costs microseconds (software KVM:
 * many), an answer in shared memory a tenth of one. It costs a CPU while it
 * looks for calls. So it sleeps until a task's forwarded calls have come close
 * after each other several times; it looks only as long as they keep coming;
 * where that paid, the next call wakes it at once; and where it did not (few
 * calls for its time, calls it had to decline, calls that came too late for
 * it) it is left alone for a while, each time twice as long. While it sleeps
 * all mailboxes are closed, and a call takes the exit path at once.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kern/gate/gate.h"
#include "kern/gate/sites.h"
#include "kern/sys/batch.h"
#include "kern/sys/fdtype.h"
#include "kern/sys/internal.h"
#include "kern/sys/stats.h"
#include "kern/task/signal.h"
#include "kern/task/task.h"
#include "kern/vm/mailbox.h"

#define US		1000ul
#define MS		1000000ul

/* Calls this close after each other may pay. */
#define CLOSE		(400 * US)
/* So many of them wake the proxy; one after a waking that paid; at most. */
#define STREAK		4
#define STREAK_PAID	1
#define STREAK_MAX	1024
/* So long it looks for the next call. */
#define LOOK		(100 * US)
/* Between two looks at the clock. */
#define LOOKS		512
/* So often the entry code looks for the answer: some 50 us. */
#define SPINS		2000
/* On one CPU nobody answers while it looks. */
#define SPINS_ALONE	20
/* So many answers by entry code, before the site is looked at. */
#define ANSWERS		128
/* Which of the served calls count for the rewriting of sites. */
#define SAMPLE		16
/* A call served is worth so much of the proxy's time, by what exits cost. */
#define WORTH_SOFT	(100 * US)
#define WORTH_HARD	(10 * US)
#define PAUSE_MIN	(2 * MS)
#define PAUSE_MAX	(1000 * MS)
/* Declined in a row: something else is going on. */
#define IN_VAIN		8

#define HOST_STACK	(256 * 1024)

/* A guest thread whose mailbox is looked into. */
struct port {
	struct dune_vcpu *vcpu;		/* NULL: free */
	pid_t tid;
};

/* One process image, one proxy. */
static struct gate {
	struct port port[DUNE_GATE_PORTS];
	unsigned int ports;		/* used so far: where to look */
	uint32_t awake;			/* futex; 0: asleep */
	bool started, closed;
	bool forced;			/* --exitless=on */
	bool alone;			/* there is one CPU */
	uint64_t worth;			/* of a call, ns */
	unsigned int streak;		/* that wakes it now */
	uint64_t pause, not_before;
	struct dune_task task;		/* as whom it makes calls */
} gate;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ul + ts.tv_nsec;
}

static struct dune_vcpu *vcpu_of(struct port *p)
{
	return __atomic_load_n(&p->vcpu, __ATOMIC_ACQUIRE);
}

/* ---- the thread ---- */

/* What a waking has come to so far. */
struct waking {
	uint64_t served;
	unsigned int late;		/* served too late, so by an exit */
	unsigned int declined;		/* in a row */
	uint64_t cpu;			/* ns the thread had run at its start */
	long switches;			/* and involuntary switches */
};

static bool serve_port(struct port *p, struct waking *w)
{
	struct dune_vcpu *c = vcpu_of(p);
	struct dune_post post;
	long ret;

	if (!c || !dune_mailbox_take(c, &post))
		return false;
	gate.task.tid = p->tid;
	if (dune_gate_serve(&gate.task, &post, &ret)) {
		/* before it goes on; now and then, for its rip is elsewhere */
		if (w->served % SAMPLE == 0)
			dune_site_served(&gate.task, dune_mailbox_rip(c));
		dune_mailbox_answer(c, ret);
		w->served++;
		w->declined = 0;
	} else {
		dune_mailbox_decline(c);
		w->declined++;
	}
	return true;
}

static bool look(struct waking *w)
{
	unsigned int i, n = __atomic_load_n(&gate.ports, __ATOMIC_ACQUIRE);
	bool any = false;

	for (i = 0; i < n; i++)
		any |= serve_port(&gate.port[i], w);
	return any;
}

static void open_all(bool open)
{
	unsigned int i, n = __atomic_load_n(&gate.ports, __ATOMIC_ACQUIRE);

	for (i = 0; i < n; i++) {
		struct dune_vcpu *c = vcpu_of(&gate.port[i]);

		if (!c)
			continue;
		dune_mailbox_open(c, open);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!vcpu_of(&gate.port[i]))	/* just detached */
			dune_mailbox_open(c, false);
	}
}

/*
 * Time that this thread has run, and how often others took its CPU. The time
 * stands still until the thread is next switched away from: what it takes from
 * nobody is not counted.
 */
static uint64_t cpu_time(long *switches)
{
	struct rusage r;

	if (getrusage(RUSAGE_THREAD, &r))
		memset(&r, 0, sizeof(r));
	*switches = r.ru_nivcsw;
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 * MS +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * US;
}

static uint32_t late(void)
{
	unsigned int i, n = __atomic_load_n(&gate.ports, __ATOMIC_ACQUIRE);
	uint32_t sum = 0;

	for (i = 0; i < n; i++) {
		struct dune_vcpu *c = vcpu_of(&gate.port[i]);

		if (c)
			sum += __atomic_exchange_n(&c->box_late, 0,
						   __ATOMIC_RELAXED);
	}
	return sum;
}

static struct waking begin(void)
{
	struct waking w = { 0 };

	w.cpu = cpu_time(&w.switches);
	late();
	return w;
}

/*
 * Has it not paid so far? Calls that were declined or waited for in vain cost
 * the guest, and others need the CPU if they took it.
 */
static bool in_vain(struct waking *w, bool ends)
{
	long switches;
	uint64_t cpu = cpu_time(&switches) - w->cpu;

	w->late += late();
	if (w->declined >= IN_VAIN)
		return true;
	return (ends || w->late || switches != w->switches) &&
	       w->served * gate.worth < cpu + w->late * gate.worth;
}

/* Serves while calls keep coming. */
static void serve_all(struct waking *w)
{
	uint64_t last = now(), t;
	unsigned int i;
	bool any;

	do {
		any = false;
		for (i = 0; i < LOOKS; i++) {
			if (look(w))
				any = true;
			else if (gate.alone)
				sched_yield();
			else
				__builtin_ia32_pause();
		}
		/* for those that came since */
		open_all(true);
		t = now();
		if (any)
			last = t;
	} while (t - last < LOOK && (gate.forced || !in_vain(w, false)) &&
		 !__atomic_load_n(&gate.closed, __ATOMIC_ACQUIRE));
}

/*
 * SIGSEGV and SIGBUS that kill(2) sent to the process and came to this thread.
 */
static void pass_on(void)
{
	unsigned int i;
	pid_t tid = getpid();

	if (!gate.task.held)
		return;
	for (i = 0; i < DUNE_GATE_PORTS; i++)
		if (vcpu_of(&gate.port[i]))
			tid = gate.port[i].tid;
	for (i = 0; i < 2; i++)
		if (__atomic_fetch_and(&gate.task.held, ~(1 << i),
				       __ATOMIC_RELAXED) & 1 << i)
			syscall(SYS_rt_tgsigqueueinfo, getpid(), tid,
				gate.task.held_info[i].si_signo,
				&gate.task.held_info[i]);
}

/* What the next waking needs, by what this one came to. */
static void learn(struct waking *w)
{
	if (gate.forced)
		return;
	if (!in_vain(w, true)) {
		gate.streak = STREAK_PAID;
		gate.pause = PAUSE_MIN;
		return;
	}
	if (gate.streak < STREAK_MAX)
		gate.streak *= 2;
	gate.not_before = now() + gate.pause;
	if (gate.pause < PAUSE_MAX)
		gate.pause *= 2;
}

static void *proxy_main(void *arg)
{
	struct waking w;

	dune_current = &gate.task;
	prctl(PR_SET_NAME, "dune-proxy");
	for (;;) {
		while (!__atomic_load_n(&gate.awake, __ATOMIC_ACQUIRE)) {
			syscall(SYS_futex, &gate.awake, FUTEX_WAIT_PRIVATE, 0,
				NULL, NULL, 0);
			pass_on();
		}
		w = begin();
		if (!__atomic_load_n(&gate.closed, __ATOMIC_ACQUIRE)) {
			open_all(true);
			serve_all(&w);
			open_all(false);
			/* what was posted before it could see that */
			look(&w);
		}
		learn(&w);
		__atomic_store_n(&gate.awake, 0, __ATOMIC_RELEASE);
	}
	return arg;
}

/* ---- the tasks' side ---- */

static bool one_cpu(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 &&
	       CPU_COUNT(&set) < 2;
}

/* A thread with all signals blocked. A signal for t is there: another time. */
static void start(struct dune_task *t)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (dune_signal_hold(t) < 0)
		return;
	gate.task = (struct dune_task){
		.mm = t->mm, .proc = t->proc, .sigmask = ~0ul, .orig_rax = -1,
	};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, HOST_STACK);
	gate.closed = pthread_create(&thread, &attr, proxy_main, NULL) != 0;
	pthread_attr_destroy(&attr);
	gate.started = true;
	/* the C library's first thread brought a handler of its own */
	dune_signal_mirror_setxid(t->proc);
	dune_signal_release(t);
}

static void wake(struct dune_task *t)
{
	pthread_mutex_lock(&t->proc->lock);
	if (gate.alone && !gate.forced)
		gate.closed = true;
	if (!gate.started && !gate.closed)
		start(t);
	pthread_mutex_unlock(&t->proc->lock);
	if (!gate.started || gate.closed)
		return;
	__atomic_fetch_add(&t->proc->stats->wakings, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&gate.awake, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &gate.awake, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool possible(const struct dune_task *t)
{
	const struct dune_policy *p = t->proc->policy;

	return p->exitless != DUNE_EXITLESS_OFF && !p->trace && !p->report &&
	       !t->proc->vfork_child;
}

/* A place in the list; the mailbox with it. */
static void take_port(struct dune_task *t)
{
	unsigned int i, n;

	t->port = DUNE_GATE_PORTS;
	if (dune_mailbox_make(t->vcpu))
		return;
	dune_mailbox_reset(t->vcpu);
	pthread_mutex_lock(&t->proc->lock);
	t->vcpu->box_spins = gate.alone ? SPINS_ALONE : SPINS;
	for (i = 0; i < DUNE_GATE_PORTS && gate.port[i].vcpu; i++)
		;
	if (i < DUNE_GATE_PORTS) {
		gate.port[i].tid = t->tid;
		__atomic_store_n(&gate.port[i].vcpu, t->vcpu,
				 __ATOMIC_RELEASE);
		n = gate.ports > i ? gate.ports : i + 1;
		__atomic_store_n(&gate.ports, n, __ATOMIC_RELEASE);
		t->port = i;
		dune_mailbox_serve(t->vcpu, true);
	}
	pthread_mutex_unlock(&t->proc->lock);
	if (!dune_bit(t->proc->policy->deny, SYS_getpid) &&
	    !dune_bit(t->proc->policy->deny, SYS_gettid))
		dune_mailbox_identity(t->vcpu, getpid(), t->tid);
	dune_mailbox_budget(t->vcpu, ANSWERS);
}

/* Does entry code answer this call where there is a mailbox? */
static bool identity(long nr)
{
	return nr == SYS_getpid || nr == SYS_gettid;
}

/* It did not now: its budget is used up. */
static void identity_exit(struct dune_task *t)
{
	dune_site_rewrite(t, t->vcpu->u.rip);
	dune_mailbox_budget(t->vcpu, INT32_MAX);
}

void dune_gate_attach(struct dune_task *t)
{
	t->port = -1;
	t->streak = 0;
	if (!gate.streak) {
		gate.streak = STREAK;
		gate.pause = PAUSE_MIN;
		gate.alone = one_cpu();
		gate.worth = t->vcpu->vm->kind.native_ring0 ? WORTH_HARD :
							      WORTH_SOFT;
		gate.forced = t->proc->policy->exitless == DUNE_EXITLESS_ON;
	}
	if (gate.forced && possible(t))
		take_port(t);
}

void dune_gate_count(struct dune_task *t)
{
	uint32_t pids, tids;

	if (!t->vcpu->box)
		return;
	dune_mailbox_counts(t->vcpu, &pids, &tids);
	dune_stats_by_guest(t->proc->stats, SYS_getpid, pids);
	dune_stats_by_guest(t->proc->stats, SYS_gettid, tids);
}

void dune_gate_detach(struct dune_task *t)
{
	struct dune_vcpu *c = t->vcpu;

	if (t->port >= 0 && t->port < DUNE_GATE_PORTS)
		__atomic_store_n(&gate.port[t->port].vcpu, NULL,
				 __ATOMIC_SEQ_CST);
	t->port = -1;
	if (!c->box)
		return;
	dune_mailbox_serve(c, false);
	dune_mailbox_open(c, false);
	dune_mailbox_identity(c, 0, 0);
	dune_gate_count(t);
}

void dune_gate_forked(struct dune_task *t)
{
	memset(&gate, 0, sizeof(gate));
	/* a descriptor may have been closed and not been forgotten yet */
	dune_fdtype_forget();
	dune_gate_attach(t);
}

/*
 * The proxy has other credentials than t will have: no call may be served by
 * it from now on. Waits for those that are.
 */
static void close_gate(struct dune_task *t)
{
	unsigned int i;

	pthread_mutex_lock(&t->proc->lock);
	__atomic_store_n(&gate.closed, true, __ATOMIC_RELEASE);
	open_all(false);
	pthread_mutex_unlock(&t->proc->lock);
	for (i = 0; gate.started &&
	     __atomic_load_n(&gate.awake, __ATOMIC_ACQUIRE); i++)
		sched_yield();
}

void dune_gate_exit(struct dune_task *t, const struct dune_call *call)
{
	static const struct dune_sysrow batch = { .proxy = DUNE_PROXY_YES };
	const struct dune_sysrow *row = call->nr == DUNE_NR_BATCH ?
					&batch : dune_sys_row(call->nr);
	uint64_t t_now, gap;

	if (t->proc->policy->rewrite == DUNE_REWRITE_ON)
		dune_site_rewrite(t, t->vcpu->u.rip);
	if (!row || !possible(t))
		return;
	if (row->flags & DUNE_F_CREDS)
		close_gate(t);
	if (identity(call->nr) && t->vcpu->box)
		identity_exit(t);
	else if (!row->proxy && !identity(call->nr))
		return;
	if (gate.closed || gate.awake)
		return;
	t_now = now();
	gap = t_now - t->last_exit;
	t->last_exit = t_now;
	if (gap > CLOSE)
		t->streak = 0;
	if ((++t->streak < gate.streak || t_now < gate.not_before) &&
	    !gate.forced)
		return;
	t->streak = 0;
	if (t->port < 0)
		take_port(t);
	if (row->proxy)
		wake(t);
}
