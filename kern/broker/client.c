/* The broker, as monitors see it. */
#include "kern/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "kern/broker/protocol.h"

/*
 * One pair a process: both ends stay open here, the broker gets a copy of
 * `answer` with each request. A pair made for each request would lie for
 * a moment among the guest's descriptors, where another guest thread could
 * put a socket of its own in its place and answer for the broker.
 */
static struct {
	pthread_mutex_t lock;
	int ask, answer;
	uint64_t seq;
} pair = { .lock = PTHREAD_MUTEX_INITIALIZER, .ask = -1, .answer = -1 };

static int raise_fd(int fd, int above)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, above);

	if (high < 0)
		high = -errno;
	close(fd);
	return high;
}

int dune_broker_attach(int broker)
{
	int fd[2];

	/* another thread of a forking parent may have held the lock */
	pthread_mutex_init(&pair.lock, NULL);
	if (pair.ask >= 0)
		close(pair.ask);
	if (pair.answer >= 0)
		close(pair.answer);
	pair.ask = pair.answer = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
		return -errno;
	pair.ask = raise_fd(fd[0], broker);
	pair.answer = raise_fd(fd[1], broker);
	if (pair.ask < 0)
		return pair.ask;
	return pair.answer < 0 ? pair.answer : 0;
}

/* Sends a request; fd is passed along unless it is -1. */
static int send_request(int broker, struct iovec *iov, size_t n, int fd)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { .h = {
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int)),
	} };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.buf);
		memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	}
	do
		sent = sendmsg(broker, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		/* gone while a request was waiting, or before */
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

/*
 * Waits for the answer. The pair alone would never tell that the broker is
 * gone, for both of its ends are held here.
 */
static int wait_answer(int broker)
{
	struct pollfd p[] = {
		{ .fd = pair.ask, .events = POLLIN }, { .fd = broker },
	};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents)
			return 0;
		if (p[1].revents & (POLLHUP | POLLERR))
			return -EPIPE;
		p[0].revents = p[1].revents = 0;
	}
}

static long take_answer(int broker, uint64_t seq, char *buf, size_t size)
{
	struct dune_broker_answer a;
	struct iovec iov[] = {
		{ .iov_base = &a, .iov_len = sizeof(a) },
		{ .iov_base = buf, .iov_len = size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t got;
	int err;

	do {
		err = wait_answer(broker);
		if (err)
			return err;
		got = recvmsg(pair.ask, &msg, MSG_DONTWAIT);
		/* what somebody killed while waiting left behind */
	} while (got >= (ssize_t)sizeof(a) && a.seq != seq);
	if (got < (ssize_t)sizeof(a))
		return -EPIPE;
	if (a.result > got - (ssize_t)sizeof(a))
		a.result = got - sizeof(a);
	return a.result;
}

static long ask(int broker, struct dune_broker_request *r, char *buf,
		size_t size)
{
	struct iovec iov = { .iov_base = r, .iov_len = sizeof(*r) };
	long result;

	pthread_mutex_lock(&pair.lock);
	r->seq = ++pair.seq;
	result = pair.ask < 0 || pair.answer < 0 ? -ENOTCONN :
		 send_request(broker, &iov, 1, pair.answer);
	if (!result)
		result = take_answer(broker, r->seq, buf, size);
	pthread_mutex_unlock(&pair.lock);
	return result;
}

long dune_broker_proc(int broker, const char *name, char *buf, size_t size)
{
	struct dune_broker_request r = { .op = DUNE_BROKER_PROC };

	if (strlen(name) >= sizeof(r.name))
		return -ENOENT;
	strcpy(r.name, name);
	while (r.offset < size) {
		long got = ask(broker, &r, buf + r.offset, size - r.offset);

		if (got < 0)
			return got;
		if (got == 0)
			break;
		r.offset += got;
	}
	return r.offset;
}

int dune_broker_fork(int broker)
{
	struct dune_broker_request r = { .op = DUNE_BROKER_FORK };

	return ask(broker, &r, NULL, 0);
}

int dune_broker_born(int broker, pid_t parent)
{
	struct dune_broker_request r = {
		.op = DUNE_BROKER_BORN, .pid = parent,
	};
	struct iovec iov = { .iov_base = &r, .iov_len = sizeof(r) };

	return send_request(broker, &iov, 1, -1);
}

int dune_broker_member(int broker, pid_t pid)
{
	struct dune_broker_request r = {
		.op = DUNE_BROKER_MEMBER, .pid = pid,
	};

	return ask(broker, &r, NULL, 0);
}

int dune_broker_stats(int broker, const void *stats, size_t len)
{
	struct dune_broker_request r = { .op = DUNE_BROKER_STATS };
	struct iovec iov[] = {
		{ .iov_base = &r, .iov_len = sizeof(r) },
		{ .iov_base = (void *)stats, .iov_len = len },
	};

	return send_request(broker, iov, 2, -1);
}
