/* Runs apps/gc over each mechanism that Linux has for dirty pages. */
#ifndef TESTS_UNIT_GC_OS_H
#define TESTS_UNIT_GC_OS_H

#include <errno.h>
#include <stdbool.h>
#include "apps/gc/gc.h"

static const struct gc_os *const all_os[] = {
	&gc_os_none, &gc_os_protect, &gc_os_scan,
};
#define N_OS	(sizeof(all_os) / sizeof(*all_os))

/* What the verifier has found since begin_with(). */
static long faults;

static void bad(const char *what, const void *object)
{
	if (!faults++)
		print_error("%p: %s\n", object, what);
}

/* False: os is not to be had on this machine. */
static bool begin_with(const struct gc_os *os, struct gc_options o)
{
	int r;

	o.os = os;
	o.bad = bad;
	r = gc_init(&o);
	faults = 0;
	if (r == -ENOTSUP && os == &gc_os_scan) {
		print_message("no PAGEMAP_SCAN here\n");
		return false;
	}
	assert_int_equal(r, 0);
	return true;
}

/* A heap that is collected often, and verified each time. */
static inline bool begin_small(const struct gc_os *os, unsigned int flags)
{
	return begin_with(os, (struct gc_options){
		.heap_max = 4ul << 20, .nursery = 64ul << 10,
		.flags = flags | GC_PRECISE_STACKS | GC_VERIFY,
	});
}

/* NULL, or what a part of a test that returns it has found. */
static inline void well(const char *wrong)
{
	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(faults, 0);
}

#endif
