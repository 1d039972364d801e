/*
 * Descriptors: the program gets 0, 1, 2 and those named by --fd; ours lie
 * above state.fd_base, where it cannot reach.
 */
#include "apps/dune-run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"

/* Descriptors that programs like to raise their limit to. */
#define GUEST_MIN 16384
/*
 * No more, whatever the limit is: the kernel's table of descriptors reaches up
 * to ours, and fork(2) copies it.
 */
#define GUEST_MAX 65536
/* For ours: a few, and one for each thread of the program. */
#define OURS 4096
/*
 * What we open gets the lowest free number, so it lies above --fd's by a few at
 * most. The kernel looks at each number of a range: not all those below ours.
 */
#define OPENED_MAX (DUNE_POLICY_FDS + 64)

/* Which of 0, 1, 2 the caller had closed. */
static bool was_closed[3];

/* It fails where a filter around us does not know it: always, or never. */
static int close_between(unsigned int first, unsigned int last)
{
	return syscall(SYS_close_range, first, last, 0);
}

/* Closes [first, last] but what --fd names. */
static int close_others(const struct dune_policy *p, unsigned int first,
			unsigned int last)
{
	for (unsigned int fd = first; fd < DUNE_POLICY_FDS; fd++) {
		if (!p->keep_fds[fd])
			continue;
		if (fd > first && close_between(first, fd - 1))
			return -errno;
		first = fd + 1;
	}
	return first <= last && close_between(first, last) ? -errno : 0;
}

int dune_fds_clean(const struct dune_policy *p)
{
	int err;

	for (int fd = 0; fd < DUNE_POLICY_FDS; fd++)
		if (p->keep_fds[fd] && fcntl(fd, F_GETFD) < 0)
			return dune_err(-EBADF, "--fd %d: not open; open it "
					"first, as in %d<FILE", fd, fd);
	err = close_others(p, 3, ~0u);
	/* what is open here would be open in the sandbox */
	if (err)
		return dune_err(err, "close_range: %s; allow it in the seccomp "
				"filter that dune-run runs in",
				strerror(-err));
	/* so that what we open does not become the program's input */
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		was_closed[fd] = true;
		if (open("/dev/null", O_RDWR) != fd)
			return dune_err(-ENODEV, "/dev/null: cannot be "
					"opened: %s; mend /dev",
					strerror(errno));
	}
	return 0;
}

int dune_fds_split(struct dune_state *state)
{
	struct rlimit r;
	rlim_t ours = OURS, guest;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return dune_err(-errno, "limit of open files: %s",
				strerror(errno));
	if (ours > r.rlim_max / 4)
		ours = r.rlim_max / 4;
	guest = r.rlim_cur > GUEST_MIN ? r.rlim_cur : GUEST_MIN;
	if (guest > GUEST_MAX)
		guest = GUEST_MAX;
	if (guest > r.rlim_max - ours)
		guest = r.rlim_max - ours;
	if (ours < 8)
		return dune_err(-EMFILE, "limit of open files: %lu is too "
				"low; ulimit -n 256 or more",
				(unsigned long)r.rlim_max);
	for (rlim_t fd = guest; fd < DUNE_POLICY_FDS; fd++)
		if (state->policy.keep_fds[fd])
			return dune_err(-EMFILE, "--fd %d: beyond the limit of "
					"open files; ulimit -n more",
					(int)fd);
	state->fd_base = guest;
	state->nofile = r.rlim_cur < guest ? r.rlim_cur : guest;
	if (r.rlim_cur < guest + ours) {
		r.rlim_cur = guest + ours;
		if (setrlimit(RLIMIT_NOFILE, &r))
			return dune_err(-errno, "limit of open files: %s",
					strerror(errno));
	}
	return 0;
}

int dune_fds_raise(const struct dune_state *state, int fd)
{
	int high = fcntl(fd, F_DUPFD, state->fd_base);

	if (high < 0)
		high = dune_err(-errno, "descriptors: none left above %d: %s; "
				"raise ulimit -n", state->fd_base,
				strerror(errno));
	close(fd);
	return high;
}

void dune_fds_child(const struct dune_state *state)
{
	unsigned int last = state->fd_base - 1;

	close_others(&state->policy, 3, last < OPENED_MAX ? last : OPENED_MAX);
	for (int fd = 0; fd < 3; fd++)
		if (was_closed[fd])
			close(fd);
}

void dune_fds_parent(const struct dune_state *state)
{
	const struct dune_policy *p = &state->policy;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	close_between(state->fd_base, ~0u);
	for (int fd = 3; fd < DUNE_POLICY_FDS; fd++)
		if (p->keep_fds[fd])
			close(fd);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
}
