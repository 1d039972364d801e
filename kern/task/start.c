/* The first program of a monitor image: from the state to the loop. */
#include "kern/task/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/broker/broker.h"
#include "kern/elf/image.h"
#include "kern/err.h"
#include "kern/sys/stats.h"
#include "kern/task/lifeline.h"
#include "kern/task/pack.h"
#include "kern/task/signal.h"
#include "kern/task/state.h"

/* page fault error code, SDM vol. 3, 4.7 */
#define PF_WRITE	(1u << 1)
#define PF_USER		(1u << 2)
#define PF_FETCH	(1u << 4)

/* One process image runs one program: its objects are here, for good. */
static struct dune_vm vm;
static struct dune_mm mm;
static struct dune_proc proc;
static struct dune_stats stats;
static struct dune_task task;
static int lifeline_held = -1;

static void name_process(const char *path)
{
	const char *slash = strrchr(path, '/');

	prctl(PR_SET_NAME, slash ? slash + 1 : path);
}

static int raise_walls(struct dune_state *s)
{
	int r = 0;

	if (!s->confined) {
		if (!s->kind_fd)
			s->vvar_size = dune_vvar_size();
		r = dune_confine(&s->policy, "/proc/self/exe");
		if (r)
			return r;
	}
	r = s->broker < 0 ? 0 : dune_broker_attach(s->broker);
	return r ? dune_err(r, "broker: %s", strerror(-r)) :
		   dune_lifeline_hold(s->lifeline, &lifeline_held);
}

/* Nothing comes: who started us has ended. */
static bool read_all(int fd, void *buf, size_t size)
{
	char *to = buf, *end = to + size;
	ssize_t n = 1;

	while (to < end && n > 0) {
		n = read(fd, to, end - to);
		to += n > 0 ? n : 0;
		if (n < 0 && errno == EINTR)
			n = 1;
	}
	return n > 0;
}

/* Who started us asks KVM, and where the clock's pages are, meanwhile. */
static int wait_for_kind(struct dune_state *s)
{
	bool told = read_all(s->kind_fd, &s->kind, sizeof(s->kind)) &&
		    read_all(s->kind_fd, &s->vvar_size, sizeof(s->vvar_size));

	close(s->kind_fd);
	s->kind_fd = 0;
	return told ? 0 : dune_err(-EPIPE, "what KVM can do was not told");
}

/* The first image of a sandbox finds out what the later ones are told. */
static int make_machine(struct dune_state *s)
{
	int r = s->kind_fd ? wait_for_kind(s) : 0;

	if (!r)
		r = s->confined ?
			dune_vm_create(&vm, s->kvm_fd, s->fd_base, &s->kind,
				       NULL) :
			dune_vm_first(&vm, s->kvm_fd, s->fd_base, &s->kind);
	if (!r)
		r = dune_mm_init(&mm, &vm, s->policy.mem);
	mm.vvar_size = s->vvar_size;
	if (!r)
		r = dune_vcpu_get(&vm, &task.vcpu);
	return r;
}

static void make_process(const struct dune_state *s, const char *exe)
{
	proc.policy = &s->policy;
	proc.stats = &stats;
	stats.processes = !s->confined;
	snprintf(proc.exe, sizeof(proc.exe), "%s", exe);
	proc.fd_base = s->fd_base;
	proc.limits = s->limits;
	if (!s->confined)
		proc.limits.v[DUNE_LIMIT_NOFILE] = (struct dune_limit){
			true, s->nofile, s->fd_base
		};
	proc.broker = s->broker;
	proc.lifeline = s->lifeline;
	proc.lifeline_held = lifeline_held;
	proc.kvm_fd = s->kvm_fd;
	proc.self_fd = s->self_fd;
	pthread_mutex_init(&proc.lock, NULL);
	proc.threads = 1;
	task.mm = &mm;
	task.proc = &proc;
	task.tid = syscall(SYS_gettid);
	task.orig_rax = -1;
	task.altstack.flags = SS_DISABLE;
}

