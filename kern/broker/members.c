/* The processes of a sandbox, each held by a pidfd: pids are used again. */
#include "kern/broker/protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

struct dune_member *dune_members_find(struct dune_members *m, pid_t pid)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (m->v[i].pid == pid)
			return alive(m->v[i].pidfd) ? &m->v[i] : NULL;
	return NULL;
}

void dune_members_gone(struct dune_members *m, pid_t pid)
{
	for (unsigned int i = 0; i < m->n; i++) {
		if (m->v[i].pid != pid || alive(m->v[i].pidfd))
			continue;
		close(m->v[i].pidfd);
		m->v[i] = m->v[--m->n];
		return;
	}
}

void dune_members_free(struct dune_members *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		close(m->v[i].pidfd);
	free(m->v);
}

/* Field 4 of /proc/PID/stat, after a name that may hold anything. */
static pid_t parent_of(pid_t pid)
{
	char path[32], buf[512], *p;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	return p && strlen(p) > 4 ? atoi(p + 4) : -1;
}

static int grow(struct dune_members *m)
{
	unsigned int cap = m->cap ? 2 * m->cap : 16;
	struct dune_member *v;

	if (m->n < m->cap)
		return 0;
	v = reallocarray(m->v, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	m->v = v;
	m->cap = cap;
	return 0;
}

int dune_members_add(struct dune_members *m, pid_t pid)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = pid };
	int pidfd, err = -EPERM;
	pid_t parent;

	if (dune_members_find(m, pid))
		return 0;
	/* an earlier process of this pid whose end nobody has looked at */
	dune_members_gone(m, pid);
	if (grow(m))
		return -ENOMEM;
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	parent = parent_of(pid);
	if (parent != (m->parent ? m->parent : getpid()) &&
	    !dune_members_find(m, parent))
		goto refuse;
	/* alive now: pid meant this process all the time */
	if (!alive(pidfd)) {
		err = -ESRCH;
		goto refuse;
	}
	if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, pidfd, &e)) {
		err = -errno;
		goto refuse;
	}
	m->v[m->n++] = (struct dune_member){ .pid = pid, .pidfd = pidfd };
	return 0;
refuse:
	close(pidfd);
	return err;
}

void dune_member_kill(struct dune_member *who)
{
	syscall(SYS_pidfd_send_signal, who->pidfd, SIGKILL, NULL, 0);
}

void dune_members_kill(struct dune_members *m)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;

	/* at once what is known: among forking processes time is scarce */
	for (unsigned int i = 0; i < m->n; i++)
		dune_member_kill(&m->v[i]);
	/* parents come before their children, but when pids start over */
	while (proc && (d = readdir(proc))) {
		unsigned int known = m->n;
		pid_t pid = atoi(d->d_name);

		if (pid > 0 && dune_members_add(m, pid) == 0 && m->n > known)
			dune_member_kill(&m->v[known]);
	}
	if (proc)
		closedir(proc);
}
