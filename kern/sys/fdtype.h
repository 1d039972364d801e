/*
 * What the process's descriptors are, remembered: who serves calls for others
 * has to know which of them can wait, and asking costs as much as the call.
 *
 * What a descriptor is stays so until it is closed or replaced. Only the
 * guest's calls and the monitor's own closing do that to its numbers, and they
 * say so here when it is done: a number that is free is never known. A guest
 * that has one thread replace a descriptor while another uses it may
 * have the latter's call judged by what it was before.
 */
#ifndef DUNE_KERN_SYS_FDTYPE_H
#define DUNE_KERN_SYS_FDTYPE_H

#include <sys/stat.h>
#include "kern/sys/sys.h"

enum dune_fdtype {
	DUNE_FD_UNKNOWN = 0,	/* never returned */
	DUNE_FD_NONE,		/* not open */
	DUNE_FD_FILE,		/* waits for disks at most: files, directories,
				 * devices that are memory of the kernel's */
	DUNE_FD_PIPE,
	DUNE_FD_SOCKET,		/* that gives what it has, however little */
	DUNE_FD_OTHER,		/* terminals, eventfds, epoll, sockets with
				 * SO_RCVLOWAT ... */
};

enum dune_fdtype dune_fdtype_of(const struct stat *st);

/* Asks the kernel if need be. Thread-safe. */
enum dune_fdtype dune_fdtype(int fd);

/* The numbers from first to last are free or something else by now. */
void dune_fdtype_gone(unsigned int first, unsigned int last);
/* Something may be of another type, whatever its numbers are. */
void dune_fdtype_forget(void);
/* dune_fdtype_gone(), by a call whose row has DUNE_F_CLOSES. */
void dune_fdtype_closed(const struct dune_call *call);

#endif
