/*
 * dune-plughost: a host for plugins that users write (plugin.h). Reads lines,
 * gives them to the plugin, prints what it prints. A line that the plugin fails
 * at is named; the plugin goes on with the next.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/options.h"
#include "dune/sandbox.h"
#include "plugin.h"

/* 2: apps/options.h */
enum { EXIT_LINES = 1, EXIT_PLUGIN = 3, EXIT_IO = 4 };

#define LINE_BYTES	(1u << 20)	/* of a line, and of a host_print() */

static const char usage[] =
"usage: dune-plughost [options] PLUGIN.so [ARGUMENT] <INPUT >OUTPUT\n"
"Runs a plugin (written to <dune/plughost.h>) over lines, in a sandbox.\n"
"  -t, --time MS      time that the plugin may take for a line (1000)\n"
"  -m, --memory MIB   memory that it may use (256)\n"
"  -v, --verbose      when it fails: registers, stack, system calls\n"
"  -h, --help         this;  -V, --version\n"
"Status: 0, or 1 when lines were in error, 2 for a wrong usage, 3 when the\n"
"plugin cannot be loaded or fails to start, 4 when input or output fail.\n";

DUNE_PLUGIN_CALL(call_version, int)
DUNE_PLUGIN_CALL(call_start, int, dune_addr)
DUNE_PLUGIN_CALL(call_line, int, dune_addr, size_t)
DUNE_PLUGIN_CALL(call_end, int)

struct host {
	struct dune_engine *engine;
	struct dune_sandbox *box;
	struct dune_function version, start, line, end;
	dune_addr text;			/* where lines go: LINE_BYTES */
	char *copy;			/* of what it prints */
	int verbose, started;
};

static int print(struct dune_sandbox *box, void *ctx, dune_addr text,
		 size_t len)
{
	struct host *h = ctx;
	int err;

	if (len > LINE_BYTES)
		return -EMSGSIZE;
	err = dune_sandbox_copy_out(box, h->copy, text, len);
	if (err)
		return err;
	return fwrite(h->copy, 1, len, stdout) == len ? 0 : -EPIPE;
}
DUNE_HOST_CALLBACK_VOID(print_callback, "host_print", print, dune_addr, size_t);

/* An error of the call, or 1 when the plugin returned one. */
static int own_error(int err, int result)
{
	return err ? err : result != 0;
}

/* Says why something failed: negative errors are the sandbox's. */
static void complain(const struct host *h, const char *what, int err)
{
	struct dune_report r = { .size = sizeof(r) };

	if (err > 0) {
		app_say("%s: the plugin returned an error", what);
		return;
	}
	if (!h->box || dune_sandbox_report(h->box, &r) || !r.cause) {
		if (err == -EMSGSIZE)
			app_say("%s: more than a megabyte printed at once",
				what);
		else if (h->started)
			app_say("%s: %s", what, dune_errmsg());
		else	/* which names what could not be had */
			app_say("%s", dune_errmsg());
		return;
	}
	app_say("%s: the plugin ended by %s", what, dune_cause_name(r.cause));
	if (h->verbose)
		fputs(r.text, stderr);
}

/* All before the first line: NULL, or what failed. */
static const char *load(struct host *h, const char *path, const char *arg,
			const struct dune_sandbox_options *options, int *err)
{
	struct { const char *name; struct dune_function *f; } want[] = {
		{ "plug_version", &h->version }, { "plug_start", &h->start },
		{ "plug_line", &h->line }, { "plug_end", &h->end },
	};
	struct dune_object *plugin;
	int r = 0;

	if ((*err = dune_engine_create(&h->engine)) ||
	    (*err = dune_sandbox_create(h->engine, options, &h->box)) ||
	    (*err = dune_sandbox_callbacks(h->box, &print_callback, 1, h)))
		return "sandbox";
	*err = dune_sandbox_load(h->box, path, 0, &plugin);
	if (*err)
		return "load";
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		*err = dune_object_function(plugin, want[i].name, want[i].f);
		if (*err)
			return want[i].name;
	}
	*err = call_version(&h->version, &r);
	if (!*err && r != PLUG_VERSION)
		*err = 1;
	if (*err)
		return "plug_version";
	if ((*err = dune_sandbox_alloc(h->box, LINE_BYTES, &h->text)) ||
	    (*err = dune_sandbox_copy_in(h->box, h->text, arg,
					 strlen(arg) + 1)))
		return "argument";
	*err = call_start(&h->start, &r, h->text);
	*err = own_error(*err, r);
	if (*err)
		return "plug_start";
	*err = dune_sandbox_snapshot(h->box);
	return *err ? "snapshot" : NULL;
}

