/*
 * Batches through the gate: what is served together, what ends one, and what
 * an array of the guest's may look like.
 */
#include "tests/unit/sys-host.h"

#include "kern/sys/batch.h"
#include "kern/task/hostcall.h"

static struct dune_syscall *const at = (void *)GUEST;

static long made[16];		/* what came to the host */

static long answer(long nr, const uint64_t *arg)
{
	(void)arg;
	assert_true(host.calls <= DUNE_ARRAY_SIZE(made));
	made[host.calls - 1] = nr;
	/* the guest changes what is behind, and what has been */
	if (nr == SYS_getppid)
		at[0].nr = SYS_close;
	return nr == SYS_read ? -EINTR : nr == SYS_pause ? -DUNE_ERESTART : nr;
}

static void post(unsigned int i, long nr)
{
	at[i] = (struct dune_syscall){ .nr = nr, .ret = 77 };
}

static int begin(void **state)
{
	fresh(state);
	host.answer = answer;
	task.slot_full = 0;
	return 0;
}

static long batch(unsigned int n, unsigned int flags)
{
	return call(DUNE_NR_BATCH, GUEST, n, flags);
}

static void test_order(void **state)
{
	(void)state;
	post(0, SYS_getppid);
	post(1, SYS_getuid | 1ul << 32);	/* 32 bits count */
	post(2, SYS_getgid);
	at[1].arg[5] = ~0ul;
	assert_int_equal(batch(3, 0), 3);
	assert_int_equal(host.calls, 3);
	assert_int_equal(host.nr, SYS_getgid);
	assert_int_equal(at[0].ret, SYS_getppid);
	assert_int_equal(at[1].ret, SYS_getuid);
	assert_int_equal(at[2].ret, SYS_getgid);
	assert_int_equal(stats.sys[SYS_getuid].calls, 1);
	assert_int_equal(stats.unknown, 0);
	assert_int_equal(batch(0, 0), 0);
}

/* Each is checked and counted as if it came alone. */
static void test_policy(void **state)
{
	(void)state;
	deny(SYS_getuid);
	post(0, SYS_getuid);
	post(1, SYS_write);
	at[1].arg[1] = OUTSIDE;
	at[1].arg[2] = 1;
	post(2, SYS_pidfd_getfd);
	post(3, SYS_read);
	at[3].arg[0] = FD_BASE;
	assert_int_equal(batch(4, 0), 4);
	assert_int_equal(host.calls, 0);
	assert_int_equal(at[0].ret, -EPERM);
	assert_int_equal(at[1].ret, -EFAULT);
	assert_int_equal(at[2].ret, -EPERM);
	assert_int_equal(at[3].ret, -EBADF);
	assert_int_equal(stats.sys[SYS_getuid].denied, 1);
}

/* Not along with others: the batch ends before them. */
static void test_alone(void **state)
{
	static const long nr[] = {
		SYS_clone, SYS_fork, SYS_execve, SYS_exit, SYS_exit_group,
		SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigsuspend,
		SYS_sigaltstack, SYS_arch_prctl, SYS_setuid, SYS_ppoll,
		DUNE_NR_BATCH, DUNE_NR_OWN, -1, DUNE_NR_MAX, 1000000,
	};

	(void)state;
	for (unsigned int i = 0; i < DUNE_ARRAY_SIZE(nr); i++) {
		host.calls = 0;
		post(0, nr[i]);
		post(1, SYS_getuid);
		assert_int_equal(batch(2, 0), 0);
		post(0, SYS_getuid);
		post(1, nr[i]);
		assert_int_equal(batch(2, 0), 1);
		assert_int_equal(at[1].ret, 77);
		assert_int_equal(host.calls, 1);
	}
}

