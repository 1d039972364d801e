/*
 * The state's packing: whatever goes in comes out, the packed form holds no
 * NUL, and damaged forms are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "kern/task/pack.h"

static void round_trip(const unsigned char *in, size_t len)
{
	size_t size = 2 * len + 3;
	char *packed = malloc(size);
	unsigned char *back = malloc(len + 1);
	long n = dune_pack(in, len, packed, size);

	assert_true(n >= 0);
	assert_int_equal(strlen(packed), n);
	assert_int_equal(dune_unpack(packed, back, len), 0);
	assert_memory_equal(in, back, len);
	/* one byte more or less than was packed is damage */
	assert_int_equal(dune_unpack(packed, back, len + 1), -EINVAL);
	if (len)
		assert_int_equal(dune_unpack(packed, back, len - 1), -EINVAL);
	/* a buffer too small by one */
	if (n > 2)
		assert_int_equal(dune_pack(in, len, packed, n), -E2BIG);
	free(packed);
	free(back);
}

static void all_bytes(void **state)
{
	unsigned char b[1024];

	(void)state;
	for (int i = 0; i < 1024; i++)
		b[i] = i;
	round_trip(b, 0);
	round_trip(b, 1);
	round_trip(b, sizeof(b));
	memset(b, 0, sizeof(b));
	round_trip(b, 255);
	round_trip(b, 256);
	round_trip(b, sizeof(b));
	memset(b, 1, sizeof(b));
	round_trip(b, sizeof(b));
}

static void random_bytes(void **state)
{
	unsigned char b[3000];

	(void)state;
	srand(1);
	for (int run = 0; run < 300; run++) {
		size_t len = rand() % sizeof(b);

		for (size_t i = 0; i < len; i++)
			b[i] = rand() % 4 ? rand() % 3 : rand();
		round_trip(b, len);
	}
}

static void damaged(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(dune_unpack("", out, 0), 0);
	assert_int_equal(dune_unpack("\1", out, 8), -EINVAL);
	assert_int_equal(dune_unpack("\2", out, 8), -EINVAL);
	assert_int_equal(dune_unpack("\1\377", out, 8), -EINVAL);
	assert_int_equal(dune_unpack("abcdefghi", out, 8), -EINVAL);
	assert_int_equal(dune_unpack("\1\10", out, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_bytes),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
