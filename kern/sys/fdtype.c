/*
 * Types of descriptors. A word for each: the type, and above it a count that
 * moves when the number is closed, so that an answer which is older than that
 * is not kept.
 */
#include "kern/sys/fdtype.h"

#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include "kern/sys/internal.h"

#define KNOWN	1024u		/* numbers from here on are asked each time */
#define TYPE	7u

static uint32_t known[KNOWN];

/* /dev/null, zero, full and urandom. */
static bool is_memory(const struct stat *st)
{
	unsigned int n = minor(st->st_rdev);

	return major(st->st_rdev) == 1 &&
	       (n == 3 || n == 5 || n == 7 || n == 9);
}

enum dune_fdtype dune_fdtype_of(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return DUNE_FD_FILE;
	case S_IFCHR:
		return is_memory(st) ? DUNE_FD_FILE : DUNE_FD_OTHER;
	case S_IFIFO:
		return DUNE_FD_PIPE;
	case S_IFSOCK:
		return DUNE_FD_SOCKET;
	}
	/* eventfds and their like have no type at all */
	return DUNE_FD_OTHER;
}

/* Asking such a one without waiting would take less than it is to give. */
static bool waits_for_more(int fd)
{
	int low;
	socklen_t len = sizeof(low);

	return dune_own(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVLOWAT, &low,
			&len) || low > 1;
}

static enum dune_fdtype ask(int fd)
{
	enum dune_fdtype type;
	struct stat st;

	if (dune_own(SYS_fstat, fd, &st))
		return DUNE_FD_NONE;
	type = dune_fdtype_of(&st);
	return type == DUNE_FD_SOCKET && waits_for_more(fd) ? DUNE_FD_OTHER :
							      type;
}

enum dune_fdtype dune_fdtype(int fd)
{
	enum dune_fdtype type;
	uint32_t seen;

	if ((unsigned int)fd >= KNOWN)
		return ask(fd);
	seen = __atomic_load_n(&known[fd], __ATOMIC_ACQUIRE);
	if (seen & TYPE)
		return seen & TYPE;
	type = ask(fd);
	if (type != DUNE_FD_NONE)
		__atomic_compare_exchange_n(&known[fd], &seen, seen | type,
					    false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
	return type;
}

void dune_fdtype_gone(unsigned int first, unsigned int last)
{
	for (unsigned int fd = first; fd < KNOWN && fd <= last; fd++) {
		uint32_t seen = __atomic_load_n(&known[fd], __ATOMIC_ACQUIRE);

		while (!__atomic_compare_exchange_n(&known[fd], &seen,
						    (seen | TYPE) + 1, false,
						    __ATOMIC_ACQ_REL,
						    __ATOMIC_ACQUIRE))
			;
	}
}

void dune_fdtype_forget(void)
{
	dune_fdtype_gone(0, UINT_MAX);
}

void dune_fdtype_closed(const struct dune_call *c)
{
	switch (c->nr) {
	case SYS_close:
		dune_fdtype_gone(c->arg[0], c->arg[0]);
		break;
	case SYS_close_range:
		dune_fdtype_gone(c->arg[0], c->arg[1]);
		break;
	default:	/* dup2, dup3 */
		dune_fdtype_gone(c->arg[1], c->arg[1]);
	}
}
