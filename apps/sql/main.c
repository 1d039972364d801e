/*
 * dune-sql: SQL from the standard input on a database that a sandboxed sqlite
 * owns. The plugin may open the database's two files and nothing else; rows
 * come as callbacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <dune/sandbox.h>
#include "apps/options.h"

enum { EXIT_SQL = 1, EXIT_FILE = 3 };	/* 2: apps/options.h */

#define SQL_MAX		(16u << 20)	/* bytes of SQL */
#define VALUE_MAX	(1u << 20)	/* bytes of one value */
#define COLUMNS_MAX	2000		/* sqlite's own default limit */
#define SQLITE_OK	0

static const char usage[] =
"usage: dune-sql [options] DATABASE\n"
"Runs SQL from the standard input on DATABASE, which is made if there is none,\n"
"and prints rows as sqlite3(1) does. sqlite runs in a virtual machine of its\n"
"own, which can open DATABASE and DATABASE-journal and nothing else.\n"
"  -t, --time MS   time that the SQL may take (10000)\n"
"  -h, --help      this;  -V, --version\n"
"Status: 0, or 1 when the SQL fails, 2 for a wrong usage, 3 when a file cannot\n"
"be read or written or there is no sandbox to be had.\n";

#define P dune_addr
DUNE_PLUGIN_CALL(call_open, int, P, P)
DUNE_PLUGIN_CALL(call_exec, int, P, P, P, P, P)
DUNE_PLUGIN_CALL(call_close, int, P)
DUNE_PLUGIN_CALL(call_errmsg, P, P)

static struct box {
	struct dune_engine *engine;
	struct dune_sandbox *sandbox;
	struct dune_function open, exec, close, errmsg;
	P on_row, db;
	char error[200];
	int no_sqlite;			/* the SQL is not to blame */
} box;

/* A value of the plugin's that is an error for us. */
static int refuse(const char *what)
{
	snprintf(box.error, sizeof(box.error), "%s", what);
	return -E2BIG;
}

/* int callback(void *user, int columns, char **values, char **names) */
static int on_row(struct dune_sandbox *sandbox, void *ctx, int *result, P user,
		  int columns, P values, P names)
{
	static char text[VALUE_MAX];
	P value;

	(void)ctx, (void)user, (void)names;
	if (columns < 0 || columns > COLUMNS_MAX)
		return refuse("a row with more columns than sqlite has");
	for (int i = 0; i < columns; i++, values.v += sizeof(value)) {
		long len = dune_sandbox_copy_out(sandbox, &value, values,
						 sizeof(value));

		if (len)
			return len;
		/* NULL prints as nothing */
		len = value.v ? dune_sandbox_copy_string(sandbox, text, value,
							 sizeof(text)) : 0;
		if (len == -ENAMETOOLONG)
			return refuse("a value of more than a megabyte");
		if (len < 0)
			return len;
		if (i)
			putchar('|');
		fwrite(text, 1, len, stdout);
	}
	putchar('\n');
	*result = ferror(stdout) != 0;
	return 0;
}
DUNE_HOST_CALLBACK(row_callback, "sql_row", on_row, int, P, int, P, P);

/* Text for the plugin: in the transfer heap. */
static int send(const char *text, size_t len, P *at)
{
	int err = dune_sandbox_alloc(box.sandbox, len + 1, at);

	return err ? err : dune_sandbox_copy_in(box.sandbox, *at, text,
						len + 1);
}

