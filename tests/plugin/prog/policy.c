/* What options and rules give to a plugin. */
#include <fcntl.h>

#include "tests/plugin/plugin.h"

DUNE_PLUGIN_CALL(call_path, int, dune_addr)

static int with_path(struct dune_sandbox *box, const char *name,
		     const char *path, int *result)
{
	struct dune_function f = function(dune_sandbox_object(box, 0), name);
	dune_addr a;
	int err;

	*result = -12345;
	MUST(dune_sandbox_alloc(box, strlen(path) + 1, &a));
	MUST(dune_sandbox_copy_in(box, a, path, strlen(path) + 1));
	err = call_path(&f, result, a);
	return err;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/dune-plugin-XXXXXX", file[64], text[640], got[64];
	struct dune_sandbox *box;
	struct dune_object *o;
	FILE *f;
	int out[2], v, n;

	begin(argc, argv);
	MUST(!mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/file", dir);

	/* nothing, by default: not even where a rule allows reading */
	box = make(OPTIONS(0));
	load(box, "files");
	IS(with_path(box, "write_file", file, &v), -EPERM);
	CHECK(strstr(report_of(box).text, "openat"));
	dune_sandbox_destroy(box);

	/* nor along with what is allowed */
	box = make(OPTIONS(0));
	load(box, "files");
	IS(with_path(box, "open_in_batch", "/etc/passwd", &v), -EPERM);
	CHECK(strstr(report_of(box).text, "openat"));
	dune_sandbox_destroy(box);

	/* refused, but not the end */
	box = make(OPTIONS(.flags = DUNE_SANDBOX_LENIENT));
	load(box, "files");
	MUST(with_path(box, "open_file", file, &v));
	IS(v, -EPERM);
	MUST(with_path(box, "open_in_batch", file, &v));
	IS(v, -EPERM);
	dune_sandbox_destroy(box);

	/* files: those of the rules */
	snprintf(text, sizeof(text), "%srw %s\nenv DUNE_TEST=42\nclearenv\n",
		 rules, dir);
	box = make(OPTIONS(.flags = DUNE_SANDBOX_FILES, .policy = text));
	load(box, "files");
	MUST(with_path(box, "write_file", file, &v));
	IS(v, 0);
	MUST(with_path(box, "open_file", file, &v));
	IS(v, 0);
	MUST(with_path(box, "open_in_batch", file, &v));
	IS(v, 0);
	MUST(with_path(box, "open_file", "/etc/passwd", &v));
	IS(v, -EACCES);
	MUST(with_path(box, "write_file", "/tmp/dune-plugin-x", &v));
	IS(v, -EACCES);
	MUST(with_path(box, "variable", "DUNE_TEST", &v));
	IS(v, 42);
	MUST(with_path(box, "variable", "PATH", &v));
	IS(v, -1);
	dune_sandbox_destroy(box);
	f = fopen(file, "r");
	CHECK(f && fgets(text, sizeof(text), f) && !strcmp(text, "written\n"));
	if (f)
		fclose(f);

	/* the same from a file, and what is denied */
	f = fopen(file, "w");
	fprintf(f, "# rules\ndeny getpid\n%s", rules);
	fclose(f);
	box = make(OPTIONS(.policy_file = file));
	load(box, "files");
	dune_sandbox_destroy(box);

	/* a directory that no rule names */
	box = make(OPTIONS(.policy = "mem 512M\n"));
	v = try_load(box, "files", &o);
	IS(v, -ENOEXEC);
	CHECK(strstr(dune_errmsg(), "files.so"));
	dune_sandbox_destroy(box);

	/* what it prints */
	MUST(pipe(out));
	box = make(OPTIONS(.output = out[1]));
	load(box, "files");
	MUST(call_by_name(box, "prints", 3, &v));
	n = read(out[0], got, sizeof(got) - 1);
	got[n > 0 ? n : 0] = '\0';
	CHECK(!strncmp(got, "printed 3\n", 10));
	dune_sandbox_destroy(box);

	unlink(file);
	rmdir(dir);
	return end();
}
