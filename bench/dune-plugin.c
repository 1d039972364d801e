/*
 * Calls of a function that does nothing: direct, in a plugin's sandbox, and by
 * the other ways to keep its code apart; and going back to a snapshot. All by
 * turns, so that what disturbs one disturbs all. The plugin is libc itself.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/lib/harness.h"
#include "bench/lib/json.h"
#include "bench/plugin/bwrap.h"
#include "dune/sandbox.h"

#define TURNS	25
#define TURN_NS	5000000
#define PAGES	10
/* Longer than any of them waits for the next call while awake. */
#define PAUSE_US 2000

DUNE_PLUGIN_CALL(call_abs, int, int)
DUNE_PLUGIN_CALL(call_malloc, dune_addr, size_t)
DUNE_PLUGIN_CALL(call_memset, dune_addr, dune_addr, int, size_t)

static struct dune_engine *engine;
static struct dune_sandbox *box;
static struct dune_function f_abs, f_memset;
static dune_addr pages;
static int (*volatile direct)(int) = abs;

/* A process that answers in shared memory, and one that does through pipes. */
static struct {
	volatile uint32_t asked, answered;
	int arg, result;
	/* another pair, for who looks for a while before it sleeps */
	volatile uint32_t sasked __attribute__((aligned(64)));
	volatile uint32_t sanswered __attribute__((aligned(64)));
	volatile uint32_t asleep __attribute__((aligned(64)));
} *shared;
static int to_other[2], from_other[2];
static int to_wrapped[2], from_wrapped[2];
static pid_t by_futex, by_pipe, by_looking, by_wrapped;

static void futex(volatile uint32_t *word, int op, uint32_t v)
{
	syscall(SYS_futex, word, op, v, NULL, NULL, 0);
}

static void answer_futex(void)
{
	for (uint32_t n = 0; ; n++) {
		while (shared->asked == n)
			futex(&shared->asked, FUTEX_WAIT, n);
		shared->result = direct(shared->arg);
		shared->answered = n + 1;
		futex(&shared->answered, FUTEX_WAKE, 1);
	}
}

/* What sandboxes do, without one: the price of two CPUs talking. */
static void answer_looking(void)
{
	for (uint32_t n = 0; ; n++) {
		for (int i = 0; shared->sasked == n; i++) {
			__builtin_ia32_pause();
			if (i < 2000)
				continue;
			__atomic_store_n(&shared->asleep, 1, __ATOMIC_SEQ_CST);
			futex(&shared->sasked, FUTEX_WAIT, n);
			shared->asleep = 0;
		}
		direct(n);
		__atomic_store_n(&shared->sanswered, n + 1, __ATOMIC_RELEASE);
	}
}

static void answer(int from, int to)
{
	int v;

	while (read(from, &v, sizeof(v)) == sizeof(v)) {
		v = direct(v);
		if (write(to, &v, sizeof(v)) != sizeof(v))
			break;
	}
	_exit(0);
}

static void answer_pipe(void)
{
	answer(to_other[0], from_other[1]);
}

/* This program again, in bubblewrap; answers as through pipes. */
static void answer_wrapped(void)
{
	/* so that each end of the pipes is where it is used only */
	close(to_wrapped[1]);
	close(from_wrapped[0]);
	bench_bwrap(to_wrapped[0], from_wrapped[1]);
}

static pid_t start(void (*fn)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	return pid;
}

/* ---- one call by each way: 0, or it cannot be done ---- */

static int go_direct(int v)
{
	return direct(v) < 0;
}

static int go_sandbox(int v)
{
	int r;

	return call_abs(&f_abs, &r, v);
}

static int go_futex(int v)
{
	uint32_t n = shared->asked + 1;

	shared->arg = v;
	shared->asked = n;
	futex(&shared->asked, FUTEX_WAKE, 1);
	while (shared->answered != n)
		futex(&shared->answered, FUTEX_WAIT, n - 1);
	return 0;
}

static int go_looking(int v)
{
	uint32_t n = shared->sasked + 1;

	(void)v;
	__atomic_exchange_n(&shared->sasked, n, __ATOMIC_SEQ_CST);
	if (shared->asleep)
		futex(&shared->sasked, FUTEX_WAKE, 1);
	for (int i = 0; shared->sanswered != n; i++) {
		__builtin_ia32_pause();
		/* on one CPU */
		if (i > 10000)
			sched_yield();
	}
	return 0;
}

static int ask(int to, int from, int v)
{
	return write(to, &v, sizeof(v)) != sizeof(v) ||
	       read(from, &v, sizeof(v)) != sizeof(v);
}

static int go_pipe(int v)
{
	return ask(to_other[1], from_other[0], v);
}

static int go_wrapped(int v)
{
	return ask(to_wrapped[1], from_wrapped[0], v);
}

static int go_fork(int v)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(direct(v) & 1);
	return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

/* Back to the snapshot, and the call that dirties pages again. */
static int go_reset(int v)
{
	dune_addr r;
	int err = dune_sandbox_reset(box);

	return err ? err : call_memset(&f_memset, &r, pages, v, PAGES * 4096);
}

