/*
 * The public library: dune_caps() keeps its contract on whatever machine this
 * is, with and without a usable /dev/kvm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "dune.h"

static void size_must_be_set(void **state)
{
	struct dune_caps caps = { .size = 0 };

	(void)state;
	assert_int_equal(dune_caps(NULL), -EINVAL);
	assert_int_equal(dune_caps(&caps), -EINVAL);
	assert_non_null(strstr(dune_errmsg(), "size"));
}

static void caps_or_reason(void **state)
{
	struct dune_caps caps = { .size = sizeof(caps) };
	int r = dune_caps(&caps);

	(void)state;
	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		assert_true(r == -ENOENT || r == -EACCES);
		assert_non_null(strstr(dune_errmsg(), "/dev/kvm"));
		return;
	}
	assert_int_equal(r, 0);
	assert_in_range(caps.gpa_bits, 36, 46);
	assert_true(caps.max_vcpus >= 1);
	assert_non_null(strstr(dune_caps_kind(&caps), "KVM"));
}

static void older_callers_are_not_overrun(void **state)
{
	struct dune_caps caps;

	(void)state;
	memset(&caps, 0xa5, sizeof(caps));
	caps.size = offsetof(struct dune_caps, gpa_bits);
	if (dune_caps(&caps) < 0)
		skip();
	assert_int_equal(caps.gpa_bits, 0xa5a5a5a5);
	assert_true(caps.native_ring0 <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_must_be_set),
		cmocka_unit_test(caps_or_reason),
		cmocka_unit_test(older_callers_are_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
