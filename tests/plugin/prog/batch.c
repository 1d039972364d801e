/*
 * Batches: results, their end, callbacks and errors in the middle, and plugins
 * that write to the batch while it runs.
 */
#include "tests/plugin/plugin.h"

#define N 100

static struct dune_object *o;
static struct dune_batch_call c[N];
static uint32_t done;

static int host_step(struct dune_sandbox *box, void *ctx, int *r, int x)
{
	struct dune_batch_call inner[2] = {
		{ function(o, "total").addr, { 1 }, 0 },
		{ function(o, "total").addr, { 1 }, 0 },
	};
	uint32_t n;

	(void)ctx;
	if (x == 5)
		return -EXDEV;
	/* a batch within a batch */
	MUST(dune_call_batch(box, inner, 2, NULL, &n));
	IS(n, 2);
	*r = (int)inner[1].result;
	return 0;
}
DUNE_HOST_CALLBACK(step_callback, "host_step", host_step, int, int);

/* All of them f(0), f(1) ... */
static void fill(const char *name)
{
	dune_addr f = function(o, name).addr;

	for (int i = 0; i < N; i++)
		c[i] = (struct dune_batch_call) { f, { i }, 12345 };
	done = 12345;
}

static void results(struct dune_sandbox *box)
{
	int v;

	fill("total");
	MUST(dune_call_batch(box, c, N, NULL, &done));
	IS(done, N);
	for (int i = 0; i < N; i++)
		IS((int)c[i].result, i * (i + 1) / 2);
	c[0] = (struct dune_batch_call) {
		function(o, "six").addr, { 1, 2, 3, 4, 5, (uint64_t)-6 }, 0
	};
	MUST(dune_call_batch(box, c, 1, NULL, &done));
	IS(c[0].result, 1 + 4 + 9 + 16 + 25 - 36);
	/* none */
	MUST(dune_call_batch(box, c, 0, NULL, &done));
	IS(done, 0);
	MUST(call_by_name(box, "total", 0, &v));
	IS(v, N * (N - 1) / 2);
}

static void ends(struct dune_sandbox *box)
{
	struct dune_batch_end end = { DUNE_UNTIL_SAME, 32, 7 };

	fill("untidy");
	MUST(dune_call_batch(box, c, N, &end, &done));
	IS(done, 8);
	IS((uint32_t)c[7].result, 7);
	IS(c[8].result, 12345);
	/* by all of rax there is none like it */
	end.bits = 0;
	MUST(dune_call_batch(box, c, N, &end, &done));
	IS(done, N);
	end = (struct dune_batch_end) { DUNE_UNTIL_OTHER, 1, 0 };
	MUST(dune_call_batch(box, c, N, &end, &done));
	IS(done, 2);
	end.until = DUNE_UNTIL_END;
	MUST(dune_call_batch(box, c, N, &end, &done));
	IS(done, N);
}

static void refused(struct dune_sandbox *box)
{
	struct dune_batch_end end = { 3, 0, 0 };
	static struct dune_batch_call many[5000];

	fill("total");
	IS(dune_call_batch(box, c, N, &end, &done), -EINVAL);
	IS(done, 0);
	end = (struct dune_batch_end) { DUNE_UNTIL_SAME, 65, 0 };
	IS(dune_call_batch(box, c, N, &end, &done), -EINVAL);
	c[N - 1].fn.v = 0;
	IS(dune_call_batch(box, c, N, NULL, &done), -EINVAL);
	CHECK(strstr(dune_errmsg(), "99"));
	for (int i = 0; i < 5000; i++)
		many[i] = c[0];
	IS(dune_call_batch(box, many, 5000, NULL, &done), -ENOMEM);
	/* and nothing of it is kept */
	for (int i = 0; i < 100; i++)
		MUST(dune_call_batch(box, many, 3000, NULL, &done));
}

static void errors(struct dune_sandbox *box)
{
	int v;

	fill("step");
	IS(dune_call_batch(box, c, N, NULL, &done), -EXDEV);
	IS(done, 5);
	CHECK(strstr(dune_errmsg(), "host_step"));
	IS(c[5].result, 12345);
	/* it lives on */
	MUST(call_by_name(box, "step", 1, &v));
	IS(v, (int)c[4].result + 2);
	fill("total");
	c[3].fn = function(o, "crash").addr;
	IS(dune_call_batch(box, c, N, NULL, &done), -EFAULT);
	IS(done, 3);
	IS(c[3].result, 12345);
	IS(report_of(box).address.v, 3);
	IS(dune_call_batch(box, c, N, NULL, &done), -ESTALE);
	IS(done, 0);
	MUST(dune_sandbox_reset(box));
}

/* What comes back is anything, but no more than was asked for. */
static void hostile(struct dune_sandbox *box)
{
	int err, v;

	fill("claim");
	for (int i = 0; i < N; i++)
		c[i].arg[0] = (uint32_t)-1 - i;
	c[N - 1].fn = function(o, "crash").addr;
	c[N - 1].arg[0] = 0;
	IS(dune_call_batch(box, c, N, NULL, &done), -EFAULT);
	CHECK(done < N);
	MUST(dune_sandbox_reset(box));
	MUST(call_by_name(box, "scribble", 1, &v));
	for (int i = 0; i < 200; i++) {
		fill("total");
		err = dune_call_batch(box, c, N, NULL, &done);
		CHECK(err == 0 || err == -EFAULT || err == -EPERM ||
		      err == -ETIMEDOUT || err == -EPROTO || err == -ECHILD);
		CHECK(done <= N - !!err);
		if (!err)
			continue;
		MUST(dune_sandbox_reset(box));
		MUST(call_by_name(box, "scribble", 1, &v));
	}
	MUST(dune_sandbox_reset(box));
	MUST(call_by_name(box, "total", 3, &v));
}

int main(int argc, char **argv)
{
	struct dune_sandbox *box;

	begin(argc, argv);
	box = make(OPTIONS(.heap = 256 << 10, .wall_ns = 2000000000));
	MUST(dune_sandbox_callbacks(box, &step_callback, 1, NULL));
	o = load(box, "batch");
	MUST(dune_sandbox_snapshot(box));
	results(box);
	ends(box);
	refused(box);
	errors(box);
	hostile(box);
	return end();
}
