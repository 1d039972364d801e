/*
 * Memory for copies of what the guest passed, or gets: zeroed, for what the
 * kernel leaves out (padding of control data, of records of directories) must
 * not tell what was on the monitor's stack.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kern/sys/internal.h"

int dune_scratch_get(struct dune_scratch *s, size_t size)
{
	long p;

	s->p = s->small;
	s->mapped = 0;
	if (size <= sizeof(s->small)) {
		memset(s->small, 0, size);
		return 0;
	}
	p = dune_own(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p < 0 && p >= -4095)
		return -ENOMEM;
	s->p = (void *)p;
	s->mapped = size;
	return 0;
}

void dune_scratch_put(struct dune_scratch *s)
{
	if (s->mapped)
		dune_own(SYS_munmap, s->p, s->mapped);
	s->mapped = 0;
}
