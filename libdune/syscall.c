/* Batches of system calls: the caller's side, in Dune mode and outside. */
#include "dune/syscall.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include "kern/raw.h"

/* Asked first: natively a filter may take a strange number amiss. */
static bool known(void)
{
	int saved = errno;
	bool yes = dune_in_dune_mode() ||
		   getauxval(DUNE_AT_BATCH) == DUNE_NR_BATCH;

	errno = saved;
	return yes;
}

static bool failed(const struct dune_syscall *c)
{
	return c->ret < 0 && c->ret >= -4095;
}

static void make(struct dune_syscall *c)
{
	c->ret = dune_raw6(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3],
			   c->arg[4], c->arg[5]);
}

int dune_syscall_batch(struct dune_syscall *call, unsigned int calls,
		       unsigned int flags)
{
	bool together = known();
	unsigned int i = 0;
	long n;

	if (calls > INT_MAX || flags & ~DUNE_BATCH_STOP)
		return -EINVAL;
	while (i < calls) {
		n = together && calls - i > 1 ?
			dune_raw3(DUNE_NR_BATCH, (long)&call[i], calls - i,
				  flags) : 0;
		if (n <= 0) {
			make(&call[i]);
			n = 1;
		}
		i += n;
		if (flags & DUNE_BATCH_STOP && failed(&call[i - 1]))
			break;
	}
	return i;
}
