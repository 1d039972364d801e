/*
 * Clocks and timers: eventfd, timerfd, clock_gettime by the vDSO and by the
 * call, monotone over threads, nanosleep to an absolute time, times, getitimer.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include "guest.h"

static int64_t ns(struct timespec t)
{
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t now(clockid_t c)
{
	struct timespec t;

	CHECK(clock_gettime(c, &t) == 0);
	return ns(t);
}

static void *monotone(void *arg)
{
	int64_t last = 0, t;

	for (int i = 0; i < 100000; i++) {
		t = now(CLOCK_MONOTONIC);
		CHECK(t >= last);
		last = t;
	}
	return arg;
}

int main(void)
{
	struct itimerspec its = { { 0, 5000000 }, { 0, 5000000 } };
	struct itimerval itv;
	struct timespec a, b, c;
	struct timeval tv;
	struct rusage ru;
	struct tms tms;
	pthread_t t[2];
	uint64_t n;
	int fd;

	/* The vDSO's clock lies between two answers of the kernel's. */
	for (int i = 0; i < 100; i++) {
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &a);
		clock_gettime(CLOCK_MONOTONIC, &b);
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &c);
		CHECK(ns(a) <= ns(b) && ns(b) <= ns(c));
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &a);
		gettimeofday(&tv, NULL);
		clock_gettime(CLOCK_REALTIME, &c);
		CHECK(ns(a) / 1000 <= tv.tv_sec * 1000000ll + tv.tv_usec);
		CHECK(tv.tv_sec * 1000000ll + tv.tv_usec <= ns(c) / 1000);
		CHECK(labs(time(NULL) - c.tv_sec) <= 1);
	}
	CHECK(clock_getres(CLOCK_MONOTONIC, &a) == 0 && a.tv_nsec == 1);
	FAILS(EINVAL, clock_gettime(77, &a));
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, monotone, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	say("clocks\n");

	CHECK(now(CLOCK_PROCESS_CPUTIME_ID) > 0);
	CHECK(now(CLOCK_THREAD_CPUTIME_ID) >= 0);
	CHECK(now(CLOCK_BOOTTIME) >= now(CLOCK_MONOTONIC) - 1000000000);
	CHECK(times(&tms) != -1 && getrusage(RUSAGE_SELF, &ru) == 0);
	CHECK(ru.ru_maxrss > 0);

	n = now(CLOCK_MONOTONIC);
	a = (struct timespec){ 0, 10000000 };
	CHECK(nanosleep(&a, NULL) == 0);
	CHECK(now(CLOCK_MONOTONIC) - n >= 10000000);
	clock_gettime(CLOCK_MONOTONIC, &a);
	a.tv_sec -= 1;
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL) == 0);
	say("sleeps\n");

	fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	CHECK(fd >= 0 && timerfd_settime(fd, 0, &its, NULL) == 0);
	CHECK(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 5000) == 1);
	CHECK(read(fd, &n, 8) == 8 && n >= 1);
	CHECK(timerfd_gettime(fd, &its) == 0 &&
	      its.it_interval.tv_nsec == 5000000);
	say("timerfd\n");

	fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
	for (int i = 0; i < 3; i++)
		CHECK(read(fd, &n, 8) == 8 && n == 1);
	FAILS(EAGAIN, read(fd, &n, 8));
	FAILS(EINVAL, read(fd, &n, 4));
	n = 40;
	CHECK(write(fd, &n, 8) == 8 && read(fd, &n, 8) == 8);
	say("eventfd\n");

	itv = (struct itimerval){ { 0, 0 }, { 100, 0 } };
	CHECK(setitimer(ITIMER_VIRTUAL, &itv, NULL) == 0);
	CHECK(getitimer(ITIMER_VIRTUAL, &itv) == 0 && itv.it_value.tv_sec > 90);
	alarm(50);
	say("alarm left %u\n", alarm(0));
	return 0;
}
