/*
 * The parent of the first process: outside the walls, it answers the broker's
 * questions, passes signals on, keeps the time limit, and ends as the program
 * ended.
 */
#include "apps/dune-run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kern/err.h"

/* How long between rounds of killing what is left of a sandbox. */
#define KILL_ROUND_MS 10
/* Batches of messages taken after the program's end. */
#define LAST_ROUNDS 64

static struct {
	struct dune_run *run;
	struct dune_broker *broker;
	int client;			/* the monitors' end */
	int signals;
	pid_t child;
	bool ended;			/* the child has, with: */
	int status;
	struct rusage usage;
	bool timed_out;
	bool served;			/* no client of the broker is left */
	uint64_t start_ns;
	sigset_t mask;			/* as we were started */
	struct sigaction sigchld;
} sup;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

static void check(int err)
{
	if (err < 0)
		dune_fail(DUNE_EXIT_OURS);
}

/* ---- the child's side ---- */

static void __attribute__((noreturn)) become_first_process(pid_t parent)
{
	struct dune_run *r = sup.run;
	int err;

	/* the sandbox does not outlive a killed supervisor */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(DUNE_EXIT_OURS);
	dune_fds_child(&r->state);
	sigaction(SIGCHLD, &sup.sigchld, NULL);
	sigprocmask(SIG_SETMASK, &sup.mask, NULL);
	err = dune_start(&r->state, r->path, r->argv, r->envp);
	fprintf(stderr, "dune-run: %s\n", dune_errmsg());
	_exit(dune_start_status(err));
}

/* ---- set-up ---- */

/*
 * Signals are taken from a descriptor. Those of a fault of our own keep their
 * meaning. SIGCHLD must not be ignored, or there would be no status to take.
 */
static void take_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	static const int own[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,
	};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	sigprocmask(SIG_SETMASK, &set, &sup.mask);
	sigaction(SIGCHLD, &dfl, &sup.sigchld);
	sup.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sup.signals < 0)
		check(dune_err(-errno, "signalfd: %s; raise the limit of open "
			       "files if it is low", strerror(errno)));
}

/*
 * The child needs it late, behind its walls; where CPUID traps it takes 0.3 ms.
 * Its layout is a copy of ours, the clock's pages included.
 */
static void tell_kind(int fd)
{
	struct dune_state *s = &sup.run->state;
	struct iovec v[] = {
		{ .iov_base = &s->kind, .iov_len = sizeof(s->kind) },
		{ .iov_base = &s->vvar_size, .iov_len = sizeof(s->vvar_size) },
	};
	int err = dune_kvm_ask(s->kvm_fd, &s->kind);

	s->vvar_size = dune_vvar_size();
	if (!err && writev(fd, v, 2) !=
		    (ssize_t)(sizeof(s->kind) + sizeof(s->vvar_size)))
		err = dune_err(-EIO, "a pipe of our own: %s", strerror(errno));
	if (err)
		kill(sup.child, SIGKILL);
	check(err);
	close(fd);
}

static void start(void)
{
	struct dune_state *s = &sup.run->state;
	pid_t self = getpid();
	int kind[2], life[2];

	check(dune_broker_create(&sup.broker, &s->policy, &sup.client));
	s->broker = dune_fds_raise(s, sup.client);
	check(s->broker);
	if (pipe2(kind, O_CLOEXEC) || pipe2(life, O_CLOEXEC | O_NONBLOCK) ||
	    fchmod(life[0], 0444))
		check(dune_err(-errno, "pipe: %s; raise the limit of open "
			       "files if it is low", strerror(errno)));
	s->kind_fd = dune_fds_raise(s, kind[0]);
	check(s->kind_fd);
	/* readable whoever they become; life[1] is ours alone, to our end */
	s->lifeline = dune_fds_raise(s, life[0]);
	check(s->lifeline);
	take_signals();
	/* orphans of the sandbox fall to us, so that none escapes --time */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sup.start_ns = now_ns();
	if (s->policy.wall_ns)
		s->deadline_ns = sup.start_ns + s->policy.wall_ns;
	sup.child = fork();
	if (sup.child < 0)
		check(dune_err(-errno, "fork: %s; end other processes or "
			       "raise ulimit -u", strerror(errno)));
	if (sup.child == 0)
		become_first_process(self);
	tell_kind(kind[1]);
	dune_fds_parent(s);
	check(dune_broker_adopt(sup.broker, sup.child));
}

/* ---- while it runs ---- */

/* Milliseconds for poll(2), rounded up: not a busy wait to the deadline. */
static int time_left(void)
{
	uint64_t deadline = sup.run->state.deadline_ns, now = now_ns(), ms;

	if (!deadline)
		return -1;
	if (now >= deadline)
		return 0;
	ms = (deadline - now + 999999) / 1000000;
	return ms < INT_MAX ? ms : INT_MAX;
}

/* Nobody counts the time while we are stopped: a child that wakes us then. */
static pid_t set_alarm_clock(void)
{
	pid_t waker = -1, self = getpid();
	int left = time_left();

	if (left < 0)
		return -1;
	waker = fork();
	if (waker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		poll(NULL, 0, left);
		kill(self, SIGCONT);
		_exit(0);
	}
	return waker;
}

/* Takes the child's way of stopping, so that the shell sees a stopped job. */
static void stop_too(int sig)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, old = dfl;
	pid_t waker = set_alarm_clock();
	sigset_t set, all;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigaction(sig, &dfl, &old);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, &all);
	/* here we stop, and go on when continued */
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigaction(sig, &old, NULL);
	if (waker > 0) {
		kill(waker, SIGKILL);
		waitpid(waker, NULL, 0);
	}
}

