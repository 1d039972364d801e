/*
 * The state that goes from one monitor image to the next: from the supervisor
 * to the first one, and through every execve, packed into an argument
 * (task/pack.h). After it come the program's path and its arguments.
 */
#ifndef DUNE_KERN_STATE_H
#define DUNE_KERN_STATE_H

#include "kern/policy/policy.h"
#include "kern/task/task.h"
#include "kern/vm/vm.h"

struct dune_state {
	struct dune_policy policy;
	struct dune_kvm_kind kind;
	int kvm_fd, broker, self_fd;	/* internal descriptors */
	int lifeline;			/* task/lifeline.h, 0: none */
	int kind_fd;			/* a pipe that brings `kind` and
					 * `vvar_size` to the first image,
					 * 0: they are there or not asked yet */
	int fd_base;
	int prog_fd;			/* the program itself, 0: by its path */
	int prog_name_fd;		/* its number in the program */
	unsigned int nofile;		/* the program's own soft limit of
					 * descriptors, at most fd_base */
	bool confined;			/* the walls are already up */
	uint64_t deadline_ns;		/* CLOCK_MONOTONIC, 0: none */
	struct dune_limits limits;	/* of the program, where kept */
	uint64_t sigmask;
	uint64_t ignored;		/* signals the host cannot remember */
	uint64_t vvar_size;		/* the host's; cannot be asked behind
					 * the walls */
	uint32_t argc, envc;		/* of the program */
};

/* argv[1] of a monitor that goes on after execve. */
#define DUNE_EXEC_OPTION "--dune-exec"
/* The first byte of each string of its environment. */
#define DUNE_EXEC_ENV	'='

/* The internal descriptors: kept over execve or closed by it. */
void dune_state_keep_open(const struct dune_state *state, bool keep);

/*
 * The first program of the sandbox: builds the walls, makes VM and task, and
 * runs. Called in the first guest process, by the supervisor's child.
 * Only returns on failure: a negative errno with a message; -ENOENT and
 * -EACCES, -ENOEXEC are about the program (exit 127, 126), others ours (125).
 */
int dune_start(struct dune_state *state, const char *path,
	       char *const *argv, char *const *envp);

/*
 * The same without a program: behind the walls and with a VM that holds
 * nothing, not even the vDSO, `fill` brings memory, registers and signals. 0,
 * or an error with a message, which is returned.
 */
typedef int dune_start_fn(struct dune_task *task, void *ctx);
int dune_start_with(struct dune_state *state, const char *name,
		    dune_start_fn *fill, void *ctx);

/*
 * dune-run's main calls this first: if this image was started by execve of
 * a guest process (argv[1] is DUNE_EXEC_OPTION), goes on as the new program
 * and does not return; otherwise returns.
 */
void dune_resume(int argc, char **argv);

#endif
