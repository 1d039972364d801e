/*
 * sendmsg, recvmsg and their plural forms: the header, the vector, the
 * address and the control data are copied in, checked, and the kernel gets
 * the copies. recvmsg's results are written back field by field, as Linux
 * does.
 */
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "kern/mm/uaccess.h"
#include "kern/sys/internal.h"
#include "kern/task/hostcall.h"
#include "kern/task/task.h"

/* Linux's own bound is net.core.optmem_max, less than this. */
#define CONTROL_MAX	(128u << 10)

/* One message on its way through. */
struct message {
	struct msghdr h;		/* as the guest has it */
	struct msghdr k;		/* what the kernel gets */
	struct sockaddr_storage name;
	struct dune_scratch iov, control;
	int hidden;			/* descriptor in name, -1: none */
};

static void message_done(struct message *m)
{
	dune_scratch_put(&m->iov);
	dune_scratch_put(&m->control);
	if (m->hidden >= 0)
		dune_own(SYS_close, m->hidden);
}

/* The header and what is the same in both directions. */
static long message_in(struct message *m, dune_gva_t from)
{
	long ret;

	m->hidden = -1;
	m->iov.mapped = m->control.mapped = 0;
	if (dune_copy_in(&m->h, from, sizeof(m->h)))
		return -EFAULT;
	m->k = m->h;
	if (m->h.msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	if (dune_scratch_get(&m->iov, m->h.msg_iovlen * sizeof(struct iovec)))
		return -ENOMEM;
	m->k.msg_iov = m->iov.p;
	if (!m->h.msg_iovlen)
		return 0;
	ret = dune_iov_copy(m->iov.p, (dune_gva_t)m->h.msg_iov,
			    m->h.msg_iovlen);
	return ret;
}

/*
 * The header at *at in control data, and *at behind it; NULL: no
 * more. As the kernel walks: C libraries' ways differ, and one that overlooks
 * the last header overlooks the descriptors behind it.
 */
static struct cmsghdr *next_header(const struct msghdr *h, size_t *at)
{
	struct cmsghdr *c;

	if (*at > h->msg_controllen || h->msg_controllen - *at < sizeof(*c))
		return NULL;
	c = (struct cmsghdr *)((char *)h->msg_control + *at);
	/* the kernel says EINVAL */
	if (c->cmsg_len < sizeof(*c) || c->cmsg_len > h->msg_controllen - *at)
		return NULL;
	*at += CMSG_ALIGN(c->cmsg_len);
	return c;
}

/*
 * Walks control data in our copy. For each descriptor passed by SCM_RIGHTS
 * the number is checked: false when one is the monitor's.
 */
static bool rights_ok(const struct msghdr *h, int fd_base)
{
	struct cmsghdr *c;
	size_t at = 0;

	while ((c = next_header(h, &at))) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET ||
		    c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (fd >= fd_base)
				return false;
		}
	}
	return true;
}

static long control_in(struct dune_task *t, struct message *m)
{
	if (!m->h.msg_controllen)
		return 0;
	if (m->h.msg_controllen > CONTROL_MAX)
		return -ENOBUFS;
	if (dune_scratch_get(&m->control, m->h.msg_controllen))
		return -ENOMEM;
	m->k.msg_control = m->control.p;
	if (dune_copy_in(m->control.p, (dune_gva_t)m->h.msg_control,
			 m->h.msg_controllen))
		return -EFAULT;
	return rights_ok(&m->k, t->proc->fd_base) ? 0 : -EBADF;
}

static long name_in(struct dune_task *t, struct dune_call *c,
		    struct message *m)
{
	uint32_t len = m->h.msg_namelen;
	long ret;

	if (!m->h.msg_name || !len) {
		m->k.msg_name = NULL;
		m->k.msg_namelen = 0;
		return 0;
	}
	if ((int)len < 0)
		return -EINVAL;
	/* Linux cuts instead of refusing. */
	if (len > sizeof(m->name))
		len = sizeof(m->name);
	memset(&m->name, 0, sizeof(m->name));
	if (dune_copy_in(&m->name, (dune_gva_t)m->h.msg_name, len))
		return -EFAULT;
	ret = dune_sock_dest(t, c, &m->name, &len, &m->hidden);
	m->k.msg_name = &m->name;
	m->k.msg_namelen = len;
	return ret;
}

static long send_one(struct dune_task *t, struct dune_call *c, dune_gva_t from)
{
	struct message m;
	long ret;

	ret = message_in(&m, from);
	if (!ret)
		ret = name_in(t, c, &m);
	if (!ret)
		ret = control_in(t, &m);
	if (!ret)
		ret = dune_forward(SYS_sendmsg, c->arg[0], (uintptr_t)&m.k,
				   c->arg[c->nr == SYS_sendmmsg ? 3 : 2], 0, 0,
				   0);
	message_done(&m);
	return ret;
}

/*
 * Received descriptors beyond the limit are closed, and the message is cut
 * before them: what Linux does when it runs out of numbers on the way.
 */
static void rights_limit(struct msghdr *h, int limit)
{
	struct cmsghdr *c;
	size_t walked = 0;

	while ((c = next_header(h, &walked))) {
		size_t n, kept = 0;

		if (c->cmsg_level != SOL_SOCKET ||
		    c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (kept == i && fd < limit)
				kept++;
			else
				dune_fd_close(fd);
		}
		if (kept < n) {
			c->cmsg_len = CMSG_LEN(kept * sizeof(int));
			h->msg_flags |= MSG_CTRUNC;
		}
	}
}

