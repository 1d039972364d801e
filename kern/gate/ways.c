/*
 * The calls that the proxy serves. A row's `proxy` names a way: a function that
 * serves the call or declines it, when it could wait for long or when its
 * effect would be on the calling thread. A guest that changes things between
 * the look and the call makes the proxy wait, and with it its own threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "kern/gate/gate.h"
#include "kern/mm/uaccess.h"
#include "kern/sys/batch.h"
#include "kern/sys/fdtype.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"
#include "kern/vm/mailbox.h"

/* Bytes: takes longer than the exit it would save. */
#define LONG_COPY (1l << 20)
/* The guest looks for an answer for some 50 us. */
#define BATCH_NS 30000

static bool serve(struct dune_task *t, struct dune_call *c, long *ret)
{
	*ret = dune_sys_serve(t, c);
	return true;
}

/*
 * A pipe or socket without a reader, or a file grown beyond its limit, sends a
 * signal to the thread: once more, then, by the guest's own.
 */
static bool serve_write(struct dune_task *t, struct dune_call *c, long *ret)
{
	*ret = dune_sys_serve(t, c);
	return *ret != -EPIPE && *ret != -EFBIG;
}

static bool nonblocking(const struct dune_call *c)
{
	long flags = dune_own(SYS_fcntl, (int)c->arg[0], F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

/* Of argument 0: a file, or nothing at all, which is an error at once. */
static bool is_file(enum dune_fdtype type)
{
	return type == DUNE_FD_FILE || type == DUNE_FD_NONE;
}

static bool file_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return is_file(dune_fdtype(c->arg[0])) && serve_write(t, c, ret);
}

/*
 * What a call that does not wait came to. EAGAIN is the answer only where the
 * guest asked for it. EOPNOTSUPP: such files cannot be asked this way. EPIPE
 * sends a signal, as above.
 */
static bool answers(const struct dune_call *c, long ret)
{
	if (ret == -EAGAIN)
		return nonblocking(c);
	return ret != -EOPNOTSUPP && ret != -EPIPE && ret != -EINTR;
}

/* read(2) or write(2) on a pipe, unless it would wait. */
static bool pipe_nowait(struct dune_call *c, long nr, long *ret)
{
	struct iovec iov = { (void *)(uintptr_t)c->arg[1], c->arg[2] };

	*ret = dune_own(nr, (int)c->arg[0], &iov, 1, -1, 0, RWF_NOWAIT);
	return answers(c, *ret);
}

/* read(2) on a socket; of nothing, it is not the same as recv(2). */
static bool socket_nowait(struct dune_call *c, long *ret)
{
	*ret = dune_own(SYS_recvfrom, (int)c->arg[0], c->arg[1], c->arg[2],
			MSG_DONTWAIT);
	return answers(c, *ret);
}

static bool read_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	enum dune_fdtype type = dune_fdtype(c->arg[0]);

	if (is_file(type))
		return serve(t, c, ret);
	if (type == DUNE_FD_OTHER)
		return false;
	if (c->nr == SYS_read && c->arg[2])
		return type == DUNE_FD_PIPE ?
			pipe_nowait(c, SYS_preadv2, ret) :
			socket_nowait(c, ret);
	return nonblocking(c) && serve(t, c, ret);
}

static bool write_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	enum dune_fdtype type = dune_fdtype(c->arg[0]);

	if (is_file(type))
		return serve_write(t, c, ret);
	if (type == DUNE_FD_OTHER)
		return false;
	/* as much as goes in as a whole or not at all */
	if (c->nr == SYS_write && type == DUNE_FD_PIPE &&
	    c->arg[2] && c->arg[2] <= PIPE_BUF)
		return pipe_nowait(c, SYS_pwritev2, ret);
	return nonblocking(c) && serve_write(t, c, ret);
}

/* sendto: flags in argument 3; sendmsg: in argument 2. */
static bool send_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	int at = c->nr == SYS_sendmsg ? 2 : 3;

	return (c->arg[at] & MSG_DONTWAIT || nonblocking(c)) &&
	       serve_write(t, c, ret);
}

