/*
 * The lifeline: a pipe whose write end the supervisor alone holds and never
 * writes to. When it is closed, in whatever way the supervisor ended, the
 * kernel kills every process that holds the other end as here. Nothing that a
 * program does to its signals, session or parents changes that.
 */
#ifndef DUNE_KERN_LIFELINE_H
#define DUNE_KERN_LIFELINE_H

/*
 * This process holds it from now on. fd: the read end, which all processes of
 * the sandbox share, not blocking; 0: there is none. *held: what the process it
 * was copied from has held, -1 if nothing; becomes this one's own. Both lie
 * beyond the guest's reach. First thing in a new image and in a new process,
 * while no guest code has run in it. Does not return when the supervisor is
 * gone. -errno, with a message: it cannot be held, so the process must end.
 */
int dune_lifeline_hold(int fd, int *held);

#endif
