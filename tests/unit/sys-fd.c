/* Descriptors: the monitor's own, above FD_BASE, do not exist. */
#include "sys-host.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "kern/sys/fdtype.h"

/* Answers as the kernel would, but with a descriptor beyond the limit. */
static long beyond(long nr, const uint64_t *arg)
{
	int fd = open("/dev/null", O_RDONLY), high;

	(void)nr;
	(void)arg;
	high = fcntl(fd, F_DUPFD, FD_BASE);
	close(fd);
	return high;
}

static void a_new_descriptor_at_the_limit_is_emfile(void **state)
{
	(void)state;
	host.answer = beyond;
	assert_int_equal(call(SYS_dup, 3), -EMFILE);
	assert_int_equal(fcntl(FD_BASE, F_GETFD), -1);
	assert_int_equal(call(SYS_epoll_create1, 0), -EMFILE);
	assert_int_equal(call(SYS_memfd_create, GUEST, 0), -EMFILE);
	assert_int_equal(fcntl(FD_BASE, F_GETFD), -1);
	host.answer = NULL;
	host.ret = FD_BASE - 1;
	assert_int_equal(call(SYS_dup, 3), FD_BASE - 1);
}

static void dup_to_a_hidden_number(void **state)
{
	(void)state;
	host.ret = 7;
	assert_int_equal(call(SYS_dup2, 3, 7), 7);
	assert_int_equal(call(SYS_dup2, 3, FD_BASE), -EBADF);
	assert_int_equal(call(SYS_dup3, 3, FD_BASE + 5, O_CLOEXEC), -EBADF);
	assert_int_equal(call(SYS_dup2, FD_BASE, 7), -EBADF);
	assert_int_equal(call(SYS_dup2, 3, -1), -EBADF);
	assert_int_equal(call(SYS_close, FD_BASE), -EBADF);
	assert_int_equal(host.calls, 1);
}

static void close_range_ends_before_ours(void **state)
{
	(void)state;
	assert_int_equal(call(SYS_close_range, 3, ~0u, 0), 0);
	assert_int_equal(host.arg[0], 3);
	assert_int_equal(host.arg[1], FD_BASE - 1);
	assert_int_equal(call(SYS_close_range, 3, 10, 0), 0);
	assert_int_equal(host.arg[1], 10);
	assert_int_equal(call(SYS_close_range, FD_BASE, ~0u, 0), 0);
	assert_int_equal(call(SYS_close_range, FD_BASE, ~0u, 64), -EINVAL);
	assert_int_equal(call(SYS_close_range, 5, 4, 0), -EINVAL);
	assert_int_equal(host.calls, 2);
	/* one table for all threads, the proxy among them */
	assert_int_equal(call(SYS_close_range, 3, 10, CLOSE_RANGE_UNSHARE), 0);
	assert_int_equal(host.arg[2], 0);
	proc.threads = 2;
	assert_int_equal(call(SYS_close_range, 3, 10, CLOSE_RANGE_UNSHARE),
			 -EINVAL);
	proc.threads = 1;
}

