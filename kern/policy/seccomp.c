/* Wall: seccomp. Installs the filter that fits the policy. */
#include "kern/policy/internal.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/policy/filter.h"

/* Made by gen-filters.c: dune_filters[]. */
#include "filters.inc"

int dune_seccomp(const struct dune_policy *p)
{
	const struct dune_filter_kind kind = {
		.sockets = dune_policy_net(p, SYS_socket),
		.net_ioctls = dune_policy_net(p, SYS_ioctl),
		.guard_truncation = dune_landlock_abi() < 3,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
		    &dune_filters[dune_filter_index(kind)]))
		return dune_err(-errno, "seccomp: cannot install the filter: "
				"%s; a kernel with CONFIG_SECCOMP_FILTER is "
				"needed", strerror(errno));
	return 0;
}