/* The same without the reset: what the row above contains of it. */
static int go_dirty(int v)
{
	dune_addr r;

	return call_memset(&f_memset, &r, pages, v, PAGES * 4096);
}

static struct way {
	const char *row, *who;
	int (*go)(int v);
	unsigned int calls;		/* in a turn */
	bool pause;			/* before each */
	double ns[TURNS];
	bool failed;
} ways[] = {
	{ "call", "direct", go_direct, 100000, false, { 0 }, false },
	{ "call", "sandbox", go_sandbox, 5000, false, { 0 }, false },
	{ "call", "process, looking", go_looking, 5000, false, { 0 }, false },
	{ "call", "process, futex", go_futex, 200, false, { 0 }, false },
	{ "call", "process, pipe", go_pipe, 200, false, { 0 }, false },
	{ "call", "bubblewrap, pipe", go_wrapped, 200, false, { 0 }, false },
	{ "call", "fork", go_fork, 5, false, { 0 }, false },
	{ "call after a pause", "direct", go_direct, 2, true, { 0 }, false },
	{ "call after a pause", "sandbox", go_sandbox, 2, true, { 0 }, false },
	{ "call after a pause", "process, futex", go_futex, 2, true, { 0 },
	  false },
	{ "call after a pause", "process, pipe", go_pipe, 2, true, { 0 },
	  false },
	{ "call after a pause", "bubblewrap, pipe", go_wrapped, 2, true,
	  { 0 }, false },
	{ "reset and 10 pages", "10 pages alone", go_dirty, 1, true, { 0 },
	  false },
	{ "reset and 10 pages", "sandbox", go_reset, 1, true, { 0 }, false },
	{ "reset and 10 pages", "fork", go_fork, 1, true, { 0 }, false },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void turn(struct way *w, int n)
{
	int64_t sum = 0, began;
	unsigned int i;

	if (!w->pause) {
		/* awake */
		w->failed |= w->go(n) != 0;
		began = bench_now();
	}
	for (i = 0; i < w->calls && !w->failed; i++) {
		if (w->pause) {
			usleep(PAUSE_US * (w->go == go_reset ? 5 : 1));
			began = bench_now();
		}
		w->failed = w->go(i + n) != 0;
		if (w->pause)
			sum += bench_now() - began;
	}
	if (!w->pause)
		sum = bench_now() - began;
	w->ns[n] = (double)sum / w->calls;
}

/* As many calls as take some milliseconds here, at most as many as said. */
static void calibrate(struct way *w)
{
	unsigned int most = w->calls, i;
	int64_t one;

	if (w->pause)
		return;
	w->calls = most < 10 ? 1 : 10;
	/* the best: others may have had the CPU */
	for (i = 0, one = TURN_NS; i < 10; i++) {
		turn(w, 0);
		if (w->ns[0] < one)
			one = w->ns[0] < 1 ? 1 : w->ns[0];
	}
	w->calls = TURN_NS / one < 1 ? 1 : TURN_NS / one < most ?
		   TURN_NS / one : most;
}

static int prepare(void)
{
	struct dune_function f;
	struct dune_object *c;
	int r = dune_engine_create(&engine);

	if (!r)
		r = dune_sandbox_create(engine, NULL, &box);
	if (!r)
		r = dune_sandbox_load(box, "libc.so.6", 0, &c);
	if (!r)
		r = dune_object_function(c, "abs", &f_abs);
	if (!r)
		r = dune_object_function(c, "memset", &f_memset);
	if (!r)
		r = dune_object_function(c, "malloc", &f);
	if (!r)
		r = call_malloc(&f, &pages, (PAGES + 1) * 4096);
	if (!r)
		r = go_dirty(1);
	if (!r)
		r = dune_sandbox_snapshot(box);
	return r;
}

int main(int argc, char **argv)
{
	int n, failed;
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "--answer"))
		answer(0, 1);
	signal(SIGPIPE, SIG_IGN);

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe(to_other) || pipe(from_other) ||
	    pipe(to_wrapped) || pipe(from_wrapped))
		return 1;
	by_futex = start(answer_futex);
	by_pipe = start(answer_pipe);
	by_looking = start(answer_looking);
	by_wrapped = start(answer_wrapped);
	/* where there is no bubblewrap, its row says so */
	close(to_wrapped[0]);
	close(from_wrapped[1]);
	failed = prepare();
	for (i = 0; i < WAYS; i++)
		calibrate(&ways[i]);
	for (n = 0; n < TURNS; n++)
		for (i = 0; i < WAYS; i++)
			turn(&ways[i], n);
	kill(by_futex, SIGKILL);
	kill(by_pipe, SIGKILL);
	kill(by_looking, SIGKILL);
	kill(by_wrapped, SIGKILL);
	for (i = 0; i < WAYS; i++) {
		const struct bench_id id = { "plugin", ways[i].row,
					     ways[i].who, "ns" };

		bench_json_line(stdout, &id, ways[i].ns, TURNS,
				ways[i].failed ? failed ? dune_errmsg() :
				"fails" : NULL);
	}
	dune_engine_destroy(engine);
	return 0;
}
