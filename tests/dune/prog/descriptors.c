/*
 * The library's own descriptors are not the program's: it may close all there
 * are, takes the lowest number as ever, and few numbers will do.
 */
#include "test.h"

#include <sys/resource.h>
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC	4
#endif

/* The numbers to try: where emulation is slow, those about the library's. */
static int next(int fd)
{
	return fd == 20 ? times(21, 880) : fd + 1;
}

#define LAST	times(5000, 920)

static void *nothing(void *arg)
{
	CHECK(dune_in_dune_mode());
	return arg;
}

static void still_works(void)
{
	pthread_t t;
	pid_t pid = fork();

	if (!pid) {
		CHECK(dune_in_dune_mode());
		_exit(5);
	}
	CHECK(WEXITSTATUS(reap(pid)) == 5);
	CHECK(pthread_create(&t, NULL, nothing, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
}

static void by_number(void)
{
	int fd;

	for (fd = 3; fd < LAST; fd = next(fd))
		close(fd);
	still_works();
}

static void by_range(void)
{
	CHECK(open("/dev/null", O_RDONLY) == 3);
	CHECK(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) == 0);
	CHECK(fcntl(3, F_GETFD) == FD_CLOEXEC);
	CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
	CHECK(fcntl(3, F_GETFD) == -1);
	FAILS(EINVAL, syscall(SYS_close_range, 4, 3, 0));
	FAILS(EINVAL, syscall(SYS_close_range, 3, 9, 64));
	still_works();
}

/* None that the program has not opened can be seen. */
static void unseen(void)
{
	struct stat st;
	int fd;

	for (fd = 3; fd < LAST; fd = next(fd)) {
		FAILS(EBADF, fstat(fd, &st));
		FAILS(EBADF, fcntl(fd, F_GETFD));
		FAILS(EBADF, dup(fd));
	}
}

/* dup2(2) onto every number that there is. */
static void by_others(void)
{
	int fd;

	for (fd = 3; fd < LAST; fd = next(fd))
		if (dup2(0, fd) != fd)
			CHECK(errno == EBADF);
	CHECK(dup2(0, 3) == 3);
	CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
	still_works();
}

static void by_limit(void)
{
	struct rlimit lim = { 16, 16 };

	CHECK(setrlimit(RLIMIT_NOFILE, &lim) == 0);
	still_works();
}

static void entering(void)
{
	CHECK(!dune_in_dune_mode());
	OK(dune_enter());
	still_works();
}

static void limited(void)
{
	struct rlimit lim = { 16, 16 };

	CHECK(setrlimit(RLIMIT_NOFILE, &lim) == 0);
	entering();
}

int main(void)
{
	int fd;

	CHECK(in_child(entering) == 0);
	CHECK(in_child(limited) == 0);
	fd = dup(0);
	close(fd);
	OK(dune_enter());
	CHECK(dup(0) == fd);
	CHECK(close(fd) == 0);
	say("lowest\n");
	CHECK(in_child(by_number) == 0);
	by_number();
	CHECK(in_child(by_range) == 0);
	by_range();
	unseen();
	CHECK(in_child(by_limit) == 0);
	by_others();
	OK(dune_leave());
	CHECK(dup(0) == 3);
	say("all\n");
	return 0;
}
