/* The decision on one call: policy, ranges, and what the gate counts. */
#include "sys-host.h"

#include "kern/sys/numbers.h"
#include "kern/sys/strict.h"

static void a_plain_call_goes_through(void **state)
{
	(void)state;
	host.ret = 5;
	assert_int_equal(call(SYS_read, 3, GUEST, 10), 5);
	assert_int_equal(host.calls, 1);
	assert_int_equal(host.nr, SYS_read);
	assert_int_equal(host.arg[1], GUEST);
	assert_int_equal(stats.sys[SYS_read].calls, 1);
	assert_int_equal(stats.sys[SYS_read].errors, 0);
	assert_null(violation);
}

static void errors_are_counted(void **state)
{
	(void)state;
	host.ret = -EAGAIN;
	assert_int_equal(call(SYS_read, 3, GUEST, 10), -EAGAIN);
	assert_int_equal(call(SYS_read, 3, 8, 10), -EFAULT);
	assert_int_equal(stats.sys[SYS_read].calls, 2);
	assert_int_equal(stats.sys[SYS_read].errors, 2);
	assert_int_equal(stats.sys[SYS_read].denied, 0);
	assert_int_equal(host.calls, 1);
}

static void ranges_do_not_overflow(void **state)
{
	const uint64_t left = DUNE_ARENA_HI - GUEST;

	(void)state;
	assert_int_equal(call(SYS_read, 3, GUEST, left), 0);
	assert_int_equal(call(SYS_read, 3, GUEST, left + 1), -EFAULT);
	assert_int_equal(call(SYS_read, 3, GUEST, -GUEST), -EFAULT);
	assert_int_equal(call(SYS_read, 3, GUEST, ~0ul), -EFAULT);
	assert_int_equal(call(SYS_read, 3, DUNE_ARENA_HI - 1, 2), -EFAULT);
	assert_int_equal(call(SYS_read, 3, DUNE_ARENA_HI - 1, 1), 0);
	assert_int_equal(call(SYS_read, 3, DUNE_ARENA_LO, 1), 0);
	assert_int_equal(call(SYS_read, 3, DUNE_ARENA_LO - 1, 2), -EFAULT);
	/* 2^61 vectors of 16 bytes wrap around to nothing */
	assert_int_equal(call(SYS_readv, 3, GUEST, 1ul << 60), -EINVAL);
	assert_int_equal(call(SYS_readv, 3, GUEST, (1ul << 60) + 1), -EINVAL);
	/* an int in the kernel: the upper half does not count */
	assert_int_equal(call(SYS_getgroups, 0xff00000002, GUEST), 0);
	assert_int_equal(call(SYS_getgroups, 0x7fffffff,
			      DUNE_ARENA_HI - 4096), -EFAULT);
	/* one byte a page */
	assert_int_equal(call(SYS_mincore, GUEST, 8 * DUNE_PAGE_SIZE,
			      DUNE_ARENA_HI - 8), 0);
	assert_int_equal(call(SYS_mincore, GUEST, 8 * DUNE_PAGE_SIZE + 1,
			      DUNE_ARENA_HI - 8), -EFAULT);
	/* a range that is only named */
	assert_int_equal(call(SYS_msync, DUNE_ARENA_HI - 4096, 8192, 0),
			 -ENOMEM);
}

static void null_is_for_the_kernel(void **state)
{
	(void)state;
	host.ret = -EFAULT;
	assert_int_equal(call(SYS_read, 3, 0, 10), -EFAULT);
	host.ret = 0;
	assert_int_equal(call(SYS_wait4, -1, 0, 0, 0), 0);
	assert_int_equal(host.calls, 2);
}

static void lengths_at_pointers(void **state)
{
	uint32_t *len = (uint32_t *)GUEST;

	(void)state;
	*len = 128;
	assert_int_equal(call(SYS_getsockname, 3, DUNE_ARENA_HI - 128, GUEST),
			 0);
	assert_int_equal(call(SYS_getsockname, 3, DUNE_ARENA_HI - 127, GUEST),
			 -EFAULT);
	*len = 16;
	assert_int_equal(call(SYS_getsockname, 3, DUNE_ARENA_HI - 16, GUEST),
			 0);
	/* no address is longer than 128 bytes, whatever it says here */
	*len = 0xffffffff;
	assert_int_equal(call(SYS_getsockname, 3, DUNE_ARENA_HI - 128, GUEST),
			 0);
	assert_int_equal(call(SYS_getsockname, 3, GUEST, OUTSIDE), -EFAULT);
}

static void deny_wins(void **state)
{
	(void)state;
	deny(SYS_read);
	allow(SYS_read);
	assert_int_equal(call(SYS_read, 3, GUEST, 10), -EPERM);
	assert_string_equal(violation, "deny read");
	assert_int_equal(host.calls, 0);
	assert_int_equal(stats.sys[SYS_read].denied, 1);
	assert_int_equal(stats.sys[SYS_read].errors, 1);
}

