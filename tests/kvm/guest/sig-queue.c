/*
 * Real-time signals: queued in order with their values, lowest number first;
 * sigtimedwait, sigwaitinfo and signalfd take them from the queue.
 */
#include <poll.h>
#include <sys/signalfd.h>
#include "guest.h"

static int got[64], n;

static void record(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	if (n < 64)
		got[n++] = (sig - SIGRTMIN) * 100 + si->si_value.sival_int;
}

static void queue(int sig, int v)
{
	union sigval sv = { .sival_int = v };

	CHECK(sigqueue(getpid(), sig, sv) == 0);
}

int main(void)
{
	struct timespec zero = { 0, 0 }, soon = { 0, 10000000 };
	struct signalfd_siginfo ssi;
	struct pollfd pfd;
	sigset_t set, old;
	siginfo_t si;
	int fd;

	handle(SIGRTMIN + 1, record, 0);
	handle(SIGRTMIN + 2, record, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 0; i < 10; i++) {
		queue(SIGRTMIN + 2, i);
		queue(SIGRTMIN + 1, i);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(n == 20);
	/*
	 * Each handler blocks only its own signal, so delivery nests: the
	 * last one delivered runs first. The order in which they are taken
	 * from the queue shows once both are blocked in the handlers.
	 */
	for (int i = 0; i < n; i++)
		say("%d ", got[i]);
	say("\n");

	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 5; i++)
		queue(SIGRTMIN + 2, 10 * i);
	queue(SIGRTMIN + 1, 7);
	while (sigtimedwait(&set, &si, &zero) > 0) {
		CHECK(si.si_code == SI_QUEUE && si.si_pid == getpid());
		say("%d:%d ", si.si_signo - SIGRTMIN, si.si_value.sival_int);
	}
	CHECK(errno == EAGAIN);
	FAILS(EAGAIN, sigtimedwait(&set, &si, &soon));
	say("\n");

	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0);
	FAILS(EAGAIN, read(fd, &ssi, sizeof(ssi)));
	queue(SIGRTMIN + 1, 1234);
	kill(getpid(), SIGUSR1);
	pfd = (struct pollfd){ fd, POLLIN, 0 };
	CHECK(poll(&pfd, 1, 1000) == 1);
	while (read(fd, &ssi, sizeof(ssi)) == sizeof(ssi))
		say("signalfd: %s %d\n", ssi.ssi_signo == SIGUSR1 ? "USR1" :
		    "RT", ssi.ssi_int * (ssi.ssi_signo != SIGUSR1));
	close(fd);

	/* A child's end arrives like any other. */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (fork() == 0)
		_exit(77);
	CHECK(sigwaitinfo(&set, &si) == SIGCHLD);
	say("SIGCHLD: code %d, status %d\n", si.si_code, si.si_status);
	wait(NULL);
	return 0;
}
