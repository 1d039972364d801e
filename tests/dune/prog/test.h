/*
 * What every program of tests/dune uses. One file a program; it prints plain
 * text and ends with 0 if all is well, with 77 and a line that says why if the
 * machine lacks what it tests. tests/dune/run has a line for each.
 */
#ifndef TEST_H
#define TEST_H

#include <dirent.h>
#include "../../kvm/guest/guest.h"
#include "dune.h"
#include "dune/trap.h"

#define EXIT_SKIP	77

/* Ends the program as not tested. */
#define SKIP(...) do {							\
	say(__VA_ARGS__);						\
	say("\n");							\
	_exit(EXIT_SKIP);						\
} while (0)

/* The function fails with -errno. */
#define OK(call) do {							\
	int r_ = (call);						\
	if (r_) {							\
		say("FAILED %s:%d: %s: %d, %s\n", __FILE_NAME__,	\
		    __LINE__, #call, r_, dune_errmsg());		\
		_exit(1);						\
	}								\
} while (0)

/* How often: the emulated machines are ten to fifty times slower. */
static inline int times(int here, int emulated)
{
	return getenv("DUNE_RIG") ? emulated : here;
}

/* How many are open, and opendir()'s own. */
static inline int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