/* recvfrom, recvmsg; MSG_WAITALL would not be what it says without waiting. */
static bool recv_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	int at = c->nr == SYS_recvmsg ? 2 : 3;

	if (c->arg[at] & MSG_DONTWAIT)
		return serve(t, c, ret);
	if (c->arg[at] & MSG_WAITALL ||
	    dune_fdtype(c->arg[0]) != DUNE_FD_SOCKET)
		return nonblocking(c) && serve(t, c, ret);
	c->arg[at] |= MSG_DONTWAIT;
	return serve(t, c, ret) && answers(c, *ret);
}

static bool accept_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return nonblocking(c) && serve(t, c, ret);
}

/*
 * A signal ends a copy early, but not one that somebody else makes: a long one
 * is the thread's own. Many ask for more than there is.
 */
static bool is_long(int from, uint64_t count)
{
	struct stat st;

	return count > (uint64_t)LONG_COPY &&
	       (dune_own(SYS_fstat, from, &st) || st.st_size > LONG_COPY);
}

static bool copy_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return !is_long(c->arg[0], c->arg[4]) && file_way(t, c, ret);
}

/* From a file into what does not wait. */
static bool sendfile_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return is_file(dune_fdtype(c->arg[1])) &&
	       !is_long(c->arg[1], c->arg[3]) &&
	       (is_file(dune_fdtype(c->arg[0])) || nonblocking(c)) &&
	       serve_write(t, c, ret);
}

/* Does closing the socket wait until all is sent? */
static bool lingers(const struct dune_call *c)
{
	struct linger l;
	socklen_t len = sizeof(l);

	return dune_own(SYS_getsockopt, (int)c->arg[0], SOL_SOCKET, SO_LINGER,
			&l, &len) || (l.l_onoff && l.l_linger);
}

static bool close_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	enum dune_fdtype type = dune_fdtype(c->arg[0]);

	return type != DUNE_FD_OTHER &&
	       (type != DUNE_FD_SOCKET || !lingers(c)) && serve(t, c, ret);
}

/* A wait for events, when there are some. */
static bool events(struct dune_task *t, struct dune_call *c, int timeout,
		   long *ret)
{
	bool waits = (int)c->arg[timeout];

	c->arg[timeout] = 0;
	*ret = dune_sys_serve(t, c);
	return *ret || !waits;
}

/* A signal mask would be the calling thread's. */
static bool epoll_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return (c->nr == SYS_epoll_wait || !c->arg[4]) && events(t, c, 3, ret);
}

static bool poll_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return events(t, c, 2, ret);
}

static bool one_of(const unsigned int *cmds, size_t n, unsigned int cmd)
{
	for (size_t i = 0; i < n; i++)
		if (cmds[i] == cmd)
			return true;
	return false;
}

static bool fcntl_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	static const unsigned int cmds[] = {
		F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC,
		F_GETLK, F_SETLK, F_OFD_GETLK, F_OFD_SETLK,
	};

	return one_of(cmds, DUNE_ARRAY_SIZE(cmds), c->arg[1]) &&
	       serve(t, c, ret);
}

static bool ioctl_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	static const unsigned int cmds[] = {
		FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS,
	};

	return one_of(cmds, DUNE_ARRAY_SIZE(cmds), c->arg[1]) &&
	       serve(t, c, ret);
}

/* Where the row has its first path. */
static int path_at(const struct dune_call *c)
{
	int i = 0;

	while (i < 5 && c->row->arg[i].kind != DUNE_A_PATH)
		i++;
	return i;
}

/* /proc has names that mean the thread that asks. */
static bool thread_free(const struct dune_call *c)
{
	char start[5];

	return !dune_copy_in(start, c->arg[path_at(c)], sizeof(start)) &&
	       memcmp(start, "/proc", sizeof(start));
}

static bool path_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return thread_free(c) && serve(t, c, ret);
}

