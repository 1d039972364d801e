/*
 * Snapshots: what a reset brings back, what it must not keep, clones. With a
 * second argument: less of it.
 */
#include "tests/plugin/plugin.h"

static bool few;

static void leaks(struct dune_sandbox *box)
{
	int i;

	IS(by_name(box, "look", 0), 0);
	for (i = 0; i < (few ? 1 : 4); i++) {
		IS(by_name(box, "soil", 0), 0);
		/* the test sees what it is to see, registers aside */
		IS(by_name(box, "look", 0) & ~1, 0xfffe);
		MUST(dune_sandbox_reset(box));
		IS(by_name(box, "look", 0), 0);
		IS(dune_sandbox_object(box, 1) == NULL, 1);
	}
}

/* A kill that comes late or twice is for the sandbox that was. */
static void kills(struct dune_sandbox *box)
{
	int i, v;

	for (i = 0; i < 10; i++) {
		dune_sandbox_kill(box);
		if (i % 2)
			IS(call_by_name(box, "get_data", 0, &v), -ECANCELED);
		dune_sandbox_kill(box);
		MUST(dune_sandbox_reset(box));
		MUST(call_by_name(box, "get_data", 0, &v));
		IS(v, 1);
	}
}

static void draws(struct dune_sandbox *box)
{
	struct dune_sandbox *clone;
	long a = by_name(box, "draw", 0), b, c;

	MUST(dune_sandbox_reset(box));
	b = by_name(box, "draw", 0);
	MUST(dune_sandbox_clone(box, &clone));
	c = by_name(clone, "draw", 0);
	CHECK(a != b && b != c && a != c);
	dune_sandbox_destroy(clone);
}

static void host_side(struct dune_sandbox *box)
{
	struct dune_object *later;
	dune_addr before, after, b2;

	MUST(dune_sandbox_alloc(box, 100, &before));
	strcpy(dune_sandbox_pointer(box, before, 100), "kept");
	MUST(dune_sandbox_snapshot(box));
	strcpy(dune_sandbox_pointer(box, before, 100), "lost");
	MUST(dune_sandbox_alloc(box, 100, &after));
	MUST(try_load(box, "good", &later));
	CHECK(dune_sandbox_object(box, 1) == later);
	MUST(dune_sandbox_reset(box));
	CHECK(dune_sandbox_object(box, 1) == NULL);
	CHECK(!strcmp(dune_sandbox_pointer(box, before, 100), "kept"));
	IS(dune_sandbox_free(box, after), -EINVAL);
	MUST(dune_sandbox_alloc(box, 100, &b2));
	IS(b2.v, after.v);
	MUST(dune_sandbox_free(box, before));
	IS(dune_sandbox_free(box, before), -EINVAL);
	MUST(dune_sandbox_reset(box));
	MUST(dune_sandbox_free(box, before));
	MUST(dune_sandbox_reset(box));
}

static void clones(struct dune_sandbox *box)
{
	struct dune_sandbox *c[8];
	long at = by_name(box, "where", 0), pid = by_name(box, "where", 3);
	int i, j, v = 0;

	for (i = 0; i < 8; i++) {
		MUST(dune_sandbox_clone(i % 2 ? c[i - 1] : box, &c[i]));
		IS(by_name(c[i], "where", 0), at);
		CHECK(by_name(c[i], "where", 3) != pid);
		IS(by_name(c[i], "look", 0), 0);
		MUST(call_by_name(c[i], "set_data", i + 10, &v));
	}
	MUST(call_by_name(box, "get_data", 0, &v));
	IS(v, 1);
	for (i = 0; i < 8; i++)
		for (j = 0; j < 2; j++) {
			MUST(call_by_name(c[i], "get_data", 0, &v));
			IS(v, i + 10);
		}
	MUST(dune_sandbox_reset(c[3]));
	MUST(call_by_name(c[3], "get_data", 0, &v));
	IS(v, 1);
	/* the first may go before them */
	dune_sandbox_destroy(box);
	MUST(dune_sandbox_reset(c[2]));
	MUST(call_by_name(c[2], "get_data", 0, &v));
	IS(v, 1);
	MUST(call_by_name(c[5], "get_data", 0, &v));
	IS(v, 15);
	for (i = 0; i < 7; i++)
		dune_sandbox_destroy(c[i]);
	/* the last one is the engine's to end */
}

static void without_snapshot(void)
{
	struct dune_sandbox *box = make(OPTIONS(0)), *c;
	int v = 0;

	IS(dune_sandbox_clone(box, &c), -EINVAL);
	load(box, "leaky");
	MUST(call_by_name(box, "set_data", 50, &v));
	MUST(dune_sandbox_reset(box));
	CHECK(dune_sandbox_object(box, 0) == NULL);
	load(box, "leaky");
	MUST(call_by_name(box, "get_data", 0, &v));
	IS(v, 1);
	/* one snapshot after another */
	MUST(dune_sandbox_snapshot(box));
	MUST(call_by_name(box, "set_data", 51, &v));
	MUST(dune_sandbox_snapshot(box));
	MUST(call_by_name(box, "set_data", 52, &v));
	MUST(dune_sandbox_reset(box));
	MUST(call_by_name(box, "get_data", 0, &v));
	IS(v, 51);
	dune_sandbox_destroy(box);
}

int main(int argc, char **argv)
{
	struct dune_sandbox *box;

	begin(argc, argv);
	few = argc > 2;
	if (!few)
		without_snapshot();
	box = make(OPTIONS(.callers = 2));
	load(box, "leaky");
	MUST(dune_sandbox_snapshot(box));
	leaks(box);
	if (!few) {
		kills(box);
		draws(box);
		host_side(box);
		clones(box);
	}
	return end();
}
