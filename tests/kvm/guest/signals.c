/*
 * Signal handlers: siginfo, nesting, masks while a handler runs, SA_NODEFER,
 * SA_RESETHAND, sigsuspend, pending signals, kill between processes,
 * tgkill between threads, leaving a handler by siglongjmp.
 */
#include <setjmp.h>
#include "guest.h"

static volatile int depth, deepest, runs, code, value;
static volatile pid_t sender;
static sigjmp_buf env;

static void info(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	runs++;
	CHECK(si->si_signo == sig);
	code = si->si_code;
	sender = si->si_pid;
	value = si->si_value.sival_int;
}

static void nest(int sig, siginfo_t *si, void *uc)
{
	sigset_t set;

	(void)si, (void)uc;
	depth++;
	if (depth > deepest)
		deepest = depth;
	sigprocmask(SIG_SETMASK, NULL, &set);
	CHECK(sigismember(&set, SIGUSR2) == (sig == SIGUSR2));
	if (sig == SIGUSR1)
		raise(SIGUSR2);
	depth--;
}

static void again(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	runs++;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (runs < 5)
		raise(sig);
	depth--;
}

static void jump(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	siglongjmp(env, sig);
}

static void *target(void *arg)
{
	while (!runs)
		sched_yield();
	return arg;
}

int main(void)
{
	sigset_t set, old;
	pthread_t t;
	pid_t pid;

	handle(SIGUSR1, info, 0);
	raise(SIGUSR1);
	CHECK(code == SI_TKILL && sender == getpid());
	kill(getpid(), SIGUSR1);
	CHECK(code == SI_USER && sender == getpid());
	sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 99 });
	CHECK(code == SI_QUEUE && value == 99);
	say("runs %d\n", runs);

	pid = fork();
	if (pid == 0) {
		kill(getppid(), SIGUSR1);
		for (;;)
			pause();
	}
	while (runs < 4)
		;
	CHECK(sender == pid);
	kill(pid, SIGUSR1);	/* its handler runs, pause goes on */
	kill(pid, SIGTERM);
	say("between processes, %s\n", how(reap(pid)));

	handle(SIGUSR1, nest, 0);
	handle(SIGUSR2, nest, 0);
	raise(SIGUSR1);
	say("nested %d deep\n", deepest);

	runs = deepest = 0;
	handle(SIGUSR1, again, 0);
	raise(SIGUSR1);
	say("deferred: %d runs, %d deep\n", runs, deepest);
	runs = deepest = 0;
	handle(SIGUSR1, again, SA_NODEFER);
	raise(SIGUSR1);
	say("SA_NODEFER: %d runs, %d deep\n", runs, deepest);

	runs = 0;
	handle(SIGUSR1, info, SA_RESETHAND);
	raise(SIGUSR1);
	pid = fork();
	if (pid == 0)
		raise(SIGUSR1);
	say("SA_RESETHAND: %d run, then %s\n", runs, how(reap(pid)));

	/* Blocked: stays pending until sigsuspend opens it. */
	runs = 0;
	handle(SIGUSR1, info, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(runs == 0);
	sigpending(&set);
	CHECK(sigismember(&set, SIGUSR1));
	FAILS(EINTR, sigsuspend(&old));
	say("sigsuspend: %d run\n", runs);
	sigprocmask(SIG_SETMASK, NULL, &set);
	CHECK(sigismember(&set, SIGUSR1));
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	say("unblocked: %d runs\n", runs);

	runs = 0;
	pthread_create(&t, NULL, target, NULL);
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	say("to a spinning thread: %d run\n", runs);

	handle(SIGUSR1, jump, 0);
	for (volatile int i = 0; i < 100; i++)
		if (sigsetjmp(env, 1) == 0)
			raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, NULL, &set);
	CHECK(!sigismember(&set, SIGUSR1));
	say("jumped out 100 times\n");
	return 0;
}
