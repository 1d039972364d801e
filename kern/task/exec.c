/*
 * execve: checks the program, then executes the monitor's own binary, which
 * goes on in start.c. The host kernel does the rest of execve: close-on-exec,
 * ending the other threads, a new mm.
 *
 * The state and the program's strings go through the arguments: the kernel
 * copies them from the monitor's memory at once. Through a descriptor another
 * guest thread could get at them first.
 */
#include "kern/task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/elf/image.h"
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/sys/sys.h"
#include "kern/task/pack.h"
#include "kern/task/signal.h"
#include "kern/task/state.h"

/* Linux's limit for one string, and more than it ever allows for all. */
#define STRING_MAX	(128 * 1024)
#define STRINGS_MAX	(6 * 1024 * 1024)
#define POINTERS_MAX	(STRINGS_MAX / 8)

/* Before the program's strings: our name, option, state, the path. */
#define OURS		4

/*
 * All that one execve needs, in one mapping: a vfork child's is unmapped by
 * its parent, in whose memory it lies. Untouched pages cost nothing.
 */
struct dune_exec {
	char path[PATH_MAX];
	char packed[STRING_MAX];
	char *argv[POINTERS_MAX];	/* the program's */
	char *envp[POINTERS_MAX];
	char *all[OURS + POINTERS_MAX];		/* the monitor's */
	char *env[POINTERS_MAX];
	size_t used;
	char strings[STRINGS_MAX];
	struct dune_state state;
};

static struct dune_exec *get_memory(struct dune_task *t)
{
	struct dune_exec *x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				   -1, 0);

	if (x == MAP_FAILED)
		return NULL;
	t->exec = x;
	return x;
}

void dune_exec_done(struct dune_task *t)
{
	if (t->exec)
		munmap(t->exec, sizeof(*t->exec));
	t->exec = NULL;
}

/*
 * Copies a NULL-terminated array of guest strings, a byte of room before each.
 * NULL array: empty.
 */
static long copy_array(struct dune_exec *x, char **to, dune_gva_t array)
{
	dune_gva_t p;
	long len;
	long n;

	if (!array)
		return 0;
	for (n = 0; ; n++, array += sizeof(p)) {
		size_t room = STRINGS_MAX - ++x->used;

		if (dune_copy_in(&p, array, sizeof(p)) < 0)
			return -EFAULT;
		if (!p)
			return n;
		if (n == POINTERS_MAX - 1 || x->used >= STRINGS_MAX)
			return -E2BIG;
		len = dune_copy_string(x->strings + x->used, p,
				       room < STRING_MAX ? room : STRING_MAX);
		if (len < 0)
			return len == -ENAMETOOLONG ? -E2BIG : len;
		to[n] = x->strings + x->used;
		x->used += len + 1;
	}
}

static uint64_t stack_limit(const struct dune_proc *p)
{
	const struct dune_limit *kept = &p->limits.v[DUNE_LIMIT_STACK];
	struct rlimit r;

	if (kept->set)
		return kept->cur;
	return getrlimit(RLIMIT_STACK, &r) == 0 ? r.rlim_cur : 0;
}

static int check_program(struct dune_task *t, struct dune_exec *x, int dirfd,
			 int flags)
{
	struct dune_program prog;
	int r = dune_program_open(&prog, dirfd, x->path, flags, x->argv);

	if (r)
		return r;
	r = dune_stack_fits(x->argv, x->envp, prog.execfn,
			    stack_limit(t->proc));
	dune_program_close(&prog);
	return r;
}

/*
 * The next image opens the program again by name; one that was named relative
 * to a descriptor is named by where that descriptor points.
 */
