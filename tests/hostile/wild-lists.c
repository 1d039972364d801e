/*
 * What the kernel follows at a thread's end, pointing outside: robust lists,
 * clear_child_tid, set_tid; then vectors and counts that make no sense.
 */
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "hostile.h"

static struct {
	unsigned long next, offset, pending;
} head;
static unsigned long bad, entry[8];
static int kind;

static void *ends(void *arg)
{
	if (kind == 0)
		syscall(SYS_set_tid_address, bad);
	if (kind == 1)
		syscall(SYS_set_robust_list, bad, 24);
	if (kind >= 2) {
		head.next = kind == 2 ? bad : (unsigned long)entry;
		head.offset = kind == 3 ? bad - (unsigned long)entry : -8l;
		head.pending = kind == 4 ? bad | 1 : 0;
		entry[0] = kind == 5 ? (unsigned long)entry :
			   (unsigned long)&head;
		syscall(SYS_set_robust_list, &head, 24);
	}
	syscall(SYS_exit, 0);
	return arg;
}

static void child(void)
{
	pthread_t t;

	pthread_create(&t, NULL, ends, NULL);
	/* Not joined: with these lists nobody would be woken. */
	msleep(3);
	ends(NULL);
}

int main(void)
{
	static struct iovec iov[1024];
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 1024 };
	struct mmsghdr mm = { m, 0 };
	struct epoll_event ev;
	int fds[2], sv[2], st;

	for (kind = 0; kind < 6; kind++)
		for (unsigned int i = 0; i < OUTSIDE; i += 4) {
			bad = outside[i];
			st = guarded(child);
			if (WIFSIGNALED(st) && WTERMSIG(st) == SIGALRM)
				ESCAPED("list %d at %#lx hangs", kind, bad);
		}
	contained("lists at the end of threads");

	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	for (int i = 0; i < 1024; i++)
		iov[i] = (struct iovec){ (void *)0x400000, SSIZE_MAX };
	REFUSED("readv", readv(fds[0], iov, 1024));
	REFUSED("writev", writev(fds[1], iov, 1024));
	REFUSED("sendmsg", sendmsg(sv[0], &m, 0));
	m.msg_iovlen = 1ul << 40;
	REFUSED("sendmsg", sendmsg(sv[0], &m, 0));
	m.msg_iovlen = 1;
	iov[0].iov_len = 1;
	m.msg_control = iov;
	m.msg_controllen = -1ul;
	REFUSED("controllen", sendmsg(sv[0], &m, 0));
	m.msg_controllen = 1ul << 31;
	REFUSED("controllen", sendmsg(sv[0], &m, 0));
	m.msg_controllen = 0;
	m.msg_namelen = -1;
	m.msg_name = iov;
	REFUSED("namelen", sendmsg(sv[0], &m, 0));
	REFUSED("mmsg", syscall(SYS_sendmmsg, sv[0], 0x1000, -1u, 0));
	REFUSED("mmsg", syscall(SYS_recvmmsg, sv[0], &mm, -1u, MSG_DONTWAIT,
				0x1000));
	REFUSED("poll", syscall(SYS_poll, iov, -1u, 0));
	REFUSED("poll", syscall(SYS_poll, iov, 1 << 30, 0));
	REFUSED("select", syscall(SYS_select, -1, iov, 0, 0, 0));
	syscall(SYS_select, INT_MAX, iov, iov, iov, &(long[2]){ 0 });
	REFUSED("epoll", syscall(SYS_epoll_wait, epoll_create1(0), &ev,
				 INT_MAX, 0));
	REFUSED("getgroups", syscall(SYS_getgroups, -1, iov));
	REFUSED("futex_waitv", syscall(SYS_futex_waitv, iov, -1u, 0, 0, 0));
	REFUSED("process_madvise", syscall(SYS_process_madvise, 0, iov, -1ul,
					   4, 0));
	REFUSED("sched_setaffinity", syscall(SYS_sched_setaffinity, 0, 1u << 31,
					     0x1000));
	REFUSED("rt_sigprocmask", syscall(SYS_rt_sigprocmask, 0, iov, 0, 4096));
	REFUSED("clone3 size", syscall(SYS_clone3, iov, 1ul << 30));
	syscall(SYS_getrandom, 0x400000, SSIZE_MAX, 0);
	CHECK(getpid() > 0);
	contained("counts");
	return 0;
}
