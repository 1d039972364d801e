/* Arguments and results of all kinds, and what well-behaved plugins do. */
#include "tests/plugin/plugin.h"

DUNE_PLUGIN_CALL(call_add, int, int, int)
DUNE_PLUGIN_CALL(call_mul, double, double, double)
DUNE_PLUGIN_CALL(call_fsum, float, float, int, double)
DUNE_PLUGIN_CALL(call_narrow, int8_t, int8_t)
DUNE_PLUGIN_CALL(call_unsigned_narrow, uint8_t, uint8_t)
DUNE_PLUGIN_CALL(call_both, bool, bool, bool)
DUNE_PLUGIN_CALL(call_negative, int64_t, int32_t)
DUNE_PLUGIN_VOID(call_nothing)
DUNE_PLUGIN_CALL(call_many, long, long, long, long, long, long, long, long,
		 double, long)
DUNE_PLUGIN_CALL(call_doubles, double, double, double, double, double, double,
		 double, double, double, double, double)
DUNE_PLUGIN_CALL(call_by_pointer, double, dune_addr)
DUNE_PLUGIN_VOID(call_upper, dune_addr)
DUNE_PLUGIN_CALL(call_copy, dune_addr, dune_addr)

static struct dune_object *o;

static int int_by_name(const char *name, int arg)
{
	struct dune_function f = function(o, name);
	int result = -12345;

	MUST(call_int(&f, &result, arg));
	return result;
}

