/* A ring of the latest system calls. */
#include "kern/report/recent.h"

#include <stdint.h>
#include <stdio.h>
#include "kern/sys/sys.h"

#define KEPT 16			/* a power of two */

static struct {
	long nr, ret;
	uint64_t arg[6];
} ring[KEPT];
static unsigned int noted;

void dune_recent_note(const struct dune_call *call, long ret)
{
	unsigned int i = __atomic_fetch_add(&noted, 1, __ATOMIC_RELAXED) %
			 KEPT;

	ring[i].nr = call->nr;
	ring[i].ret = ret;
	for (int a = 0; a < 6; a++)
		ring[i].arg[a] = call->arg[a];
}

bool dune_recent_get(unsigned int n, char *text, size_t size)
{
	unsigned int all = __atomic_load_n(&noted, __ATOMIC_RELAXED);
	const struct dune_sysrow *row;
	size_t len;
	int a;

	if (n >= all || n >= KEPT)
		return false;
	n = (all - 1 - n) % KEPT;
	row = dune_sys_row(ring[n].nr);
	len = snprintf(text, size, "%s(", dune_sys_name(ring[n].nr));
	for (a = 0; a < 6 && len < size; a++) {
		if (row && row->arg[a].kind == DUNE_A_NONE)
			break;
		len += snprintf(text + len, size - len, "%s%#llx",
				a ? ", " : "",
				(unsigned long long)ring[n].arg[a]);
	}
	if (len < size)
		snprintf(text + len, size - len, ") = %ld", ring[n].ret);
	return true;
}