/* Opens, loads, and runs; only returns if the program cannot start. */
static int run_program(struct dune_state *s, const char *path,
		       char *const *argv, char *const *envp)
{
	struct dune_program prog;
	struct dune_loaded loaded;
	int sig, r;

	if (s->prog_fd) {
		r = dune_program_open_fd(&prog, s->prog_fd, s->prog_name_fd,
					 argv);
		close(s->prog_fd);
	} else {
		r = dune_program_open(&prog, AT_FDCWD, path, 0, argv);
	}
	if (r)
		return r;
	r = raise_walls(s);
	if (!r)
		r = make_machine(s);
	dune_limits_apply(&mm, &s->limits);
	if (!r)
		r = dune_mm_map_vdso(&mm);
	if (!r)
		r = dune_program_load(&prog, &mm, envp, &loaded);
	if (r)
		return r;
	make_process(s, loaded.path);
	name_process(path);
	dune_show_arguments(&mm);
	dune_program_close(&prog);
	r = dune_signal_init(&task);
	if (r)
		return r;
	if (s->confined)
		dune_signal_setmask(&task, s->sigmask);
	for (sig = 1; sig <= DUNE_NSIG; sig++)
		if (s->ignored & DUNE_SIGBIT(sig))
			proc.action[sig].handler = (uint64_t)SIG_IGN;
	task.vcpu->u.rip = loaded.entry;
	task.vcpu->u.rsp = loaded.rsp;
	/* what is touched first for sure, without the exits of page faults */
	dune_mm_fault(&mm, loaded.entry, PF_USER | PF_FETCH);
	dune_mm_fault(&mm, loaded.rsp, PF_USER | PF_WRITE);
	dune_task_loop(&task);
	return -EIO;
}

int dune_start(struct dune_state *s, const char *path, char *const *argv,
	       char *const *envp)
{
	return run_program(s, path, argv, envp);
}

int dune_start_with(struct dune_state *s, const char *name,
		    dune_start_fn *fill, void *ctx)
{
	int r = raise_walls(s);

	if (!r)
		r = make_machine(s);
	if (r)
		return r;
	make_process(s, name);
	name_process(name);
	r = dune_signal_init(&task);
	if (!r)
		r = fill(&task, ctx);
	if (!r)
		dune_task_loop(&task);
	return r ? r : -EIO;
}

/* ---- after execve: the state comes packed in an argument ---- */

void dune_state_keep_open(const struct dune_state *s, bool keep)
{
	const int fds[] = { s->kvm_fd, s->self_fd, s->broker,
			    s->lifeline ? s->lifeline : -1,
			    s->policy.trace_fd, s->policy.report_fd };
	size_t i;

	for (i = 0; i < DUNE_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			fcntl(fds[i], F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* Takes the state's packed form out of what ps shows. */
static void hide_state(int argc, char **argv)
{
	char *last = argv[argc - 1], *end = last + strlen(last) + 1;
	size_t shift = argv[3] - argv[2];
	int i;

	memmove(argv[2], argv[3], end - argv[3]);
	memset(end - shift, 0, shift);
	for (i = 3; i < argc; i++)
		argv[i] -= shift;
}

/* argv: our name, the option, the state, the path, the arguments. */
static int resume(int argc, char **argv)
{
	/* kept for the life of the image: the policy is used in place */
	static struct dune_state s;
	unsigned int i;

	if (dune_unpack(argv[2], &s, sizeof(s)) < 0 ||
	    s.policy.version != sizeof(s.policy) ||
	    s.argc + 4 != (unsigned int)argc)
		return dune_err(-EINVAL, "damaged state");
	for (i = 0; i < s.envc; i++)
		if (!environ[i] || *environ[i]++ != DUNE_EXEC_ENV)
			return dune_err(-EINVAL, "damaged environment");
	dune_state_keep_open(&s, false);
	hide_state(argc, argv);
	return run_program(&s, argv[3], argv + 4, environ);
}

void dune_resume(int argc, char **argv)
{
	char line[DUNE_ERR_MAX + 32];
	int n;

	if (argc < 4 || strcmp(argv[1], DUNE_EXEC_OPTION) != 0)
		return;
	resume(argc, argv);
	/* past execve's point of no return: Linux kills such a process */
	n = snprintf(line, sizeof(line), "dune-run: %s\n", dune_errmsg());
	if (write(STDERR_FILENO, line, n) != n)
		n = 0;
	kill(getpid(), SIGKILL);
}
