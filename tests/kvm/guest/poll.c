/*
 * poll, select and epoll: readiness, timeouts, masks that are in force while
 * waiting, edge and level triggering, one-shot, events across threads.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include "guest.h"

static volatile int runs;

static void usr1(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	runs++;
}

static int evfd;

static void *late(void *arg)
{
	uint64_t one = 1;

	msleep(20);
	CHECK(write(evfd, &one, 8) == 8);
	return arg;
}

int main(void)
{
	struct timespec ts = { 0, 5000000 }, zero = { 0, 0 }, long_ = { 9, 0 };
	struct epoll_event ev, got[4];
	struct pollfd p[2];
	sigset_t usr, none;
	pthread_t t;
	fd_set rd, wr;
	int fds[2], ep;
	char c;

	CHECK(pipe(fds) == 0);
	p[0] = (struct pollfd){ fds[0], POLLIN, 0 };
	p[1] = (struct pollfd){ fds[1], POLLOUT, 0 };
	CHECK(poll(p, 1, 5) == 0 && poll(p, 2, -1) == 1);
	CHECK(p[1].revents == POLLOUT);
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(ppoll(p, 2, &ts, NULL) == 2 && p[0].revents == POLLIN);
	p[0].fd = 999;
	CHECK(poll(p, 1, 0) == 1 && p[0].revents == POLLNVAL);
	p[0].fd = -1;
	CHECK(poll(p, 1, 0) == 0);

	FD_ZERO(&rd);
	FD_ZERO(&wr);
	FD_SET(fds[0], &rd);
	FD_SET(fds[1], &wr);
	CHECK(select(fds[1] + 1, &rd, &wr, NULL, NULL) == 2);
	CHECK(FD_ISSET(fds[0], &rd) && FD_ISSET(fds[1], &wr));
	CHECK(read(fds[0], &c, 1) == 1);
	FD_ZERO(&wr);
	CHECK(pselect(fds[1] + 1, &rd, &wr, NULL, &ts, NULL) == 0);
	CHECK(!FD_ISSET(fds[0], &rd));
	say("poll and select\n");

	/* A pending blocked signal that only the call's mask lets through. */
	handle(SIGUSR1, usr1, 0);
	sigemptyset(&none);
	sigemptyset(&usr);
	sigaddset(&usr, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr, NULL);
	raise(SIGUSR1);
	FAILS(EINTR, ppoll(NULL, 0, &long_, &none));
	raise(SIGUSR1);
	FAILS(EINTR, pselect(0, NULL, NULL, NULL, &long_, &none));
	ep = epoll_create1(EPOLL_CLOEXEC);
	raise(SIGUSR1);
	FAILS(EINTR, epoll_pwait(ep, got, 4, 9000, &none));
	CHECK(runs == 3);
	raise(SIGUSR1);
	CHECK(runs == 3);		/* the old mask is back */
	sigprocmask(SIG_UNBLOCK, &usr, NULL);
	say("masks, %d runs\n", runs);

	ev = (struct epoll_event){ EPOLLIN, { .u64 = 0x1234567890ul } };
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev) == 0);
	FAILS(EEXIST, epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev));
	FAILS(EBADF, epoll_ctl(ep, EPOLL_CTL_ADD, 999, &ev));
	FAILS(ENOENT, epoll_ctl(ep, EPOLL_CTL_DEL, fds[1], &ev));
	FAILS(EFAULT, epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], NULL));
	CHECK(epoll_wait(ep, got, 4, 5) == 0);
	CHECK(write(fds[1], "xy", 2) == 2);
	for (int i = 0; i < 2; i++)
		CHECK(epoll_wait(ep, got, 4, -1) == 1 &&
		      got[0].data.u64 == 0x1234567890ul);
	ev.events = EPOLLIN | EPOLLET;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &ev) == 0);
	CHECK(epoll_wait(ep, got, 4, 0) == 1 && epoll_wait(ep, got, 4, 0) == 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &ev) == 0);
	CHECK(epoll_wait(ep, got, 4, 0) == 1 && epoll_wait(ep, got, 4, 0) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, fds[0], NULL) == 0);
	close(fds[1]);
	say("epoll\n");

	evfd = eventfd(0, EFD_CLOEXEC);
	ev = (struct epoll_event){ EPOLLIN, { .fd = evfd } };
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, evfd, &ev) == 0);
	pthread_create(&t, NULL, late, NULL);
	CHECK(epoll_wait(ep, got, 4, 9000) == 1 && got[0].data.fd == evfd);
	pthread_join(t, NULL);
	CHECK(syscall(SYS_epoll_pwait2, ep, got, 4, &zero, NULL, 8) == 1);
	FAILS(EINVAL, epoll_wait(ep, got, 0, 0));
	say("woken by a thread\n");
	return 0;
}
