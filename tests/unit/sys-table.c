/* The table as a whole: no number forgotten, no pointer unchecked. */
#include "sys-host.h"

#include "kern/sys/numbers.h"

static void every_number_has_a_row(void **state)
{
	(void)state;
	for (long nr = 0; nr <= __NR_listns; nr++) {
		/* a gap that Linux keeps for other architectures */
		if (nr >= 337 && nr <= 423)
			assert_null(dune_sys_row(nr));
		else
			assert_non_null(dune_sys_row(nr));
	}
	assert_null(dune_sys_row(-1));
	assert_null(dune_sys_row(DUNE_NR_MAX));
	assert_null(dune_sys_row(0x40000000 | __NR_read));
}

static void rows_are_whole(void **state)
{
	(void)state;
	for (long nr = 0; nr < DUNE_NR_MAX; nr++) {
		const struct dune_sysrow *r = dune_sys_row(nr);

		if (!r)
			continue;
		assert_int_equal(!!r->handler, r->action == DUNE_DO_EMULATE);
		assert_int_equal(!!r->err, r->action == DUNE_DO_REFUSE);
		for (int i = 0; i < 6; i++) {
			const struct dune_argspec *a = &r->arg[i];

			assert_in_range(a->n, 0, 5);
			/* a length is a number, or a pointer to one */
			if (a->rule >= DUNE_L_ARG && a->rule < DUNE_L_PTR32)
				assert_int_equal(r->arg[a->n].kind,
						 DUNE_A_INT);
			if (a->rule == DUNE_L_PTR32)
				assert_int_equal(r->arg[a->n].kind,
						 DUNE_A_INOUT);
			if (a->rule == DUNE_L_BYTES)
				assert_true(a->size > 0);
		}
	}
}

/* What is checked ends with the first argument that is none. */
static void arguments_have_no_gaps(void **state)
{
	(void)state;
	for (long nr = 0; nr < DUNE_NR_MAX; nr++)
		for (int i = 1; i < 6; i++)
			if (dune_systable[nr].arg[i].kind != DUNE_A_NONE)
				assert_int_not_equal(
					dune_systable[nr].arg[i - 1].kind,
					DUNE_A_NONE);
}

static bool pointer(const struct dune_argspec *a)
{
	return a->kind >= DUNE_A_PATH && a->kind <= DUNE_A_INOUT;
}

/* Arguments that break nothing, so that one bad one shows. */
static struct dune_call harmless(long nr)
{
	struct dune_call c = { .nr = nr };

	for (int i = 0; i < 6; i++) {
		c.arg[i] = pointer(&dune_systable[nr].arg[i]) ? GUEST : 1;
		if (dune_systable[nr].arg[i].rule != DUNE_L_NONE)
			c.arg[i] = GUEST;
	}
	return c;
}

static long decide(const struct dune_call *c)
{
	const char *why;

	return dune_sys_decide(&policy, FD_BASE, c, &why);
}

static void no_row_lets_a_pointer_outside_pass(void **state)
{
	static const uint64_t bad[] = {
		1, DUNE_ARENA_LO - 1, DUNE_ARENA_HI, DUNE_ARENA_HI + 1,
		DUNE_RING0_GVA, DUNE_VVAR_GVA, 0x7fff00000000,
		0x800000000000, 0xffff800000000000, ~0ul - 7, ~0ul,
	};

	(void)state;
	memset(policy.allow, 0xff, sizeof(policy.allow));
	*(uint32_t *)GUEST = 16;	/* where a length is looked for */
	for (long nr = 0; nr < DUNE_NR_MAX; nr++) {
		const struct dune_sysrow *r = dune_sys_row(nr);

		if (!r || r->action == DUNE_DO_REFUSE)
			continue;
		for (int i = 0; i < 6; i++) {
			struct dune_call c = harmless(nr);

			if (!pointer(&r->arg[i]))
				continue;
			assert_int_equal(decide(&c), 0);
			for (size_t k = 0; k < DUNE_ARRAY_SIZE(bad); k++) {
				c.arg[i] = bad[k];
				assert_int_equal(decide(&c), -EFAULT);
			}
		}
	}
}

static void no_row_lets_our_descriptors_pass(void **state)
{
	(void)state;
	memset(policy.allow, 0xff, sizeof(policy.allow));
	for (long nr = 0; nr < DUNE_NR_MAX; nr++) {
		const struct dune_sysrow *r = dune_sys_row(nr);

		if (!r || r->action == DUNE_DO_REFUSE)
			continue;
		for (int i = 0; i < 6; i++) {
			struct dune_call c = harmless(nr);

			if (r->arg[i].kind != DUNE_A_FD &&
			    r->arg[i].kind != DUNE_A_ATFD)
				continue;
			c.arg[i] = FD_BASE;
			assert_int_equal(decide(&c), -EBADF);
			/* the kernel drops the upper half */
			c.arg[i] = FD_BASE | 0xabcd00000000;
			assert_int_equal(decide(&c), -EBADF);
			c.arg[i] = 0x7fffffff;
			assert_int_equal(decide(&c), -EBADF);
			c.arg[i] = (FD_BASE - 1) | 0xabcd00000000;
			assert_int_equal(decide(&c), 0);
			c.arg[i] = -1;
			assert_int_equal(decide(&c), 0);
		}
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(dune_sys_name(__NR_read), "read");
	assert_string_equal(dune_sys_name(__NR_listns), "listns");
	assert_string_equal(dune_sys_name(400), "syscall_400");
	assert_string_equal(dune_sys_name(-5), "syscall_-5");
	assert_string_equal(dune_sys_deny_rule(__NR_read), "deny read");
}

static void the_host_needs_what_rows_forward(void **state)
{
	(void)state;
	assert_true(dune_sys_host_may_need(__NR_read));
	assert_true(dune_sys_host_may_need(__NR_mmap));
	assert_true(dune_sys_host_may_need(__NR_rseq));
	assert_true(dune_sys_host_may_need(__NR_restart_syscall));
	assert_false(dune_sys_host_may_need(__NR_ptrace));
	assert_false(dune_sys_host_may_need(__NR_io_uring_setup));
	assert_false(dune_sys_host_may_need(400));
	assert_false(dune_sys_host_may_need(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_number_has_a_row),
		TEST(rows_are_whole),
		TEST(arguments_have_no_gaps),
		TEST(no_row_lets_a_pointer_outside_pass),
		TEST(no_row_lets_our_descriptors_pass),
		TEST(names),
		TEST(the_host_needs_what_rows_forward),
	};

	return cmocka_run_group_tests_name("sys-table", tests, guest_setup,
					   NULL);
}
