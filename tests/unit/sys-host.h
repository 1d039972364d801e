/*
 * A host kernel for tests of the system call layer: what the gate forwards is
 * recorded and answered by the test; the gate's own calls are real.
 *
 * Defining both functions here keeps kern/sys/forward.c out of the program.
 */
#ifndef DUNE_TESTS_UNIT_SYS_HOST_H
#define DUNE_TESTS_UNIT_SYS_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/layout.h"
#include "kern/sys/internal.h"
#include "kern/sys/stats.h"
#include "kern/task/task.h"
#include "tests/unit/catch-faults.h"

/* Guest memory: two pages, and one behind them that is not mapped. */
#define GUEST		0x200000000000ul
#define GUEST_SIZE	(2 * DUNE_PAGE_SIZE)
#define FD_BASE		200
#define OUTSIDE		DUNE_ARENA_HI		/* as a start of a range */

static struct {
	unsigned int calls;
	long nr;
	uint64_t arg[6];
	long ret;
	/* when set, makes the answer; may look at and fill in memory */
	long (*answer)(long nr, const uint64_t *arg);
} host;

long dune_forward(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		  uint64_t a3, uint64_t a4, uint64_t a5)
{
	uint64_t arg[] = { a0, a1, a2, a3, a4, a5 };

	host.calls++;
	host.nr = nr;
	memcpy(host.arg, arg, sizeof(arg));
	return host.answer ? host.answer(nr, arg) : host.ret;
}

long dune_own_call(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		   uint64_t a3, uint64_t a4, uint64_t a5)
{
	long ret = syscall(nr, a0, a1, a2, a3, a4, a5);

	return ret == -1 ? -errno : ret;
}

static struct dune_policy policy;
static struct dune_stats stats;
static struct dune_mm guest_mm;
static struct dune_proc proc;
static struct dune_task task;

static inline int guest_setup(void **state)
{
	void *p = mmap((void *)GUEST, GUEST_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		       -1, 0);

	(void)state;
	return p == (void *)GUEST ? 0 : -1;
}

/* Before each test: nothing is allowed, nothing has happened. */
static inline int fresh(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	memset((void *)GUEST, 0, GUEST_SIZE);
	dune_policy_init(&policy);
	memset(&stats, 0, sizeof(stats));
	pthread_mutex_init(&proc.lock, NULL);
	pthread_mutex_init(&guest_mm.lock, NULL);
	proc.policy = &policy;
	proc.stats = &stats;
	proc.fd_base = FD_BASE;
	proc.broker = -1;
	strcpy(proc.exe, "/bin/true");
	task.proc = &proc;
	task.mm = &guest_mm;
	return 0;
}

/* One call through the whole gate. */
#define GATE6(nr, a, b, c, d, e, f, ...) \
	gate(nr, (const uint64_t[]){ (uint64_t)(a), (uint64_t)(b), \
	     (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f) })
#define call(...)	GATE6(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

static const char *violation;	/* of the last call */

static inline long gate(long nr, const uint64_t *arg)
{
	struct dune_call c = { .nr = nr };
	long ret;

	memcpy(c.arg, arg, sizeof(c.arg));
	ret = dune_sys_dispatch(&task, &c);
	violation = c.violation;
	return ret;
}

static inline void allow(long nr)
{
	policy.allow[nr / 8] |= 1u << nr % 8;
}

static inline void deny(long nr)
{
	policy.deny[nr / 8] |= 1u << nr % 8;
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

#endif
