/* The path of a call: lanes, turns, waiting, callbacks. */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "kern/err.h"

/* Looks for an answer before the first one at a clock, and between two. */
#define LOOKS		64
#define SECOND		1000000000ul
/* Between two looks at a CPU clock, at least. */
#define CPU_SLICE	1000000ul

/* Its address tells threads apart. */
static __thread char mark __attribute__((tls_model("initial-exec")));

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		return 0;
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* The CPU clock of a process: clock_getcpuclockid(3). */
static clockid_t cpu_clock(pid_t pid)
{
	return (clockid_t)(~(unsigned int)pid << 3 | 2);
}

/* ---- lanes ---- */

static bool try_lane(struct dune_lane *l)
{
	const void *none = NULL;

	return __atomic_compare_exchange_n(&l->owner, &none, &mark, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static int any_lane(struct dune_sandbox *s)
{
	unsigned int i;

	for (i = 0; i < s->o.callers; i++)
		if (try_lane(&s->lane[i]))
			return i;
	return -1;
}

static int wait_for_lane(struct dune_sandbox *s)
{
	int lane;

	pthread_mutex_lock(&s->lock);
	__atomic_fetch_add(&s->waiters, 1, __ATOMIC_SEQ_CST);
	while ((lane = any_lane(s)) < 0)
		pthread_cond_wait(&s->freed, &s->lock);
	__atomic_fetch_sub(&s->waiters, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&s->lock);
	return lane;
}

static int own_lane(const struct dune_sandbox *s)
{
	unsigned int i;

	for (i = 0; i < s->o.callers; i++)
		if (__atomic_load_n(&s->lane[i].owner, __ATOMIC_RELAXED) ==
		    &mark)
			return i;
	return -1;
}

/* The lane is the thread's from now on. */
static void begin(const struct dune_sandbox *s, struct dune_lane *l)
{
	l->depth = 1;
	l->timed = false;
	l->pace.alone = s->engine->one_cpu;
}

int dune_lane_take(struct dune_sandbox *s)
{
	int lane = own_lane(s);

	if (lane >= 0) {
		s->lane[lane].depth++;
		return lane;
	}
	lane = any_lane(s);
	if (lane < 0)
		lane = wait_for_lane(s);
	begin(s, &s->lane[lane]);
	return lane;
}

/*
 * The clocks of a call start when it has taken longer than a thread looks for
 * its answer, or when it calls back: short calls need none.
 */
static void start_clocks(struct dune_lane *l, const struct dune_sandbox *s)
{
	if (l->timed)
		return;
	l->timed = true;
	l->deadline = s->o.wall_ns ? now(CLOCK_MONOTONIC) + s->o.wall_ns : 0;
	l->cpu_limit = s->o.cpu_ns ?
		       now(cpu_clock(s->box->pid)) + s->o.cpu_ns : 0;
}

static void free_lane(struct dune_sandbox *s, struct dune_lane *l)
{
	__atomic_store_n(&l->owner, NULL, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&s->waiters, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->freed);
	pthread_mutex_unlock(&s->lock);
}

void dune_lane_give(struct dune_sandbox *s, int lane)
{
	if (--s->lane[lane].depth == 0)
		free_lane(s, &s->lane[lane]);
}

int dune_sandbox_stop(struct dune_sandbox *s)
{
	unsigned int i;

	if (own_lane(s) >= 0)
		return dune_err(-EBUSY, "sandbox: not from within a callback");
	pthread_mutex_lock(&s->lock);
	__atomic_fetch_add(&s->waiters, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < s->o.callers; i++)
		while (!try_lane(&s->lane[i]))
			pthread_cond_wait(&s->freed, &s->lock);
	__atomic_fetch_sub(&s->waiters, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&s->lock);
	/* the operations that follow are timed like calls */
	for (i = 0; i < s->o.callers; i++)
		begin(s, &s->lane[i]);
	return 0;
}

void dune_sandbox_go(struct dune_sandbox *s)
{
	unsigned int i;

	for (i = 0; i < s->o.callers; i++)
		free_lane(s, &s->lane[i]);
}

/* ---- waiting for the guest ---- */

/* Nanoseconds until the next look at the clocks; 0: over, and *why. */
static uint64_t time_left(const struct dune_lane *l, const struct dune_box *b,
			  enum dune_cause *why)
{
	uint64_t left = SECOND, t;

	if (l->deadline) {
		t = now(CLOCK_MONOTONIC);
		*why = DUNE_CAUSE_WALL_TIME;
		if (t >= l->deadline)
			return 0;
		if (l->deadline - t < left)
			left = l->deadline - t;
	}
	if (l->cpu_limit) {
		t = now(cpu_clock(b->pid));
		*why = DUNE_CAUSE_CPU_TIME;
		if (t >= l->cpu_limit)
			return 0;
		/* it may have several threads */
		t = (l->cpu_limit - t) / 4;
		if (t < left)
			left = t > CPU_SLICE ? t : CPU_SLICE;
	}
	return left;
}

static int died(const struct dune_box *b)
{
	return dune_err(b->error, "plugin: ended by %s; dune_sandbox_report() "
			"says more", dune_cause_name(b->cause));
}

static int kill_box(struct dune_box *b, enum dune_cause why)
{
	dune_box_kill(b, why);
	return died(b);
}

static void sleep_on(struct dune_ch_slot *slot, uint32_t seen, uint64_t ns)
{
	struct timespec limit = {
		.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND,
	};

	__atomic_store_n(&slot->host_sleeps, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&slot->to_host.seq, __ATOMIC_SEQ_CST) == seen)
		syscall(SYS_futex, &slot->to_host.seq, FUTEX_WAIT, seen,
			&limit, NULL, 0);
	__atomic_store_n(&slot->host_sleeps, 0, __ATOMIC_RELAXED);
}

/* Some looks: 0: it has answered; 1: not yet; or how the box ended. */
static int look(const struct dune_box *b, const struct dune_ch_slot *slot,
		uint32_t seq)
{
	unsigned int i;

	for (i = 0; i < LOOKS; i++) {
		if (__atomic_load_n(&slot->to_host.seq, __ATOMIC_ACQUIRE) ==
		    seq)
			return 0;
		if (dune_box_dead(b))
			return died(b);
		__builtin_ia32_pause();
	}
	return 1;
}

/* Sleeps until the guest has answered. 0 or how the box ended. */
static int sleep_for(struct dune_sandbox *s, struct dune_lane *l,
		     struct dune_box *b, struct dune_ch_slot *slot,
		     uint32_t seq)
{
	enum dune_cause why;
	uint64_t left;
	uint32_t seen;

	l->sleeps++;
	start_clocks(l, s);
	for (;;) {
		seen = __atomic_load_n(&slot->to_host.seq, __ATOMIC_ACQUIRE);
		if (seen == seq)
			return 0;
		if (dune_box_dead(b))
			return died(b);
		left = time_left(l, b, &why);
		if (!left)
			return kill_box(b, why);
		sleep_on(slot, seen, left);
	}
}

/*
 * Until the guest has answered turn seq: looks for it where that pays, then
 * sleeps. 0 or how the box ended.
 */
static int wait_answer(struct dune_sandbox *s, struct dune_lane *l,
		       struct dune_box *b, struct dune_ch_slot *slot,
		       uint32_t seq, bool woken)
{
	uint32_t ns = dune_pace_look(&l->pace, woken);
	uint64_t began, t;
	bool slept;
	int r = 1;

	if (ns) {
		r = look(b, slot, seq);
		if (r <= 0) {
			dune_pace_quick(&l->pace, woken);
			return r;
		}
	}
	began = t = now(CLOCK_MONOTONIC);
	while (r > 0 && t - began < ns) {
		r = look(b, slot, seq);
		t = now(CLOCK_MONOTONIC);
	}
	slept = r > 0;
	if (slept) {
		r = sleep_for(s, l, b, slot, seq);
		t = now(CLOCK_MONOTONIC);
	}
	dune_pace_waited(&l->pace, woken, t - began, ns, slept);
	return r;
}

/*
 * The first lane's thread, which is the process's, to any CPU but this one: it
 * is about to look for turns, and so is the caller.
 */
static void go_apart(const struct dune_box *b)
{
	cpu_set_t all, others;
	int cpu = sched_getcpu();

	if (cpu < 0 || sched_getaffinity(b->pid, sizeof(all), &all))
		return;
	others = all;
	CPU_CLR(cpu, &others);
	if (CPU_COUNT(&others) &&
	    !sched_setaffinity(b->pid, sizeof(others), &others))
		sched_setaffinity(b->pid, sizeof(all), &all);
}

/*
 * Hands the turn over and takes the answer, the first cache line of it. Copied
 * once; nothing of it is read again. inside: a callback's result goes over.
 */
static int turn(struct dune_sandbox *s, int lane, struct dune_box *b,
		struct dune_ch_msg *answer, bool inside)
{
	struct dune_ch_slot *slot = &b->ch->slot[lane];
	struct dune_lane *l = &s->lane[lane];
	struct dune_pace *p = &l->pace;
	uint32_t seq = ++b->seq[lane];
	bool woken;
	uint64_t t;
	int r;

	woken = __atomic_load_n(&slot->guest_sleeps, __ATOMIC_RELAXED);
	t = p->hot ? 0 : now(CLOCK_MONOTONIC);
	slot->to_guest.looks = dune_pace_post(p, woken, inside, t);
	if (t && p->hot && p->apart && lane == 0)
		go_apart(b);
	__atomic_exchange_n(&slot->to_guest.seq, seq, __ATOMIC_SEQ_CST);
	woken = __atomic_load_n(&slot->guest_sleeps, __ATOMIC_RELAXED);
	if (woken) {
		syscall(SYS_futex, &slot->to_guest.seq, FUTEX_WAKE, 1, NULL,
			NULL, 0);
		l->wakes++;
	}
	r = wait_answer(s, l, b, slot, seq, woken);
	if (!p->hot)
		p->answered = now(CLOCK_MONOTONIC);
	if (r)
		return r;
	memcpy(answer, &slot->to_host, offsetof(struct dune_ch_msg, fp));
	__asm__ volatile("" ::: "memory");
	return 0;
}

/* ---- callbacks ---- */

/* Serves one and answers it: what comes next is in *m. */
static int serve_callback(struct dune_sandbox *s, int lane, struct dune_box *b,
			  struct dune_ch_msg *m)
{
	struct dune_ch_slot *slot = &b->ch->slot[lane];
	struct dune_ch_msg *to = &slot->to_guest;
	uint64_t value[DUNE_ARGS_MAX], result = 0;
	const struct dune_host_callback *c;
	int err, r;

	/* each takes of the stack of the host's thread */
	if (m->fn >= s->stubs || s->lane[lane].depth > DUNE_DEPTH_MAX)
		return kill_box(b, DUNE_CAUSE_PROTOCOL);
	c = &s->callback[m->fn];
	memcpy(m->fp, slot->to_host.fp, sizeof(m->fp));
	memcpy(m->stack, slot->to_host.stack, sizeof(m->stack));
	__asm__ volatile("" ::: "memory");
	dune_marshal_callback(m, c->c.arg, c->c.args, value);
	s->lane[lane].callbacks++;
	start_clocks(&s->lane[lane], s);
	dune_err_clear();
	err = c->c.fn(s, c->ctx, value, &result);
	if (err && !*dune_errmsg())
		dune_err(err, "callback %.100s: %s", c->name,
			 strerror(err < 0 ? -err : EINVAL));
	/* it may have called in, and that may have been the end */
	if (dune_box_dead(b))
		return died(b);
	to->kind = err ? DUNE_CH_UNWIND : DUNE_CH_RESUME;
	to->gp[0] = result;
	r = turn(s, lane, b, m, true);
	if (r || !err)
		return r;
	if (m->kind != DUNE_CH_FAILED)
		return kill_box(b, DUNE_CAUSE_PROTOCOL);
	return err < 0 ? err : -EINVAL;
}

/* From the host's message to the plugin's result. */
static int run(struct dune_sandbox *s, int lane, struct dune_box *b,
	       struct dune_ch_msg *m)
{
	int r = turn(s, lane, b, m, s->lane[lane].depth > 1);

	while (!r && m->kind == DUNE_CH_CALLBACK)
		r = serve_callback(s, lane, b, m);
	if (!r && m->kind != DUNE_CH_RETURN)
		r = kill_box(b, DUNE_CAUSE_PROTOCOL);
	return r;
}

/* ---- what the other files use ---- */

static int stale(void)
{
	return dune_err(-ESTALE, "sandbox: dead; dune_sandbox_reset() brings "
			"it back");
}

int dune_lane_op(struct dune_sandbox *s, int lane, enum dune_ch_op op,
		 const uint64_t *in, uint64_t *out)
{
	struct dune_box *b = s->box;
	struct dune_ch_msg *to = &b->ch->slot[lane].to_guest;
	struct dune_ch_msg m;
	int r;

	if (dune_box_dead(b))
		return stale();
	to->kind = DUNE_CH_OP;
	to->fn = op;
	memcpy(to->gp, in, 3 * sizeof(*in));
	r = run(s, lane, b, &m);
	if (!r)
		memcpy(out, m.gp, 2 * sizeof(*out));
	return r;
}

int dune_call(const struct dune_function *f, enum dune_type type,
	      uint64_t *result, const struct dune_value *arg,
	      unsigned int args)
{
	struct dune_sandbox *s = f->box;
	struct dune_ch_msg *to, m;
	struct dune_box *b;
	int lane, r;

	if (f->addr.v < GUEST_LO || f->addr.v >= GUEST_HI)
		return dune_err(-EINVAL, "function: %#lx is no address of a "
				"sandbox", (unsigned long)f->addr.v);
	if (type > DUNE_FLOAT)
		return dune_err(-EINVAL, "result: the unknown type %u", type);
	lane = dune_lane_take(s);
	b = s->box;
	if (dune_box_dead(b)) {
		r = stale();
		goto out;
	}
	to = &b->ch->slot[lane].to_guest;
	r = dune_marshal_call(to, arg, args);
	if (r)
		goto out;
	to->fn = f->addr.v;
	s->lane[lane].calls++;
	r = run(s, lane, b, &m);
	if (!r && result)
		*result = type == DUNE_DOUBLE || type == DUNE_FLOAT ?
			  m.gp[2] : m.gp[0];
out:
	dune_lane_give(s, lane);
	return r;
}
