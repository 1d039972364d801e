/*
 * Sockets: which families exist, and whom one may talk to.
 *
 * Landlock covers neither: pathname sockets are connected without a check of
 * the path, and address families are not its business. The rules:
 *
 *   AF_UNIX pairs      always
 *   AF_UNIX sockets    may be made; bound to a path where the policy lets
 *                      files be made (Landlock: MAKE_SOCK)
 *   connecting, or sending to, or binding an abstract AF_UNIX address, or one
 *                      of the kernel's choice: --net
 *   connecting or sending to a path: --net, and a write rule for the path,
 *                      as for any other object that is written to
 *   AF_INET, AF_INET6 (TCP, UDP, ping), AF_NETLINK (routing): --net
 *   other families     do not exist
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/fdtype.h"
#include "kern/sys/internal.h"
#include "kern/sys/path.h"
#include "kern/task/task.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

#define NEEDS_NET "network without --net"

/*
 * TCP, UDP and ping sockets. Others (MPTCP, SCTP) have options that hold
 * pointers, which nobody has checked.
 */
static bool inet_ok(int type, int protocol)
{
	switch (type & 0xf) {
	case SOCK_STREAM:
		return protocol == 0 || protocol == IPPROTO_TCP;
	case SOCK_DGRAM:
		return protocol == 0 || protocol == IPPROTO_UDP ||
		       protocol == IPPROTO_UDPLITE ||
		       protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
	}
	return false;
}

long dune_sys_socket(struct dune_task *t, struct dune_call *c)
{
	const struct dune_policy *p = t->proc->policy;

	switch ((int)c->arg[0]) {
	case AF_UNIX:
		return dune_forward_call(c);
	case AF_NETLINK:
		if ((int)c->arg[2] != NETLINK_ROUTE)
			return -EPROTONOSUPPORT;
		break;
	case AF_INET:
	case AF_INET6:
		if (!inet_ok(c->arg[1], c->arg[2]))
			return -EPROTONOSUPPORT;
		break;
	default:
		return -EAFNOSUPPORT;
	}
	if (!dune_net_ok(p, c->nr))
		return dune_violation(c, NEEDS_NET, -EACCES);
	return dune_forward_call(c);
}

/*
 * Opens the path of a socket for a look at where it really leads, and puts
 * that very file into the address.
 */
static long unix_path(struct dune_task *t, struct dune_call *c,
		      struct sockaddr_un *un, uint32_t *len, int *hidden)
{
	char path[sizeof(un->sun_path) + 1], real[4096];
	long fd;

	memcpy(path, un->sun_path, *len - offsetof(struct sockaddr_un,
						   sun_path));
	path[*len - offsetof(struct sockaddr_un, sun_path)] = 0;
	fd = dune_fd_hide(t->proc, dune_own(SYS_openat, AT_FDCWD, path,
					    O_PATH | O_CLOEXEC));
	if (fd < 0)
		return fd;
	*hidden = fd;
	if (dune_fd_path(fd, real, sizeof(real)) ||
	    !dune_policy_path_allowed(t->proc->policy, real, true))
		return dune_violation(c, "socket outside --rw", -EACCES);
	snprintf(un->sun_path, sizeof(un->sun_path), "/proc/self/fd/%ld", fd);
	*len = sizeof(*un);
	return 0;
}

long dune_sock_dest(struct dune_task *t, struct dune_call *c,
		    struct sockaddr_storage *sa, uint32_t *len, int *hidden)
{
	*hidden = -1;
	/* Linux says EINVAL */
	if (*len < sizeof(sa->ss_family))
		return 0;
	/* ends a connection; to send to, it means AF_INET */
	if (sa->ss_family == AF_UNSPEC && c->nr == SYS_connect)
		return 0;
	if (!dune_net_ok(t->proc->policy, c->nr))
		return dune_violation(c, NEEDS_NET, -EACCES);
	if (sa->ss_family == AF_UNIX &&
	    *len > offsetof(struct sockaddr_un, sun_path) &&
	    ((struct sockaddr_un *)sa)->sun_path[0]) {
		if (*len > sizeof(struct sockaddr_un))
			return -EINVAL;
		return unix_path(t, c, (struct sockaddr_un *)sa, len, hidden);
	}
	return 0;
}

/*
 * bind: names of the file system are Landlock's, the rest needs the net. Others
 * find a name that the kernel chose as well, and AF_UNSPEC may mean AF_INET.
 */
