/* Threads and processes made in Dune mode. */
#ifndef DUNE_KERN_SELF_CLONE_H
#define DUNE_KERN_SELF_CLONE_H

struct dune_task;
struct dune_call;

/*
 * clone, clone3, fork, vfork. A thread starts in Dune mode, with a vCPU of its
 * own. A forked child goes on in Dune mode in a VM of its own. A child that
 * shares its parent's memory (vfork, posix_spawn) goes on natively: it is about
 * to execute something else.
 */
long dune_self_clone(struct dune_task *t, struct dune_call *c);
/* exit(2): does not return but for a signal to deliver first. */
long dune_self_exit_thread(struct dune_task *t, struct dune_call *c);

#endif
