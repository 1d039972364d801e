/*
 * What a process sees of its relatives and may set: their arguments, also
 * changed ones, scheduling, priorities, affinity. Numbers that are nobody's.
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "guest.h"

#define IOPRIO_PROCESS	1
#define IDLE		(3 << 13)

/* Where an executed child says that it is there. */
#define READY		9

/* The first of another process's arguments and the last. */
static void arguments(const char *who, pid_t pid)
{
	char path[64], buf[4096];
	char *last, *slash;
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && (n = read(fd, buf, sizeof(buf) - 1)) > 0);
	close(fd);
	buf[n] = 0;
	for (last = buf + n - 1; last > buf && last[-1]; last--)
		;
	slash = strrchr(buf, '/');
	say("%s: %s ... %s\n", who, slash ? slash + 1 : buf, last);
}

/* A process that says when it is there, and waits to be killed. */
static pid_t child(char **exec)
{
	int fds[2];
	pid_t pid;
	char c;

	CHECK(pipe(fds) == 0);
	pid = fork();
	if (!pid) {
		if (exec) {
			dup2(fds[1], READY);
			execv("/proc/self/exe", exec);
			_exit(9);
		}
		CHECK(write(fds[1], "x", 1) == 1);
		pause();
	}
	CHECK(read(fds[0], &c, 1) == 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void settings(const char *who, pid_t pid)
{
	struct sched_param param;
	cpu_set_t set, one;
	int prio;

	CHECK(sched_getscheduler(pid) == SCHED_OTHER);
	CHECK(sched_getparam(pid, &param) == 0 && !param.sched_priority);
	CHECK(sched_setscheduler(pid, SCHED_BATCH, &param) == 0);
	CHECK(sched_getscheduler(pid) == SCHED_BATCH);
	CHECK(sched_getaffinity(pid, sizeof(set), &set) == 0);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	CHECK(sched_setaffinity(pid, sizeof(one), &one) == 0);
	CHECK(sched_getaffinity(pid, sizeof(one), &one) == 0);
	CHECK(CPU_COUNT(&one) == 1);
	CHECK(sched_setaffinity(pid, sizeof(set), &set) == 0);
	CHECK(setpriority(PRIO_PROCESS, pid, 7) == 0);
	errno = 0;
	prio = getpriority(PRIO_PROCESS, pid);
	CHECK(!errno && prio == 7);
	CHECK(syscall(SYS_ioprio_set, IOPRIO_PROCESS, pid, IDLE) == 0);
	say("%s: batch, %d, %ld\n", who, prio,
	    syscall(SYS_ioprio_get, IOPRIO_PROCESS, pid) >> 13);
}

int main(int argc, char **argv)
{
	char *exec[] = { argv[0], "child", "last", NULL };
	pid_t forked, executed;
	struct sched_param param;

	if (argc > 2) {
		arguments("parent", getppid());
		if (!strcmp(argv[2], "rename"))
			memset(argv[2], 'r', strlen(argv[2]));
		if (!strcmp(argv[2], "title")) {
			memset(argv[0], ' ', argv[2] + 6 - argv[0]);
			strcpy(argv[0], "title");
			arguments("own", getpid());
		}
		CHECK(write(READY, "x", 1) == 1);
		pause();
	}
	forked = child(NULL);
	executed = child(exec);
	arguments("forked", forked);
	arguments("executed", executed);
	CHECK(kill(executed, SIGKILL) == 0);
	say("%s\n", how(reap(executed)));
	exec[2] = "rename";
	executed = child(exec);
	arguments("renamed", executed);
	CHECK(kill(executed, SIGKILL) == 0);
	reap(executed);
	exec[2] = "title";
	executed = child(exec);
	arguments("titled", executed);

	settings("forked", forked);
	settings("executed", executed);
	settings("self", getpid());

	/* gone, or never there */
	CHECK(kill(forked, SIGKILL) == 0 && kill(executed, SIGKILL) == 0);
	reap(executed);
	say("%s\n", how(reap(forked)));
	FAILS(ESRCH, sched_getscheduler(forked));
	FAILS(ESRCH, sched_getparam(forked, &param));
	FAILS(ESRCH, getpriority(PRIO_PROCESS, forked));
	FAILS(EINVAL, sched_getscheduler(-1));
	FAILS(EINVAL, syscall(SYS_pidfd_open, -1, 0));
	FAILS(EINVAL, syscall(SYS_pidfd_open, 0, 0));
	FAILS(EINVAL, syscall(SYS_tgkill, -1, -1, 0));
	FAILS(EINVAL, getpriority(99, 0));
	FAILS(EINVAL, syscall(SYS_ioprio_get, 99, 0));

	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
	FAILS(EINVAL, prctl(PR_SET_KEEPCAPS, 2));
	say("nobody\n");
	return 0;
}
