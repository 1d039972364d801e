/* For the host programs of these tests: checks, and an engine to begin with. */
#ifndef TESTS_PLUGIN_H
#define TESTS_PLUGIN_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "dune/sandbox.h"

static int failures;

#define CHECK(cond) do { \
	if (!(cond)) { \
		printf("%s:%d: %s\n", __FILE__, __LINE__, #cond); \
		failures++; \
	} \
} while (0)

#define IS(got, want) do { \
	long got_ = (long)(got), want_ = (long)(want); \
 \
	if (got_ != want_) { \
		printf("%s:%d: %s is %ld, not %ld (%s)\n", __FILE__, \
		       __LINE__, #got, got_, want_, dune_errmsg()); \
		failures++; \
	} \
} while (0)

/* What the rest depends on. */
#define MUST(call) do { \
	int err_ = (call); \
 \
	if (err_) { \
		printf("%s:%d: %s: %d (%s)\n", __FILE__, __LINE__, #call, \
		       err_, dune_errmsg()); \
		exit(1); \
	} \
} while (0)

static struct dune_engine *engine;
static const char *libs;		/* the directory of the plugins */
static char rules[512];

/* Options with the plugins' directory, and with what is added to them. */
#define OPTIONS(...) \
	with_rules((struct dune_sandbox_options) { __VA_ARGS__ })

static inline struct dune_sandbox_options
with_rules(struct dune_sandbox_options o)
{
	o.size = sizeof(o);
	if (!o.policy)
		o.policy = rules;
	return o;
}

static inline void begin(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		exit(2);
	}
	/* what was said before a crash or a hang is worth the most */
	setvbuf(stdout, NULL, _IOLBF, 0);
	libs = argv[1];
	snprintf(rules, sizeof(rules), "ro %s\n", libs);
	MUST(dune_engine_create(&engine));
}

static inline int end(void)
{
	dune_engine_destroy(engine);
	return failures != 0;
}

static inline struct dune_sandbox *make(struct dune_sandbox_options options)
{
	struct dune_sandbox *box;

	MUST(dune_sandbox_create(engine, &options, &box));
	return box;
}

static inline int try_load(struct dune_sandbox *box, const char *name,
			   struct dune_object **o)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.so", libs, name);
	return dune_sandbox_load(box, path, 0, o);
}

static inline struct dune_object *load(struct dune_sandbox *box,
				       const char *name)
{
	struct dune_object *o;

	MUST(try_load(box, name, &o));
	return o;
}

static inline struct dune_function function(struct dune_object *o,
					    const char *name)
{
	struct dune_function f;

	MUST(dune_object_function(o, name, &f));
	return f;
}

static inline struct dune_report report_of(struct dune_sandbox *box)
{
	struct dune_report r = { .size = sizeof(r) };

	MUST(dune_sandbox_report(box, &r));
	return r;
}

/* Of an int(int) of the first object: what most of these plugins have. */
DUNE_PLUGIN_CALL(call_int, int, int)

static inline int call_by_name(struct dune_sandbox *box, const char *name,
			       int arg, int *result)
{
	struct dune_function f;
	int err = dune_object_function(dune_sandbox_object(box, 0), name, &f);

	*result = 0;
	return err ? err : call_int(&f, result, arg);
}

/* What long NAME(int) of the first object says, which must not fail. */
DUNE_PLUGIN_CALL(call_long, long, int)

static inline long by_name(struct dune_sandbox *box, const char *name, int arg)
{
	struct dune_function f = function(dune_sandbox_object(box, 0), name);
	long result = -1;

	MUST(call_long(&f, &result, arg));
	return result;
}

#endif
