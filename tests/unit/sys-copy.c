/* Structures with pointers inside: copied in, checked, passed on as a copy. */
#include "sys-host.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static void vectors(void **state)
{
	struct iovec *v = (struct iovec *)GUEST;

	(void)state;
	v[0] = (struct iovec){ (void *)GUEST, 10 };
	v[1] = (struct iovec){ (void *)(DUNE_ARENA_HI - 4), 4 };
	host.ret = 14;
	assert_int_equal(call(SYS_writev, 3, GUEST, 2), 14);
	assert_true(host.arg[1] != GUEST);
	v[1].iov_len = 5;
	assert_int_equal(call(SYS_readv, 3, GUEST, 2), -EFAULT);
	v[1] = (struct iovec){ (void *)0x7fff00000000, 0 };
	assert_int_equal(call(SYS_readv, 3, GUEST, 2), 14);
	v[1] = (struct iovec){ (void *)GUEST, -1 };
	assert_int_equal(call(SYS_preadv, 3, GUEST, 2, 0, 0), -EINVAL);
	assert_int_equal(call(SYS_pwritev2, 3, GUEST, 1025, 0, 0, 0),
			 -EINVAL);
	assert_int_equal(call(SYS_vmsplice, 3, OUTSIDE - 8, 1, 0), -EFAULT);
	/* no vectors: the kernel looks at the descriptor and no further */
	assert_int_equal(call(SYS_readv, 3, 0, 0), 14);
}

static void futexes(void **state)
{
	(void)state;
	/* a number in the fourth argument, not a time */
	assert_int_equal(call(SYS_futex, GUEST, FUTEX_WAKE, 1, OUTSIDE,
			      OUTSIDE), 0);
	assert_int_equal(call(SYS_futex, GUEST, FUTEX_WAIT_PRIVATE, 1,
			      OUTSIDE), -EFAULT);
	assert_int_equal(call(SYS_futex, GUEST, FUTEX_WAIT, 1, 0, OUTSIDE), 0);
	assert_int_equal(call(SYS_futex, GUEST, FUTEX_CMP_REQUEUE_PRIVATE, 1,
			      1, OUTSIDE), -EFAULT);
	assert_int_equal(call(SYS_futex, OUTSIDE, FUTEX_WAKE, 1), -EFAULT);
	assert_int_equal(call(SYS_futex, GUEST, 99, 1), -ENOSYS);
}

static void futex_vectors(void **state)
{
	struct futex_waitv *v = (struct futex_waitv *)GUEST;

	(void)state;
	v[0] = (struct futex_waitv){ .uaddr = GUEST, .flags = 2 };
	assert_int_equal(call(SYS_futex_waitv, GUEST, 1, 0, 0, 0), 0);
	assert_true(host.arg[0] != GUEST);
	v[0].uaddr = OUTSIDE;
	assert_int_equal(call(SYS_futex_waitv, GUEST, 1, 0, 0, 0), -EFAULT);
	assert_int_equal(call(SYS_futex_waitv, GUEST, 129, 0, 0, 0), -EINVAL);
}

static void families(void **state)
{
	(void)state;
	assert_int_equal(call(SYS_socket, AF_UNIX, SOCK_STREAM, 0), 0);
	assert_int_equal(call(SYS_socket, AF_INET, SOCK_STREAM, 0), -EACCES);
	assert_non_null(violation);
	assert_int_equal(call(SYS_socket, AF_NETLINK, SOCK_RAW, 0), -EACCES);
	assert_int_equal(call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0),
			 -EAFNOSUPPORT);
	assert_int_equal(call(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0),
			 -EAFNOSUPPORT);
	policy.net = true;
	assert_int_equal(call(SYS_socket, AF_INET6, SOCK_DGRAM, 0), 0);
	assert_int_equal(call(SYS_socket, AF_NETLINK, SOCK_RAW, 0), 0);
	assert_int_equal(call(SYS_socket, AF_NETLINK, SOCK_RAW, 9),
			 -EPROTONOSUPPORT);
	/* whose options hold pointers */
	assert_int_equal(call(SYS_socket, AF_INET, SOCK_STREAM, 262),
			 -EPROTONOSUPPORT);
	assert_int_equal(call(SYS_socket, AF_INET, SOCK_SEQPACKET, 0),
			 -EPROTONOSUPPORT);
	assert_int_equal(call(SYS_socketpair, AF_INET, SOCK_STREAM, 0, GUEST),
			 -EOPNOTSUPP);
	assert_int_equal(call(SYS_socket, AF_PACKET, SOCK_RAW, 0),
			 -EAFNOSUPPORT);
}

