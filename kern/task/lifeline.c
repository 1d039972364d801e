/* The lifeline: a process ends when its supervisor does. */
#include "kern/task/lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "kern/err.h"

/*
 * SIGIO is the open file's, which fork shares: so each process opens the pipe
 * anew. SIGIO as SIGKILL: fcntl(2), F_SETSIG.
 */
static int open_anew(int fd, int above)
{
	char path[sizeof("/proc/self/fd/") + 11];
	int low, high;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	low = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (low < 0)
		return -errno;
	high = fcntl(low, F_DUPFD_CLOEXEC, above);
	if (high < 0)
		high = -errno;
	close(low);
	return high;
}

int dune_lifeline_hold(int fd, int *held)
{
	int own, err;
	char byte;

	if (!fd)
		return 0;
	if (*held >= 0)
		close(*held);
	*held = -1;
	own = open_anew(fd, fd);
	if (own < 0)
		return dune_err(own, "the pipe to dune-run, /proc/self/fd/%d: "
				"%s", fd, strerror(-own));
	*held = own;
	if (fcntl(own, F_SETOWN, getpid()) || fcntl(own, F_SETSIG, SIGKILL) ||
	    fcntl(own, F_SETFL, O_NONBLOCK | O_ASYNC)) {
		err = -errno;
		return dune_err(err, "the pipe to dune-run: %s",
				strerror(-err));
	}
	/* it may have gone before; the new end would not say so */
	if (read(fd, &byte, 1) == 0)
		raise(SIGKILL);
	return 0;
}
