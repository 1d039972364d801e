/*
 * The broker: what confined monitors ask the supervisor outside the walls.
 *
 * A SOCK_SEQPACKET socketpair made before the first guest process. A request
 * carries one end of a fresh socketpair (SCM_RIGHTS) for its answer and the
 * sender's pid (SCM_CREDENTIALS, checked by the kernel), so that any number
 * of processes can ask at once. The broker trusts nothing in a request: a
 * monitor may have been taken over.
 */
#ifndef DUNE_KERN_BROKER_H
#define DUNE_KERN_BROKER_H

#include <stddef.h>
#include <sys/types.h>
#include "kern/policy/policy.h"

/* ---- asked by monitors (client.c); thread-safe ---- */

/*
 * First thing in a new image (start, execve) and in a child of fork, while the
 * process has one thread and no guest code has run: makes the socketpair
 * for answers, at descriptors above `broker`, out of the guest's reach.
 * Not in a child of vfork, which shares its parent's.
 */
int dune_broker_attach(int broker);

/*
 * Contents of a /proc file by its name below /proc, from a fixed white list
 * (server.c): "self/maps", "self/status", "self/task/TID/stat", "cpuinfo" ...
 * "self" is the asking process; another pid must be a process of the sandbox.
 * Returns bytes read (cut at size), -ENOENT when not on the list, -ESRCH for a
 * process outside, -EPIPE when the broker is gone.
 */
long dune_broker_proc(int broker, const char *name, char *buf, size_t size);

/*
 * May the asking process fork? 0, or -EAGAIN when --procs is reached or the
 * sandbox is being ended. The child calls dune_broker_born() first thing (after
 * attach; in a child of vfork without): the broker counts it until its
 * pidfd says it is gone. Leave for a child that is not born within a second
 * lapses. born has no answer.
 */
int dune_broker_fork(int broker);
int dune_broker_born(int broker, pid_t parent);

/* Is pid a process of this sandbox? 0 or -EPERM. (kernels without the
 * Landlock signal scope) */
int dune_broker_member(int broker, pid_t pid);

/* Hands over counters (sys/stats.h), at exit and before execve. No answer. */
int dune_broker_stats(int broker, const void *stats, size_t len);

/* ---- run by the supervisor (server.c, members.c) ---- */

struct dune_broker;
struct dune_stats;

/* Makes the pair; *client is for the monitors. p must outlive the broker. */
int dune_broker_create(struct dune_broker **b, const struct dune_policy *p,
		       int *client);
/* Closes and frees; clients get -EPIPE from then on. */
void dune_broker_destroy(struct dune_broker *b);
/* The sandbox's first processes are children of this one, not the caller's. */
void dune_broker_parent(struct dune_broker *b, pid_t parent);
/*
 * This process may fork, once, however many there are, and nobody else; -1:
 * nobody; 0: all, as --procs allows.
 */
void dune_broker_forker(struct dune_broker *b, pid_t pid);
/*
 * fn is told of each new process, and of whom its monitor says that it is a
 * fork; from within dune_broker_serve().
 */
void dune_broker_on_born(struct dune_broker *b,
			 void (*fn)(void *ctx, pid_t pid, pid_t parent),
			 void *ctx);
/* The first process, just forked by the caller. */
int dune_broker_adopt(struct dune_broker *b, pid_t pid);
/* The descriptor to poll for POLLIN. */
int dune_broker_fd(const struct dune_broker *b);
/* Serves what is waiting, never blocks. 1: all clients are gone. */
int dune_broker_serve(struct dune_broker *b);
/*
 * Kills every process of the sandbox: those known, their children, and the
 * caller's, to whom as subreaper orphans fall; lets none fork from now on. To
 * be repeated until wait(2) says that the caller has no children.
 */
void dune_broker_kill(struct dune_broker *b);
/* Sum of all counters received so far. */
const struct dune_stats *dune_broker_total(const struct dune_broker *b);

#endif
