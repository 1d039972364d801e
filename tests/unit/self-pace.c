/* Who looks for how long on a channel: what is learnt, without clocks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "libdune/sandbox/pace.h"

#define US 1000ul

/* A turn that is answered at once, `gap` ns after the one before. */
static uint8_t turn(struct dune_pace *p, uint64_t *t, uint64_t gap,
		    bool asleep, bool inside)
{
	uint8_t looks;

	*t += gap;
	looks = dune_pace_post(p, asleep, inside, *t);
	if (dune_pace_look(p, asleep))
		dune_pace_quick(p, asleep);
	if (!p->hot)
		p->answered = *t;
	return looks;
}

static void calls_far_apart_never_make_the_guest_look(void **state)
{
	struct dune_pace p = { 0 };
	uint64_t t = 1;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(turn(&p, &t, 500 * US, true, false), 0);
}

static void the_second_of_two_close_calls_does(void **state)
{
	struct dune_pace p = { 0 };
	uint64_t t = 1;

	(void)state;
	assert_int_equal(turn(&p, &t, 0, true, false), 0);
	assert_true(turn(&p, &t, US, true, false) > 0);
	assert_true(p.hot);
	assert_true(turn(&p, &t, US, false, false) > 0);
	/* callbacks may be further apart, and are looked for longer */
	p = (struct dune_pace) { 0 };
	turn(&p, &t, US, true, false);
	assert_int_equal(turn(&p, &t, 500 * US, true, false), 0);
	assert_true(turn(&p, &t, 500 * US, true, true) >
		    500 * US / 6400);
}

static void looking_that_does_not_pay_is_tried_less_often(void **state)
{
	struct dune_pace p = { 0 };
	uint64_t t = 1;
	int hot = 0;

	(void)state;
	/* close calls, but the guest is always found asleep */
	for (int i = 0; i < 10000; i++)
		hot += turn(&p, &t, US, true, false) > 0;
	assert_true(hot > 10);
	assert_true(hot < 10000 / 8);
	/* once it pays it is tried at once again */
	while (!turn(&p, &t, US, true, false))
		;
	assert_true(p.apart);
	for (int i = 0; i < 10; i++)
		turn(&p, &t, US, false, false);
	turn(&p, &t, US, true, false);
	assert_false(p.hot);
	assert_true(turn(&p, &t, US, true, false) > 0);
	assert_false(p.apart);
}

/* Whoever waits may lose its CPU once. */
static void one_look_in_vain_ends_no_hot_phase(void **state)
{
	struct dune_pace p = { .hot = true };

	(void)state;
	dune_pace_waited(&p, false, 90 * US, 50 * US, true);
	dune_pace_waited(&p, false, 90 * US, 0, true);
	assert_true(p.hot);
	dune_pace_quick(&p, false);
	dune_pace_waited(&p, false, 90 * US, 50 * US, true);
	assert_true(p.hot);
	dune_pace_waited(&p, false, 90 * US, 50 * US, true);
	assert_false(p.hot);
}

static void one_cpu_is_no_place_to_look(void **state)
{
	struct dune_pace p = { .alone = true };
	uint64_t t = 1;

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(turn(&p, &t, US, i % 2, i % 3 == 0), 0);
		assert_int_equal(dune_pace_look(&p, i % 2), 0);
	}
}

/* n waits; how many of them began with looking. */
static int waits(struct dune_pace *p, int n, uint64_t ns)
{
	int looked = 0;

	while (n--) {
		uint32_t look = dune_pace_look(p, false);

		looked += look > 0;
		dune_pace_waited(p, false, ns, look, look < ns);
	}
	return looked;
}

static void the_host_looks_as_long_as_answers_take(void **state)
{
	struct dune_pace p = { 0 };

	(void)state;
	/* nothing is known: a few may be slept through */
	waits(&p, 20, 300 * US);
	assert_int_equal(waits(&p, 20, 300 * US), 20);
	/* longer than is ever looked for */
	waits(&p, 20, 5000 * US);
	assert_int_equal(waits(&p, 20, 5000 * US), 0);
	/* short ones again, without anybody having looked */
	waits(&p, 20, 100 * US);
	assert_int_equal(waits(&p, 20, 100 * US), 20);
}

static void a_guest_without_a_cpu_is_not_looked_for(void **state)
{
	struct dune_pace p = { .hot = true };
	uint32_t look;
	int looked = 0;

	(void)state;
	/* it answers soon after the host sleeps, never before */
	for (int i = 0; i < 10000; i++) {
		look = dune_pace_look(&p, false);
		looked += look > 0;
		dune_pace_waited(&p, false, look + 40 * US, look, true);
	}
	assert_false(p.hot);
	assert_true(looked < 100);
	/* and once one is found, all are looked for */
	while (!(look = dune_pace_look(&p, false)))
		dune_pace_waited(&p, false, 40 * US, 0, true);
	dune_pace_waited(&p, false, US, look, false);
	assert_int_equal(waits(&p, 20, US), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_far_apart_never_make_the_guest_look),
		cmocka_unit_test(the_second_of_two_close_calls_does),
		cmocka_unit_test(looking_that_does_not_pay_is_tried_less_often),
		cmocka_unit_test(one_look_in_vain_ends_no_hot_phase),
		cmocka_unit_test(one_cpu_is_no_place_to_look),
		cmocka_unit_test(the_host_looks_as_long_as_answers_take),
		cmocka_unit_test(a_guest_without_a_cpu_is_not_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
