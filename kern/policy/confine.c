/* The walls around the monitor, in the order that keeps each possible. */
#include "kern/policy/policy.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "kern/err.h"
#include "kern/policy/internal.h"

static int limit(int resource, rlim_t max, const char *name)
{
	struct rlimit r;

	if (getrlimit(resource, &r))
		return dune_err(-errno, "%s: %s", name, strerror(errno));
	/* a stricter limit of the caller's stays */
	if (r.rlim_max > max)
		r.rlim_max = max;
	if (r.rlim_cur > r.rlim_max)
		r.rlim_cur = r.rlim_max;
	if (setrlimit(resource, &r))
		return dune_err(-errno, "%s: cannot set this limit: %s; "
				"leave it out", name, strerror(errno));
	return 0;
}

static int set_limits(const struct dune_policy *p)
{
	int err = 0;

	if (p->fsize != UINT64_MAX)
		err = limit(RLIMIT_FSIZE, p->fsize, "fsize");
	if (!err && p->cpu_seconds)
		err = limit(RLIMIT_CPU, p->cpu_seconds, "cpu-time");
	return err;
}

/*
 * The process stays dumpable: it holds nothing that its user could not read
 * anyway, while a non-dumpable one hides its /proc/PID from the broker
 * of an ordinary user. What must not look into it, other sandboxes and
 * the sandbox's own processes, is kept out by Landlock (ptrace across
 * domains, /proc/PID/mem) and seccomp (ptrace, process_vm_readv).
 */
int dune_confine(struct dune_policy *p, const char *self_exe)
{
	int err = set_limits(p);

	if (err)
		return err;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return dune_err(-errno, "no_new_privs: %s; Linux 3.5 or "
				"later is needed", strerror(errno));
	err = dune_drop_caps();
	if (!err)
		err = dune_landlock(p, self_exe);
	if (!err)
		err = dune_seccomp(p);
	return err;
}
