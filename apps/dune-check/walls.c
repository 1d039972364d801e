/* The host's own walls around the monitor: Landlock, seccomp, privileges. */
#include "apps/dune-check/check.h"

#include <errno.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int landlock_abi(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION);
}

static void check_landlock(const struct check *c, struct facts *f,
			   struct result *r)
{
	int abi = landlock_abi();

	(void)c;
	(void)f;
	if (abi > 0) {
		found(r, OK, "ABI %d: the kernel checks every path as well",
		      abi);
		return;
	}
	found(r, MISSING, "%s", strerror(errno));
	if (errno == EOPNOTSUPP)
		mend(r, "boot the kernel with landlock in its list of modules "
		     "(lsm=landlock,...)");
	else
		mend(r, "use Linux 5.13 or newer with "
		     "CONFIG_SECURITY_LANDLOCK; in a container, allow the "
		     "landlock_* calls in its seccomp profile");
}

/* arg is the ABI that brought it; what: the kernel. */
static void check_landlock_part(const struct check *c, struct facts *f,
				struct result *r)
{
	int abi = landlock_abi();

	(void)f;
	if (abi <= 0)
		return;
	if (abi >= c->arg) {
		found(r, OK, "checked by the kernel too");
		return;
	}
	found(r, OFF, "only the monitor checks this");
	mend(r, "Linux %s or newer adds the second wall", c->what);
}

static void check_seccomp(const struct check *c, struct facts *f,
			  struct result *r)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	(void)c;
	(void)f;
	if (!syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)) {
		found(r, OK, "filters may end a process");
		return;
	}
	found(r, MISSING, "%s", strerror(errno));
	mend(r, "use Linux 4.14 or newer with CONFIG_SECCOMP_FILTER");
}

static void check_privileges(const struct check *c, struct facts *f,
			     struct result *r)
{
	int set = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

	(void)c;
	(void)f;
	if (set >= 0) {
		found(r, OK, "%s", set ? "already set for this process" :
		      "can be set");
		return;
	}
	found(r, MISSING, "%s", strerror(errno));
	mend(r, "use Linux 3.5 or newer");
}

const struct check wall_checks[] = {
	{ .name = "Landlock", .run = check_landlock, .needed = true },
	{ .name = "Landlock: rename", .run = check_landlock_part, .arg = 2,
	  .what = "5.19" },
	{ .name = "Landlock: truncate", .run = check_landlock_part, .arg = 3,
	  .what = "6.2" },
	{ .name = "Landlock: TCP", .run = check_landlock_part, .arg = 4,
	  .what = "6.7" },
	{ .name = "Landlock: devices", .run = check_landlock_part, .arg = 5,
	  .what = "6.10" },
	{ .name = "Landlock: signals", .run = check_landlock_part, .arg = 6,
	  .what = "6.12" },
	{ .name = "seccomp", .run = check_seccomp, .needed = true },
	{ .name = "no_new_privs", .run = check_privileges, .needed = true },
	{ 0 },
};
