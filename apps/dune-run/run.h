/* dune-run: what its files share. */
#ifndef DUNE_RUN_H
#define DUNE_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "kern/broker/broker.h"
#include "kern/task/state.h"

/* Exit statuses of our own; else the program's, or 128 + its signal. */
enum {
	DUNE_EXIT_TIME	= 124,	/* a time limit ended the program */
	DUNE_EXIT_OURS	= 125,	/* dune-run itself failed */
	DUNE_EXIT_NOEXEC = 126,	/* the program cannot be executed */
	DUNE_EXIT_NOTFOUND = 127,
};

struct dune_run {
	struct dune_state state;	/* for the first process */
	char **argv;			/* the program and its arguments */
	char **envp;
	char path[PATH_MAX];		/* the program's file */
	bool verbose;
	struct dune_kvm_kind kind;	/* all of it: for --verbose, --stat */
};

/*
 * options.c: fills state.policy and argv. Prints and exits itself on --help,
 * --version and errors (125).
 */
void dune_options(struct dune_run *run, int argc, char **argv);

/* "dune-run: " message, newline; exits. */
void dune_fail(int status) __attribute__((noreturn));

/* program.c */

/* The program's environment, from ours and the policy. NULL: no memory. */
char **dune_environment(const struct dune_policy *p, char *const *inherited);
/*
 * The file that execvp(3) would take for `name`: -ENOENT, -EACCES with a
 * message.
 */
int dune_find_program(const char *name, char *const *envp,
		      char path[PATH_MAX]);
/* Path rules for the program itself, its interpreters and its loader. */
int dune_program_rules(struct dune_policy *p, const char *path,
		       char *const *envp);
/*
 * What the file at path is, the interpreter it names ("": none) and the
 * argument of a #! line. What is wrong with a file is found again, and said,
 * when it is loaded.
 */
enum dune_file { DUNE_OTHER, DUNE_ELF, DUNE_SCRIPT };
enum dune_file dune_interpreter(const char *path, char interp[PATH_MAX],
				char arg[PATH_MAX]);
/* The exit status for a program that did not start because of err. */
int dune_start_status(int err);

/* dune.c: dune-run --dune; does not return. */
void dune_in_dune(int argc, char **argv) __attribute__((noreturn));

/* fds.c */

/* Fills what is closed of 0, 1, 2, and closes all above but --fd's. */
int dune_fds_clean(const struct dune_policy *p);
/*
 * Splits the descriptors: the program's below state->fd_base, ours above.
 * Raises our limit so that the program keeps its own where possible.
 */
int dune_fds_split(struct dune_state *state);
/* Moves a descriptor to ours, without close-on-exec. The new one or -errno. */
int dune_fds_raise(const struct dune_state *state, int fd);
/* In the first process: closes the supervisor's, and what filled 0, 1, 2. */
void dune_fds_child(const struct dune_state *state);
/* In the supervisor: lets go of what the program has, but standard error. */
void dune_fds_parent(const struct dune_state *state);

/* supervisor.c: runs the program to its end; the status to exit with. */
int dune_supervise(struct dune_run *run);

/* stat.c: the table of --stat. */
struct dune_stats;
void dune_print_stats(const struct dune_stats *s, const struct dune_kvm_kind *k,
		      uint64_t wall_ns);

#endif