/* Opening a FIFO waits for its other end, a device for anything. */
static bool open_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	int at = path_at(c), dir = at ? (int)c->arg[0] : AT_FDCWD;
	struct stat st;

	if (!thread_free(c))
		return false;
	if (!dune_own(SYS_newfstatat, dir, c->arg[at], &st, 0) &&
	    dune_fdtype_of(&st) != DUNE_FD_FILE)
		return false;
	return serve(t, c, ret);
}

/*
 * Memory is the process's, whichever of its threads changes it. What is read
 * in at once may wait for a disk, and a device's mapping for anything.
 */
static bool mmap_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	int flags = c->arg[3];

	return !(flags & (MAP_POPULATE | MAP_LOCKED)) &&
	       (flags & MAP_ANONYMOUS || is_file(dune_fdtype(c->arg[4]))) &&
	       serve(t, c, ret);
}

static bool madvise_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	static const unsigned int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
	};

	return one_of(advice, DUNE_ARRAY_SIZE(advice), c->arg[2]) &&
	       serve(t, c, ret);
}

static bool futex_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	static const unsigned int ops[] = {
		FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, FUTEX_REQUEUE,
		FUTEX_CMP_REQUEUE,
	};

	return one_of(ops, DUNE_ARRAY_SIZE(ops), c->arg[1] & FUTEX_CMD_MASK) &&
	       serve(t, c, ret);
}

static dune_sys_way *const ways[] = {
	[DUNE_PROXY_YES] = serve,
	[DUNE_PROXY_FILE] = file_way,
	[DUNE_PROXY_READ] = read_way,
	[DUNE_PROXY_WRITE] = write_way,
	[DUNE_PROXY_SEND] = send_way,
	[DUNE_PROXY_RECV] = recv_way,
	[DUNE_PROXY_ACCEPT] = accept_way,
	[DUNE_PROXY_SENDFILE] = sendfile_way,
	[DUNE_PROXY_COPY] = copy_way,
	[DUNE_PROXY_EPOLL] = epoll_way,
	[DUNE_PROXY_POLL] = poll_way,
	[DUNE_PROXY_CLOSE] = close_way,
	[DUNE_PROXY_FCNTL] = fcntl_way,
	[DUNE_PROXY_IOCTL] = ioctl_way,
	[DUNE_PROXY_PATH] = path_way,
	[DUNE_PROXY_OPEN] = open_way,
	[DUNE_PROXY_MMAP] = mmap_way,
	[DUNE_PROXY_MADVISE] = madvise_way,
	[DUNE_PROXY_FUTEX] = futex_way,
};

/* Of the thread whose call it is, not the proxy's. */
static bool gettid_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	(void)c;
	*ret = t->tid;
	return true;
}

/* Of a call in a batch: what entry code would answer comes here. */
static dune_sys_way *way_of(long nr)
{
	const struct dune_sysrow *row = dune_sys_row(nr);

	if (nr == SYS_getpid)
		return serve;
	if (nr == SYS_gettid)
		return gettid_way;
	return row ? ways[row->proxy] : NULL;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ul + ts.tv_nsec;
}

static bool one_of_batch(struct dune_task *t, struct dune_call *c,
			 const void *end, long *ret)
{
	dune_sys_way *way = way_of(c->nr);

	return way && now() < *(const uint64_t *)end &&
	       dune_sys_dispatch_by(t, c, way, ret);
}

/* As many as there is time for; none: it is left to the thread. */
static bool serve_batch(struct dune_task *t, const struct dune_call *c,
			long *ret)
{
	uint64_t end = now() + BATCH_NS;

	*ret = dune_batch_serve(t, c, one_of_batch, &end);
	return *ret > 0;
}

bool dune_gate_serve(struct dune_task *t, const struct dune_post *post,
		     long *ret)
{
	struct dune_call call = { .nr = (int)post->nr };
	const struct dune_sysrow *row = dune_sys_row(call.nr);

	memcpy(call.arg, post->arg, sizeof(call.arg));
	if (call.nr == DUNE_NR_BATCH)
		return serve_batch(t, &call, ret);
	return row && row->proxy &&
	       dune_sys_dispatch_by(t, &call, ways[row->proxy], ret);
}