static void reap(void)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED, &usage)) > 0) {
		if (pid != sup.child)
			continue;
		if (WIFSTOPPED(status)) {
			stop_too(WSTOPSIG(status));
			continue;
		}
		sup.ended = true;
		sup.status = status;
		sup.usage = usage;
	}
}

/*
 * What the kernel sends to one process: an alarm set before we were executed;
 * a terminal that goes, to its session's leader.
 */
static bool ours_alone(const struct signalfd_siginfo *s)
{
	switch (s->ssi_signo) {
	case SIGALRM:
		return true;
	case SIGHUP:
	case SIGCONT:
		return getsid(0) == getpid();
	}
	return false;
}

/*
 * What was sent to us is meant for the program. What the terminal or the
 * kernel sent to the process group has reached it already.
 */
static void pass_on(const struct signalfd_siginfo *s)
{
	union sigval value = { .sival_ptr = (void *)s->ssi_ptr };
	int sig = s->ssi_signo;

	if (sig == SIGCHLD || s->ssi_pid == (uint32_t)sup.child)
		return;
	if (s->ssi_code == SI_QUEUE)
		sigqueue(sup.child, sig, value);
	else if (s->ssi_code == SI_USER || s->ssi_code == SI_TKILL ||
		 (s->ssi_code == SI_KERNEL && ours_alone(s)))
		kill(sup.child, sig);
}

static void serve_signals(void)
{
	struct signalfd_siginfo s;

	while (read(sup.signals, &s, sizeof(s)) == sizeof(s))
		if (!sup.ended)
			pass_on(&s);
	reap();
}

static void serve_broker(void)
{
	if (!sup.served)
		sup.served = dune_broker_serve(sup.broker);
}

/* What the ended program had still sent: its counters. */
static void serve_last_words(void)
{
	struct pollfd p = {
		.fd = dune_broker_fd(sup.broker), .events = POLLIN,
	};

	/* bounded: those who live on may go on asking */
	for (int i = 0; i < LAST_ROUNDS && !sup.served; i++) {
		if (poll(&p, 1, 0) <= 0)
			return;
		serve_broker();
	}
}

static void wait_for(int timeout)
{
	struct pollfd p[] = {
		{ .fd = sup.signals, .events = POLLIN },
		{ .fd = sup.served ? -1 : dune_broker_fd(sup.broker),
		  .events = POLLIN },
	};

	if (poll(p, 2, timeout) <= 0)
		return;
	if (p[1].revents)
		serve_broker();
	if (p[0].revents)
		serve_signals();
}

/* Until no child is left, as subreaper: no process of the sandbox. */
static void kill_all(void)
{
	siginfo_t info;

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
		dune_broker_kill(sup.broker);
		wait_for(KILL_ROUND_MS);
		reap();
	}
}

static void run_to_end(void)
{
	while (!sup.ended) {
		int timeout = time_left();

		if (timeout == 0) {
			sup.timed_out = true;
			kill_all();
			return;
		}
		wait_for(timeout);
	}
	if (sup.run->state.deadline_ns)
		kill_all();
}

/* ---- afterwards ---- */

/*
 * Processes that the first one left behind live on, as they would outside, and
 * still need their broker: a copy of this process, away from the terminal and
 * from whoever waits for our output to end.
 */
static void serve_the_rest(void)
{
	struct pollfd p = {
		.fd = dune_broker_fd(sup.broker), .events = POLLIN,
	};

	if (fork() != 0)
		return;
	setsid();
	if (chdir("/"))
		_exit(0);
	dup2(STDIN_FILENO, STDERR_FILENO);
	close(sup.signals);
	while (dune_broker_serve(sup.broker) == 0)
		poll(&p, 1, -1);
	_exit(0);
}

/* RLIMIT_CPU: the kernel sends SIGKILL once the time is used up. */
static bool cpu_time_out(void)
{
	uint64_t limit = sup.run->state.policy.cpu_seconds;
	uint64_t used = sup.usage.ru_utime.tv_sec + sup.usage.ru_stime.tv_sec;
	uint64_t us = sup.usage.ru_utime.tv_usec + sup.usage.ru_stime.tv_usec;

	/* it counts ticks: allow for one that is not over */
	used += (us + 20000) / 1000000;
	return limit && WIFSIGNALED(sup.status) && used >= limit &&
	       (WTERMSIG(sup.status) == SIGKILL ||
		WTERMSIG(sup.status) == SIGXCPU);
}

/* As the program died, so that a shell says what it would say of it. */
static int die_of(int sig)
{
	struct rlimit none = { 0, 0 };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t set;

	/* one core file, the program's, is enough */
	setrlimit(RLIMIT_CORE, &none);
	sigaction(sig, &dfl, NULL);
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + sig;
}

static int conclude(void)
{
	const struct dune_policy *p = &sup.run->state.policy;
	const char *name = sup.run->argv[0];

	if (sup.timed_out) {
		fprintf(stderr, "dune-run: %s: ended after %g s; --time gives "
			"it more\n", name, p->wall_ns / 1e9);
		return DUNE_EXIT_TIME;
	}
	if (cpu_time_out()) {
		fprintf(stderr, "dune-run: %s: ended after %lu s of CPU time; "
			"--cpu-time gives it more\n", name,
			(unsigned long)p->cpu_seconds);
		return DUNE_EXIT_TIME;
	}
	if (WIFSIGNALED(sup.status))
		return die_of(WTERMSIG(sup.status));
	return WEXITSTATUS(sup.status);
}

int dune_supervise(struct dune_run *run)
{
	sup.run = run;
	start();
	run_to_end();
	serve_last_words();
	if (run->state.policy.stat)
		dune_print_stats(dune_broker_total(sup.broker),
				 &run->kind, now_ns() - sup.start_ns);
	if (!sup.served)
		serve_the_rest();
	return conclude();
}
