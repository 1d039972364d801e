/*
 * The table: what is done with each system call. The rows are in rows-*.inc,
 * what the words in them mean is in words.h.
 */
#include "kern/sys/internal.h"
#include "kern/sys/sys.h"
#include "kern/task/signal.h"
#include "kern/task/task.h"

#define ROW_HANDLER(h)	h
#include "kern/sys/words.h"

const struct dune_sysrow dune_systable[DUNE_NR_MAX] = {
#include "kern/sys/rows.inc"
};

const struct dune_sysrow *dune_sys_row(long nr)
{
	if (nr < 0 || nr >= DUNE_NR_MAX ||
	    dune_systable[nr].action == DUNE_DO_UNKNOWN)
		return NULL;
	return &dune_systable[nr];
}

/*
 * Beyond what rows forward or handlers use: what the C library of the monitor
 * does at the start of a program or thread, and what the kernel makes of an
 * interrupted sleep.
 */
static const short own_needs[] = {
	__NR_rseq, __NR_restart_syscall,
};

bool dune_sys_host_may_need(long nr)
{
	const struct dune_sysrow *row = dune_sys_row(nr);

	for (size_t i = 0; i < DUNE_ARRAY_SIZE(own_needs); i++)
		if (own_needs[i] == nr)
			return true;
	return row && row->action != DUNE_DO_REFUSE;
}
