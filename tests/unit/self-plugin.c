/* The parts of plugin sandboxes that need no sandbox. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libdune/sandbox/internal.h"

/* ---- marshal.c ---- */

static void arguments_go_where_the_abi_says(void **state)
{
	struct dune_ch_msg m = { 0 };
	struct dune_value v[DUNE_ARGS_MAX];
	unsigned int i;

	(void)state;
	for (i = 0; i < DUNE_ARGS_MAX; i++)
		v[i] = i % 2 ? dune_double(i) : dune_int(i);
	assert_int_equal(dune_marshal_call(&m, v, DUNE_ARGS_MAX), 0);
	assert_int_equal(m.kind, DUNE_CH_CALL);
	for (i = 0; i < 6; i++)
		assert_int_equal(m.gp[i], 2 * i);
	assert_int_equal(m.fps, 8);
	for (i = 0; i < 8; i++)
		assert_int_equal(m.fp[i], dune_double(2 * i + 1).bits);
	/* the seventh and eighth integer: 12, 14 */
	assert_int_equal(m.stacks, 2);
	assert_int_equal(m.stack[0], 12);
	assert_int_equal(m.stack[1], 14);
	for (i = 0; i < DUNE_ARGS_MAX; i++)
		v[i] = dune_float(i);
	assert_int_equal(dune_marshal_call(&m, v, DUNE_ARGS_MAX), 0);
	assert_int_equal(m.stacks, 8);
}

static void bad_arguments_are_refused(void **state)
{
	struct dune_ch_msg m = { 0 };
	struct dune_value v[DUNE_ARGS_MAX + 1] = { { 0 } };

	(void)state;
	assert_int_equal(dune_marshal_call(&m, v, 1), -EINVAL);
	v[0].type = DUNE_FLOAT + 1;
	assert_int_equal(dune_marshal_call(&m, v, 1), -EINVAL);
	assert_int_equal(dune_marshal_call(&m, v, DUNE_ARGS_MAX + 1), -EINVAL);
	assert_int_equal(dune_marshal_call(&m, NULL, 0), 0);
}

static void a_callback_gets_back_what_a_call_sent(void **state)
{
	uint8_t type[DUNE_ARGS_MAX];
	struct dune_value v[DUNE_ARGS_MAX];
	uint64_t got[DUNE_ARGS_MAX];
	unsigned int seed = 3, n, i, round;

	(void)state;
	for (round = 0; round < 500; round++) {
		struct dune_ch_msg m = { 0 };

		n = rand_r(&seed) % (DUNE_ARGS_MAX + 1);
		for (i = 0; i < n; i++) {
			type[i] = 1 + rand_r(&seed) % 3;
			v[i] = (struct dune_value){ rand_r(&seed), type[i],
						    0 };
		}
		assert_int_equal(dune_marshal_call(&m, v, n), 0);
		dune_marshal_callback(&m, type, n, got);
		for (i = 0; i < n; i++)
			assert_int_equal(got[i], v[i].bits);
	}
}

/* ---- heap.c ---- */

#define BLOCKS 200

static void blocks_do_not_overlap(void **state)
{
	struct { uint64_t at, size; } b[BLOCKS] = { { 0 } };
	static unsigned char used[1 << 16];
	struct dune_heap h, copy;
	unsigned int seed = 5, round, i;
	uint64_t k, at;

	(void)state;
	assert_int_equal(dune_heap_init(&h, sizeof(used)), 0);
	for (round = 0; round < 20000; round++) {
		i = rand_r(&seed) % BLOCKS;
		if (b[i].size) {
			assert_int_equal(dune_heap_free(&h, b[i].at), 0);
			assert_int_equal(dune_heap_free(&h, b[i].at), -EINVAL);
			memset(used + b[i].at, 0, b[i].size);
			b[i].size = 0;
			continue;
		}
		k = 1 + rand_r(&seed) % 1500;
		if (dune_heap_alloc(&h, k, &at))
			continue;
		assert_true(at % 16 == 0 && at + k <= sizeof(used));
		for (uint64_t n = 0; n < k; n++)
			assert_int_equal(used[at + n], 0);
		memset(used + at, 1, k);
		b[i].at = at;
		b[i].size = k;
		assert_true(h.high >= at + k);
	}
	assert_int_equal(dune_heap_init(&copy, sizeof(used)), 0);
	assert_int_equal(dune_heap_copy(&copy, &h), 0);
	for (i = 0; i < BLOCKS; i++)
		if (b[i].size) {
			assert_int_equal(dune_heap_free(&h, b[i].at), 0);
			assert_int_equal(dune_heap_free(&copy, b[i].at), 0);
		}
	/* all in one piece again */
	assert_int_equal(dune_heap_alloc(&h, sizeof(used), &at), 0);
	assert_int_equal(dune_heap_alloc(&copy, sizeof(used), &at), 0);
	assert_int_equal(dune_heap_alloc(&h, 1, &at), -ENOMEM);
	dune_heap_done(&h);
	dune_heap_done(&copy);
}

static void odd_sizes_are_refused(void **state)
{
	struct dune_heap h;
	uint64_t at;

	(void)state;
	assert_int_equal(dune_heap_init(&h, 4096), 0);
	assert_int_equal(dune_heap_alloc(&h, 4097, &at), -ENOMEM);
	assert_int_equal(dune_heap_alloc(&h, ~0ul, &at), -ENOMEM);
	assert_int_equal(dune_heap_alloc(&h, ~0ul - 15, &at), -ENOMEM);
	assert_int_equal(dune_heap_free(&h, 0), -EINVAL);
	assert_int_equal(dune_heap_free(&h, ~0ul), -EINVAL);
	assert_int_equal(dune_heap_alloc(&h, 0, &at), 0);
	assert_int_equal(dune_heap_free(&h, at + 1), -EINVAL);
	assert_int_equal(dune_heap_free(&h, at), 0);
	dune_heap_done(&h);
}

/* ---- stubs.c ---- */

static void stubs_are_a_shared_object(void **state)
{
	static const char *const name[] = { "host_one", "host_two", "x" };
	const uint64_t entry = 0x1122334455667788;
	int fd = memfd_create("stubs", 0);
	unsigned char *code;
	uint64_t got;
	uint32_t number;
	char path[64];
	void *elf, *handle;
	long size;
	unsigned int i;

	(void)state;
	size = dune_stubs_make(name, 3, 40, entry, &elf);
	assert_true(size > 0);
	assert_int_equal(write(fd, elf, size), size);
	free(elf);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	handle = dlopen(path, RTLD_NOW);
	assert_non_null(handle);
	assert_null(dlsym(handle, "host_three"));
	for (i = 0; i < 3; i++) {
		code = dlsym(handle, name[i]);
		assert_non_null(code);
		memcpy(&got, code + 2, sizeof(got));
		memcpy(&number, code + 12, sizeof(number));
		assert_int_equal(got, entry);
		assert_int_equal(number, 40 + i);
	}
	dlclose(handle);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_go_where_the_abi_says),
		cmocka_unit_test(bad_arguments_are_refused),
		cmocka_unit_test(a_callback_gets_back_what_a_call_sent),
		cmocka_unit_test(blocks_do_not_overlap),
		cmocka_unit_test(odd_sizes_are_refused),
		cmocka_unit_test(stubs_are_a_shared_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
