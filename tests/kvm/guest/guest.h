/*
 * What every guest program uses: a check that names the line that failed, and
 * output that no stdio buffer can print twice after a fork.
 *
 * The programs print what must be the same natively and sandboxed: no
 * addresses, no process numbers, no times.
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define say(...) ((void)!dprintf(1, __VA_ARGS__))

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		int e_ = errno;						\
		say("FAILED %s:%d: %s (errno %d, %s)\n", __FILE_NAME__,	\
		    __LINE__, #cond, e_, strerror(e_));			\
		_exit(1);						\
	}								\
} while (0)

/* The call fails, and with this errno. */
#define FAILS(err, call) do {						\
	errno = 0;							\
	long r_ = (long)(call);						\
	int e_ = errno;							\
	if (r_ != -1 || e_ != (err)) {					\
		say("FAILED %s:%d: %s: %ld, errno %d, not %s\n",	\
		    __FILE_NAME__, __LINE__, #call, r_, e_, #err);	\
		_exit(1);						\
	}								\
} while (0)

#define PAGE 4096ul

/* The wait status of pid. */
static inline int reap(pid_t pid)
{
	int status = -1;

	CHECK(pid > 0);
	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR);
	return status;
}

/* What f does to a child of its own. */
static inline int in_child(void (*f)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		f();
		_exit(0);
	}
	return reap(pid);
}

static inline const char *how(int status)
{
	static char text[40];

	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "exit %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "signal %d", WTERMSIG(status));
	else if (WIFSTOPPED(status))
		snprintf(text, sizeof(text), "stop %d", WSTOPSIG(status));
	else
		snprintf(text, sizeof(text), "status %#x", status);
	return text;
}

static inline void handle(int sig, void (*f)(int, siginfo_t *, void *),
			  int flags)
{
	struct sigaction sa = { .sa_sigaction = f,
				.sa_flags = SA_SIGINFO | flags };

	sigemptyset(&sa.sa_mask);
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static inline void *map(size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static inline void msleep(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* The directory that the runner lets us write to: the last argument. */
static inline void enter_dir(int argc, char **argv)
{
	CHECK(argc > 1);
	CHECK(chdir(argv[argc - 1]) == 0);
}

#endif