static long is_copy(long nr, const uint64_t *arg)
{
	(void)nr;
	assert_true(arg[1] < DUNE_ARENA_LO || arg[1] >= DUNE_ARENA_HI);
	return 0;
}

static void addresses(void **state)
{
	struct sockaddr_un *un = (struct sockaddr_un *)GUEST;
	struct sockaddr_in *in = (struct sockaddr_in *)GUEST;

	(void)state;
	host.answer = is_copy;
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, "/dev/null");
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*un)), -EACCES);
	assert_non_null(violation);
	assert_int_equal(call(SYS_bind, 3, GUEST, sizeof(*un)), 0);
	/* a name of the kernel's choice is one */
	assert_int_equal(call(SYS_bind, 3, GUEST, 2), -EACCES);
	un->sun_path[0] = 0;
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*un)), -EACCES);
	assert_int_equal(call(SYS_bind, 3, GUEST, sizeof(*un)), -EACCES);
	in->sin_family = AF_INET;
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*in)), -EACCES);
	assert_int_equal(call(SYS_sendto, 3, GUEST, 0, 0, GUEST, 16),
			 -EACCES);
	host.answer = NULL;
	assert_int_equal(call(SYS_sendto, 3, GUEST, 5, 0, 0, 77), 0);
	host.answer = is_copy;
	in->sin_family = AF_UNSPEC;
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*in)), 0);
	/* UDP takes it for AF_INET */
	assert_int_equal(call(SYS_sendto, 3, GUEST, 0, 0, GUEST, 16),
			 -EACCES);
	assert_int_equal(call(SYS_bind, 3, GUEST, sizeof(*in)), -EACCES);
	assert_int_equal(call(SYS_connect, 3, GUEST, 129), -EINVAL);
	assert_int_equal(call(SYS_connect, 3, GUEST, -1), -EINVAL);
	policy.net = true;
	in->sin_family = AF_INET;
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*in)), 0);
	/* with the net, a path still needs a rule */
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, "/dev/null");
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*un)), -EACCES);
	dune_policy_add_path(&policy, "/dev/null", true);
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*un)), 0);
	strcpy(un->sun_path, "/no/such/socket");
	assert_int_equal(call(SYS_connect, 3, GUEST, sizeof(*un)), -ENOENT);
}

/* A message at GUEST with one vector and room for control data. */
static struct msghdr *message(void)
{
	struct msghdr *h = (struct msghdr *)GUEST;
	struct iovec *v = (struct iovec *)(GUEST + 256);

	memset(h, 0, sizeof(*h));
	*v = (struct iovec){ (void *)(GUEST + 1024), 16 };
	h->msg_iov = v;
	h->msg_iovlen = 1;
	h->msg_control = (void *)(GUEST + 512);
	return h;
}

static struct cmsghdr *rights(struct msghdr *h, int fd)
{
	struct cmsghdr *c = h->msg_control;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	h->msg_controllen = CMSG_SPACE(sizeof(fd));
	return c;
}

static long sent(long nr, const uint64_t *arg)
{
	const struct msghdr *k = (const struct msghdr *)arg[1];

	assert_int_equal(nr, SYS_sendmsg);
	/* header, vector and control data are ours, the data is not */
	assert_true((uint64_t)k >= DUNE_ARENA_HI);
	assert_true((uint64_t)k->msg_iov >= DUNE_ARENA_HI);
	assert_true(!k->msg_controllen ||
		    (uint64_t)k->msg_control >= DUNE_ARENA_HI);
	assert_int_equal((uint64_t)k->msg_iov[0].iov_base, GUEST + 1024);
	return 16;
}

