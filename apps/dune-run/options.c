/* The command line. Options that are policy go through dune_policy_set(). */
#include "apps/dune-run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/err.h"

/* More than any policy that fits its limits. */
#define POLICY_FILE_MAX (1 << 20)

static const char help[] =
"usage: dune-run [options] [--] PROGRAM [ARG...]\n"
"       dune-run --dune [--] PROGRAM [ARG...]\n"
"Runs a Linux program as untrusted code in a KVM virtual machine of its own;\n"
"with --dune as trusted code in ring 0 of one: dune-run --dune --help.\n"
"\n"
"What it may do (by default: read itself and its libraries, use descriptors\n"
"0, 1 and 2):\n"
"  --ro PATH             read what lies at and below PATH\n"
"  --rw PATH             the same, and write, make and remove\n"
"  --net                 use the network\n"
"  --fd N                keep descriptor N open\n"
"  --allow NAME[,NAME]   system calls refused otherwise (names: syscalls(2))\n"
"  --deny NAME[,NAME]    system calls to refuse\n"
"  --policy FILE         the same words from a file: dune-policy(5)\n"
"How it starts:\n"
"  --env NAME=VALUE      set a variable; --env NAME passes ours on\n"
"  --clearenv            start from an empty environment\n"
"  --cwd DIR             start in DIR\n"
"Limits (SIZE: 512M, 2G ...):\n"
"  --mem SIZE            memory of a process\n"
"  --time SECONDS        wall time of all; then it is killed, exit 124\n"
"  --cpu-time SECONDS    CPU time of a process; then it is killed, exit 124\n"
"  --procs N             processes at once\n"
"  --fsize SIZE          size of a file it writes\n"
"How it runs:\n"
"  --exitless=auto|off|on  system calls served without leaving the VM, by\n"
"                        a thread on another CPU: when it pays, never, always\n"
"  --rewrite=auto|off|on  on a software KVM, system call sites become jumps in\n"
"                        the process's copy of its code: the hot ones, none, all\n"
"What is told:\n"
"  --stat                a table of system calls at the end\n"
"  --trace[=FILE]        every system call, decoded\n"
"  --report              every violation of the policy, with a stack\n"
"  -v, --verbose         what runs, on which KVM, by which rules\n"
"  -h, --help            this;  -V, --version\n"
"\n"
"Exit status: the program's; 128+N killed by signal N; 124 time limit;\n"
"125 dune-run failed; 126 cannot execute; 127 not found. More: dune-run(1).\n";

/* val 0: the name is a keyword of the policy */
static const struct option options[] = {
	{ "ro", required_argument, NULL, 0 },
	{ "rw", required_argument, NULL, 0 },
	{ "net", no_argument, NULL, 0 },
	{ "env", required_argument, NULL, 0 },
	{ "clearenv", no_argument, NULL, 0 },
	{ "cwd", required_argument, NULL, 0 },
	{ "mem", required_argument, NULL, 0 },
	{ "time", required_argument, NULL, 0 },
	{ "cpu-time", required_argument, NULL, 0 },
	{ "procs", required_argument, NULL, 0 },
	{ "fsize", required_argument, NULL, 0 },
	{ "allow", required_argument, NULL, 0 },
	{ "deny", required_argument, NULL, 0 },
	{ "fd", required_argument, NULL, 0 },
	{ "exitless", required_argument, NULL, 0 },
	{ "rewrite", required_argument, NULL, 0 },
	{ "stat", no_argument, NULL, 0 },
	{ "trace", optional_argument, NULL, 0 },
	{ "report", no_argument, NULL, 0 },
	{ "policy", required_argument, NULL, 'p' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};
static const char letters[] = "+:hvV";

static void bad_option(const char *option, const char *cause)
{
	dune_err(-EINVAL, "%s: %s; dune-run --help lists the options", option,
		 cause);
	dune_fail(DUNE_EXIT_OURS);
}

static void unknown_option(const char *arg)
{
	char letter[] = { '-', optopt, '\0' };

	if (optopt && !strchr(letters, optopt))
		bad_option(letter, "unknown option");
	bad_option(arg, "unknown or ambiguous option, or one that takes no "
		   "argument");
}

static void set(struct dune_policy *p, const char *name, const char *arg)
{
	if (dune_policy_set(p, name, arg, dune_policy_add_path) == 0)
		return;
	fprintf(stderr, "dune-run: --%s\n", dune_errmsg());
	exit(DUNE_EXIT_OURS);
}

/* The whole file, as text of *len bytes to be freed. */
static char *read_file(const char *name, size_t *len)
{
	char *text = malloc(POLICY_FILE_MAX);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	*len = 0;
	while (fd >= 0 && text && *len < POLICY_FILE_MAX) {
		n = read(fd, text + *len, POLICY_FILE_MAX - *len);
		if (n <= 0)
			break;
		*len += n;
	}
	if (fd < 0 || !text || n < 0)
		dune_err(-errno, "--policy %s: %s; name a file that can be "
			 "read", name, strerror(errno));
	else if (*len == POLICY_FILE_MAX)
		dune_err(-EFBIG, "--policy %s: longer than %d bytes; is it a "
			 "policy?", name, POLICY_FILE_MAX);
	else {
		close(fd);
		return text;
	}
	dune_fail(DUNE_EXIT_OURS);
}

static void read_policy(struct dune_policy *p, const char *name)
{
	size_t len;
	char *text = read_file(name, &len);

	if (dune_policy_parse(p, name, text, len, dune_policy_add_path))
		dune_fail(DUNE_EXIT_OURS);
	free(text);
}

/* What was asked for, and the end. */
static void say(const char *text)
{
	fputs(text, stdout);
	if (fflush(stdout) || ferror(stdout)) {
		dune_err(-errno, "standard output: %s", strerror(errno));
		dune_fail(DUNE_EXIT_OURS);
	}
	exit(0);
}

void dune_options(struct dune_run *run, int argc, char **argv)
{
	struct dune_policy *p = &run->state.policy;
	int opt, index;

	opterr = 0;
	while (index = -1,
	       (opt = getopt_long(argc, argv, letters, options, &index)) >= 0)
		switch (opt) {
		case 0:
			set(p, options[index].name, optarg);
			break;
		case 'p':
			read_policy(p, optarg);
			break;
		case 'v':
			run->verbose = true;
			break;
		case 'V':
			say("dune-run " DUNE_VERSION "\n");
			break;
		case 'h':
			say(help);
			break;
		case ':':
			bad_option(argv[optind - 1], "needs an argument");
			break;
		default:
			unknown_option(argv[optind - 1]);
		}
	if (optind == argc)
		bad_option("PROGRAM", "not given");
	run->argv = argv + optind;
}