static long message_out(struct message *m, dune_gva_t to)
{
	struct msghdr *k = &m->k;
	uint32_t n = k->msg_namelen;

	if (n > sizeof(m->name))
		n = sizeof(m->name);
	if (n > m->h.msg_namelen)
		n = m->h.msg_namelen;
	if (m->h.msg_name && n &&
	    dune_copy_out((dune_gva_t)m->h.msg_name, &m->name, n))
		return -EFAULT;
	if (k->msg_controllen &&
	    dune_copy_out((dune_gva_t)m->h.msg_control, k->msg_control,
			  k->msg_controllen))
		return -EFAULT;
	/* Without a name to fill in, Linux leaves its length alone. */
	if ((m->h.msg_name &&
	     dune_copy_out(to + offsetof(struct msghdr, msg_namelen),
			   &k->msg_namelen, sizeof(k->msg_namelen))) ||
	    dune_copy_out(to + offsetof(struct msghdr, msg_controllen),
			  &k->msg_controllen, sizeof(k->msg_controllen)) ||
	    dune_copy_out(to + offsetof(struct msghdr, msg_flags),
			  &k->msg_flags, sizeof(k->msg_flags)))
		return -EFAULT;
	return 0;
}

static long recv_one(struct dune_task *t, struct dune_call *c, dune_gva_t at,
		     int flags)
{
	struct message m;
	long ret, err;

	ret = message_in(&m, at);
	if (ret)
		goto out;
	if (m.h.msg_name) {
		if ((int)m.h.msg_namelen < 0) {
			ret = -EINVAL;
			goto out;
		}
		m.k.msg_name = &m.name;
		m.k.msg_namelen = sizeof(m.name);
	}
	if (m.k.msg_controllen > CONTROL_MAX)
		m.k.msg_controllen = CONTROL_MAX;
	if (!m.h.msg_control)
		m.k.msg_controllen = 0;
	ret = dune_scratch_get(&m.control, m.k.msg_controllen);
	if (ret)
		goto out;
	m.k.msg_control = m.control.p;
	ret = dune_forward(SYS_recvmsg, c->arg[0], (uintptr_t)&m.k, flags, 0,
			   0, 0);
	if (ret >= 0) {
		if (m.k.msg_controllen)
			rights_limit(&m.k, dune_fd_limit(t->proc));
		err = message_out(&m, at);
		if (err)
			ret = err;
	}
out:
	message_done(&m);
	return ret;
}

long dune_sys_sendmsg(struct dune_task *t, struct dune_call *c)
{
	if (!c->arg[1])
		return -EFAULT;
	return send_one(t, c, c->arg[1]);
}

long dune_sys_recvmsg(struct dune_task *t, struct dune_call *c)
{
	if (!c->arg[1])
		return -EFAULT;
	return recv_one(t, c, c->arg[1], c->arg[2]);
}

/*
 * The plural forms are loops of the singular one, as in the kernel. What went
 * through counts; an error shows only when nothing did.
 */
long dune_sys_sendmmsg(struct dune_task *t, struct dune_call *c)
{
	uint32_t n = c->arg[2];
	dune_gva_t at = c->arg[1];
	uint32_t i;
	long ret = 0;

	if (n > IOV_MAX)
		n = IOV_MAX;
	for (i = 0; i < n; i++, at += sizeof(struct mmsghdr)) {
		uint32_t len;

		ret = send_one(t, c, at);
		if (ret < 0)
			break;
		len = ret;
		ret = dune_copy_out(at + offsetof(struct mmsghdr, msg_len),
				    &len, sizeof(len));
		if (ret)
			break;
	}
	return i ? i : ret;
}

static int64_t mono_ns(void)
{
	struct timespec ts = { 0 };

	dune_own(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000l + ts.tv_nsec;
}

long dune_sys_recvmmsg(struct dune_task *t, struct dune_call *c)
{
	uint32_t n = c->arg[2], i;
	dune_gva_t at = c->arg[1];
	int flags = c->arg[3];
	struct timespec ts;
	int64_t end = 0, left;
	long ret = 0;

	if (c->arg[4]) {
		if (dune_copy_in(&ts, c->arg[4], sizeof(ts)))
			return -EFAULT;
		if (ts.tv_sec < 0 || (uint64_t)ts.tv_nsec >= 1000000000ul)
			return -EINVAL;
		/* Longer than anyone waits, so that nothing overflows. */
		if (ts.tv_sec > INT_MAX)
			ts.tv_sec = INT_MAX;
		end = mono_ns() + ts.tv_sec * 1000000000l + ts.tv_nsec;
	}
	if (n > IOV_MAX)
		n = IOV_MAX;
	for (i = 0; i < n; at += sizeof(struct mmsghdr)) {
		uint32_t len;

		ret = recv_one(t, c, at, flags & ~MSG_WAITFORONE);
		if (ret < 0)
			break;
		len = ret;
		ret = dune_copy_out(at + offsetof(struct mmsghdr, msg_len),
				    &len, sizeof(len));
		if (ret)
			break;
		i++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* As in Linux, time is only looked at between messages. */
		if (end && mono_ns() >= end)
			break;
	}
	if (c->arg[4] && i) {
		left = end - mono_ns();
		if (left < 0)
			left = 0;
		ts.tv_sec = left / 1000000000l;
		ts.tv_nsec = left % 1000000000l;
		if (dune_copy_out(c->arg[4], &ts, sizeof(ts)))
			return -EFAULT;
	}
	return i ? i : ret;
}