static void sending(void **state)
{
	struct msghdr *h = message();
	struct cmsghdr *c;

	(void)state;
	host.answer = sent;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), 16);
	c = rights(h, 5);
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), 16);
	rights(h, FD_BASE);
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), -EBADF);
	/* behind another, and the last one need not end on a boundary */
	c->cmsg_level = SOL_SOCKET + 1;
	memcpy((char *)c + CMSG_SPACE(sizeof(int)), c, CMSG_LEN(sizeof(int)));
	c = (struct cmsghdr *)((char *)c + CMSG_SPACE(sizeof(int)));
	c->cmsg_level = SOL_SOCKET;
	h->msg_controllen = CMSG_SPACE(sizeof(int)) + CMSG_LEN(sizeof(int));
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), -EBADF);
	c = rights(h, FD_BASE);
	/* not a message to the socket layer, so not descriptors */
	c->cmsg_level = SOL_SOCKET + 1;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), 16);
	c->cmsg_len = ~0ul;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), 16);
	c->cmsg_len = 3;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), 16);
	h->msg_controllen = 1ul << 40;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), -ENOBUFS);
	h->msg_controllen = 0;
	h->msg_iovlen = 1025;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), -EMSGSIZE);
	h->msg_iovlen = 1;
	h->msg_iov->iov_base = (void *)0x7fff00000000;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), -EFAULT);
	assert_int_equal(call(SYS_sendmsg, 3, 0, 0), -EFAULT);
}

static void sending_to_an_address(void **state)
{
	struct msghdr *h = message();
	struct sockaddr_in *in = (struct sockaddr_in *)(GUEST + 2048);

	(void)state;
	host.answer = sent;
	h->msg_name = in;
	h->msg_namelen = sizeof(*in);
	in->sin_family = AF_INET;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), -EACCES);
	assert_non_null(violation);
	policy.net = true;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), 16);
	h->msg_name = (void *)OUTSIDE;
	assert_int_equal(call(SYS_sendmsg, 3, GUEST, 0), -EFAULT);
}

static int received_fd;

static long received(long nr, const uint64_t *arg)
{
	struct msghdr *k = (struct msghdr *)arg[1];
	struct cmsghdr *c = k->msg_control;
	int fd = open("/dev/null", O_RDONLY);

	assert_int_equal(nr, SYS_recvmsg);
	assert_true((uint64_t)k->msg_control >= DUNE_ARENA_HI);
	received_fd = fcntl(fd, F_DUPFD, received_fd);
	close(fd);
	k->msg_flags = 0;
	k->msg_namelen = 8;
	if (k->msg_name)
		memcpy(k->msg_name, "\1\0/path", 8);
	if (k->msg_controllen < CMSG_LEN(sizeof(fd))) {
		k->msg_flags |= MSG_CTRUNC;
		k->msg_controllen = 0;
		return 3;
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &received_fd, sizeof(fd));
	k->msg_controllen = CMSG_SPACE(sizeof(fd));
	return 3;
}

static void receiving(void **state)
{
	struct msghdr *h = message();
	struct cmsghdr *c = h->msg_control;

	(void)state;
	host.answer = received;
	h->msg_controllen = 128;
	h->msg_name = (void *)(GUEST + 2048);
	h->msg_namelen = 4;
	received_fd = 20;
	assert_int_equal(call(SYS_recvmsg, 3, GUEST, 0), 3);
	/* the whole length is told, what fits is copied */
	assert_int_equal(h->msg_namelen, 8);
	assert_memory_equal(h->msg_name, "\1\0/p\0\0\0\0", 8);
	assert_int_equal(h->msg_controllen, CMSG_SPACE(sizeof(int)));
	assert_int_equal(h->msg_flags, 0);
	assert_int_equal(*(int *)CMSG_DATA(c), received_fd);
	assert_ptr_equal(h->msg_iov, GUEST + 256);
	close(received_fd);

	received_fd = FD_BASE;
	h->msg_controllen = 128;
	assert_int_equal(call(SYS_recvmsg, 3, GUEST, 0), 3);
	assert_int_equal(h->msg_flags, MSG_CTRUNC);
	assert_int_equal(c->cmsg_len, CMSG_LEN(0));
	assert_int_equal(fcntl(FD_BASE, F_GETFD), -1);
}

/* A kernel that leaves the padding as it is, on a stack full of secrets. */
static long padded(long nr, const uint64_t *arg)
{
	struct msghdr *k = (struct msghdr *)arg[1];
	char *end = (char *)k->msg_control + k->msg_controllen;

	(void)nr;
	for (char *p = k->msg_control; p < end; p++)
		assert_int_equal(*p, 0);
	memset(k->msg_control, 's', k->msg_controllen);
	k->msg_controllen = 0;
	return 1;
}

