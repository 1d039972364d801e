/*
 * The monitor of a plugin sandbox: what dune-run is to a program. The host's
 * keeper (family.c) has executed it with the descriptors of config.h; it
 * makes the policy, goes behind the walls, and runs the runner.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "dune/sandbox.h"
#include "kern/err.h"
#include "kern/sys/strict.h"
#include "kern/task/state.h"
#include "libdune/sandbox/channel.h"
#include "libdune/sandbox/config.h"
#include "libdune/sandbox/frozen.h"

/* Descriptors from here on are ours; the plugin's are few. */
#define FD_BASE		256
/* Some, and one for each thread. */
#define OURS		256

#define STATUS_OURS	125

static struct dune_state state;
static int report = DUNE_BOX_REPORT;

_Static_assert(DUNE_CH_SAVE == DUNE_NR_OWN && DUNE_CH_PASS >= DUNE_NR_OWN,
	       "the runner's calls");

/* The host reads it from the report socket. */
static void __attribute__((noreturn)) fail(void)
{
	char line[DUNE_ERR_MAX + 32];
	int n = snprintf(line, sizeof(line), "dune-run: start: %s\n",
			 dune_errmsg());

	if (write(report, line, n) != n)
		_exit(STATUS_OURS + 1);
	_exit(STATUS_OURS);
}

static void check(int err)
{
	if (err < 0)
		fail();
}

static void limit(int resource, rlim_t max)
{
	struct rlimit r = { max, max };

	if (setrlimit(resource, &r))
		check(dune_err(-errno, "limit %d of a sandbox: %s", resource,
			       strerror(errno)));
}

static void limit_files(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_max < FD_BASE + OURS)
		check(dune_err(-EMFILE, "limit of open files: %lu is too low; "
			       "ulimit -Hn %u or more",
			       (unsigned long)r.rlim_max, FD_BASE + OURS));
	r.rlim_cur = FD_BASE + OURS;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* Moves a descriptor out of the guest's reach. */
static int raise_fd(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_BASE);

	if (high < 0)
		check(dune_err(-errno, "descriptors of a sandbox: %s",
			       strerror(errno)));
	close(fd);
	return high;
}

static void make_policy(const struct dune_box_config *c)
{
	struct dune_policy *p = &state.policy;
	bool files = c->flags & DUNE_SANDBOX_FILES;

	dune_policy_init(p);
	check(dune_policy_add_libraries(p));
	if (files) {
		dune_policy_add_path(p, "/dev/null", true);
		dune_policy_add_path(p, "/dev/urandom", false);
	}
	check(dune_policy_parse(p, "policy", (const char *)(c + 1), c->rules,
				dune_policy_add_path));
	p->strict = true;
	p->lenient = c->flags & DUNE_SANDBOX_LENIENT;
	p->siblings = true;
	dune_strict_lists(p, files);
	if (!p->mem)
		p->mem = c->memory;
	p->threads = c->threads;
	/* the broker is asked each time, and counts for us */
	p->procs = 1;
	p->exitless = DUNE_EXITLESS_OFF;
	p->stat = p->trace = false;
	p->report = true;
}

static const struct dune_box_config *read_config(void)
{
	const struct dune_box_config *c;
	off_t size = lseek(DUNE_BOX_CONFIG, 0, SEEK_END);

	c = mmap(NULL, size, PROT_READ, MAP_PRIVATE, DUNE_BOX_CONFIG, 0);
	if (size < (off_t)sizeof(*c) || c == MAP_FAILED ||
	    c->size != sizeof(*c) || c->rules > size - sizeof(*c))
		check(dune_err(-EINVAL, "damaged configuration"));
	close(DUNE_BOX_CONFIG);
	return c;
}

static void map_phase(void)
{
	const struct dune_phase *p = mmap(NULL, sizeof(*p), PROT_READ,
					  MAP_SHARED, DUNE_BOX_PHASE, 0);

	if (p == MAP_FAILED)
		check(dune_err(-errno, "the page of the phase: %s",
			       strerror(errno)));
	dune_strict_phase(p);
	close(DUNE_BOX_PHASE);
}

/* NAME=VALUE of the policy and nothing of the host's. */
static char **environment(const struct dune_policy *p)
{
	static char *env[DUNE_POLICY_ENVS + 1];
	unsigned int i, n = 0;

	for (i = 0; i < p->envs; i++) {
		const char *var = dune_policy_string(p, p->env[i]);

		if (strchr(var, '='))
			env[n++] = (char *)var;
	}
	return env;
}

/* As the plugin shall find them, whatever the host has done to its own. */
static void default_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Two calls that the guest may make one by one, checked as those: on a software
 * KVM each has an exit of 30 us. A restart wakes once more, which is harmless.
 */
static long pass(struct dune_task *t, const struct dune_call *c)
{
	struct dune_call wake = {
		.nr = SYS_futex, .arg = { c->arg[0], FUTEX_WAKE, 1 },
	};
	struct dune_call wait = {
		.nr = SYS_futex, .arg = { c->arg[1], FUTEX_WAIT, c->arg[2] },
	};

	dune_sys_dispatch(t, &wake);
	return dune_sys_dispatch(t, &wait);
}

/* The calls of channel.h. */
static long own_call(struct dune_task *t, struct dune_call *c)
{
	switch (c->nr) {
	case DUNE_CH_SAVE:
		return dune_save(t, c);
	case DUNE_CH_PASS:
		return pass(t, c);
	default:
		return -ENOSYS;
	}
}

int main(void)
{
	static char *argv[] = { (char *)"plugin", NULL };
	const struct dune_box_config *c;
	struct dune_saved saved;

	default_signals();
	c = read_config();
	make_policy(c);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_STACK, c->stack);
	limit_files();
	map_phase();
	state.kvm_fd = dune_kvm_open();
	check(state.kvm_fd);
	state.kvm_fd = raise_fd(state.kvm_fd);
	check(dune_kvm_ask(state.kvm_fd, &state.kind));
	state.self_fd = -1;
	state.fd_base = FD_BASE;
	state.nofile = FD_BASE;
	state.broker = raise_fd(DUNE_BOX_BROKER);
	state.prog_fd = raise_fd(DUNE_BOX_RUNNER);
	saved.fd = state.prog_fd;
	saved.at = c->saved;
	state.policy.report_fd = report = raise_fd(DUNE_BOX_REPORT);
	prctl(PR_SET_NAME, "dune-sandbox");
	dune_sys_own(own_call);
	check(saved.at ? dune_start_with(&state, "plugin", dune_restore,
					 &saved) :
	      dune_start(&state, "plugin", argv, environment(&state.policy)));
	return STATUS_OURS;
}