/* One line of the input: 0, or its error. */
static int do_line(struct host *h, const char *line, size_t len)
{
	char *to = dune_sandbox_pointer(h->box, h->text, len + 1);
	int r = 0, err;

	memcpy(to, line, len);
	to[len] = '\0';
	err = call_line(&h->line, &r, h->text, len);
	return own_error(err, r);
}

/* All of the input. */
static int run(struct host *h)
{
	char *line = NULL, where[32];
	size_t room = 0;
	int status = 0, err, r = 0, cause;
	ssize_t len;

	for (unsigned long n = 1; (len = getline(&line, &room, stdin)) >= 0;
	     n++) {
		if (len && line[len - 1] == '\n')
			len--;
		snprintf(where, sizeof(where), "line %lu", n);
		if ((size_t)len >= LINE_BYTES) {
			app_say("%s: longer than a megabyte", where);
			status = EXIT_LINES;
			continue;
		}
		err = do_line(h, line, len);
		if (ferror(stdout))
			break;
		if (!err)
			continue;
		complain(h, where, err);
		status = EXIT_LINES;
		if (err < 0 && (err = dune_sandbox_reset(h->box))) {
			complain(h, "reset", err);
			free(line);
			return EXIT_PLUGIN;
		}
	}
	cause = errno;		/* of ferror(), if it says so below */
	free(line);
	if (!ferror(stdout)) {
		err = call_end(&h->end, &r);
		err = own_error(err, r);
		if (err) {
			complain(h, "plug_end", err);
			status = EXIT_LINES;
		}
	}
	if (ferror(stdin) || ferror(stdout)) {
		app_say("standard %s: %s", ferror(stdin) ? "input" : "output",
			strerror(cause));
		return EXIT_IO;
	}
	if (fflush(stdout)) {
		app_say("standard output: %s", strerror(errno));
		return EXIT_IO;
	}
	return status;
}

int main(int argc, char **argv)
{
	unsigned long ms = 1000, mib = 256;
	struct host h = { 0 };
	const struct app_option table[] = {
		{ "time", 't', .number = &ms, .least = 1 },
		{ "memory", 'm', .number = &mib, .least = 1 },
		{ "verbose", 'v', .flag = &h.verbose },
		{ 0 }
	};
	int operand = app_options(argc, argv, table, usage, 1, 2);
	const char *arg = argc - operand == 2 ? argv[operand + 1] : "";
	char path[PATH_MAX], rule[PATH_MAX + 8];
	struct dune_sandbox_options options = {
		.size = sizeof(options), .policy = rule,
		.wall_ns = ms * 1000000, .memory = mib << 20,
	};
	const char *failed;
	int err, status;

	if (strlen(arg) >= LINE_BYTES) {
		app_say("ARGUMENT: longer than a megabyte");
		return EXIT_PLUGIN;
	}
	/* the sandbox may read this file, and none beside it */
	if (!realpath(argv[operand], path)) {
		app_say("%s: %s", argv[operand], strerror(errno));
		return EXIT_PLUGIN;
	}
	/* a line of the policy: what came after it would be one, too */
	if (strchr(path, '\n')) {
		app_say("%s: a line's end in its path", argv[operand]);
		return EXIT_PLUGIN;
	}
	snprintf(rule, sizeof(rule), "ro %s\n", path);
	h.copy = malloc(LINE_BYTES);
	if (!h.copy) {
		app_say("out of memory");
		return EXIT_PLUGIN;
	}
	failed = load(&h, path, arg, &options, &err);
	if (failed) {
		complain(&h, failed, err);
		status = EXIT_PLUGIN;
	} else {
		h.started = 1;
		status = run(&h);
	}
	dune_engine_destroy(h.engine);
	free(h.copy);
	return status;
}
