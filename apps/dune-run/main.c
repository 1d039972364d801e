/* dune-run: runs a program as untrusted code in a VM of its process's own. */
#include "apps/dune-run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "kern/err.h"

/* A little more than it takes. */
#define STACK_MIN (128 << 10)

/* The policy alone is some 40 KiB: not on the stack. */
static struct dune_run run;

void dune_fail(int status)
{
	fprintf(stderr, "dune-run: %s\n", dune_errmsg());
	exit(status);
}

static void check(int err)
{
	if (err < 0)
		dune_fail(DUNE_EXIT_OURS);
}

/* Before --cwd: these names are the caller's. */
static void open_files(struct dune_policy *p)
{
	const char *file = dune_policy_string(p, p->trace_file);

	if (!*file)
		return;
	p->trace_fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND |
			   O_CLOEXEC, 0666);
	if (p->trace_fd < 0)
		check(dune_err(-errno, "--trace=%s: %s; name a file that can "
			       "be written", file, strerror(errno)));
}

static void change_directory(const struct dune_policy *p)
{
	const char *dir = dune_policy_string(p, p->cwd);

	if (*dir && chdir(dir))
		check(dune_err(-errno, "--cwd %s: %s; name a directory that "
			       "may be entered", dir, strerror(errno)));
}

static void prepare_program(void)
{
	struct dune_policy *p = &run.state.policy;
	int err;

	run.envp = dune_environment(p, environ);
	if (!run.envp)
		check(dune_err(-ENOMEM, "environment: out of memory; free "
			       "some"));
	err = dune_find_program(run.argv[0], run.envp, run.path);
	if (err)
		dune_fail(dune_start_status(err));
	check(dune_policy_add_defaults(p));
	check(dune_program_rules(p, run.path, run.envp));
}

static int take_internal(int fd)
{
	if (fd >= 0)
		fd = dune_fds_raise(&run.state, fd);
	check(fd);
	return fd;
}

/* Only people want all of it: a VM for them costs 2 ms. */
static void find_kind(void)
{
	int err = dune_kvm_probe(run.state.kvm_fd, &run.kind, true);

	dune_kvm_probe_end();
	check(err);
}

/* Processes are known by their numbers there: are they those of kill(2)? */
static void check_proc(void)
{
	char self[16] = "";

	if (readlink("/proc/self", self, sizeof(self) - 1) > 0 &&
	    atoi(self) != getpid())
		check(dune_err(-ESRCH, "/proc: shows the processes of another "
			       "PID namespace; mount this one's (unshare "
			       "--mount-proc)"));
}

static void prepare_machine(void)
{
	struct dune_state *s = &run.state;
	struct dune_policy *p = &s->policy;
	int fd;

	check(dune_fds_split(s));
	s->kvm_fd = take_internal(dune_kvm_open());
	if (run.verbose || s->policy.stat)
		find_kind();
	fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (fd < 0)
		check(dune_err(-errno, "/proc/self/exe: %s; mount /proc",
			       strerror(errno)));
	s->self_fd = take_internal(fd);
	check_proc();
	/* ours even when the program turns its standard error elsewhere */
	if (p->trace_fd >= 0)
		p->trace_fd = take_internal(p->trace_fd);
	else if (p->trace)
		p->trace_fd = take_internal(dup(STDERR_FILENO));
	if (p->report)
		p->report_fd = take_internal(dup(STDERR_FILENO));
}

static void say_what_runs(void)
{
	const struct dune_policy *p = &run.state.policy;

	fprintf(stderr, "dune-run: program %s\ndune-run: KVM: %s\n", run.path,
		dune_kvm_kind_name(&run.kind));
	for (unsigned int i = 0; i < p->paths; i++)
		fprintf(stderr, "dune-run: %s %s\n",
			p->path[i].list ? "names in" :
			p->path[i].write ? "rw" : "ro",
			dune_policy_string(p, p->path[i].off));
}

/*
 * Where the stack is unlimited the kernel lays a process out from the bottom
 * up, over the addresses that are the program's: once more, with a limit. A
 * monitor's own stack has the limit, too.
 */
static void limit_stack(char **argv)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_STACK, &r))
		return;
	if (r.rlim_cur < STACK_MIN)
		check(dune_err(-EINVAL, "limit of the stack: %lu KiB is too "
			       "low; ulimit -s 256 or more",
			       (unsigned long)r.rlim_cur >> 10));
	if (r.rlim_cur != RLIM_INFINITY)
		return;
	r.rlim_cur = 8ul << 20;
	if (setrlimit(RLIMIT_STACK, &r) == 0)
		execv("/proc/self/exe", argv);
}

/*
 * Limits of memory are the program's, and counted as those are that it sets
 * itself; on the host they would be the monitor's, which maps far more. A hard
 * limit that we may not raise stays.
 */
static void take_memory_limits(struct dune_limits *limits)
{
	static const struct {
		int host, kept;
	} of[] = {
		{ RLIMIT_AS, DUNE_LIMIT_AS }, { RLIMIT_DATA, DUNE_LIMIT_DATA },
	};
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit r;

	for (size_t i = 0; i < DUNE_ARRAY_SIZE(of); i++) {
		if (getrlimit(of[i].host, &r) || r.rlim_cur == RLIM_INFINITY)
			continue;
		limits->v[of[i].kept] = (struct dune_limit){
			true, r.rlim_cur, r.rlim_max
		};
		r.rlim_cur = r.rlim_max;
		if (setrlimit(of[i].host, &none))
			setrlimit(of[i].host, &r);
	}
}

int main(int argc, char **argv)
{
	dune_resume(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "--dune"))
		dune_in_dune(argc - 1, argv + 1);
	limit_stack(argv);
	take_memory_limits(&run.state.limits);

	dune_policy_init(&run.state.policy);
	dune_options(&run, argc, argv);
	check(dune_fds_clean(&run.state.policy));
	open_files(&run.state.policy);
	change_directory(&run.state.policy);
	prepare_program();
	prepare_machine();
	if (run.verbose)
		say_what_runs();
	return dune_supervise(&run);
}