static void arguments(void)
{
	struct dune_function f = function(o, "add");
	int8_t narrow = 0;
	uint8_t unarrow = 0;
	int64_t big = 0;
	bool both = false;
	double d = 0;
	float fl = 0;
	long l = 0;
	int i = 0;

	MUST(call_add(&f, &i, 2000000000, -5));
	IS(i, 1999999995);
	f = function(o, "mul");
	MUST(call_mul(&f, &d, 1.5, -4));
	CHECK(d == -6);
	f = function(o, "fsum");
	MUST(call_fsum(&f, &fl, 1.5f, 4, 0.25));
	CHECK(fl == 5.75f);
	f = function(o, "narrow");
	MUST(call_narrow(&f, &narrow, -128));
	IS(narrow, 127);
	f = function(o, "unsigned_narrow");
	MUST(call_unsigned_narrow(&f, &unarrow, 255));
	IS(unarrow, 0);
	f = function(o, "both");
	MUST(call_both(&f, &both, true, true));
	CHECK(both);
	f = function(o, "negative");
	MUST(call_negative(&f, &big, -3));
	IS(big, -3);
	f = function(o, "many");
	MUST(call_many(&f, &l, 1, 2, 3, 4, 5, 6, 7, 8.5, 9));
	IS(l, 1 + 4 + 9 + 16 + 25 + 36 + 49 + 8 + 72);
	f = function(o, "doubles");
	MUST(call_doubles(&f, &d, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
	CHECK(d == 385);
	f = function(o, "nothing");
	MUST(call_nothing(&f));
}

static void pointers(struct dune_sandbox *box)
{
	struct { int x, y; double w; } p = { 1, 2, 0.5 };
	struct dune_function f = function(o, "by_pointer");
	dune_addr a, b;
	char text[32];
	double d = 0;

	MUST(dune_sandbox_alloc(box, sizeof(p), &a));
	MUST(dune_sandbox_copy_in(box, a, &p, sizeof(p)));
	MUST(call_by_pointer(&f, &d, a));
	CHECK(d == 6.5);
	MUST(dune_sandbox_copy_out(box, &p, a, sizeof(p)));
	IS(p.x, 2);
	IS(p.y, 4);
	MUST(dune_sandbox_free(box, a));

	MUST(dune_sandbox_alloc(box, 6, &a));
	memcpy(dune_sandbox_pointer(box, a, 6), "hello", 6);
	f = function(o, "upper");
	MUST(call_upper(&f, a));
	CHECK(!memcmp(dune_sandbox_pointer(box, a, 6), "HELLO", 6));
	/* memory that the plugin's own malloc gave */
	f = function(o, "copy");
	MUST(call_copy(&f, &b, a));
	CHECK(dune_sandbox_pointer(box, b, 6) == NULL);
	IS(dune_sandbox_copy_string(box, text, b, sizeof(text)), 5);
	CHECK(!strcmp(text, "HELLO"));
	MUST(dune_sandbox_copy_in(box, b, "other", 6));
	MUST(dune_sandbox_copy_out(box, text, b, 6));
	CHECK(!strcmp(text, "other"));
}

static void errors(struct dune_sandbox *box)
{
	struct dune_value v[DUNE_ARGS_MAX + 1] = { { 0 } };
	struct dune_function f, none = { box, { 0 } };
	struct dune_object *no;
	uint64_t result;

	IS(dune_object_function(o, "no_such_function", &f), -ENOENT);
	IS(try_load(box, "no-such-object", &no), -ENOENT);
	CHECK(strstr(dune_errmsg(), "no-such-object"));
	IS(dune_sandbox_load(box, "", 0, &no), -EINVAL);
	/* by a name that the dynamic linker does not find */
	IS(dune_sandbox_load(box, "no-such-lib.so", 0, &no), -ENOEXEC);
	CHECK(strstr(dune_errmsg(), "no-such-lib.so"));
	IS(dune_call(&none, DUNE_INT, &result, v, 0), -EINVAL);
	none.addr.v = ~0ul;
	IS(dune_call(&none, DUNE_INT, &result, v, 0), -EINVAL);
	f = function(o, "nop");
	IS(dune_call(&f, DUNE_INT, &result, v, DUNE_ARGS_MAX + 1), -EINVAL);
	IS(dune_call(&f, DUNE_FLOAT + 1, &result, v, 0), -EINVAL);
	IS(dune_call(&f, DUNE_INT, &result, v, 1), -EINVAL);	/* void */
	v[0].type = 77;
	IS(dune_call(&f, DUNE_INT, &result, v, 1), -EINVAL);
	IS(int_by_name("nop", 3), 3);
}

/* Objects that come from the host's memory. */
static void memory(void)
{
	static char elf[256 << 10];
	struct dune_sandbox *box = make(OPTIONS(0));
	struct dune_object *m[2];
	int v, n, err;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/good.so", libs);
	file = fopen(path, "r");
	n = file ? fread(elf, 1, sizeof(elf), file) : 0;
	fclose(file);
	IS(dune_sandbox_load_memory(box, elf, 0, 0, &m[0]), -EINVAL);
	IS(dune_sandbox_load_memory(box, elf, n, ~0u, &m[0]), -EINVAL);
	IS(dune_sandbox_load_memory(box, "text", 4, 0, &m[0]), -ENOEXEC);
	CHECK(!m[0]);
	/* two of the same are two */
	MUST(dune_sandbox_load_memory(box, elf, n, 0, &m[0]));
	MUST(dune_sandbox_load_memory(box, elf, n, 0, &m[1]));
	for (int i = 0; i < 2; i++) {
		struct dune_function f = function(m[i], "set_global");

		MUST(call_int(&f, &v, 7 + i));
	}
	for (int i = 0; i < 2; i++) {
		struct dune_function f = function(m[i], "get_global");

		MUST(call_int(&f, &v, 0));
		IS(v, 7 + i);
	}
	for (n = 3; n < 70; n++) {
		err = dune_sandbox_load_memory(box, "text", 4, 0, &m[0]);
		IS(err, n < 64 ? -ENOEXEC : -ENOSPC);
	}
	dune_sandbox_destroy(box);
}

int main(int argc, char **argv)
{
	struct dune_sandbox *box;

	begin(argc, argv);
	box = make(OPTIONS(0));
	o = load(box, "good");
	CHECK(dune_sandbox_object(box, 0) == o);
	CHECK(dune_sandbox_object(box, 1) == NULL);
	arguments();
	pointers(box);
	errors(box);
	IS(int_by_name("was_constructed", 1), 8);
	IS(int_by_name("aligned", 3), 6);
	IS(int_by_name("jumps", 20), 42);
	IS(int_by_name("threads", 4), 12);
	IS(int_by_name("signals", 9), 9);
	IS(int_by_name("floats", 1), 1);
	IS(int_by_name("clocks", 4), 4);
	IS(int_by_name("allocate", 32), 0);
	IS(int_by_name("prints", 5), 5);
	memory();
	return end();
}