static long bind_ok(struct dune_task *t, struct dune_call *c,
		    const struct sockaddr_storage *sa, uint32_t len)
{
	const char *path = ((const struct sockaddr_un *)sa)->sun_path;

	if (len < sizeof(sa->ss_family))
		return 0;
	if (sa->ss_family == AF_UNIX &&
	    len > offsetof(struct sockaddr_un, sun_path) && path[0])
		return 0;
	return dune_net_ok(t->proc->policy, c->nr) ? 0 :
		dune_violation(c, NEEDS_NET, -EACCES);
}

/* Copies the address arg[at], arg[at + 1] and puts the copy in its place. */
static long address(struct dune_task *t, struct dune_call *c, int at,
		    struct sockaddr_storage *sa, int *hidden)
{
	uint32_t len = c->arg[at + 1];
	long ret;

	*hidden = -1;
	if (len > sizeof(*sa))
		return -EINVAL;
	memset(sa, 0, sizeof(*sa));
	if (dune_copy_in(sa, c->arg[at], len))
		return -EFAULT;
	if (c->nr == SYS_bind)
		ret = bind_ok(t, c, sa, len);
	else
		ret = dune_sock_dest(t, c, sa, &len, hidden);
	c->arg[at] = (uintptr_t)sa;
	c->arg[at + 1] = len;
	return ret;
}

static long with_address(struct dune_task *t, struct dune_call *c, int at)
{
	struct sockaddr_storage sa;
	int hidden;
	long ret;

	ret = address(t, c, at, &sa, &hidden);
	if (!ret)
		ret = dune_forward_call(c);
	if (hidden >= 0)
		dune_own(SYS_close, hidden);
	return ret;
}

long dune_sys_connect(struct dune_task *t, struct dune_call *c)
{
	return with_address(t, c, 1);
}

long dune_sys_sendto(struct dune_task *t, struct dune_call *c)
{
	/* Linux ignores the length of no address. */
	if (!c->arg[4])
		return dune_forward_call(c);
	return with_address(t, c, 4);
}

/* Options are allowed by level ... */
static const short levels[] = {
	SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP,
	IPPROTO_UDPLITE, IPPROTO_ICMPV6, SOL_NETLINK,
};

/*
 * ... except those whose value holds pointers or descriptors: programs for
 * the kernel's packet filters, memory to be mapped; and what ip_tables and
 * ip6_tables have (of the latter, where IPv6 has nothing else there).
 */
static const struct { short level, first, last; } refused[] = {
	{ SOL_SOCKET, SO_ATTACH_FILTER, SO_ATTACH_FILTER },
	{ SOL_SOCKET, SO_ATTACH_BPF, SO_ATTACH_BPF },
	{ SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF },
	{ SOL_SOCKET, SO_PASSPIDFD, SO_PEERPIDFD },
	{ IPPROTO_TCP, 35, 35 /* TCP_ZEROCOPY_RECEIVE */ },
	{ IPPROTO_IP, 64, 67 },
	{ IPPROTO_IPV6, 64, 65 },
	{ IPPROTO_IPV6, 68, 69 },
};

static bool option_ok(const struct dune_call *c)
{
	int level = c->arg[1], name = c->arg[2];
	size_t i = 0;

	while (i < DUNE_ARRAY_SIZE(levels) && levels[i] != level)
		i++;
	if (i == DUNE_ARRAY_SIZE(levels))
		return false;
	for (i = 0; i < DUNE_ARRAY_SIZE(refused); i++)
		if (refused[i].level == level && name >= refused[i].first &&
		    name <= refused[i].last)
			return false;
	return true;
}

long dune_sys_setsockopt(struct dune_task *t, struct dune_call *c)
{
	long ret;

	(void)t;
	if (!option_ok(c))
		return -ENOPROTOOPT;
	ret = dune_forward_call(c);
	if ((int)c->arg[1] == SOL_SOCKET && (int)c->arg[2] == SO_RCVLOWAT)
		dune_fdtype_forget();
	return ret;
}

/*
 * The length goes through a variable of ours: in guest memory it could grow
 * between our check of the range and the kernel's look.
 */
long dune_sys_getsockopt(struct dune_task *t, struct dune_call *c)
{
	dune_gva_t out = c->arg[4];
	int len;
	long ret;

	(void)t;
	if (!option_ok(c))
		return -ENOPROTOOPT;
	if (dune_copy_in(&len, out, sizeof(len)))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	if (!dune_range_ok(c->arg[3], len))
		return -EFAULT;
	c->arg[4] = (uintptr_t)&len;
	ret = dune_forward_call(c);
	if (!ret)
		ret = dune_copy_out(out, &len, sizeof(len));
	return ret;
}
