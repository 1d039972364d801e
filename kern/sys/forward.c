/* The two ways from the gate to the host kernel. */
#include "kern/raw.h"
#include "kern/sys/internal.h"
#include "kern/task/hostcall.h"

long dune_forward(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		  uint64_t a3, uint64_t a4, uint64_t a5)
{
	return dune_host_syscall(nr, a0, a1, a2, a3, a4, a5);
}

/* Raw: errno belongs to whoever shares this thread's TLS. */
long dune_own_call(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		   uint64_t a3, uint64_t a4, uint64_t a5)
{
	return dune_raw6(nr, a0, a1, a2, a3, a4, a5);
}
