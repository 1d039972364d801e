/*
 * prctl and personality: a list of what is allowed. The rest, and what would
 * change the monitor (its speculation, its address space layout, its system
 * calls), is unknown here.
 */
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

enum how {
	NUMBER,		/* numbers only: forward */
	OUT,		/* arg[1] points to size bytes */
	TEXT,		/* arg[1] points to a string: its first byte */
	ANSWER,		/* `size` is the answer */
};

static const struct option {
	int nr;
	uint8_t how, size;
} options[] = {
	{ PR_SET_NAME,		TEXT,	1 },
	{ PR_GET_NAME,		OUT,	16 },
	{ PR_GET_KEEPCAPS,	NUMBER,	0 },
	/* there are none to keep */
	{ PR_SET_KEEPCAPS,	NUMBER,	0 },
	{ PR_GET_SECUREBITS,	NUMBER,	0 },
	{ PR_CAPBSET_READ,	NUMBER,	0 },
	{ PR_SET_NO_NEW_PRIVS,	NUMBER,	0 },
	{ PR_GET_NO_NEW_PRIVS,	NUMBER,	0 },
	{ PR_SET_TIMERSLACK,	NUMBER,	0 },
	{ PR_GET_TIMERSLACK,	NUMBER,	0 },
	{ PR_SET_CHILD_SUBREAPER, NUMBER, 0 },
	{ PR_GET_CHILD_SUBREAPER, OUT,	4 },
	{ PR_SET_THP_DISABLE,	NUMBER,	0 },
	{ PR_GET_THP_DISABLE,	NUMBER,	0 },
	{ PR_GET_TIMING,	NUMBER,	0 },
	{ PR_GET_SECCOMP,	ANSWER,	0 },
	{ PR_GET_TSC,		OUT,	4 },
	{ PR_MCE_KILL_GET,	NUMBER,	0 },
	/* Names of anonymous memory are for people only. */
	{ PR_SET_VMA,		ANSWER,	0 },
};

/*
 * The monitor's own flag is never what the guest asks for: it is not
 * dumpable where it holds secrets. The guest's is a value.
 */
static int dumpable = 1;

/*
 * What shall end with a supervisor or a plugin's host was given SIGKILL for
 * its parent's death, and keeps it: what such a program sets is a value only.
 */
static long death_signal(struct dune_task *t, struct dune_call *c, bool set)
{
	uint64_t v = c->arg[1];
	int sig = 0;

	dune_own(SYS_prctl, PR_GET_PDEATHSIG, &sig);
	if (set && v >= DUNE_NSIG + 1)
		return -EINVAL;
	if (set) {
		t->death_signal = v;
		return sig == SIGKILL ? 0 : dune_forward_call(c);
	}
	if (sig == SIGKILL)
		sig = t->death_signal;
	return dune_copy_out(v, &sig, sizeof(sig));
}

long dune_sys_prctl(struct dune_task *t, struct dune_call *c)
{
	const struct option *o = NULL;
	uint64_t v = c->arg[1];

	switch ((int)c->arg[0]) {
	case PR_GET_DUMPABLE:
		return __atomic_load_n(&dumpable, __ATOMIC_RELAXED);
	case PR_SET_DUMPABLE:
		if (v > 1)
			return -EINVAL;
		__atomic_store_n(&dumpable, v, __ATOMIC_RELAXED);
		return 0;
	case PR_GET_PDEATHSIG:
	case PR_SET_PDEATHSIG:
		return death_signal(t, c, (int)c->arg[0] == PR_SET_PDEATHSIG);
	}
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(options) && !o; i++)
		if (options[i].nr == (int)c->arg[0])
			o = &options[i];
	if (!o)
		return -EINVAL;
	switch ((enum how)o->how) {
	case ANSWER:
		return o->size;
	case OUT:
	case TEXT:
		/* The kernel answers EFAULT to NULL as well. */
		if (!dune_access_ok(v, o->size))
			return -EFAULT;
		break;
	case NUMBER:
		break;
	}
	return dune_forward_call(c);
}

/*
 * Only whether addresses are random may be asked for, and means nothing: the
 * guest's layout is the monitor's doing.
 */
long dune_sys_personality(struct dune_task *t, struct dune_call *c)
{
	static uint32_t persona;
	uint32_t v = c->arg[0], old;

	(void)t;
	old = __atomic_load_n(&persona, __ATOMIC_RELAXED);
	if (v == 0xffffffff)
		return old;
	if (v & ~(uint32_t)ADDR_NO_RANDOMIZE)
		return -EINVAL;
	__atomic_store_n(&persona, v, __ATOMIC_RELAXED);
	return old;
}

long dune_sys_unshare(struct dune_task *t, struct dune_call *c)
{
	(void)t;
	return c->arg[0] ? dune_violation(c, "namespaces", -EPERM) : 0;
}
