/*
 * What ps(1) shows of a sandboxed process, inside and outside: the program's
 * arguments and environment, where the program has them, so that it may change
 * what is shown, as some servers do. Without this they were the monitor's.
 */
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kern/task/process.h"

/*
 * Needs no right, but a kernel with CONFIG_CHECKPOINT_RESTORE; without it the
 * monitor's arguments are shown. All bounds must be given: those of the heap
 * are as they were, code and data only describe, and older kernels want them
 * below the heap.
 */
void dune_show_arguments(const struct dune_mm *mm)
{
	uint64_t heap = (uintptr_t)sbrk(0);
	struct prctl_mm_map map = {
		.start_code = DUNE_ARENA_LO, .end_code = DUNE_ARENA_LO + 1,
		.start_data = DUNE_ARENA_LO, .end_data = DUNE_ARENA_LO,
		.start_brk = heap, .brk = heap,
		.start_stack = mm->arg_start,
		.arg_start = mm->arg_start, .arg_end = mm->arg_end,
		.env_start = mm->env_start, .env_end = mm->env_end,
		.exe_fd = -1,
	};

	prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}
