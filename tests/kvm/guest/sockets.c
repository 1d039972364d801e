/*
 * Socket pairs: streams, datagrams, descriptors and credentials in messages,
 * shutdown, options, scatter and gather, errors.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include "guest.h"

static void send_fd(int s, int fd, const char *text)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	CHECK(sendmsg(s, &m, 0) == (ssize_t)strlen(text));
}

static int recv_fd(int s, char *buf, size_t len)
{
	char ctl[CMSG_SPACE(64)];
	struct iovec iov = { buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c;
	int fd = -1;

	CHECK(recvmsg(s, &m, MSG_CMSG_CLOEXEC) > 0);
	c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

int main(void)
{
	int sv[2], dg[2], fds[2], fd, n, v;
	struct iovec iov[2];
	struct mmsghdr mm[2] = { 0 };
	struct ucred cred;
	char buf[100] = "", b2[10];
	socklen_t len = sizeof(cred);
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, dg) == 0);
	CHECK(send(sv[0], "stream", 6, 0) == 6);
	CHECK(recv(sv[1], buf, 3, MSG_PEEK) == 3);
	CHECK(recv(sv[1], buf, 100, 0) == 6);
	say("%.6s\n", buf);
	CHECK(write(dg[0], "one", 3) == 3 && write(dg[0], "three", 5) == 5);
	CHECK(ioctl(dg[1], FIONREAD, &n) == 0);
	say("datagrams %d", n);
	say(" %zd", recv(dg[1], buf, 2, MSG_TRUNC));
	say(" %zd\n", recv(dg[1], buf, 100, 0));
	FAILS(EAGAIN, recv(dg[1], buf, 1, MSG_DONTWAIT));

	/* A pipe's end goes to a child through a socket. */
	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		fd = recv_fd(sv[1], buf, sizeof(buf));
		CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
		CHECK(write(fd, "by message", 10) == 10);
		_exit(0);
	}
	send_fd(sv[0], fds[1], "take this");
	CHECK(reap(pid) == 0 && read(fds[0], buf, 100) == 10);
	say("%.10s\n", buf);
	send_fd(dg[0], fds[0], "d");
	fd = recv_fd(dg[1], buf, 10);
	CHECK(fd > 2 && fd != fds[0]);
	CHECK(write(fds[1], "!", 1) == 1 && read(fd, buf, 1) == 1);

	iov[0] = (struct iovec){ "ab", 2 };
	iov[1] = (struct iovec){ "cde", 3 };
	CHECK(writev(sv[0], iov, 2) == 5);
	iov[0] = (struct iovec){ buf, 3 };
	iov[1] = (struct iovec){ b2, 10 };
	CHECK(readv(sv[1], iov, 2) == 5);
	say("%.3s %.2s\n", buf, b2);
	mm[0].msg_hdr.msg_iov = &iov[0], mm[0].msg_hdr.msg_iovlen = 1;
	mm[1].msg_hdr.msg_iov = &iov[1], mm[1].msg_hdr.msg_iovlen = 1;
	CHECK(sendmmsg(dg[0], mm, 2, 0) == 2);
	CHECK(recvmmsg(dg[1], mm, 2, 0, NULL) == 2);
	say("mmsg %u %u\n", mm[0].msg_len, mm[1].msg_len);

	/*
	 * Fewer than four bytes are waited with; another number knows it, too.
	 */
	fd = dup(sv[1]);
	CHECK(write(sv[0], "a", 1) == 1 && recv(fd, buf, 9, 0) == 1);
	v = 4;
	CHECK(setsockopt(sv[1], SOL_SOCKET, SO_RCVLOWAT, &v, 4) == 0);
	for (n = 0; n < 2; n++) {
		CHECK(write(sv[0], "ab", 2) == 2);
		pid = fork();
		if (pid == 0) {
			usleep(100000);
			CHECK(write(sv[0], "cd", 2) == 2);
			_exit(0);
		}
		/* the proxy is awake then, if there is one */
		for (v = 0; v < 1000; v++)
			getppid();
		CHECK((n ? recv(fd, buf, 9, 0) : read(fd, buf, 9)) == 4);
		CHECK(reap(pid) == 0);
	}
	v = 1;
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &v, 4) == 0);

	CHECK(getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0);
	CHECK(cred.pid == getpid() && cred.uid == getuid());
	len = sizeof(v);
	CHECK(getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &v, &len) == 0);
	CHECK(v == SOCK_STREAM && len == 4);
	v = 1;
	CHECK(setsockopt(sv[0], SOL_SOCKET, SO_PASSCRED, &v, 4) == 0);
	CHECK(shutdown(sv[0], SHUT_WR) == 0);
	CHECK(read(sv[1], buf, 1) == 0);
	FAILS(EPIPE, send(sv[0], "x", 1, MSG_NOSIGNAL));
	FAILS(ENOTSOCK, send(fds[1], "x", 1, 0));
	FAILS(EBADF, recv(999, buf, 1, 0));
	say("options\n");
	return 0;
}
