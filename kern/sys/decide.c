/*
 * The decision on one call: its row, the policy, and the arguments as the
 * row describes them.
 *
 * A pointer is good when its range lies in the arena: there the host's
 * protections are the guest's, and the kernel does the rest. NULL passes; the
 * kernel knows where it has a meaning, and nothing is mapped there.
 */
#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/sys/strict.h"

bool dune_range_ok(dune_gva_t addr, uint64_t len)
{
	return !addr || dune_access_ok(addr, len);
}

static long check_arg(int fd_base, const struct dune_argspec *a,
		      const struct dune_call *call, uint64_t v)
{
	uint64_t len;

	switch ((enum dune_argkind)a->kind) {
	case DUNE_A_FD:
	case DUNE_A_ATFD:
		/* The kernel takes 32 bits; it knows the negative ones. */
		return (int)v < fd_base ? 0 : -EBADF;
	case DUNE_A_PATH:
	case DUNE_A_STR:
		return dune_range_ok(v, 1) ? 0 : -EFAULT;
	case DUNE_A_IN:
	case DUNE_A_OUT:
	case DUNE_A_INOUT:
		if (!v)
			return 0;
		return dune_sys_span(a, call->arg, &len) &&
		       dune_access_ok(v, len) ? 0 : -EFAULT;
	case DUNE_A_ADDR:
		if (a->rule == DUNE_L_NONE)
			return 0;
		return dune_sys_span(a, call->arg, &len) &&
		       dune_access_ok(v, len) ? 0 : -ENOMEM;
	default:
		return 0;
	}
}

long dune_sys_check_args(int fd_base, const struct dune_call *call)
{
	const struct dune_sysrow *row = &dune_systable[call->nr];
	long ret = 0;

	/* rows have no gaps */
	for (int i = 0; i < 6 && row->arg[i].kind != DUNE_A_NONE && !ret; i++)
		ret = check_arg(fd_base, &row->arg[i], call, call->arg[i]);
	return ret;
}

long dune_sys_decide(const struct dune_policy *policy, int fd_base,
		     const struct dune_call *call, const char **violation)
{
	const struct dune_sysrow *row = dune_sys_row(call->nr);

	*violation = NULL;
	if (!row) {
		*violation = "unknown system call";
		return -ENOSYS;
	}
	if (dune_bit(policy->deny, call->nr)) {
		*violation = dune_sys_deny_rule(call->nr);
		return -EPERM;
	}
	if (row->action == DUNE_DO_REFUSE) {
		/* Other errnos say "no such thing", which is no offence. */
		if (row->err == EPERM)
			*violation = "never allowed";
		return -row->err;
	}
	if (row->group == DUNE_G_IPC && !dune_bit(policy->allow, call->nr)) {
		*violation = "shared objects need --allow";
		return -EACCES;
	}
	if (policy->strict) {
		long ret = dune_strict_decide(policy, call->nr, violation);

		if (ret)
			return ret;
	}
	return dune_sys_check_args(fd_base, call);
}
