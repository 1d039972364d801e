/*
 * The host's side of the channel against a guest that answers anything, and
 * the marshalling of calls, batches and callbacks: call.c itself, with the
 * guest's turns taken from the input where the host would sleep.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long guest_turn(long nr, ...);
#define syscall		guest_turn
#define dune_box_kill	end_box
#define dune_cause_name	name_of_cause
#include "libdune/sandbox/call.c"
#undef syscall

/* Calls of a batch, at most, and a transfer heap with room for three. */
#define CALLS	16
#define HEAP	4096
/* What a call that has not returned has for a result. */
#define NOTHING	0x5a5a5a5a5a5a5a5a

static const uint8_t *input;
static size_t left;
static struct dune_ch *ch;
static struct dune_box box;
static unsigned int depth;

static void take(void *to, size_t n)
{
	if (n > left)
		n = left;
	memcpy(to, input, n);
	input += n;
	left -= n;
}

/*
 * The guest writes over its messages and whatever else it likes, mostly with
 * the sequence number that the host waits for. Without input it is dead.
 */
static long guest_turn(long nr, ...)
{
	struct dune_ch_slot *s = &ch->slot[0];
	uint32_t seq = s->to_guest.seq;
	uint8_t how = 0, words = 0;

	(void)nr;
	if (!left) {
		box.cause = DUNE_CAUSE_KILLED;
		box.error = -ECANCELED;
		box.dead = 1;
		return 0;
	}
	take(&how, 1);
	take(&s->to_host.kind, 1);
	take(&s->to_host.fn, 2);
	if (how & 1)
		take(&s->to_host.gp, sizeof(s->to_host.gp));
	if (how & 2)
		take(&s->to_host.fp, 64);
	if (how & 4)
		take(&s->to_guest, sizeof(s->to_guest));
	if (how & 8)
		take(&s->guest_sleeps, 4);
	if (how & 16) {
		take(&words, 1);
		take((char *)ch + DUNE_CH_HEAP, words * 8);
	}
	s->to_host.seq = how & 128 ? seq + how : seq;
	return 0;
}

/* What ends a box for good has only to be told here. */
int dune_box_kill(struct dune_box *b, enum dune_cause why)
{
	b->cause = why;
	b->error = -EPROTO;
	b->dead = 1;
	return b->error;
}

const char *dune_cause_name(enum dune_cause cause)
{
	return cause == DUNE_CAUSE_PROTOCOL ? "protocol" : "end";
}

static struct dune_sandbox s;

/* What returned may have any result; nothing else of the batch changes. */
static int batch(void)
{
	struct dune_batch_call call[CALLS];
	struct dune_batch_end end = { 0 };
	uint32_t n = 0, done = 0, i;
	int r;

	take(&n, 1);
	take(&end.until, 1);
	take(&end.bits, 1);
	take(&end.value, 2);
	n %= CALLS + 1;
	for (i = 0; i < CALLS; i++)
		call[i] = (struct dune_batch_call) {
			{ DUNE_CH_BASE + i }, { i, i, i, i, i, i }, NOTHING
		};
	r = dune_call_batch(&s, call, n, &end, &done);
	if (done > n || (r && n && done == n))
		abort();
	for (i = 0; i < CALLS; i++)
		if (call[i].fn.v != DUNE_CH_BASE + i || call[i].arg[0] != i ||
		    call[i].arg[5] != i ||
		    (i >= done && call[i].result != NOTHING))
			abort();
	return r;
}

static int called_back(struct dune_sandbox *sb, void *ctx,
		       const uint64_t *value, uint64_t *result)
{
	const struct dune_function f = { sb, { 0x200000000000 } };
	const struct dune_value v = dune_int(value[0]);
	int r = 0;

	(void)ctx;
	if (depth < 20 && value[0] % 4 == 1) {
		depth++;
		r = dune_call(&f, DUNE_INT, result, &v, 1);
		depth--;
	}
	if (depth < 20 && value[0] % 4 == 3) {
		depth++;
		r = batch();
		depth--;
	}
	return value[0] % 4 == 2 ? -EXDEV : r;
}

static void channel(void)
{
	static struct dune_engine engine = { .one_cpu = true };
	static struct dune_family family = { .engine = &engine };
	struct dune_value v[DUNE_ARGS_MAX];
	struct dune_function f = { &s, { 0 } };
	uint64_t result, op[3] = { 0 }, piece;
	unsigned int i, n = 0;

	memset(ch, 0, sizeof(*ch) + HEAP);
	memset(&box, 0, sizeof(box));
	if (dune_heap_init(&box.heap, HEAP))
		abort();
	box.ch_size = sizeof(*ch) + HEAP;
	box.family = &family;
	box.ch = ch;
	memset(&s, 0, sizeof(s));
	s.engine = &engine;
	s.o.callers = 1;
	s.box = &box;
	s.callbacks = s.stubs = 3;
	for (i = 0; i < 3; i++) {
		s.callback[i].c.fn = called_back;
		s.callback[i].c.args = i ? DUNE_ARGS_MAX : 1;
		memset(s.callback[i].c.arg, i ? DUNE_DOUBLE : DUNE_INT,
		       DUNE_ARGS_MAX);
	}
	take(&n, 1);
	memset(v, 0, sizeof(v));
	for (i = 0; i < n % 18 && i < DUNE_ARGS_MAX; i++) {
		take(&v[i].bits, 2);
		take(&v[i].type, 1);
		v[i].type %= 5;
	}
	take(&f.addr.v, 6);
	while (!box.dead && left) {
		dune_call(&f, n & 1 ? DUNE_INT : DUNE_DOUBLE, &result, v,
			  n % 18);
		f.addr.v = 0x200000000000;
		n = 3;
		v[0] = v[1] = v[2] = dune_double(1);
		if (dune_lane_take(&s) != 0)
			abort();
		dune_lane_op(&s, 0, DUNE_OP_LOAD, op, op);
		dune_lane_give(&s, 0);
		batch();
	}
	if (s.lane[0].owner || s.lane[0].depth || depth)
		abort();
	/* all of the heap is free again */
	if (dune_heap_list(&box.heap, &piece, 1) != 1 || piece != HEAP)
		abort();
	dune_heap_done(&box.heap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!ch)
		ch = aligned_alloc(4096, sizeof(*ch) + HEAP);
	input = data;
	left = size;
	channel();
	return 0;
}