/* What sqlite says of its latest failure. Always an error. */
static int failed(void)
{
	P text;
	int err = call_errmsg(&box.errmsg, &text, box.db);

	if (err)
		return err;
	if (dune_sandbox_copy_string(box.sandbox, box.error, text,
				     sizeof(box.error)) < 0)
		strcpy(box.error, "sqlite failed");
	for (char *p = box.error; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return -EBADMSG;
}

static int run(const char *sql, size_t len, P row)
{
	P text, none = { 0 };
	int err = send(sql, len, &text), code;

	if (err)
		return err;
	err = call_exec(&box.exec, &code, box.db, text, row, none, none);
	return err || code == SQLITE_OK ? err : failed();
}

static int set_up(const char *database, uint64_t wall_ns)
{
	struct dune_sandbox_options options = {
		.size = sizeof(options), .wall_ns = wall_ns,
		.flags = DUNE_SANDBOX_FILES,
	};
	char policy[2 * PATH_MAX + 32];
	struct dune_object *sqlite;
	P name, handle;
	int err, code;

	snprintf(policy, sizeof(policy), "rw %s\nrw %s-journal\n", database,
		 database);
	options.policy = policy;
	if ((err = dune_engine_create(&box.engine)) ||
	    (err = dune_sandbox_create(box.engine, &options, &box.sandbox)) ||
	    (err = dune_sandbox_callbacks(box.sandbox, &row_callback, 1,
					  NULL)) ||
	    (err = dune_sandbox_load(box.sandbox, "libsqlite3.so.0", 0,
				     &sqlite)) ||
	    (err = dune_object_function(sqlite, "sqlite3_open", &box.open)) ||
	    (err = dune_object_function(sqlite, "sqlite3_exec", &box.exec)) ||
	    (err = dune_object_function(sqlite, "sqlite3_close",
					&box.close)) ||
	    (err = dune_object_function(sqlite, "sqlite3_errmsg",
					&box.errmsg)) ||
	    (err = dune_sandbox_callback_addr(box.sandbox, "sql_row",
					      &box.on_row)) ||
	    (err = send(database, strlen(database), &name)) ||
	    (err = dune_sandbox_alloc(box.sandbox, sizeof(P), &handle)) ||
	    (err = call_open(&box.open, &code, name, handle)) ||
	    (err = dune_sandbox_copy_out(box.sandbox, &box.db, handle,
					 sizeof(box.db))))
		return err;
	if (code != SQLITE_OK)
		return failed();
	return 0;
}

static int run_all(const char *database, const char *sql, size_t len,
		   uint64_t wall_ns)
{
	/* the journal cannot be made or removed, but written */
	static const char mode[] = "PRAGMA journal_mode = PERSIST;"
				   "PRAGMA temp_store = MEMORY;";
	P none = { 0 };
	int err = set_up(database, wall_ns), code;

	box.no_sqlite = err && err != -EBADMSG;
	if (!err)
		err = run(mode, strlen(mode), none);
	if (!err)
		err = run(sql, len, box.on_row);
	if (!err || err == -EBADMSG) {
		int end = call_close(&box.close, &code, box.db);

		err = err ? err : end;
	}
	return err;
}

/* ---- on this side ---- */

/* A regular file, made if it is not there. */
static int make_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		app_say("%s: %s", name, strerror(errno));
		return -1;
	}
	close(fd);
	if (S_ISREG(st.st_mode))
		return 0;
	app_say("%s: not a regular file", name);
	return -1;
}

/* Both files have to be there for the policy to name them. */
static int make_files(const char *name, char database[PATH_MAX])
{
	char journal[PATH_MAX + 16];

	if (make_file(name))
		return -1;
	if (!realpath(name, database)) {
		app_say("%s: %s", name, strerror(errno));
		return -1;
	}
	/* a line of the policy each; room for the journal's name */
	if (strpbrk(database, "\n#") || strlen(database) > PATH_MAX - 16) {
		app_say("%s: a shorter path without # and lines' ends is "
			"wanted", database);
		return -1;
	}
	snprintf(journal, sizeof(journal), "%s-journal", database);
	return make_file(journal);
}

static const char *why(int err)
{
	struct dune_report r = { .size = sizeof(r) };

	if (box.error[0])
		return box.error;
	if (box.sandbox && !dune_sandbox_report(box.sandbox, &r) && r.cause) {
		snprintf(box.error, sizeof(box.error), "sqlite ended by %s",
			 dune_cause_name(r.cause));
		return box.error;
	}
	return *dune_errmsg() ? dune_errmsg() : strerror(-err);
}

int main(int argc, char **argv)
{
	static char sql[SQL_MAX], database[PATH_MAX];
	unsigned long ms = 10000;
	const struct app_option options[] = {
		{ "time", 't', .number = &ms, .least = 1 },
		{ 0 }
	};
	const char *name = argv[app_options(argc, argv, options, usage, 1, 1)];
	size_t len;
	int err;

	len = fread(sql, 1, sizeof(sql), stdin);
	if (ferror(stdin) || len == sizeof(sql)) {
		app_say("standard input: %s", len == sizeof(sql) ?
			"more than 16 MiB of SQL" : strerror(errno));
		return EXIT_FILE;
	}
	if (make_files(name, database))
		return EXIT_FILE;
	err = run_all(database, sql, len, ms * 1000000);
	if (box.no_sqlite)
		app_say("%s", why(err));
	else if (err)
		app_say("%s: %s", name, why(err));
	dune_engine_destroy(box.engine);
	if (fflush(stdout) || ferror(stdout)) {
		app_say("standard output: %s", strerror(errno));
		return EXIT_FILE;
	}
	if (box.no_sqlite)
		return EXIT_FILE;
	return err ? EXIT_SQL : 0;
}
