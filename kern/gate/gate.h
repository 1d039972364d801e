/*
 * The gate without exits: a host thread, the proxy, serves system calls that
 * guests post in their vCPUs' mailboxes (vm/mailbox.h).
 *
 *   proxy.c   the thread: when it runs, whom it serves
 *   ways.c    which calls it serves, and how none of them makes it wait
 *
 * One a process image, started when a thread's forwarded calls first come
 * fast after each other. It is a thread of the monitor like those that run
 * guests: inside all walls, with the process's files, directory and
 * credentials. It runs no task and has all signals blocked.
 *
 * Not served, so left to the exit path: what belongs to the calling thread or
 * can block, everything under --trace and --report, a vfork child's calls (it
 * has its own files), and all calls once a thread has changed its credentials.
 */
#ifndef DUNE_KERN_GATE_H
#define DUNE_KERN_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* Threads of a process whose calls are served; others take the exit path. */
#define DUNE_GATE_PORTS 32

struct dune_call;
struct dune_task;
struct dune_post;

/* At the start of a task's loop, on its thread; in a vfork's parent, after. */
void dune_gate_attach(struct dune_task *t);
/* Before its vCPU goes to somebody else: at its end, and to a vfork child. */
void dune_gate_detach(struct dune_task *t);
/*
 * In the child of a fork: there is no proxy; t, which has a new vCPU, goes on.
 */
void dune_gate_forked(struct dune_task *t);

/* Moves to the process's counters what entry code answered for t. */
void dune_gate_count(struct dune_task *t);

/*
 * A call came by an exit and is about to be served: notes how fast they come,
 * wakes the proxy when they pay for it, ends its work for good when the call
 * is about credentials. Never fails.
 */
void dune_gate_exit(struct dune_task *t, const struct dune_call *call);

/* ---- between the files ---- */

/*
 * Serves a posted call for the proxy, by whose task it is. False: the exit path
 * must serve it; nothing has been done, nothing is counted.
 */
bool dune_gate_serve(struct dune_task *proxy, const struct dune_post *post,
		     long *ret);

#endif
