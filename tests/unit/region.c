/*
 * The region tree, by hand where Linux's rules are subtle and against a page
 * array under random operations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kern/mm/region.h"

#define P	DUNE_PAGE_SIZE
#define BASE	0x100000ul
#define R	PROT_READ
#define W	PROT_WRITE
#define X	PROT_EXEC

static int setup(void **state)
{
	struct dune_regions *rs = calloc(1, sizeof(*rs));

	dune_regions_init(rs);
	*state = rs;
	return 0;
}

static int teardown(void **state)
{
	dune_regions_free(*state);
	free(*state);
	return 0;
}

static void check_region(struct dune_regions *rs, size_t i, dune_gva_t start,
			 dune_gva_t end, uint32_t prot)
{
	assert_true(i < rs->n);
	assert_int_equal(rs->v[i].start, start);
	assert_int_equal(rs->v[i].end, end);
	assert_int_equal(rs->v[i].prot, prot);
}

static void anonymous_neighbours_join(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, P, R | W, 0);
	dune_region_insert(rs, BASE + 2 * P, P, R | W, 0);
	assert_int_equal(rs->n, 2);
	dune_region_insert(rs, BASE + P, P, R | W, 0);
	assert_int_equal(rs->n, 1);
	check_region(rs, 0, BASE, BASE + 3 * P, R | W);
	dune_region_insert(rs, BASE + 3 * P, P, R, 0);
	assert_int_equal(rs->n, 2);
}

static void files_do_not_join(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, P, R, DUNE_R_FILE);
	dune_region_insert(rs, BASE + P, P, R, DUNE_R_FILE);
	dune_region_insert(rs, BASE + 2 * P, P, R, DUNE_R_SHARED);
	dune_region_insert(rs, BASE + 3 * P, P, R, DUNE_R_SHARED);
	assert_int_equal(rs->n, 4);
}

static void insert_replaces_and_splits(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, 10 * P, R | W, 0);
	dune_region_insert(rs, BASE + 4 * P, 2 * P, R, DUNE_R_FILE);
	assert_int_equal(rs->n, 3);
	check_region(rs, 0, BASE, BASE + 4 * P, R | W);
	check_region(rs, 1, BASE + 4 * P, BASE + 6 * P, R);
	check_region(rs, 2, BASE + 6 * P, BASE + 10 * P, R | W);
	dune_region_insert(rs, BASE + 3 * P, 4 * P, R | W, 0);
	assert_int_equal(rs->n, 1);
}

static void remove_splits(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, 10 * P, R, 0);
	dune_region_remove(rs, BASE + 4 * P, P);
	assert_int_equal(rs->n, 2);
	assert_null(dune_region_find(rs, BASE + 4 * P));
	assert_non_null(dune_region_find(rs, BASE + 4 * P - 1));
	assert_ptr_equal(dune_region_next(rs, BASE + 4 * P), &rs->v[1]);
	dune_region_remove(rs, 0, 1ul << 40);
	assert_int_equal(rs->n, 0);
	assert_null(dune_region_next(rs, 0));
}

static void protect_stops_at_a_hole(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, 4 * P, R | W, 0);
	dune_region_insert(rs, BASE + 5 * P, 4 * P, R | W, 0);
	assert_int_equal(dune_region_protect(rs, BASE + 2 * P, 6 * P, R),
			 -ENOMEM);
	check_region(rs, 0, BASE, BASE + 2 * P, R | W);
	check_region(rs, 1, BASE + 2 * P, BASE + 4 * P, R);
	check_region(rs, 2, BASE + 5 * P, BASE + 9 * P, R | W);
}

static void protect_joins_again(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, 8 * P, R | W, 0);
	dune_region_protect(rs, BASE + 2 * P, P, R);
	assert_int_equal(rs->n, 3);
	dune_region_protect(rs, BASE + 2 * P, P, R | W);
	assert_int_equal(rs->n, 1);
}

static void covers(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, P, R, 0);
	dune_region_insert(rs, BASE + P, P, R | W, 0);
	assert_true(dune_region_covers(rs, BASE, 2 * P, R));
	assert_true(dune_region_covers(rs, BASE + 1, 2 * P - 1, R));
	assert_false(dune_region_covers(rs, BASE, 2 * P, R | W));
	assert_false(dune_region_covers(rs, BASE, 2 * P + 1, R));
	assert_false(dune_region_covers(rs, BASE, ~0ul, R));
	assert_true(dune_region_covers(rs, BASE, 0, R));
}

static void highest_hole(void **state)
{
	const dune_gva_t hi = 1ul << 30, lo = 0x10000;
	struct dune_regions *rs = *state;

	assert_int_equal(dune_region_hole_below(rs, lo, hi, P, P), hi - P);
	dune_region_insert(rs, hi - P, P, R, 0);
	dune_region_insert(rs, hi - 4 * P, P, R, 0);
	assert_int_equal(dune_region_hole_below(rs, lo, hi, 2 * P, P),
			 hi - 3 * P);
	assert_int_equal(dune_region_hole_below(rs, lo, hi, 3 * P, P),
			 hi - 7 * P);
	assert_int_equal(dune_region_hole_below(rs, lo, hi, P, 1 << 21),
			 hi - (2 << 21) + (1 << 21));
	/* hi inside a region, and just above one */
	assert_int_equal(dune_region_hole_below(rs, lo, hi - P / 2, P, P),
			 hi - 2 * P);
	assert_int_equal(dune_region_hole_below(rs, lo, hi - 3 * P, P, P),
			 hi - 5 * P);
	assert_int_equal(dune_region_hole_below(rs, lo, hi, hi, P), 0);
	assert_int_equal(dune_region_hole_below(rs, lo, hi, ~0ul, P), 0);
	assert_int_equal(dune_region_hole_below(rs, lo, lo, P, P), 0);
	assert_int_equal(dune_region_hole_below(rs, lo, hi, 0, P), 0);
}

