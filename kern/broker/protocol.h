/* What goes over the broker's sockets, and what its server's files share. */
#ifndef DUNE_KERN_BROKER_PROTOCOL_H
#define DUNE_KERN_BROKER_PROTOCOL_H

#include <stdint.h>
#include <sys/types.h>
#include "kern/broker/broker.h"
#include "kern/sys/stats.h"

enum dune_broker_op {
	DUNE_BROKER_PROC = 1,	/* name, offset */
	DUNE_BROKER_FORK,
	DUNE_BROKER_BORN,	/* no answer */
	DUNE_BROKER_MEMBER,	/* pid */
	DUNE_BROKER_STATS,	/* followed by struct dune_stats; no answer */
};

struct dune_broker_request {
	uint32_t op;
	int32_t pid;
	uint64_t seq;		/* comes back in the answer */
	uint64_t offset;
	char name[104];
};

struct dune_broker_answer {
	uint64_t seq;
	int64_t result;		/* bytes that follow, 0, or -errno */
};

/* Bytes of a file in one answer: well below what a socket buffer takes. */
#define DUNE_BROKER_CHUNK (32 * 1024)

/* ---- the server's ---- */

struct dune_member {
	pid_t pid;
	int pidfd;
};

struct dune_members {
	int epoll;		/* every pidfd is in it, by pid */
	struct dune_member *v;
	unsigned int n, cap;
	pid_t parent;		/* its children belong to it; 0: the caller */
};

/* The member with this pid if it is alive now, else NULL. */
struct dune_member *dune_members_find(struct dune_members *m, pid_t pid);
/*
 * Takes up a process if it descends from the sandbox: its parent is a member,
 * or `parent` (to whom orphans fall). 0, -ESRCH, -EPERM, -ENOMEM.
 */
int dune_members_add(struct dune_members *m, pid_t pid);
void dune_members_free(struct dune_members *m);
void dune_member_kill(struct dune_member *who);
/* Takes up whoever descends from the sandbox and did not tell; kills all. */
void dune_members_kill(struct dune_members *m);
/* epoll says that pid's process has ended. */
void dune_members_gone(struct dune_members *m, pid_t pid);

/*
 * Opens a file of the white list on behalf of the member `asker`. The
 * descriptor, -ENOENT when not on the list, -ESRCH.
 */
int dune_broker_open(struct dune_members *m, pid_t asker, const char *name,
		     bool net);

#endif
