/*
 * Signals on both sides: a handler runs where its thread is, and sees what it
 * would see natively; out of it goes every way there is.
 */
#include "test.h"

#include <setjmp.h>
#include <sys/time.h>

static volatile int count, inside, outside, stop;
static volatile siginfo_t last;
static sigjmp_buf back;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	CHECK(sig == info->si_signo);
	last = *info;
	count++;
	if (dune_in_dune_mode())
		inside++;
	else
		outside++;
}

static void on_fault(int sig, siginfo_t *info, void *uc)
{
	on_signal(sig, info, uc);
	siglongjmp(back, 1);
}

static void sent(void)
{
	union sigval v = { .sival_int = 77 };

	count = inside = outside = 0;
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(count == 1 && last.si_code == SI_USER &&
	      last.si_pid == getpid());
	CHECK(sigqueue(getpid(), SIGRTMIN, v) == 0);
	CHECK(count == 2 && last.si_code == SI_QUEUE &&
	      last.si_value.sival_int == 77);
	CHECK(raise(SIGUSR1) == 0);
	CHECK(count == 3 && last.si_code == SI_TKILL);
}

static void child(void)
{
	pid_t pid = fork();
	sigset_t none;

	if (!pid)
		_exit(9);
	sigemptyset(&none);
	while (last.si_signo != SIGCHLD)
		msleep(1);
	CHECK(last.si_code == CLD_EXITED && last.si_status == 9 &&
	      last.si_pid == pid);
	CHECK(WEXITSTATUS(reap(pid)) == 9);
}

/* A real bad access, out of which the handler jumps. */
static void fault(void)
{
	char *p = map(PAGE, PROT_READ);
	volatile int rounds = 0;

	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)(p + 5) = 1;
	CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_ACCERR &&
	      last.si_addr == p + 5);
	munmap(p, PAGE);
	if (sigsetjmp(back, 1) == 0)
		(void)*(volatile char *)(p + 6);
	CHECK(last.si_signo == SIGSEGV && last.si_code == SEGV_MAPERR &&
	      last.si_addr == p + 6);
	if (sigsetjmp(back, 1) == 0)
		__asm__ volatile("ud2");
	CHECK(last.si_signo == SIGILL && last.si_code == ILL_ILLOPN);
	sigsetjmp(back, 1);
	if (rounds++ < times(50, 5))
		*(volatile char *)(p + 7) = 1;
}

static void on_nested(int sig, siginfo_t *info, void *uc)
{
	int before = count;

	(void)sig, (void)info, (void)uc;
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(count == before + 1);
	fault();
}

static void *maps(void *arg)
{
	char *p;
	int i;

	for (i = 0; !stop; i++) {
		p = map(4 * PAGE, PROT_READ | PROT_WRITE);
		p[PAGE] = i;
		CHECK(mprotect(p, PAGE, PROT_NONE) == 0);
		CHECK(p[PAGE] == (char)i);
		CHECK(munmap(p, 4 * PAGE) == 0);
	}
	return arg;
}

/*
 * A timer and another thread's mappings, until there were n signals. Once at a
 * time: where a handler takes longer than the timer nothing else would run.
 */
static void storm(int n)
{
	struct itimerval it = { { 0, 0 }, { 0, 500 } };
	int armed = -1, i;
	uint64_t sum = 0, want = 0;
	double d = 0, e = 0;
	pthread_t t;
	char *p;

	stop = count = 0;
	CHECK(pthread_create(&t, NULL, maps, NULL) == 0);
	for (i = 0; count < n; i++) {
		if (armed != count) {
			armed = count;
			it.it_value.tv_usec = 300 + i % 400;
			CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
		}
		sum += i * 3;
		want += i * 3;
		d += 0.5;
		e += 0.5;
		CHECK(sum == want && d == e);
		p = map(2 * PAGE, PROT_READ | PROT_WRITE);
		p[PAGE + 3] = 3;
		CHECK(munmap(p, 2 * PAGE) == 0);
		CHECK(dune_in_dune_mode());
	}
	stop = 1;
	CHECK(pthread_join(t, NULL) == 0);
}

/* To a thread that is outside, while this one is inside. */
static void *waits_outside(void *arg)
{
	OK(dune_leave());
	*(volatile int *)arg = 1;
	while (!outside)
		msleep(1);
	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)16 = 1;
	CHECK(last.si_signo == SIGSEGV && last.si_addr == (void *)16);
	CHECK(!dune_in_dune_mode());
	return arg;
}

static void to_others(void)
{
	volatile int there = 0;
	pthread_t t;

	outside = 0;
	CHECK(pthread_create(&t, NULL, waits_outside, (void *)&there) == 0);
	while (!there)
		msleep(1);
	CHECK(pthread_kill(t, SIGUSR1) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(outside == 2);
}

/* A call that a signal interrupts is restarted, or is not. */
static void *pokes(void *t)
{
	char c = 'x';
	int i;

	for (i = 0; i < 3; i++) {
		msleep(5);
		pthread_kill(*(pthread_t *)t, SIGUSR2);
	}
	msleep(5);
	CHECK(write(stop, &c, 1) == 1);
	return NULL;
}

static void restart(void)
{
	pthread_t me = pthread_self(), t;
	int p[2];
	char c;

	CHECK(pipe(p) == 0);
	stop = p[1];
	handle(SIGUSR2, on_signal, SA_RESTART);
	CHECK(pthread_create(&t, NULL, pokes, &me) == 0);
	CHECK(read(p[0], &c, 1) == 1 && c == 'x');
	CHECK(pthread_join(t, NULL) == 0);
	handle(SIGUSR2, on_signal, 0);
	CHECK(pthread_create(&t, NULL, pokes, &me) == 0);
	while (read(p[0], &c, 1) < 0)
		CHECK(errno == EINTR);
	CHECK(pthread_join(t, NULL) == 0);
}

static void alternate(void)
{
	stack_t ss = { .ss_sp = map(16 * PAGE, PROT_READ | PROT_WRITE),
		       .ss_size = 16 * PAGE }, was;

	CHECK(sigaltstack(&ss, NULL) == 0);
	handle(SIGSEGV, on_fault, SA_ONSTACK);
	fault();
	OK(dune_leave());
	CHECK(sigaltstack(NULL, &was) == 0 && was.ss_sp == ss.ss_sp &&
	      was.ss_flags == 0);
	fault();
	OK(dune_enter());
	fault();
	ss.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&ss, NULL) == 0);
}

int main(void)
{
	handle(SIGUSR1, on_signal, 0);
	OK(dune_enter());
	handle(SIGRTMIN, on_signal, SA_RESTART);
	handle(SIGCHLD, on_signal, SA_RESTART);
	handle(SIGALRM, on_signal, SA_RESTART);
	handle(SIGSEGV, on_fault, 0);
	handle(SIGILL, on_fault, 0);
	handle(SIGHUP, on_nested, 0);
	sent();
	CHECK(inside == 3 && outside == 0);
	OK(dune_leave());
	sent();
	CHECK(inside == 0 && outside == 3);
	OK(dune_enter());
	say("sent\n");
	child();
	say("child\n");
	fault();
	say("fault\n");
	CHECK(kill(getpid(), SIGHUP) == 0);
	say("nested\n");
	storm(times(500, 10));
	say("storm\n");
	to_others();
	say("outside\n");
	restart();
	say("restart\n");
	alternate();
	say("signals\n");
	return 0;
}