static int name_by_path(int dirfd, char path[PATH_MAX])
{
	char link[64], full[2 * PATH_MAX];
	ssize_t n;

	if (dirfd == AT_FDCWD || path[0] == '/')
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = readlink(link, full, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	snprintf(full + n, sizeof(full) - n, "%s%s", path[0] ? "/" : "", path);
	if (strlen(full) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(path, full);
	return 0;
}

/*
 * A program that is only a descriptor (it may have no name, as a memfd) goes to
 * the next image as one, out of the guest's range. 0: it goes by name.
 */
static int program_fd(const struct dune_task *t, int dirfd, const char *path)
{
	int fd;

	if (path[0] || dirfd == AT_FDCWD)
		return 0;
	fd = fcntl(dirfd, F_DUPFD, t->proc->fd_base);
	return fd < 0 ? -errno : fd;
}

/* SIGSEGV and SIGBUS always have a handler on the host: never SIG_IGN. */
static uint64_t ignored_faults(const struct dune_proc *p)
{
	uint64_t set = 0;

	if (p->action[SIGSEGV].handler == (uint64_t)SIG_IGN)
		set |= DUNE_SIGBIT(SIGSEGV);
	if (p->action[SIGBUS].handler == (uint64_t)SIG_IGN)
		set |= DUNE_SIGBIT(SIGBUS);
	return set;
}

static void fill_state(struct dune_state *s, const struct dune_task *t)
{
	const struct dune_proc *p = t->proc;

	s->policy = *p->policy;
	s->kind = t->mm->vm->kind;
	s->kvm_fd = p->kvm_fd;
	s->broker = p->broker;
	s->self_fd = p->self_fd;
	s->lifeline = p->lifeline;
	s->fd_base = p->fd_base;
	s->confined = true;
	s->sigmask = t->sigmask;
	s->ignored = ignored_faults(p);
	s->limits = p->limits;
	s->vvar_size = t->mm->vvar_size;
}

/* Becomes the next monitor. Only returns on failure. */
static long become(struct dune_task *t, struct dune_exec *x, unsigned int argc,
		   unsigned int envc)
{
	struct dune_state *s = &x->state;
	unsigned int i;
	long r;

	fill_state(s, t);
	s->argc = argc;
	s->envc = envc;
	r = dune_pack(s, sizeof(*s), x->packed, sizeof(x->packed));
	if (r < 0)
		return r;
	x->all[0] = "dune-run";
	x->all[1] = DUNE_EXEC_OPTION;
	x->all[2] = x->packed;
	x->all[3] = x->path;
	memcpy(x->all + OURS, x->argv, argc * sizeof(x->argv[0]));
	/*
	 * As environment, which only the user may read in /proc, but so that
	 * the monitor's own C library finds no variable it knows.
	 */
	for (i = 0; i < envc; i++) {
		x->env[i] = x->envp[i] - 1;
		x->env[i][0] = DUNE_EXEC_ENV;
	}
	r = dune_signal_hold(t);
	if (r)
		return r;
	dune_proc_send_stats(t->proc);
	dune_state_keep_open(s, true);
	execveat(s->self_fd, "", x->all, x->env, AT_EMPTY_PATH);
	r = -errno;
	dune_state_keep_open(s, false);
	dune_signal_release(t);
	return r;
}

static long exec(struct dune_task *t, int dirfd, dune_gva_t path,
		 dune_gva_t argv, dune_gva_t envp, int flags)
{
	struct dune_exec *x = get_memory(t);
	long argc, envc, r;

	if (!x)
		return -ENOMEM;
	r = dune_copy_string(x->path, path, sizeof(x->path));
	if (r >= 0 && strcmp(x->path, "/proc/self/exe") == 0)
		strcpy(x->path, t->proc->exe);
	argc = r < 0 ? r : copy_array(x, x->argv, argv);
	envc = argc < 0 ? argc : copy_array(x, x->envp, envp);
	r = envc;
	/* Linux gives a program without arguments an empty argv[0] */
	if (r >= 0 && argc == 0)
		x->argv[argc++] = "";
	if (r >= 0)
		r = check_program(t, x, dirfd, flags);
	if (!r)
		r = program_fd(t, dirfd, x->path);
	if (r >= 0) {
		x->state.prog_fd = r;
		x->state.prog_name_fd = dirfd;
		r = name_by_path(dirfd, x->path);
	}
	if (!r) {
		r = become(t, x, argc, envc);
		if (x->state.prog_fd)
			close(x->state.prog_fd);
	}
	dune_exec_done(t);
	return r;
}

long dune_sys_execve(struct dune_task *t, struct dune_call *c)
{
	return exec(t, AT_FDCWD, c->arg[0], c->arg[1], c->arg[2], 0);
}

long dune_sys_execveat(struct dune_task *t, struct dune_call *c)
{
	return exec(t, (int)c->arg[0], c->arg[1], c->arg[2], c->arg[3],
		    (int)c->arg[4]);
}