static void fcntl_by_command(void **state)
{
	(void)state;
	host.ret = 10;
	assert_int_equal(call(SYS_fcntl, 3, F_DUPFD, 10), 10);
	assert_int_equal(call(SYS_fcntl, 3, F_DUPFD, FD_BASE), -EINVAL);
	assert_int_equal(call(SYS_fcntl, 3, F_DUPFD_CLOEXEC, -1), -EINVAL);
	/* flags that look like a number of ours */
	host.ret = 0x8002;
	assert_int_equal(call(SYS_fcntl, 3, F_GETFL), 0x8002);
	assert_int_equal(call(SYS_ioctl, 3, TCFLSH, 0), 0x8002);
	host.answer = beyond;
	assert_int_equal(call(SYS_fcntl, 3, F_DUPFD, 10), -EMFILE);
	assert_int_equal(call(SYS_ioctl, 3, TIOCGPTPEER, 0), -EMFILE);
	assert_int_equal(fcntl(FD_BASE, F_GETFD), -1);
	host.answer = NULL;
	host.ret = 0;
	assert_int_equal(call(SYS_fcntl, 3, F_SETLK, GUEST), 0);
	assert_int_equal(call(SYS_fcntl, 3, F_SETLK,
			      DUNE_ARENA_HI - sizeof(struct flock) + 1),
			 -EFAULT);
	assert_int_equal(call(SYS_fcntl, 3, 9999, 0), -EINVAL);
	assert_int_equal(call(SYS_fcntl, 3, F_SETOWN, getpid()), 0);
	assert_int_equal(call(SYS_fcntl, 3, F_SETOWN, 1), -EPERM);
	assert_non_null(violation);
	assert_int_equal(call(SYS_fcntl, 3, F_SETOWN, INT_MIN), -EPERM);
	*(struct f_owner_ex *)GUEST = (struct f_owner_ex){ F_OWNER_PID, 1 };
	assert_int_equal(call(SYS_fcntl, 3, F_SETOWN_EX, GUEST), -EPERM);
	*(struct f_owner_ex *)GUEST =
		(struct f_owner_ex){ F_OWNER_TID, gettid() };
	assert_int_equal(call(SYS_fcntl, 3, F_SETOWN_EX, GUEST), 0);
	assert_true(host.arg[2] != GUEST);	/* our copy */
}

static long two(long nr, const uint64_t *arg)
{
	int *fd = (int *)arg[nr == SYS_socketpair ? 3 : 0];

	fd[0] = open("/dev/null", O_RDONLY);
	fd[1] = fcntl(fd[0], F_DUPFD, FD_BASE);
	return 0;
}

static long good_pair(long nr, const uint64_t *arg)
{
	int *fd = (int *)arg[nr == SYS_socketpair ? 3 : 0];

	fd[0] = 5;
	fd[1] = 6;
	return 0;
}

