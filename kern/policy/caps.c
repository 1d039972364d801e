/* Wall: no capability in any set, and none to be had back. */
#include "kern/policy/internal.h"

#include <errno.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include "kern/err.h"

/*
 * Root's uid gives capabilities back at execve unless the secure bits say
 * otherwise. Both these and the bounding set need CAP_SETPCAP to change:
 * an ordinary user has nothing to drop there, and no_new_privs stands
 * between the process and every program that would give it some.
 */
static void drop_root(void)
{
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
	      SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
	      SECBIT_NO_CAP_AMBIENT_RAISE |
	      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED, 0, 0, 0);
	/* up to the kernel's last, or to where we may not */
	for (cap_value_t c = 0; !cap_drop_bound(c); c++)
		;
}

int dune_drop_caps(void)
{
	cap_t none = cap_init();
	int err = 0;

	if (!none)
		return dune_err(-ENOMEM, "capabilities: out of memory; free "
				"some");
	drop_root();
	/*
	 * Old kernels have no ambient set: nothing to clear then. (libcap asks
	 * for each capability first.)
	 */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (cap_set_proc(none))
		err = dune_err(-errno, "capabilities: cannot drop them: %s; "
			       "start dune-run without capabilities",
			       strerror(errno));
	cap_free(none);
	return err;
}
