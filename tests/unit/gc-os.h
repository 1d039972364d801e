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

#endif