static void gap_below_a_stack(void **state)
{
	const dune_gva_t hi = 1ul << 30, gap = 256 * P;
	struct dune_regions *rs = *state;

	dune_region_insert(rs, hi - P, P, R | W, DUNE_R_GROWSDOWN);
	assert_int_equal(dune_region_hole_below(rs, P, hi, P, P),
			 hi - 2 * P - gap);
	assert_true(dune_region_free(rs, hi - P - gap - P, P));
	assert_false(dune_region_free(rs, hi - P - gap, P));
	assert_true(dune_region_free(rs, hi, P));
	assert_false(dune_region_free(rs, hi, ~0ul));
}

static void committed(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, 4 * P, R | W, 0);
	dune_region_insert(rs, BASE + 4 * P, 4 * P, R | W, DUNE_R_SHARED);
	dune_region_insert(rs, BASE + 8 * P, 4 * P, R | W,
			   DUNE_R_SHARED | DUNE_R_FILE);
	dune_region_insert(rs, BASE + 12 * P, 4 * P, R, 0);
	assert_int_equal(dune_regions_committed(rs), 8 * P);
	/* what was writable once stays counted */
	dune_region_protect(rs, BASE, 2 * P, R);
	assert_int_equal(dune_regions_committed(rs), 8 * P);
	dune_region_protect(rs, BASE + 12 * P, P, R | W);
	assert_int_equal(dune_regions_committed(rs), 9 * P);
	assert_int_equal(dune_regions_committed_in(rs, BASE + P, 4 * P),
			 4 * P);
	dune_region_remove(rs, BASE + P, 14 * P);
	assert_int_equal(dune_regions_committed(rs), P);
}