static void padding_tells_nothing(void **state)
{
	struct msghdr *h = message();

	(void)state;
	host.answer = padded;
	for (int i = 0; i < 2; i++) {
		h->msg_controllen = 128;
		assert_int_equal(call(SYS_recvmsg, 3, GUEST, 0), 1);
	}
}

static unsigned int budget;

static long some(long nr, const uint64_t *arg)
{
	if (!budget)
		return -EAGAIN;
	budget--;
	return nr == SYS_recvmsg ? received(nr, arg) : 7;
}

static void many_messages(void **state)
{
	struct mmsghdr *m = (struct mmsghdr *)GUEST;

	(void)state;
	host.answer = some;
	for (int i = 0; i < 3; i++)
		memset(&m[i], 0, sizeof(m[i]));
	budget = 2;
	assert_int_equal(call(SYS_sendmmsg, 3, GUEST, 3, 0), 2);
	assert_int_equal(m[1].msg_len, 7);
	assert_int_equal(m[2].msg_len, 0);
	assert_int_equal(call(SYS_sendmmsg, 3, GUEST, 3, 0), -EAGAIN);
	budget = 2;
	assert_int_equal(call(SYS_recvmmsg, 3, GUEST, 3, MSG_WAITFORONE, 0),
			 2);
	assert_int_equal(m[1].msg_len, 3);
	assert_int_equal(host.arg[2], MSG_DONTWAIT);
	assert_int_equal(call(SYS_recvmmsg, 3, OUTSIDE - 8, 1, 0, 0),
			 -EFAULT);
}

static long option(long nr, const uint64_t *arg)
{
	(void)nr;
	assert_true(arg[4] >= DUNE_ARENA_HI);
	*(int *)arg[4] = 4;
	return 0;
}

static void socket_options(void **state)
{
	int *len = (int *)GUEST;

	(void)state;
	host.answer = option;
	*len = 16;
	assert_int_equal(call(SYS_getsockopt, 3, SOL_SOCKET, SO_ERROR,
			      GUEST + 64, GUEST), 0);
	assert_int_equal(*len, 4);
	*len = 16;
	assert_int_equal(call(SYS_getsockopt, 3, SOL_SOCKET, SO_ERROR,
			      DUNE_ARENA_HI - 15, GUEST), -EFAULT);
	*len = -1;
	assert_int_equal(call(SYS_getsockopt, 3, SOL_SOCKET, SO_ERROR,
			      GUEST + 64, GUEST), -EINVAL);
	host.answer = NULL;
	assert_int_equal(call(SYS_setsockopt, 3, SOL_SOCKET, SO_ATTACH_FILTER,
			      GUEST, 16), -ENOPROTOOPT);
	assert_int_equal(call(SYS_setsockopt, 3, IPPROTO_IP, 64, GUEST, 16),
			 -ENOPROTOOPT);
	assert_int_equal(call(SYS_setsockopt, 3, 284 /* SOL_MPTCP */, 1,
			      GUEST, 16), -ENOPROTOOPT);
	assert_int_equal(call(SYS_setsockopt, 3, SOL_SOCKET, SO_REUSEADDR,
			      GUEST, 4), 0);
}

static void ioctls(void **state)
{
	struct ifconf *conf = (struct ifconf *)GUEST;

	(void)state;
	assert_int_equal(call(SYS_ioctl, 1, TCGETS, GUEST), 0);
	assert_int_equal(call(SYS_ioctl, 1, TCGETS, DUNE_ARENA_HI - 4),
			 -EFAULT);
	assert_int_equal(call(SYS_ioctl, 1, TIOCSTI, GUEST), -EPERM);
	assert_non_null(violation);
	assert_int_equal(call(SYS_ioctl, 1, 0xae01, 0), -ENOTTY);
	assert_non_null(violation);
	assert_int_equal(call(SYS_ioctl, 1, 0x40049409, 3), -EOPNOTSUPP);
	assert_int_equal(call(SYS_ioctl, 1, SIOCGIFADDR, GUEST), -EACCES);
	policy.net = true;
	assert_int_equal(call(SYS_ioctl, 1, SIOCGIFADDR, GUEST), 0);
	conf->ifc_len = 100;
	conf->ifc_buf = (void *)(GUEST + 64);
	assert_int_equal(call(SYS_ioctl, 1, SIOCGIFCONF, GUEST), 0);
	conf->ifc_buf = (void *)(DUNE_ARENA_HI - 99);
	assert_int_equal(call(SYS_ioctl, 1, SIOCGIFCONF, GUEST), -EFAULT);
}

