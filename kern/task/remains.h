/* The end of a process, quick for whoever waits for it. */
#ifndef DUNE_KERN_REMAINS_H
#define DUNE_KERN_REMAINS_H

struct dune_task;

/*
 * Last thing before exit_group, on the task's own thread: gives back all that
 * others could miss (descriptors, guest memory, the working directory), and
 * leaves the monitor's own memory and the VM to a helper process, so that the
 * parent is told before the kernel has taken them apart. Where that is not
 * possible or not right it does nothing. The guest cannot run afterwards.
 */
void dune_remains_leave(struct dune_task *t);

#endif
