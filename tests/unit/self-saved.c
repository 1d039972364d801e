/* Files with snapshots: what is refused, and that the sum sees any change. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libdune/sandbox/internal.h"

#define BUILD 77

static void any_changed_bit_changes_the_sum(void **state)
{
	uint8_t v[64];
	uint64_t sum;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(v); i++)
		v[i] = i * 37;
	sum = dune_image_sum(0, v, sizeof(v));
	for (i = 0; i < 8 * sizeof(v); i++) {
		v[i / 8] ^= 1 << i % 8;
		assert_int_not_equal(dune_image_sum(0, v, sizeof(v)), sum);
		v[i / 8] ^= 1 << i % 8;
	}
	/* in parts as in one */
	assert_int_equal(dune_image_sum(dune_image_sum(0, v, 24), v + 24,
					sizeof(v) - 24), sum);
}

static struct dune_image_head good_head(void)
{
	struct dune_image_head h = {
		.version = DUNE_IMAGE_VERSION, .head = sizeof(h),
		.build = BUILD, .size = 10000,
		.host = sizeof(struct dune_image_host),
		.process = sizeof(h) + sizeof(struct dune_image_host),
	};

	memcpy(h.magic, DUNE_IMAGE_MAGIC, sizeof(h.magic));
	return h;
}

static void each_part_of_the_head_counts(void **state)
{
	struct dune_image_head h = good_head();

	(void)state;
	assert_int_equal(dune_image_check_head(&h, 10000, BUILD), 0);
	assert_int_equal(dune_image_check_head(&h, 9999, BUILD), -EINVAL);
	assert_int_equal(dune_image_check_head(&h, 10000, 1), -EINVAL);
	h.magic[7]++;
	assert_int_equal(dune_image_check_head(&h, 10000, BUILD), -EINVAL);
	h = good_head();
	h.version++;
	assert_int_equal(dune_image_check_head(&h, 10000, BUILD), -EINVAL);
	h = good_head();
	h.host = ~7ul;
	assert_int_equal(dune_image_check_head(&h, 10000, BUILD), -EINVAL);
	h = good_head();
	h.process = 10008;
	assert_int_equal(dune_image_check_head(&h, 10000, BUILD), -EINVAL);
	h = good_head();
	h.process -= 8;
	assert_int_equal(dune_image_check_head(&h, 10000, BUILD), -EINVAL);
}

static void counts_must_fill_the_host_part(void **state)
{
	struct {
		struct dune_image_host h;
		uint64_t handle;
		struct dune_image_callback c;
		uint64_t piece[2];
	} part = {
		.h = { DUNE_CH_SHARES, 8192, 1, 1, 0, 2 },
		.c = { .name = "name", .type = DUNE_INT },
		.piece = { 4096 | DUNE_HEAP_USED, 4096 },
	};
	struct dune_image_parts parts;
	uint64_t size = sizeof(part);

	(void)state;
	assert_int_equal(dune_image_check_host(&part, size, &parts), 0);
	assert_ptr_equal(parts.piece, part.piece);
	assert_int_equal(dune_image_check_host(&part, size - 8, &parts),
			 -EINVAL);
	assert_int_equal(dune_image_check_host(&part, 8, &parts), -EINVAL);
	part.h.objects = ~0u;
	assert_int_equal(dune_image_check_host(&part, size, &parts), -EINVAL);
	part.h.objects = 1;
	part.piece[1] = 4112;
	assert_int_equal(dune_image_check_host(&part, size, &parts), -EINVAL);
	part.piece[1] = ~0ul & ~15ul;
	assert_int_equal(dune_image_check_host(&part, size, &parts), -EINVAL);
	part.piece[1] = 4096;
	part.c.args = DUNE_ARGS_MAX + 1;
	assert_int_equal(dune_image_check_host(&part, size, &parts), -EINVAL);
	part.c.args = 1;
	assert_int_equal(dune_image_check_host(&part, size, &parts), -EINVAL);
	part.c.arg[0] = DUNE_FLOAT;
	assert_int_equal(dune_image_check_host(&part, size, &parts), 0);
	memset(part.c.name, 'x', sizeof(part.c.name));
	assert_int_equal(dune_image_check_host(&part, size, &parts), -EINVAL);
}

static void regions_and_runs_go_upwards(void **state)
{
	struct dune_image_region r = { 0x20000, 0x24000, 3, 0 }, none = { 0 };
	struct dune_image_run run = { 0x21000, 0x2000 };
	uint64_t from = 0;

	(void)state;
	assert_int_equal(dune_image_check_region(&r, &from), 1);
	assert_int_equal(dune_image_check_region(&r, &from), -EINVAL);
	assert_int_equal(dune_image_check_region(&none, &from), 0);
	r.start = GUEST_HI - 4096;
	r.end = GUEST_HI + 4096;
	assert_int_equal(dune_image_check_region(&r, &from), -EINVAL);
	r.end = r.start;
	assert_int_equal(dune_image_check_region(&r, &from), -EINVAL);

	from = 0x20000;
	assert_int_equal(dune_image_check_run(&run, &from, 0x24000), 1);
	assert_int_equal(dune_image_check_run(&run, &from, 0x24000), -EINVAL);
	run.at = 0x23000;
	assert_int_equal(dune_image_check_run(&run, &from, 0x24000), -EINVAL);
	run.len = -0x23000ul;
	assert_int_equal(dune_image_check_run(&run, &from, 0x24000), -EINVAL);
	run.len = 0x1001;
	assert_int_equal(dune_image_check_run(&run, &from, 0x24000), -EINVAL);
	run.len = 0;
	assert_int_equal(dune_image_check_run(&run, &from, 0x24000), -EINVAL);
	run.at = 0;
	assert_int_equal(dune_image_check_run(&run, &from, 0x24000), 0);
}

static void a_heap_comes_back_from_its_list(void **state)
{
	struct dune_heap a, b;
	uint64_t at[6], list[16], same;
	size_t n;
	int i;

	(void)state;
	assert_int_equal(dune_heap_init(&a, 65536), 0);
	assert_int_equal(dune_heap_init(&b, 65536), 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(dune_heap_alloc(&a, 100 * i + 1, &at[i]), 0);
	dune_heap_free(&a, at[1]);
	dune_heap_free(&a, at[4]);
	n = dune_heap_list(&a, list, 16);
	assert_int_equal(n, 7);
	assert_int_equal(dune_heap_unlist(&b, list, n), 0);
	assert_int_equal(b.high, a.high);
	assert_int_equal(dune_heap_free(&b, at[1]), -EINVAL);
	assert_int_equal(dune_heap_free(&b, at[2]), 0);
	/* the two that were there are one now */
	assert_int_equal(dune_heap_alloc(&b, at[3] - at[1], &same), 0);
	assert_int_equal(same, at[1]);
	dune_heap_done(&a);
	dune_heap_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_changed_bit_changes_the_sum),
		cmocka_unit_test(each_part_of_the_head_counts),
		cmocka_unit_test(counts_must_fill_the_host_part),
		cmocka_unit_test(regions_and_runs_go_upwards),
		cmocka_unit_test(a_heap_comes_back_from_its_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
