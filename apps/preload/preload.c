/*
 * libdune-preload.so: puts a program that knows nothing of Dune into Dune mode,
 * before its main() and after the constructors of its libraries. `dune-run
 * --dune` sets LD_PRELOAD to it; so do users who want to.
 *
 * The variable stays in the environment: what the program executes comes here
 * again. A program that cannot go on in Dune mode ends with status 125 and a
 * line on standard error, or goes on natively where DUNE_PRELOAD is "try", or
 * where a seccomp filter of an ancestor's forbids it: a program that locks
 * itself up leaves Dune mode, and what it executes stays out.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <errno.h>
#include <sys/prctl.h>
#include "dune.h"

#define EXIT_OURS	125

static int say(const char *what)
{
	static const char how[] = "; or DUNE_PRELOAD=try to go on natively\n";
	const char *name = program_invocation_short_name;
	struct iovec line[] = {
		{ (void *)"dune-preload: ", 14 },
		{ (void *)name, strlen(name) },
		{ (void *)": ", 2 },
		{ (void *)what, strlen(what) },
		{ (void *)how, sizeof(how) - 1 },
	};

	return writev(STDERR_FILENO, line, sizeof(line) / sizeof(*line));
}

/* KVM is there, but may not be used. */
static int locked_up(void)
{
	return prctl(PR_GET_SECCOMP) > 0 &&
	       access("/dev/kvm", R_OK | W_OK) == 0;
}

__attribute__((constructor))
static void enter(void)
{
	const char *mode = getenv("DUNE_PRELOAD");

	if (!dune_enter() || (mode && !strcmp(mode, "try")) || locked_up())
		return;
	/* whether the line could be written or not */
	(void)!say(dune_errmsg());
	_exit(EXIT_OURS);
}