static void prctls(void **state)
{
	(void)state;
	assert_int_equal(call(SYS_prctl, PR_SET_NAME, GUEST), 0);
	assert_int_equal(call(SYS_prctl, PR_SET_NAME, OUTSIDE), -EFAULT);
	assert_int_equal(call(SYS_prctl, PR_GET_NAME, DUNE_ARENA_HI - 15),
			 -EFAULT);
	assert_int_equal(host.calls, 1);
	assert_int_equal(call(SYS_prctl, PR_GET_DUMPABLE), 1);
	assert_int_equal(call(SYS_prctl, PR_SET_DUMPABLE, 0), 0);
	assert_int_equal(call(SYS_prctl, PR_GET_DUMPABLE), 0);
	assert_int_equal(call(SYS_prctl, PR_GET_SECCOMP), 0);
	assert_int_equal(call(SYS_prctl, PR_SET_SECCOMP, 2, GUEST), -EINVAL);
	assert_int_equal(call(SYS_prctl, PR_SET_MM, 1, GUEST), -EINVAL);
	assert_int_equal(call(SYS_prctl, PR_SET_PTRACER, -1), -EINVAL);
	assert_int_equal(host.calls, 1);
	assert_int_equal(call(SYS_personality, 0xffffffff), 0);
	assert_int_equal(call(SYS_personality, ADDR_NO_RANDOMIZE), 0);
	assert_int_equal(call(SYS_personality, 0xffffffff),
			 ADDR_NO_RANDOMIZE);
	assert_int_equal(call(SYS_personality, READ_IMPLIES_EXEC), -EINVAL);
	assert_int_equal(call(SYS_unshare, 0), 0);
	assert_int_equal(call(SYS_unshare, 0x10000000), -EPERM);
	assert_int_equal(host.calls, 1);
}

static void processes(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(call(SYS_kill, getpid(), 0), 0);
	assert_int_equal(call(SYS_kill, 1, 9), -EPERM);
	assert_non_null(violation);
	assert_int_equal(call(SYS_kill, -1, 9), -EPERM);
	assert_int_equal(call(SYS_kill, 0x80000000, 9), -ESRCH);
	assert_int_equal(call(SYS_kill, -2, 9), -EPERM);
	assert_int_equal(call(SYS_tkill, gettid(), 9), 0);
	assert_int_equal(call(SYS_tkill, 1, 9), -EPERM);
	assert_int_equal(call(SYS_tgkill, getpid(), gettid(), 0), 0);
	assert_int_equal(call(SYS_tgkill, 1, 1, 9), -EPERM);
	assert_int_equal(call(SYS_pidfd_open, 1, 0), -EPERM);
	assert_int_equal(call(SYS_sched_setaffinity, 0, 8, GUEST), 0);
	assert_int_equal(call(SYS_sched_setaffinity, 1, 8, GUEST), -EPERM);
	assert_int_equal(call(SYS_setpriority, 0, 0, 5), 0);
	assert_int_equal(call(SYS_setpriority, 0, 1, 5), -EPERM);
	assert_int_equal(call(SYS_setpriority, 2, 0, 5), -EPERM);
	fd = open("/proc/1", O_RDONLY | O_DIRECTORY);
	assert_int_equal(call(SYS_pidfd_send_signal, fd, 9, 0, 0), -EPERM);
	close(fd);
	policy.landlock_abi = 6;
	assert_int_equal(call(SYS_kill, 1, 9), 0);
	assert_int_equal(call(SYS_kill, -1, 9), -EPERM);
	assert_int_equal(call(SYS_kill, 0, 9), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(vectors),
		TEST(futexes),
		TEST(futex_vectors),
		TEST(families),
		TEST(addresses),
		TEST(sending),
		TEST(sending_to_an_address),
		TEST(receiving),
		TEST(padding_tells_nothing),
		TEST(many_messages),
		TEST(socket_options),
		TEST(ioctls),
		TEST(prctls),
		TEST(processes),
	};

	return cmocka_run_group_tests_name("sys-copy", tests, guest_setup,
					   NULL);
}
