/*
 * Signals without pause: interval and POSIX timers, a process that sends to
 * another, threads that send to each other, while memory and calls are used.
 */
#include <sys/time.h>
#include "guest.h"

static volatile long alarms, timers, users;
static volatile int stop;
static pthread_t peer[2];

static void count(int sig, siginfo_t *si, void *uc)
{
	int e = errno;

	(void)uc;
	if (sig == SIGALRM)
		alarms++;
	else if (sig == SIGUSR1)
		__atomic_add_fetch(&users, 1, __ATOMIC_RELAXED);
	else if (si->si_code == SI_TIMER && si->si_value.sival_int == 55)
		timers++;
	/* A call of its own in the middle of somebody else's. */
	getppid();
	errno = e;
}

static void *pest(void *arg)
{
	long i = (long)arg;
	char *p = map(16 * PAGE, PROT_READ | PROT_WRITE);

	for (int n = 0; n < 300; n++) {
		pthread_kill(peer[!i], SIGUSR1);
		p[n % 16 * PAGE] = n;
		CHECK(p[n % 16 * PAGE] == (char)n);
		CHECK(getppid() > 0);
	}
	__atomic_add_fetch(&stop, 1, __ATOMIC_SEQ_CST);
	/* Nobody may leave while the other still sends to it. */
	while (stop < 2)
		sched_yield();
	return NULL;
}

int main(void)
{
	struct itimerval it = { { 0, 2000 }, { 0, 2000 } };
	struct itimerval off = { { 0, 0 }, { 0, 0 } };
	struct itimerspec its = { { 0, 3000000 }, { 0, 3000000 } };
	struct sigevent sev = { .sigev_notify = SIGEV_SIGNAL,
				.sigev_signo = SIGRTMIN,
				.sigev_value.sival_int = 55 };
	unsigned long sum = 0;
	timer_t timer;
	int fds[2];
	char c;

	handle(SIGALRM, count, SA_RESTART);
	handle(SIGUSR1, count, SA_RESTART);
	handle(SIGRTMIN, count, SA_RESTART);
	CHECK(timer_create(CLOCK_MONOTONIC, &sev, &timer) == 0);
	CHECK(timer_settime(timer, 0, &its, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	while (alarms < 40 || timers < 30)
		for (int i = 0; i < 1000; i++)
			sum += i;
	CHECK(pipe(fds) == 0);
	for (long n = alarms + 40; alarms < n; ) {
		CHECK(write(fds[1], "x", 1) == 1);
		CHECK(read(fds[0], &c, 1) == 1 && c == 'x');
	}
	say("timers while running and while calling\n");
	for (int i = 0; i < 6; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(alarms > 0 ? i : 99);
		CHECK(reap(pid) == i << 8);
	}
	say("forks in the storm\n");
	setitimer(ITIMER_REAL, &off, NULL);
	timer_delete(timer);

	pthread_barrier_t b;

	pthread_barrier_init(&b, NULL, 2);
	peer[0] = peer[1] = pthread_self();
	for (long i = 0; i < 2; i++)
		CHECK(pthread_create(&peer[i], NULL, pest, (void *)i) == 0);
	for (int i = 0; i < 2; i++)
		pthread_join(peer[i], NULL);
	CHECK(users > 0);
	say("threads at each other\n");
	return sum == 0;
}