static void flags(void **state)
{
	struct dune_regions *rs = *state;

	dune_region_insert(rs, BASE, 4 * P, R, 0);
	dune_region_insert(rs, BASE + 6 * P, P, R, DUNE_R_FILE);
	dune_region_flags(rs, BASE + P, 20 * P, DUNE_R_DONTFORK, 0);
	assert_int_equal(rs->n, 3);
	assert_int_equal(rs->v[0].flags, 0);
	assert_int_equal(rs->v[1].flags, DUNE_R_DONTFORK);
	assert_int_equal(rs->v[2].flags, DUNE_R_DONTFORK | DUNE_R_FILE);
	dune_region_flags(rs, 0, 1ul << 40, 0, DUNE_R_DONTFORK);
	assert_int_equal(rs->n, 2);
}

static void reserved_room_is_enough(void **state)
{
	struct dune_regions *rs = *state;
	size_t i, cap;

	for (i = 0; i < 64; i++)
		dune_region_insert(rs, BASE + 4 * i * P, 3 * P, R, 0);
	assert_int_equal(dune_regions_reserve(rs, 2), 0);
	cap = rs->cap;
	dune_region_insert(rs, BASE + P, P, W, 0);
	assert_int_equal(rs->n, 66);
	assert_int_equal(rs->cap, cap);
}

#define PAGES 64

/* One page of the model: -1 when free. */
struct model {
	int prot[PAGES];
	uint32_t flags[PAGES];
};

static void same(struct dune_regions *rs, const struct model *m)
{
	uint64_t sum = 0;
	size_t i, j;

	for (i = 0; i < PAGES; i++) {
		const struct dune_region *r =
			dune_region_find(rs, BASE + i * P);

		if (m->prot[i] < 0) {
			assert_null(r);
			continue;
		}
		assert_non_null(r);
		assert_int_equal(r->prot, m->prot[i]);
		assert_int_equal(r->flags & ~DUNE_R_COMMIT, m->flags[i]);
		if (r->flags & DUNE_R_COMMIT)
			sum += P;
	}
	assert_int_equal(sum, dune_regions_committed(rs));
	for (j = 0; j < rs->n; j++) {
		assert_true(rs->v[j].start < rs->v[j].end);
		assert_true(j == 0 || rs->v[j - 1].end <= rs->v[j].start);
	}
}

static void random_operations(void **state)
{
	static const uint32_t kinds[] = { 0, 0, DUNE_R_FILE, DUNE_R_SHARED };
	struct dune_regions *rs = *state;
	struct model m;
	unsigned int round, i;

	memset(&m, 0xff, sizeof(m));
	srand(1);
	for (round = 0; round < 20000; round++) {
		unsigned int at = rand() % PAGES, n = rand() % (PAGES - at) + 1;
		unsigned int prot = rand() % 8, op = rand() % 4;
		uint32_t kind = kinds[rand() % 4];

		switch (op) {
		case 0:
			dune_region_insert(rs, BASE + at * P, n * P, prot,
					   kind);
			break;
		case 1:
			dune_region_remove(rs, BASE + at * P, n * P);
			break;
		case 2:
			dune_region_protect(rs, BASE + at * P, n * P, prot);
			break;
		case 3:
			dune_region_flags(rs, BASE + at * P, n * P,
					  DUNE_R_DONTFORK, 0);
			break;
		}
		for (i = at; i < at + n; i++) {
			if (op == 0) {
				m.prot[i] = prot;
				m.flags[i] = kind;
			} else if (op == 1) {
				m.prot[i] = -1;
			} else if (m.prot[i] < 0 && op == 2) {
				break;
			} else if (op == 2) {
				m.prot[i] = prot;
			} else {
				m.flags[i] |= DUNE_R_DONTFORK;
			}
		}
		same(rs, &m);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(anonymous_neighbours_join),
		T(files_do_not_join),
		T(insert_replaces_and_splits),
		T(remove_splits),
		T(protect_stops_at_a_hole),
		T(protect_joins_again),
		T(covers),
		T(highest_hole),
		T(gap_below_a_stack),
		T(committed),
		T(flags),
		T(reserved_room_is_enough),
		T(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
