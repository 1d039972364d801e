/*
 * A family: a monitor that was executed, and what was forked from it. Its
 * broker and its report socket are served by the keeper.
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/err.h"
#include "libdune/sandbox/config.h"

/* Packets of reports read before other events get their turn. */
#define BATCH 256

/* ---- the phase ---- */

void dune_phase_enter(struct dune_family *f, uint32_t pid)
{
	uint32_t none;

	/* one for each box that loads, of which there are few at a time */
	for (size_t i = 0; ; i = (i + 1) % DUNE_PHASE_PIDS) {
		none = 0;
		if (__atomic_compare_exchange_n(&f->phase->loading[i], &none,
						pid, false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return;
		if (i == DUNE_PHASE_PIDS - 1)
			sched_yield();
	}
}

void dune_phase_leave(struct dune_family *f, uint32_t pid)
{
	for (size_t i = 0; i < DUNE_PHASE_PIDS; i++) {
		uint32_t old = pid;

		if (__atomic_compare_exchange_n(&f->phase->loading[i], &old, 0,
						false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return;
	}
}

/* Ours to write, and nobody else's, ever. */
static int make_phase(struct dune_family *f)
{
	int fd = memfd_create("dune-phase", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return dune_err(-errno, "memfd_create: %s", strerror(errno));
	if (ftruncate(fd, 4096) == 0)
		f->phase = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				MAP_SHARED, fd, 0);
	if (!f->phase || f->phase == MAP_FAILED ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) {
		close(fd);
		return dune_err(-ENOSYS, "memory that only the host writes: "
				"%s; Linux 5.1 or later is needed",
				strerror(errno));
	}
	return fd;
}

/* ---- broker and reports ---- */

static void serve_broker(struct dune_engine *e, struct dune_watch *w)
{
	struct dune_family *f = (void *)((char *)w -
				offsetof(struct dune_family, serve));

	if (dune_broker_serve(f->broker))
		dune_engine_unwatch(e, w);
}

static struct dune_box *find_box(struct dune_family *f, pid_t pid)
{
	struct dune_box *b;

	for (b = f->boxes; b; b = b->next)
		if (b->pid == pid)
			return b;
	return f->stillborn;
}

/*
 * One packet: 1; 0: none now; -1: none will come, for all that could send one
 * have ended. Whose it is, the kernel says.
 */
static int listen_one(struct dune_family *f)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char line[1024];
	struct iovec iov = { .iov_base = line, .iov_len = sizeof(line) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(f->report.fd, &msg, MSG_DONTWAIT);
	struct cmsghdr *c;
	struct ucred who;
	struct dune_box *b;

	if (n <= 0)
		return n == 0 ? -1 : errno == EINTR;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_CREDENTIALS)
		return 1;
	memcpy(&who, CMSG_DATA(c), sizeof(who));
	b = find_box(f, who.pid);
	if (b)
		dune_box_line(b, line, n);
	return 1;
}

void dune_family_listen(struct dune_family *f)
{
	int i, r = 1;

	for (i = 0; i < BATCH && r > 0; i++)
		r = listen_one(f);
	/* or it would be readable for ever */
	if (r < 0)
		dune_engine_unwatch(f->engine, &f->report);
}

static void hear_report(struct dune_engine *e, struct dune_watch *w)
{
	struct dune_family *f = (void *)((char *)w -
				offsetof(struct dune_family, report));

	(void)e;
	dune_family_listen(f);
}

void dune_family_expect(struct dune_family *f, struct dune_box *parent,
			struct dune_box *b)
{
	f->parent = parent;
	f->pending = b;
	/* a plugin in another box must not take the leave meant for it */
	dune_broker_forker(f->broker, parent ? parent->pid : -1);
}

static bool is_known(struct dune_family *f, pid_t pid)
{
	struct dune_box *b;

	for (b = f->boxes; b; b = b->next)
		if (b->pid == pid)
			return true;
	return false;
}

/*
 * The broker was told by a new process, whose pid the kernel says. It may be of
 * a template that was killed meanwhile, and of no use to who waits now.
 */
static void born(void *ctx, pid_t pid, pid_t parent)
{
	struct dune_family *f = ctx;
	struct dune_box *b = f->pending;
	int fd;

	if (b && f->parent->pid != parent)
		b = NULL;

	if (is_known(f, pid))
		return;
	fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return;
	if (!b) {
		/* who asked for it has gone meanwhile */
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
		close(fd);
		return;
	}
	dune_family_expect(f, NULL, NULL);
	dune_box_watch(b, pid, fd);
}

/* ---- the first process ---- */

static int make_config(const struct dune_sandbox_options *o, const char *rules,
		       uint64_t saved)
{
	struct dune_box_config c = {
		.size = sizeof(c), .flags = o->flags,
		.threads = o->threads + o->callers, .rules = strlen(rules),
		.memory = o->memory, .stack = o->stack, .saved = saved,
	};
	int fd = memfd_create("dune-config", MFD_CLOEXEC);

	if (fd < 0)
		return dune_err(-errno, "memfd_create: %s", strerror(errno));
	if (write(fd, &c, sizeof(c)) == sizeof(c) &&
	    write(fd, rules, c.rules) == (ssize_t)c.rules)
		return fd;
	close(fd);
	return dune_err(-ENOMEM, "configuration of a sandbox: no room");
}

/* A socket whose packets tell who sent them. */
static int make_report(struct dune_family *f)
{
	int fd[2], one = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
		return dune_err(-errno, "socketpair: %s; raise ulimit -n if "
				"it is low", strerror(errno));
	setsockopt(fd[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	f->report.fd = fd[0];
	f->report.ready = hear_report;
	return fd[1];
}

enum { NUL_IN, OUT, ERR, CHANNEL, SOCKET, CONFIG, BROKER, REPORT, PHASE,
       RUNNER, FDS };

static int spawn(struct dune_family *f, struct dune_box *b,
		 const struct dune_sandbox_options *o, const char *rules,
		 const struct dune_saved_at *saved)
{
	struct dune_engine *e = f->engine;
	int fd[FDS], sock[2] = { -1, -1 }, null, pidfd = -1, i, r;
	pid_t pid = -1;

	for (i = 0; i < FDS; i++)
		fd[i] = -1;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	r = null < 0 ? dune_err(-errno, "/dev/null: %s", strerror(errno)) : 0;
	if (!r && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		r = dune_err(-errno, "socketpair: %s; raise ulimit -n if it "
			     "is low", strerror(errno));
	if (!r)
		r = fd[CONFIG] = make_config(o, rules, saved ? saved->at : 0);
	if (r >= 0)
		r = fd[REPORT] = make_report(f);
	if (r >= 0)
		r = fd[PHASE] = make_phase(f);
	if (r >= 0)
		r = dune_broker_create(&f->broker, f->policy, &fd[BROKER]);
	if (r >= 0) {
		dune_broker_parent(f->broker, dune_nanny_pid(e->nanny));
		dune_broker_on_born(f->broker, born, f);
		dune_broker_forker(f->broker, -1);
		f->serve.fd = dune_broker_fd(f->broker);
		f->serve.ready = serve_broker;
		fd[NUL_IN] = null;
		fd[OUT] = fd[ERR] = o->output > 0 ? o->output : null;
		fd[CHANNEL] = b->ch_fd;
		fd[SOCKET] = sock[1];
		fd[RUNNER] = saved ? saved->fd : e->runner;
		b->sock = sock[0];
		/* one way only: what the guest writes would fill it up */
		shutdown(b->sock, SHUT_RD);
		/* the linker and the C library are loaded now */
		dune_phase_enter(f, ~0u);
		f->stillborn = b;
		r = pid = dune_nanny_spawn(e->nanny, e->monitor, fd, FDS,
					   &pidfd);
	} else if (sock[0] >= 0) {
		close(sock[0]);
	}
	for (i = CONFIG; i <= PHASE; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	if (sock[1] >= 0)
		close(sock[1]);
	if (null >= 0)
		close(null);
	if (r < 0)
		return r;
	r = dune_box_watch(b, pid, pidfd);
	if (!r)
		r = dune_broker_adopt(f->broker, pid);
	if (!r)
		r = dune_engine_watch(e, &f->serve);
	return r ? r : dune_engine_watch(e, &f->report);
}

int dune_family_create(struct dune_engine *e,
		       const struct dune_sandbox_options *o,
		       const char *rules, const struct dune_saved_at *saved,
		       struct dune_box **first)
{
	struct dune_family *f = calloc(1, sizeof(*f));
	int r;

	if (f)
		f->policy = calloc(1, sizeof(*f->policy));
	if (!f || !f->policy) {
		free(f);
		return dune_err(-ENOMEM, "sandbox: out of memory");
	}
	f->engine = e;
	f->serve.fd = f->report.fd = -1;
	r = dune_box_create(f, o->heap, first);
	if (r) {
		dune_family_drop(f);
		return r;
	}
	dune_box_head(*first, o->callers, o->stack);
	r = spawn(f, *first, o, rules, saved);
	if (r)
		dune_box_free(*first);
	return r < 0 ? r : 0;
}

/* Without boxes. */
void dune_family_drop(struct dune_family *f)
{
	if (f->serve.fd >= 0)
		dune_engine_unwatch(f->engine, &f->serve);
	if (f->broker)
		dune_broker_destroy(f->broker);
	if (f->report.fd >= 0) {
		dune_engine_unwatch(f->engine, &f->report);
		close(f->report.fd);
	}
	if (f->phase)
		munmap(f->phase, 4096);
	free(f->policy);
	free(f);
}
