/* The host's functions as symbols of the plugin's. */
#include "tests/plugin/plugin.h"

DUNE_PLUGIN_CALL(call_mix, double, int)
DUNE_PLUGIN_CALL(call_many, long, int)
DUNE_PLUGIN_VOID(call_note)
DUNE_PLUGIN_CALL(call_through, int, dune_addr, int)

static struct dune_function again;
static char note[32];
static int deepest;

static int host_add(struct dune_sandbox *box, void *ctx, int *r, int a, int b)
{
	(void)box;
	if (a == 666)
		return -EXDEV;
	*r = a + b + *(int *)ctx;
	return 0;
}

static int host_mix(struct dune_sandbox *box, void *ctx, double *r, float a,
		    double b, int c, long d, double e)
{
	(void)box;
	(void)ctx;
	*r = a + b + c + (double)d + e;
	return 0;
}

static int host_many(struct dune_sandbox *box, void *ctx, long *r, long a,
		     long b, long c, long d, long e, long f, long g, long h,
		     double x)
{
	(void)box;
	(void)ctx;
	*r = a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h +
	     (long)(x * 2);
	return 0;
}

static int host_note(struct dune_sandbox *box, void *ctx, dune_addr text)
{
	(void)ctx;
	IS(dune_sandbox_copy_string(box, note, text, sizeof(note)), 5);
	return 0;
}

static int host_again(struct dune_sandbox *box, void *ctx, int *r, int depth)
{
	struct dune_function f = again;
	struct dune_sandbox *other;

	(void)ctx;
	deepest++;
	/* not here */
	IS(dune_sandbox_reset(box), -EBUSY);
	IS(dune_sandbox_snapshot(box), -EBUSY);
	IS(dune_sandbox_clone(box, &other), -EBUSY);
	return call_int(&f, r, depth);
}

DUNE_HOST_CALLBACK(add, "host_add", host_add, int, int, int);
DUNE_HOST_CALLBACK(mix, "host_mix", host_mix, double, float, double, int, long,
		   double);
DUNE_HOST_CALLBACK(many, "host_many", host_many, long, long, long, long, long,
		   long, long, long, long, double);
DUNE_HOST_CALLBACK_VOID(noted, "host_note", host_note, dune_addr);
DUNE_HOST_CALLBACK(nested, "host_again", host_again, int, int);

static void once_more(struct dune_sandbox *box, int ctx)
{
	struct dune_object *o = dune_sandbox_object(box, 0);
	struct dune_function f = function(o, "use_add");
	dune_addr addr;
	double d = 0;
	long l = 0;
	int i = 0;

	MUST(call_int(&f, &i, 5));
	IS(i, 2 * (15 + ctx));
	f = function(o, "use_mix");
	MUST(call_mix(&f, &d, 1));
	CHECK(d == 1.5 + 2.25 - 3 + (double)(1l << 40) + 0.125);
	f = function(o, "use_many");
	MUST(call_many(&f, &l, 9));
	IS(l, 1 + 4 + 9 + 16 + 25 + 36 + 49 + 72 + 1);
	f = function(o, "use_note");
	note[0] = '\0';
	MUST(call_note(&f));
	CHECK(!strcmp(note, "noted"));
	again = function(o, "again");
	deepest = 0;
	MUST(call_int(&again, &i, 20));
	IS(i, 20);
	IS(deepest, 20);
	MUST(dune_sandbox_callback_addr(box, "host_add", &addr));
	f = function(o, "through");
	MUST(call_through(&f, &i, addr, 7));
	IS(i, 8 + ctx);
	/* one that fails */
	f = function(o, "fails_in");
	dune_sandbox_callback_addr(box, "stale", &addr);
	IS(call_int(&f, &i, 666), -EXDEV);
	CHECK(strstr(dune_errmsg(), "host_add"));
	CHECK(strstr(dune_errmsg(), strerror(EXDEV)));
	f = function(o, "get_state");
	MUST(call_int(&f, &i, 0));
	IS(i, 1);
	f = function(o, "use_add");
	MUST(call_int(&f, &i, 1));
	IS(i, 2 * (11 + ctx));
}

int main(int argc, char **argv)
{
	const struct dune_callback later[] = { mix, many, noted, nested };
	struct dune_callback bad = add;
	struct dune_sandbox *box;
	struct dune_object *o;
	int ctx = 100, i = 0;
	dune_addr addr;

	begin(argc, argv);
	box = make(OPTIONS(0));
	/* not there yet: the dynamic linker names what it misses */
	IS(try_load(box, "back", &o), -ENOEXEC);
	CHECK(strstr(dune_errmsg(), "host_"));
	MUST(dune_sandbox_callbacks(box, &add, 1, &ctx));
	IS(dune_sandbox_callbacks(box, &add, 1, &ctx), -EEXIST);
	bad.name = "";
	IS(dune_sandbox_callbacks(box, &bad, 1, &ctx), -EINVAL);
	IS(dune_sandbox_callback_addr(box, "host_add", &addr), -ENOENT);
	MUST(try_load(box, "back-load", &o));
	MUST(call_by_name(box, "get_sum", 0, &i));
	IS(i, 107);
	MUST(dune_sandbox_reset(box));
	/* two lots of symbols: two objects of stubs */
	MUST(dune_sandbox_callbacks(box, later, 4, &ctx));
	MUST(try_load(box, "back", &o));
	once_more(box, ctx);
	MUST(dune_sandbox_snapshot(box));
	MUST(dune_sandbox_reset(box));
	once_more(box, ctx);
	/* the stack of the host's thread is not the plugin's to use up */
	again = function(o, "again");
	deepest = 0;
	IS(call_int(&again, &i, 1000), -EPROTO);
	CHECK(deepest <= DUNE_DEPTH_MAX);
	MUST(dune_sandbox_reset(box));
	again = function(o, "again");
	MUST(call_int(&again, &i, DUNE_DEPTH_MAX));
	IS(i, DUNE_DEPTH_MAX);
	return end();
}
