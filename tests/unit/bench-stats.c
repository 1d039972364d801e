/* The arithmetic and the output format of the benchmarks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "bench/lib/json.h"
#include "bench/lib/stats.h"

#define TEST(f) cmocka_unit_test(f)

static void quantiles(void **state)
{
	double one[] = { 7 }, even[] = { 4, 1, 3, 2 }, odd[] = { 9, 5, 1 };

	(void)state;
	assert_float_equal(bench_quantile(one, 1, 0), 7, 1e-9);
	assert_float_equal(bench_quantile(one, 1, 0.5), 7, 1e-9);
	assert_float_equal(bench_quantile(one, 1, 1), 7, 1e-9);
	assert_float_equal(bench_quantile(even, 4, 0.5), 2.5, 1e-9);
	assert_float_equal(bench_quantile(even, 4, 0), 1, 1e-9);
	assert_float_equal(bench_quantile(even, 4, 1), 4, 1e-9);
	assert_float_equal(bench_quantile(odd, 3, 0.5), 5, 1e-9);
	assert_float_equal(bench_quantile(odd, 3, 0.25), 3, 1e-9);
}

static void one_outlier_does_not_move_the_median(void **state)
{
	double v[] = { 10, 11, 1e9, 10, 11 };

	(void)state;
	assert_float_equal(bench_quantile(v, 5, 0.5), 11, 1e-9);
}

static void batches_reach_their_time(void **state)
{
	(void)state;
	/* 100 operations took 1 us: 1000000 would take 10 ms. */
	assert_int_equal(bench_next_batch(100, 1000, 10000000, 0), 1000);
	assert_int_equal(bench_next_batch(1000, 2000, 10000, 0), 5000);
	assert_int_equal(bench_next_batch(1000, 2000, 10000, 3000), 3000);
	/* A clock that did not move, a batch far too long. */
	assert_int_equal(bench_next_batch(5, 0, 10000, 0), 50);
	assert_int_equal(bench_next_batch(2, 1000000, 10, 0), 1);
}

static void line(char *want, const double *samples, size_t n,
		 const char *failed)
{
	struct bench_id id = { "t", "a \"b\" \\", "me", "ns" };
	char *got;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	bench_json_line(f, &id, samples, n, failed);
	fclose(f);
	assert_string_equal(got, want);
	free(got);
}

static void lines(void **state)
{
	double v[] = { 1.5, 2e9 };

	(void)state;
	line("{\"table\": \"t\", \"row\": \"a \\\"b\\\" \\\\\", "
	     "\"who\": \"me\", \"unit\": \"ns\", \"samples\": [1.5, 2e+09]}\n",
	     v, 2, NULL);
	line("{\"table\": \"t\", \"row\": \"a \\\"b\\\" \\\\\", "
	     "\"who\": \"me\", \"unit\": \"ns\", \"failed\": \"no?way\"}\n",
	     NULL, 0, "no\nway");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(quantiles),
		TEST(one_outlier_does_not_move_the_median),
		TEST(batches_reach_their_time),
		TEST(lines),
	};

	return cmocka_run_group_tests_name("bench-stats", tests, NULL, NULL);
}
