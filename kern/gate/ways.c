/*
 * The calls that the proxy serves. A row's `proxy` names a way: a function that
 * serves the call or declines it, when it could wait for long or when its effect
 * would be on the calling thread. A guest that changes things between the look
 * and the call makes the proxy wait, and with it its own threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "kern/gate/gate.h"
#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/task.h"
#include "kern/vm/mailbox.h"

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

/* /dev/null, zero, full and urandom: memory of the kernel's. */
static bool is_memory(const struct stat *st)
{
	unsigned int n = minor(st->st_rdev);

	return major(st->st_rdev) == 1 && (n == 3 || n == 5 || n == 7 || n == 9);
}

/*
 * The type of the file behind argument 0; 0 when there is none. A device that
 * never waits counts as a file.
 */
static mode_t type_of(const struct dune_call *c)
{
	struct stat st;

	if (dune_own(SYS_fstat, (int)c->arg[0], &st))
		return 0;
	if (S_ISCHR(st.st_mode) && is_memory(&st))
		return S_IFREG;
	return st.st_mode & S_IFMT;
}

/* Waits for disks at most. */
static bool is_file(mode_t type)
{
	return type == S_IFREG || type == S_IFDIR;
}

static bool nonblocking(const struct dune_call *c)
{
	long flags = dune_own(SYS_fcntl, (int)c->arg[0], F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

static bool file_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	mode_t type = type_of(c);

	return (!type || is_file(type)) && serve_write(t, c, ret);
}

/* read(2) or write(2) on a pipe or socket, unless it would wait. */
static bool nowait(struct dune_call *c, long nr, long *ret)
{
	struct iovec iov = { (void *)(uintptr_t)c->arg[1], c->arg[2] };

	*ret = dune_own(nr, (int)c->arg[0], &iov, 1, -1, 0, RWF_NOWAIT);
	return *ret != -EAGAIN && *ret != -EOPNOTSUPP && *ret != -EPIPE &&
	       *ret != -EINTR;
}

static bool read_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	mode_t type = type_of(c);

	if (!type || is_file(type))
		return serve(t, c, ret);
	if (type != S_IFIFO && type != S_IFSOCK)
		return false;
	if (nonblocking(c))
		return serve(t, c, ret);
	return c->nr == SYS_read && nowait(c, SYS_preadv2, ret);
}

static bool write_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	mode_t type = type_of(c);

	if (!type || is_file(type))
		return serve_write(t, c, ret);
	if (type != S_IFIFO && type != S_IFSOCK)
		return false;
	if (nonblocking(c))
		return serve_write(t, c, ret);
	/* as much as goes in as a whole or not at all */
	return c->nr == SYS_write && type == S_IFIFO &&
	       c->arg[2] <= PIPE_BUF && nowait(c, SYS_pwritev2, ret);
}

/* sendto, recvfrom: flags in argument 3; sendmsg, recvmsg: in argument 2. */
static bool socket_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	int at = c->nr == SYS_sendmsg || c->nr == SYS_recvmsg ? 2 : 3;

	return (c->arg[at] & MSG_DONTWAIT || nonblocking(c)) &&
	       serve_write(t, c, ret);
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

static bool epoll_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return events(t, c, 3, ret);
}

static bool poll_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	return events(t, c, 2, ret);
}

static bool fcntl_way(struct dune_task *t, struct dune_call *c, long *ret)
{
	static const int cmds[] = {
		F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC,
	};

	for (size_t i = 0; i < DUNE_ARRAY_SIZE(cmds); i++)
		if ((int)c->arg[1] == cmds[i])
			return serve(t, c, ret);
	return false;
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
	    !is_file(st.st_mode & S_IFMT))
		return false;
	return serve(t, c, ret);
}

static dune_sys_way *const ways[] = {
	[DUNE_PROXY_YES] = serve,
	[DUNE_PROXY_FILE] = file_way,
	[DUNE_PROXY_READ] = read_way,
	[DUNE_PROXY_WRITE] = write_way,
	[DUNE_PROXY_SOCKET] = socket_way,
	[DUNE_PROXY_EPOLL] = epoll_way,
	[DUNE_PROXY_POLL] = poll_way,
	[DUNE_PROXY_FCNTL] = fcntl_way,
	[DUNE_PROXY_PATH] = path_way,
	[DUNE_PROXY_OPEN] = open_way,
};

bool dune_gate_serve(struct dune_task *t, const struct dune_post *post,
		     long *ret)
{
	struct dune_call call = { .nr = (int)post->nr };
	const struct dune_sysrow *row = dune_sys_row(call.nr);

	if (!row || !row->proxy)
		return false;
	memcpy(call.arg, post->arg, sizeof(call.arg));
	return dune_sys_dispatch_by(t, &call, ways[row->proxy], ret);
}