static void test_stop(void **state)
{
	(void)state;
	post(0, SYS_getuid);
	post(1, SYS_read);
	post(2, SYS_getuid);
	assert_int_equal(batch(3, DUNE_BATCH_STOP), 2);
	assert_int_equal(at[1].ret, -EINTR);
	assert_int_equal(at[2].ret, 77);
	assert_int_equal(batch(3, 0), 3);
	assert_int_equal(batch(3, 2), -EINVAL);
	assert_int_equal(call(DUNE_NR_BATCH, GUEST, 3, 1ul << 32), -EINVAL);
}

/* A signal comes before a call, or finds the thread in it. */
static void test_signals(void **state)
{
	(void)state;
	post(0, SYS_getuid);
	post(1, SYS_pause);
	assert_int_equal(batch(2, 0), 1);
	assert_int_equal(at[1].ret, 77);
	post(0, SYS_pause);
	assert_int_equal(batch(2, 0), -DUNE_ERESTART);
	task.slot_full = 1;
	post(0, SYS_getuid);
	host.calls = 0;
	assert_int_equal(batch(2, 0), -DUNE_ERESTART);
	assert_int_equal(host.calls, 0);
	assert_int_equal(at[0].ret, 77);
}

/* Arrays that are not there, or not all of them. */
static void test_places(void **state)
{
	const uint64_t end = GUEST + GUEST_SIZE;
	struct dune_syscall *last = (void *)(end - sizeof(*last));

	(void)state;
	catch_faults();		/* cmocka has its own */
	*last = (struct dune_syscall){ .nr = SYS_getuid };
	assert_int_equal(call(DUNE_NR_BATCH, last, 2, 0), 1);
	assert_int_equal(call(DUNE_NR_BATCH, end, 2, 0), -EFAULT);
	assert_int_equal(call(DUNE_NR_BATCH, end - 8, 1, 0), -EFAULT);
	assert_int_equal(call(DUNE_NR_BATCH, 0, 1, 0), -EFAULT);
	assert_int_equal(call(DUNE_NR_BATCH, OUTSIDE, 1, 0), -EFAULT);
	assert_int_equal(call(DUNE_NR_BATCH, OUTSIDE - 8, 1, 0), -EFAULT);
	assert_int_equal(call(DUNE_NR_BATCH, ~0ul - 63, 2, 0), -EFAULT);
	assert_int_equal(call(DUNE_NR_BATCH, GUEST + 4, 1, 0), -EINVAL);
	host.calls = 0;
	/* its result has no place: not made at all */
	post(0, SYS_getuid);
	assert_int_equal(mprotect((void *)GUEST, GUEST_SIZE, PROT_READ), 0);
	assert_int_equal(batch(1, 0), -EFAULT);
	assert_int_equal(mprotect((void *)GUEST, GUEST_SIZE,
				  PROT_READ | PROT_WRITE), 0);
	assert_int_equal(host.calls, 0);
}

static void test_most(void **state)
{
	const size_t n = DUNE_BATCH_MOST + 10;
	struct dune_syscall *c;

	(void)state;
	host.answer = NULL;
	c = mmap((void *)(GUEST + (1ul << 20)), n * sizeof(*c),
		 PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_not_equal(c, MAP_FAILED);
	for (size_t i = 0; i < n; i++)
		c[i].nr = SYS_getuid;
	assert_int_equal(call(DUNE_NR_BATCH, c, n, 0), DUNE_BATCH_MOST);
	assert_int_equal(call(DUNE_NR_BATCH, c, ~0u, 0), DUNE_BATCH_MOST);
	assert_int_equal(host.calls, 2 * DUNE_BATCH_MOST);
	munmap(c, n * sizeof(*c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, begin),
		cmocka_unit_test_setup(test_policy, begin),
		cmocka_unit_test_setup(test_alone, begin),
		cmocka_unit_test_setup(test_stop, begin),
		cmocka_unit_test_setup(test_signals, begin),
		cmocka_unit_test_setup(test_places, begin),
		cmocka_unit_test_setup(test_most, begin),
	};

	return cmocka_run_group_tests(tests, guest_setup, NULL);
}