static void allow_lifts_a_group_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(call(SYS_shmget, 0, 4096, 0600), -EACCES);
	assert_non_null(violation);
	allow(SYS_shmget);
	assert_int_equal(call(SYS_shmget, 0, 4096, 0600), 0);
	assert_int_equal(host.nr, SYS_shmget);
	allow(SYS_ptrace);
	assert_int_equal(call(SYS_ptrace, 16, 1, 0, 0), -EPERM);
	assert_string_equal(violation, "never allowed");
	assert_int_equal(host.calls, 1);
}

static void refused_and_unknown(void **state)
{
	(void)state;
	assert_int_equal(call(SYS_io_uring_setup, 8, GUEST), -ENOSYS);
	assert_null(violation);
	assert_int_equal(call(SYS_seccomp, 0, 0, 0), -EINVAL);
	assert_int_equal(call(SYS_rseq, GUEST, 32, 0, 0), -ENOSYS);
	assert_int_equal(call(400), -ENOSYS);
	assert_string_equal(violation, "unknown system call");
	assert_int_equal(call(100000), -ENOSYS);
	assert_int_equal(call(-1), -ENOSYS);
	assert_int_equal(stats.unknown, 3);
	assert_int_equal(host.calls, 0);
}

static void time_is_measured_when_asked_for(void **state)
{
	(void)state;
	call(SYS_getpid);
	assert_int_equal(stats.sys[SYS_getpid].ns, 0);
	policy.stat = true;
	for (int i = 0; i < 1000; i++)
		call(SYS_getpid);
	assert_true(stats.sys[SYS_getpid].ns > 0);
}

static void stats_add_up(void **state)
{
	struct dune_stats total = { .exits = 1, .unknown = 2 };

	(void)state;
	stats.exits = 10;
	stats.threads = 3;
	stats.sys[SYS_read].ns = 7;
	dune_stats_add(&total, &stats);
	dune_stats_add(&total, &stats);
	assert_int_equal(total.exits, 21);
	assert_int_equal(total.unknown, 2);
	assert_int_equal(total.threads, 6);
	assert_int_equal(total.sys[SYS_read].ns, 14);
}

static long strictly(long nr)
{
	return dune_strict_decide(&policy, nr, &violation);
}

static void a_plugin_has_a_closed_list(void **state)
{
	static struct dune_phase phase;

	(void)state;
	policy.strict = true;
	policy.allow[SYS_socket / 8] |= 1 << SYS_socket % 8;
	dune_strict_lists(&policy, false);
	violation = NULL;
	assert_int_equal(strictly(SYS_mmap), 0);
	assert_int_equal(strictly(SYS_clone), 0);
	assert_int_equal(strictly(SYS_clock_gettime), 0);
	assert_int_equal(strictly(SYS_socket), 0);	/* allowed by name */
	/* what C libraries can do without is refused, and no offence */
	assert_int_equal(strictly(SYS_ioctl), -EPERM);
	assert_null(violation);
	assert_int_equal(strictly(SYS_openat), -EPERM);
	assert_non_null(violation);
	assert_int_equal(strictly(SYS_execve), -EPERM);
	assert_int_equal(strictly(SYS_connect), -EPERM);

	/* opening files: while the host loads, in this process or in any */
	dune_strict_phase(&phase);
	assert_int_equal(strictly(SYS_openat), -EPERM);
	phase.loading[DUNE_PHASE_PIDS - 1] = getpid() + 1;
	assert_int_equal(strictly(SYS_openat), -EPERM);
	phase.loading[DUNE_PHASE_PIDS - 1] = getpid();
	assert_int_equal(strictly(SYS_openat), 0);
	assert_int_equal(strictly(SYS_execve), -EPERM);
	phase.loading[DUNE_PHASE_PIDS - 1] = 0;
	assert_int_equal(strictly(SYS_openat), -EPERM);
	phase.loading[0] = ~0u;
	assert_int_equal(strictly(SYS_openat), 0);
	dune_strict_phase(NULL);
	assert_int_equal(strictly(SYS_openat), -EPERM);

	dune_strict_lists(&policy, true);
	assert_int_equal(strictly(SYS_openat), 0);
	assert_int_equal(strictly(SYS_unlink), 0);
	assert_int_equal(strictly(SYS_execve), -EPERM);
}

static void refused_to_a_plugin_and_not_the_end(void **state)
{
	(void)state;
	policy.strict = policy.lenient = true;
	dune_strict_lists(&policy, false);
	assert_int_equal(call(SYS_openat, -100, GUEST, 0, 0), -EPERM);
	assert_non_null(violation);
	assert_int_equal(host.calls, 0);
	/* what Linux would say all the same */
	assert_int_equal(call(SYS_rseq, GUEST, 32, 0, 0), -ENOSYS);
	assert_null(violation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_plain_call_goes_through),
		TEST(errors_are_counted),
		TEST(ranges_do_not_overflow),
		TEST(null_is_for_the_kernel),
		TEST(lengths_at_pointers),
		TEST(deny_wins),
		TEST(allow_lifts_a_group_and_nothing_else),
		TEST(refused_and_unknown),
		TEST(a_plugin_has_a_closed_list),
		TEST(refused_to_a_plugin_and_not_the_end),
		TEST(time_is_measured_when_asked_for),
		TEST(stats_add_up),
	};

	return cmocka_run_group_tests_name("sys-decide", tests, guest_setup,
					   NULL);
}
