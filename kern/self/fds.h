/* The library's own descriptors, kept from the program. */
#ifndef DUNE_KERN_SELF_FDS_H
#define DUNE_KERN_SELF_FDS_H

struct dune_task;
struct dune_call;

/* From which number on to have ours, as the limit is now (dune_vm.fd_floor). */
int dune_fds_floor(void);

/*
 * Ours do not exist: for calls with a descriptor first that close it or tell
 * whether it is there; for dup2(2) and dup3(2); for close_range(2).
 */
long dune_fds_hide(struct dune_task *t, struct dune_call *c);
long dune_fds_dup_to(struct dune_task *t, struct dune_call *c);
long dune_fds_close_range(struct dune_task *t, struct dune_call *c);

#endif
