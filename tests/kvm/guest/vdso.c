/*
 * Time through the vDSO: all clocks advance and agree with the system calls.
 * The runner counts the exits of 30000 readings: none may be one.
 */
#include <sys/syscall.h>
#include <sys/time.h>
#include "guest.h"

static long ns(const struct timespec *t)
{
	return t->tv_sec * 1000000000l + t->tv_nsec;
}

int main(void)
{
	static const int clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC,
				      CLOCK_BOOTTIME };
	struct timespec t, before, after;

	for (unsigned int c = 0; c < sizeof(clocks) / sizeof(int); c++) {
		long last = 0;

		for (int i = 0; i < 10000; i++) {
			clock_gettime(clocks[c], &t);
			CHECK(ns(&t) >= last);
			last = ns(&t);
		}
		syscall(SYS_clock_gettime, clocks[c], &before);
		clock_gettime(clocks[c], &t);
		syscall(SYS_clock_gettime, clocks[c], &after);
		CHECK(ns(&before) <= ns(&t) && ns(&t) <= ns(&after));
	}
	CHECK(time(NULL) > 1700000000);
	say("clocks agree\n");
	return 0;
}