/* Who gets SIGIO: of groups Landlock is not asked, whatever its ABI. */
static void asynchronous(void **state)
{
	int tty = open("/dev/ptmx", O_RDWR | O_NOCTTY), p[2], on = 1;
	const int guests[] = { FD_BASE - 1, FD_BASE - 2 };

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(dup2(p[0], guests[0]), guests[0]);
	*(int *)GUEST = on;
	assert_int_equal(call(SYS_fcntl, 3, F_SETOWN, -getpgrp()), -EPERM);
	assert_int_equal(call(SYS_fcntl, guests[0], F_SETFL, O_ASYNC), 0);
	assert_true((int)host.arg[0] >= FD_BASE);	/* held */
	assert_int_equal(fcntl(host.arg[0], F_GETFD), -1);
	assert_int_equal(call(SYS_ioctl, guests[0], FIOASYNC, GUEST), 0);
	assert_true((int)host.arg[0] >= FD_BASE);
	assert_int_equal(call(SYS_fcntl, guests[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(host.arg[0], guests[0]);
	if (tty >= 0) {
		host.calls = 0;
		assert_int_equal(dup2(tty, guests[1]), guests[1]);
		assert_int_equal(call(SYS_fcntl, guests[1], F_SETFL, O_ASYNC),
				 -EPERM);
		assert_non_null(violation);
		assert_int_equal(call(SYS_ioctl, guests[1], FIOASYNC, GUEST),
				 -EPERM);
		assert_int_equal(host.calls, 0);
		policy.landlock_abi = DUNE_LANDLOCK_ABI_SIGNALS;
		assert_int_equal(call(SYS_fcntl, guests[1], F_SETFL, O_ASYNC),
				 -EPERM);
		close(guests[1]);
		close(tty);
	}
	policy.landlock_abi = DUNE_LANDLOCK_ABI_SIGNALS;
	assert_int_equal(call(SYS_fcntl, 3, F_SETOWN, -getpgrp()), -EPERM);
	close(guests[0]);
	close(p[0]);
	close(p[1]);
}

static void pairs(void **state)
{
	int *fd = (int *)GUEST;

	(void)state;
	host.answer = good_pair;
	assert_int_equal(call(SYS_pipe, GUEST), 0);
	assert_int_equal(fd[0], 5);
	assert_int_equal(fd[1], 6);
	assert_int_equal(call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0,
			      GUEST + 8), 0);
	assert_int_equal(fd[3], 6);
	fd[0] = -1;
	host.answer = two;
	assert_int_equal(call(SYS_pipe2, GUEST, 0), -EMFILE);
	assert_int_equal(fd[0], -1);
	assert_int_equal(fcntl(FD_BASE, F_GETFD), -1);
}

static long readable(long nr, const uint64_t *arg)
{
	struct pollfd *p = (struct pollfd *)arg[0];

	(void)nr;
	for (uint64_t i = 0; i < arg[1]; i++) {
		assert_true(p[i].fd < FD_BASE);
		p[i].revents = p[i].fd < 0 ? 0 : POLLIN;
	}
	return 1;
}

static void poll_answers_nval_for_ours(void **state)
{
	struct pollfd *p = (struct pollfd *)GUEST;

	(void)state;
	catch_faults();
	host.answer = readable;
	p[0] = (struct pollfd){ 3, POLLIN, 0 };
	p[1] = (struct pollfd){ -1, POLLIN, 0x7f };
	assert_int_equal(call(SYS_poll, GUEST, 2, -1), 1);
	assert_int_equal(host.arg[2], -1);
	assert_int_equal(p[0].revents, POLLIN);
	assert_int_equal(p[1].revents, 0);

	p[1] = (struct pollfd){ FD_BASE, POLLIN, 0 };
	p[2] = (struct pollfd){ INT_MIN, POLLIN, 0 };
	assert_int_equal(call(SYS_poll, GUEST, 3, -1), 2);
	assert_int_equal(host.arg[2], 0);	/* does not sleep */
	assert_int_equal(p[1].fd, FD_BASE);
	assert_int_equal(p[1].revents, POLLNVAL);
	assert_int_equal(p[2].revents, 0);
	assert_int_equal(call(SYS_poll, GUEST, FD_BASE + 1, 0), -EINVAL);
	assert_int_equal(call(SYS_poll, GUEST + GUEST_SIZE - 8, 200, 0),
			 -EFAULT);
	assert_int_equal(call(SYS_poll, 0, 1, 0), -EFAULT);
}

static void select_is_clipped(void **state)
{
	(void)state;
	assert_int_equal(call(SYS_select, 1024, GUEST, 0, 0, 0), 0);
	assert_int_equal(host.arg[0], FD_BASE);
	assert_int_equal(call(SYS_select, 65, DUNE_ARENA_HI - 16, 0, 0, 0), 0);
	assert_int_equal(call(SYS_select, 65, 0, DUNE_ARENA_HI - 8, 0, 0),
			 -EFAULT);
	assert_int_equal(call(SYS_select, -1, GUEST, 0, 0, 0), -EINVAL);
}

static void epoll(void **state)
{
	(void)state;
	assert_int_equal(call(SYS_epoll_ctl, 3, EPOLL_CTL_ADD, FD_BASE, GUEST),
			 -EBADF);
	assert_int_equal(call(SYS_epoll_wait, 3, DUNE_ARENA_HI - 24, 2, 0),
			 0);
	assert_int_equal(call(SYS_epoll_wait, 3, DUNE_ARENA_HI - 24, 3, 0),
			 -EFAULT);
}

static void limits(void **state)
{
	struct rlimit *r = (struct rlimit *)GUEST;

	(void)state;
	assert_int_equal(call(SYS_getrlimit, RLIMIT_NOFILE, GUEST), 0);
	assert_int_equal(r->rlim_cur, FD_BASE);
	assert_int_equal(r->rlim_max, FD_BASE);
	r->rlim_max = FD_BASE + 1;
	assert_int_equal(call(SYS_setrlimit, RLIMIT_NOFILE, GUEST), -EPERM);
	*r = (struct rlimit){ 20, 10 };
	assert_int_equal(call(SYS_setrlimit, RLIMIT_NOFILE, GUEST), -EINVAL);
	*r = (struct rlimit){ 20, FD_BASE };
	assert_int_equal(call(SYS_prlimit64, 0, RLIMIT_NOFILE, GUEST,
			      GUEST + 32), 0);
	assert_int_equal(r[2].rlim_cur, FD_BASE);
	assert_int_equal(call(SYS_dup2, 3, 20), -EBADF);
	assert_int_equal(call(SYS_fcntl, 3, F_DUPFD, 20), -EINVAL);
	*r = (struct rlimit){ FD_BASE, FD_BASE };
	assert_int_equal(call(SYS_prlimit64, getpid(), RLIMIT_NOFILE, GUEST,
			      0), 0);
	assert_int_equal(call(SYS_prlimit64, getppid(), RLIMIT_CPU, 0, GUEST),
			 -EPERM);
	/* those that would strike the monitor never get to the host */
	*r = (struct rlimit){ 1, 1 };
	assert_int_equal(call(SYS_setrlimit, RLIMIT_AS, GUEST), 0);
	assert_int_equal(host.calls, 0);
	*r = (struct rlimit){ 0, 0 };
	assert_int_equal(call(SYS_getrlimit, RLIMIT_AS, GUEST), 0);
	assert_int_equal(r->rlim_cur, 1);
	assert_int_equal(call(SYS_getrlimit, RLIMIT_CPU, GUEST), 0);
	assert_int_equal(host.nr, SYS_prlimit64);
	assert_int_equal(call(SYS_getrlimit, RLIMIT_CPU, 0), -EFAULT);
}

/* A number is what it is now, by whatever call it became that. */
static void types_of_descriptors(void **state)
{
	enum { AT = 60 };
	static const struct {
		long nr;
		uint64_t arg[3];
	} closing[] = {
		{ SYS_close, { AT } },
		{ SYS_close_range, { AT - 5, AT + 5 } },
		{ SYS_close_range, { 3, ~0u } },
		{ SYS_dup2, { 3, AT } },
		{ SYS_dup3, { 3, AT } },
	};
	int null = open("/dev/null", O_RDWR), tree = open("/", O_RDONLY);
	int p[2], s[2], e = epoll_create1(0);

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_int_equal(dune_fdtype(null), DUNE_FD_FILE);
	assert_int_equal(dune_fdtype(tree), DUNE_FD_FILE);
	assert_int_equal(dune_fdtype(e), DUNE_FD_OTHER);
	assert_int_equal(dune_fdtype(p[1]), DUNE_FD_PIPE);
	assert_int_equal(dune_fdtype(s[1]), DUNE_FD_SOCKET);
	assert_int_equal(dune_fdtype(-1), DUNE_FD_NONE);
	assert_int_equal(dune_fdtype(AT), DUNE_FD_NONE);
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(closing); i++) {
		const uint64_t *a = closing[i].arg;

		assert_int_equal(dup2(s[0], AT), AT);
		assert_int_equal(dune_fdtype(AT), DUNE_FD_SOCKET);
		/* remembered, whoever changes it behind our back */
		assert_int_equal(dup2(null, AT), AT);
		assert_int_equal(dune_fdtype(AT), DUNE_FD_SOCKET);
		call(closing[i].nr, a[0], a[1], a[2]);
		assert_int_equal(dune_fdtype(AT), DUNE_FD_FILE);
		call(SYS_close, AT);
	}
	assert_int_equal(close(AT), 0);
	assert_int_equal(dune_fdtype(AT), DUNE_FD_NONE);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(s[i]);
	}
	dune_fdtype_gone(0, UINT_MAX);
	assert_int_equal(dune_fdtype(p[0]), DUNE_FD_NONE);
	close(null);
	close(tree);
	close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_descriptor_at_the_limit_is_emfile),
		TEST(dup_to_a_hidden_number),
		TEST(close_range_ends_before_ours),
		TEST(fcntl_by_command),
		TEST(asynchronous),
		TEST(pairs),
		TEST(poll_answers_nval_for_ours),
		TEST(select_is_clipped),
		TEST(epoll),
		TEST(limits),
		TEST(types_of_descriptors),
	};

	return cmocka_run_group_tests_name("sys-fd", tests, guest_setup, NULL);
}
