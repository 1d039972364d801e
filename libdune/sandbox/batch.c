/*
 * Batches: many calls in one turn. They lie in the transfer heap, where the
 * guest may change them at any time: results and how many there are are read
 * once, at the end.
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include "kern/err.h"

_Static_assert(sizeof(struct dune_batch_call) == sizeof(struct dune_ch_call),
	       "one is copied to the other");
_Static_assert(offsetof(struct dune_batch_call, arg) ==
	       offsetof(struct dune_ch_call, gp), "the same fields");
_Static_assert(offsetof(struct dune_batch_call, result) ==
	       offsetof(struct dune_ch_call, result), "the same fields");

static int check(const struct dune_batch_call *call, uint32_t calls,
		 const struct dune_batch_end *end)
{
	uint32_t i;

	if (end->until > DUNE_UNTIL_OTHER || end->bits > 64)
		return dune_err(-EINVAL, "batch: its end: an unknown `until`, "
				"or more than 64 bits");
	for (i = 0; i < calls; i++)
		if (call[i].fn.v < GUEST_LO || call[i].fn.v >= GUEST_HI)
			return dune_err(-EINVAL, "batch: call %u: %#lx is no "
					"address of a sandbox", i,
					(unsigned long)call[i].fn.v);
	return 0;
}

static void fill(struct dune_ch_batch *b, const struct dune_batch_call *call,
		 uint32_t calls, const struct dune_batch_end *end)
{
	b->calls = calls;
	b->done = 0;
	b->value = end->value;
	b->mask = ~0ul >> (end->bits ? 64 - end->bits : 0);
	b->stop[0] = end->until == DUNE_UNTIL_OTHER;
	b->stop[1] = end->until == DUNE_UNTIL_SAME;
	memcpy(b->call, call, calls * sizeof(*call));
}

/* How many have returned, and what. err: of the one after these. */
static int take(const struct dune_ch_batch *b, struct dune_batch_call *call,
		uint32_t calls, uint32_t *done, int err)
{
	uint32_t n = __atomic_load_n(&b->done, __ATOMIC_RELAXED), i;

	if (n > calls)
		n = calls;
	if (err && n == calls)
		n = calls - 1;
	for (i = 0; i < n; i++)
		call[i].result = __atomic_load_n(&b->call[i].result,
						 __ATOMIC_RELAXED);
	*done = n;
	return err;
}

int dune_call_batch(struct dune_sandbox *s, struct dune_batch_call *call,
		    uint32_t calls, const struct dune_batch_end *end,
		    uint32_t *done)
{
	static const struct dune_batch_end never;
	uint64_t in[3] = { 0 }, out[2];
	struct dune_ch_batch *b;
	dune_addr at;
	int lane, r;

	*done = 0;
	if (!end)
		end = &never;
	r = check(call, calls, end);
	if (r || !calls)
		return r;
	/* with a lane taken, no reset takes the heap away */
	lane = dune_lane_take(s);
	r = dune_sandbox_alloc(s, sizeof(*b) + calls * sizeof(b->call[0]), &at);
	if (!r) {
		b = dune_sandbox_pointer(s, at, sizeof(*b));
		fill(b, call, calls, end);
		in[0] = at.v;
		s->lane[lane].calls++;
		r = dune_lane_op(s, lane, DUNE_OP_BATCH, in, out);
		r = take(b, call, calls, done, r);
		dune_sandbox_free(s, at);
	}
	dune_lane_give(s, lane);
	return r;
}
