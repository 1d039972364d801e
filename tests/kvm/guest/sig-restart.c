/*
 * Calls that a signal interrupts: with SA_RESTART they go on, without it they
 * end with EINTR, and some always do; what was transferred counts.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include "guest.h"

static volatile int runs;
static int fds[2];

static void count(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	runs++;
}

/* SIGALRM after 20 ms and then every 20 ms. */
static void timer(int flags)
{
	struct itimerval it = { { 0, 20000 }, { 0, 20000 } };

	runs = 0;
	handle(SIGALRM, count, flags);
	setitimer(ITIMER_REAL, &it, NULL);
}

static void *late(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	msleep(90);
	CHECK(write(fds[1], "x", 1) == 1);
	return arg;
}

int main(void)
{
	struct epoll_event ev;
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	struct timespec ts = { 5, 0 }, rest;
	struct pollfd pfd;
	sigset_t none;
	pthread_t t;
	fd_set rd;
	char c;
	int ep;

	CHECK(pipe(fds) == 0);
	ep = epoll_create1(0);
	pfd = (struct pollfd){ fds[0], POLLIN, 0 };
	sigemptyset(&none);

	timer(0);
	FAILS(EINTR, read(fds[0], &c, 1));
	FAILS(EINTR, poll(&pfd, 1, 5000));
	FAILS(EINTR, epoll_wait(ep, &ev, 1, 5000));
	FAILS(EINTR, ppoll(&pfd, 1, &ts, &none));
	FD_ZERO(&rd);
	FD_SET(fds[0], &rd);
	FAILS(EINTR, pselect(fds[0] + 1, &rd, NULL, NULL, &ts, &none));
	FAILS(EINTR, nanosleep(&ts, &rest));
	CHECK(rest.tv_sec == 4 && rest.tv_nsec > 500000000);
	FAILS(EINTR, pause());
	CHECK(runs >= 7);
	say("EINTR where it belongs\n");

	timer(SA_RESTART);
	pthread_create(&t, NULL, late, NULL);
	CHECK(read(fds[0], &c, 1) == 1);
	CHECK(runs >= 3);
	pthread_join(t, NULL);
	say("read restarted\n");
	/* These are never restarted. */
	FAILS(EINTR, poll(&pfd, 1, 5000));
	FAILS(EINTR, epoll_wait(ep, &ev, 1, 5000));
	FAILS(EINTR, nanosleep(&ts, &rest));
	FAILS(EINTR, pause());
	say("poll was not\n");

	/* wait4 is. */
	timer(SA_RESTART);
	if (fork() == 0) {
		msleep(90);
		_exit(3);
	}
	CHECK(wait(NULL) > 0);
	CHECK(runs >= 3);
	say("wait restarted\n");

	/* A write that has moved something reports how much. */
	timer(0);
	{
		static char big[1 << 20];
		ssize_t n = write(fds[1], big, sizeof(big));

		say("partial write: %zd\n", n);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	return 0;
}
