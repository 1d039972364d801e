/* The broker itself: takes requests, trusts none. */
#include "kern/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "kern/broker/protocol.h"
#include "kern/err.h"

/* Requests served before the caller looks at its clock again. */
#define BATCH 64

struct dune_broker {
	const struct dune_policy *policy;
	int sock;
	struct dune_members members;
	unsigned int leave;		/* forks allowed, not born yet */
	uint64_t leave_ns;		/* when the last was */
	bool ending;
	pid_t forker;			/* who may fork once; 0: all */
	void (*born)(void *ctx, pid_t pid, pid_t parent);
	void *born_ctx;
	struct dune_stats total;
	struct {
		struct dune_broker_request r;
		struct dune_stats stats;
	} in;
	struct {
		struct dune_broker_answer a;
		char data[DUNE_BROKER_CHUNK];
	} out;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

int dune_broker_create(struct dune_broker **out, const struct dune_policy *p,
		       int *client)
{
	/* mapped: its buffers are large, and mostly never touched */
	struct dune_broker *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 0 };
	int fd[2], one = 1, err;

	if (b == MAP_FAILED)
		return dune_err(-ENOMEM, "broker: out of memory; free some");
	b->policy = p;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd)) {
		err = -errno;
		goto no_pair;
	}
	b->sock = fd[0];
	b->members.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b->members.epoll < 0 ||
	    setsockopt(fd[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) ||
	    epoll_ctl(b->members.epoll, EPOLL_CTL_ADD, fd[0], &e)) {
		err = -errno;
		goto no_epoll;
	}
	*client = fd[1];
	*out = b;
	return 0;
no_epoll:
	if (b->members.epoll >= 0)
		close(b->members.epoll);
	close(fd[0]);
	close(fd[1]);
no_pair:
	munmap(b, sizeof(*b));
	return dune_err(err, "broker: cannot make its sockets: %s; raise the "
			"limit of open files if it is low", strerror(-err));
}

void dune_broker_destroy(struct dune_broker *b)
{
	dune_members_free(&b->members);
	close(b->members.epoll);
	close(b->sock);
	munmap(b, sizeof(*b));
}

void dune_broker_parent(struct dune_broker *b, pid_t parent)
{
	b->members.parent = parent;
}

void dune_broker_forker(struct dune_broker *b, pid_t pid)
{
	b->forker = pid;
}

void dune_broker_on_born(struct dune_broker *b,
			 void (*fn)(void *ctx, pid_t pid, pid_t parent),
			 void *ctx)
{
	b->born = fn;
	b->born_ctx = ctx;
}

int dune_broker_adopt(struct dune_broker *b, pid_t pid)
{
	int err = dune_members_add(&b->members, pid);

	/* it may have ended before we got here; that is wait(2)'s to say */
	if (err && err != -ESRCH)
		return dune_err(err, "broker: cannot follow process %d: %s; "
				"Linux 5.3 or later is needed", pid,
				strerror(-err));
	return 0;
}

int dune_broker_fd(const struct dune_broker *b)
{
	return b->members.epoll;
}

const struct dune_stats *dune_broker_total(const struct dune_broker *b)
{
	return &b->total;
}

void dune_broker_kill(struct dune_broker *b)
{
	b->ending = true;
	dune_members_kill(&b->members);
}

static long may_fork(struct dune_broker *b, pid_t asker)
{
	uint64_t now = now_ns();

	if (b->ending || (b->forker && b->forker != asker))
		return -EAGAIN;
	if (b->forker) {
		b->forker = -1;
		return 0;
	}
	/* forks that failed after leave was given must not count for ever */
	if (now - b->leave_ns > 1000000000)
		b->leave = 0;
	if (b->policy->procs &&
	    b->members.n + b->leave >= b->policy->procs)
		return -EAGAIN;
	b->leave++;
	b->leave_ns = now;
	return 0;
}

static long read_file(struct dune_broker *b, pid_t asker,
		      struct dune_broker_request *r)
{
	ssize_t n;
	int fd;

	r->name[sizeof(r->name) - 1] = '\0';
	fd = dune_broker_open(&b->members, asker, r->name, b->policy->net);
	if (fd < 0)
		return fd;
	n = pread(fd, b->out.data, sizeof(b->out.data), r->offset);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

/*
 * to is whatever descriptor the asker chose: send() works on nothing but
 * sockets, and does not wait. A socket that lingers would make close() wait.
 */
static void answer(struct dune_broker *b, int to, uint64_t seq, long result)
{
	struct linger none = { .l_onoff = 0 };
	size_t len = sizeof(b->out.a) + (result > 0 ? result : 0);

	b->out.a.seq = seq;
	b->out.a.result = result;
	send(to, &b->out, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	setsockopt(to, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

static void handle(struct dune_broker *b, size_t len, pid_t asker, int to)
{
	struct dune_broker_request *r = &b->in.r;
	int err = dune_members_add(&b->members, asker);
	struct dune_member *who;
	long result = err;

	if (len < sizeof(*r) || asker <= 0)
		return;
	who = dune_members_find(&b->members, asker);
	if (b->ending && who)
		dune_member_kill(who);
	switch (r->op) {
	case DUNE_BROKER_STATS:
		/* comes from processes about to end: need not be alive */
		if (len == sizeof(b->in))
			dune_stats_add(&b->total, &b->in.stats);
		return;
	case DUNE_BROKER_BORN:
		if (b->leave)
			b->leave--;
		if (b->born && !err)
			b->born(b->born_ctx, asker, r->pid);
		return;
	case DUNE_BROKER_PROC:
		if (!err)
			result = read_file(b, asker, r);
		break;
	case DUNE_BROKER_FORK:
		if (!err)
			result = may_fork(b, asker);
		break;
	case DUNE_BROKER_MEMBER:
		if (!err)
			result = dune_members_find(&b->members, r->pid) ?
				 0 : -EPERM;
		break;
	default:
		result = -ENOSYS;
	}
	if (to >= 0)
		answer(b, to, r->seq, result);
}

/* Keeps one of the descriptors that came, the last; the rest is closed. */
static int take_fd(const struct cmsghdr *c, int kept)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		if (kept >= 0)
			close(kept);
		memcpy(&kept, CMSG_DATA(c) + i * sizeof(int), sizeof(kept));
	}
	return kept;
}

/* One request: 1, or 0 when there is none. */
static int serve_one(struct dune_broker *b)
{
	/* room for few descriptors: the kernel drops what is beyond */
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int)) +
			 CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { .iov_base = &b->in, .iov_len = sizeof(b->in) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct ucred cred = { .pid = 0 };
	struct cmsghdr *c;
	ssize_t n = recvmsg(b->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int to = -1;

	if (n < 0)
		return errno == EINTR;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
		else if (c->cmsg_type == SCM_RIGHTS)
			to = take_fd(c, to);
	}
	if (!(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		handle(b, n, cred.pid, to);
	if (to >= 0)
		close(to);
	return n > 0;
}

int dune_broker_serve(struct dune_broker *b)
{
	struct epoll_event e[BATCH];
	int n = epoll_wait(b->members.epoll, e, BATCH, 0);
	bool gone = false;

	for (int i = 0; i < n; i++) {
		int served = 0;

		if (e[i].data.u64) {
			dune_members_gone(&b->members, e[i].data.u64);
			continue;
		}
		while (served < BATCH && serve_one(b))
			served++;
		/* an empty packet reads like an end, this does not lie */
		gone = served < BATCH && e[i].events & EPOLLHUP;
	}
	return gone;
}
