/*
 * dune-run --dune: an unmodified dynamic program in Dune mode. No sandbox: the
 * program is what it is natively, plus ring 0 of its process's own machine. All
 * that is done here is to preload a library that calls dune_enter().
 */
#include "apps/dune-run/run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/err.h"

#define LIBRARY		"libdune-preload.so"
#define MAX_SCRIPTS	5

static const char help[] =
"usage: dune-run --dune [--] PROGRAM [ARG...]\n"
"Runs a dynamically linked program in Dune mode, and what it executes: it\n"
"goes on in ring 0 of a virtual machine of its process's own, with its files,\n"
"descriptors and rights as they are. This is no sandbox.\n"
"\n"
"DUNE_PRELOAD=try in the environment: natively where Dune mode cannot be had.\n"
"\n"
"Exit status: the program's; 125 Dune mode cannot be had; 126 cannot execute,\n"
"or cannot be preloaded into; 127 not found. More: dune-run(1).\n";

static const struct option options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static char *const *parse(int argc, char **argv)
{
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+h", options, NULL)) >= 0) {
		if (opt == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		dune_err(-EINVAL, "%s: not an option of --dune, which makes no "
			 "sandbox; dune-run --dune --help",
			 argv[optind - 1]);
		dune_fail(DUNE_EXIT_OURS);
	}
	if (optind == argc) {
		dune_err(-EINVAL, "PROGRAM: not given; dune-run --dune --help");
		dune_fail(DUNE_EXIT_OURS);
	}
	return argv + optind;
}

/* Next to this binary, as in a build directory, or in ../lib, as installed. */
static void find_library(char path[PATH_MAX])
{
	static const char *const at[] = { "/" LIBRARY, "/../lib/" LIBRARY };
	char dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	size_t i;

	dir[n > 0 ? n : 0] = '\0';
	*(strrchr(dir, '/') ?: dir) = '\0';
	for (i = 0; i < DUNE_ARRAY_SIZE(at); i++) {
		n = snprintf(path, PATH_MAX, "%s%s", dir, at[i]);
		if (n < PATH_MAX && access(path, R_OK) == 0)
			break;
	}
	if (i == DUNE_ARRAY_SIZE(at)) {
		dune_err(-ENOENT, "%s: neither in %s nor in its ../lib; run "
			 "make, or make install", LIBRARY, dir);
		dune_fail(DUNE_EXIT_OURS);
	}
	if (strpbrk(path, " :")) {
		dune_err(-EINVAL, "%s: a path with a space or a colon cannot "
			 "be preloaded; install it elsewhere", path);
		dune_fail(DUNE_EXIT_OURS);
	}
}

/* Before what is to be preloaded already, so that it is initialised last. */
static void preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *value;

	if (asprintf(&value, "%s%s%s", library, old && *old ? ":" : "",
		     old ?: "") < 0 || setenv("LD_PRELOAD", value, 1)) {
		dune_err(-ENOMEM, "environment: out of memory; free some");
		dune_fail(DUNE_EXIT_OURS);
	}
}

static void refuse(const char *path, const char *why)
{
	dune_err(-ENOTSUP, "%s: %s, so nothing can be preloaded into it; run "
		 "it without --dune", path, why);
	dune_fail(DUNE_EXIT_NOEXEC);
}

/* Would the dynamic loader take LD_PRELOAD for it? */
static void check_program(const char *path)
{
	char file[PATH_MAX], interp[PATH_MAX], arg[PATH_MAX];
	struct stat st;
	int i, kind;

	strcpy(file, path);
	for (i = 0; i < MAX_SCRIPTS; i++) {
		kind = dune_interpreter(file, interp, arg);
		if (kind != DUNE_SCRIPT)
			break;
		strcpy(file, interp);
	}
	if (kind == DUNE_ELF && !*interp)
		refuse(file, "is statically linked");
	if (stat(file, &st) == 0 &&
	    (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	     ((st.st_mode & S_ISGID) && st.st_gid != getgid())))
		refuse(file, "runs with another user's rights");
}

void dune_in_dune(int argc, char **argv)
{
	char path[PATH_MAX], library[PATH_MAX];
	char *const *args = parse(argc, argv);
	int err = dune_find_program(args[0], environ, path);

	if (err)
		dune_fail(dune_start_status(err));
	find_library(library);
	check_program(path);
	preload(library);
	/* as env(1): a shell reads what is no program */
	execvp(path, args);
	err = -errno;
	dune_err(err, "%s: %s; give a program that can be executed", path,
		 strerror(-err));
	dune_fail(dune_start_status(err));
}
