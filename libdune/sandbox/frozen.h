/* The monitor's side of snapshots in files: save.c, restore.c. */
#ifndef DUNE_SANDBOX_FROZEN_H
#define DUNE_SANDBOX_FROZEN_H

#include "kern/sys/sys.h"
#include "kern/task/task.h"
#include "libdune/sandbox/image.h"

/*
 * DUNE_CH_SAVE of the runner: writes its process to the pipe arg[0]. 0; and 1
 * in the process that is made of it. The only guest thread must have called.
 */
dune_sys_handler dune_save;

/* Where the process's part is. */
struct dune_saved {
	int fd;
	uint64_t at;
};

/* dune_start_fn: makes the process of it; ctx is a struct dune_saved. */
int dune_restore(struct dune_task *t, void *ctx);

/* What programs find out about the CPU, as far as it is theirs to use. */
void dune_cpu_features(const struct dune_kvm_kind *kind,
		       uint32_t v[DUNE_IMAGE_FEATURES]);

#endif
