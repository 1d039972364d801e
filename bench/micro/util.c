/* What several of the small measurements need. */
#include "bench/micro/micro.h"

#include <sched.h>
#include <sys/mman.h>

#define HUGE (2ul << 20)

void bench_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void *bench_map(size_t size, int huge)
{
	size_t extra = huge ? HUGE : 0, head;
	char *p = mmap(NULL, size + extra, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	head = huge ? -(uintptr_t)p % HUGE : 0;
	if (head)
		munmap(p, head);
	if (extra > head)
		munmap(p + head + size, extra - head);
	p += head;
	/* Refused where the kernel has no huge pages: nothing to turn off. */
	madvise(p, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return p;
}
