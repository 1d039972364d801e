/*
 * Looks for the VM's descriptors: no number is one, neither for /dev/kvm's
 * calls nor for read, write, dup, mmap and messages; closing all hurts nobody.
 */
#include <linux/kvm.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "hostile.h"

static void pass(int s, int fd)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	REFUSED("sent in a message", sendmsg(s, &m, MSG_DONTWAIT));
}

/* All that can be done with a number. */
static void use(int fd, int ep, int s)
{
	struct epoll_event ev = { EPOLLIN, { 0 } };
	char buf[64];

	REFUSED("read", read(fd, buf, 8));
	REFUSED("write", write(fd, buf, 8));
	REFUSED("fstat", syscall(SYS_fstat, fd, buf));
	REFUSED("KVM_GET_API_VERSION", ioctl(fd, KVM_GET_API_VERSION, 0));
	REFUSED("KVM_CREATE_VCPU", ioctl(fd, KVM_CREATE_VCPU, 99));
	REFUSED("KVM_RUN", ioctl(fd, KVM_RUN, 0));
	REFUSED("dup", dup(fd));
	REFUSED("dup2", dup2(fd, 60));
	REFUSED("F_DUPFD", fcntl(fd, F_DUPFD, 0));
	REFUSED("mmap", mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) ==
		MAP_FAILED ? -1 : 0);
	REFUSED("epoll", epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	REFUSED("fchdir", fchdir(fd));
	REFUSED("openat", openat(fd, "x", O_RDONLY));
	REFUSED("fexecve", syscall(SYS_execveat, fd, "", (char *[]){ "x", 0 },
				   NULL, AT_EMPTY_PATH));
	REFUSED("sendto", send(fd, "x", 1, MSG_DONTWAIT));
	pass(s, fd);
}

int main(int argc, char **argv)
{
	static struct pollfd p[512];
	int ep = epoll_create1(0), sv[2], found = 0;
	char *args[] = { "x", "again", NULL };
	struct rlimit rl;
	pid_t pid;

	(void)argv;
	if (argc > 1)
		return 23;
	REFUSED("/dev/kvm", open("/dev/kvm", O_RDWR));
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv) == 0);
	for (int fd = 3; fd < 40; fd++)
		if (fd != ep && fd != sv[0] && fd != sv[1])
			use(fd, ep, sv[0]);
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	getrlimit(RLIMIT_NOFILE, &rl);
	for (long fd = 40; fd < 1 << 20; fd += 512) {
		for (int i = 0; i < 512; i++)
			p[i] = (struct pollfd){ fd + i, POLLIN, 0 };
		if (poll(p, 512, 0) < 0)
			continue;
		for (int i = 0; i < 512; i++) {
			if (p[i].revents == POLLNVAL || p[i].revents == 0)
				continue;
			found++;
		}
	}
	if (found)
		ESCAPED("poll sees %d descriptors", found);
	for (int k = 0; k < 20; k++) {
		use(rl.rlim_cur - 1 - k, ep, sv[0]);
		use(rl.rlim_cur + k, ep, sv[0]);
		use((1 << 20) - 1 - k, ep, sv[0]);
		use(1000 + k, ep, sv[0]);
		use(1020 + k, ep, sv[0]);
		use(65530 + k, ep, sv[0]);
	}
	use(INT_MAX, ep, sv[0]);
	use(INT_MIN, ep, sv[0]);
	REFUSED("dup2 up there", dup2(0, rl.rlim_cur));
	if (fcntl(0, F_DUPFD, 1 << 19) >= 1 << 19)
		contained("a high number is the program's own");
	contained("no descriptor but its own");

	/* All gone: the monitor must go on, fork and execute. */
	for (long fd = 3; fd < 70000; fd += 7)
		close(fd);
	syscall(SYS_close_range, 3, ~0u, 0);
	syscall(SYS_close_range, 3, ~0u, 4);		/* CLOEXEC */
	syscall(SYS_close_range, 3, ~0u, 2);		/* UNSHARE */
	pid = fork();
	if (pid == 0) {
		execv("/proc/self/exe", args);
		_exit(7);
	}
	CHECK(reap(pid) == 23 << 8);
	contained("all closed, still running");
	return 0;
}
