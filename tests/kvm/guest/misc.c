/*
 * Small calls: limits, identity, prctl, getrandom, uname, sysinfo, scheduling,
 * unknown numbers.
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include "guest.h"

static void too_long(void)
{
	struct rlimit rl = { 1, 1 };

	CHECK(setrlimit(RLIMIT_CPU, &rl) == 0);
	for (;;)
		;
}

static void too_big(void)
{
	struct rlimit rl = { 100, 100 };
	int fd = memfd_create("x", 0);

	CHECK(setrlimit(RLIMIT_FSIZE, &rl) == 0);
	signal(SIGXFSZ, SIG_IGN);
	CHECK(write(fd, "x", 1) == 1);
	FAILS(EFBIG, pwrite(fd, "x", 1, 200));
	signal(SIGXFSZ, SIG_DFL);
	(void)!pwrite(fd, "x", 1, 200);
}

int main(void)
{
	struct rlimit rl, old;
	struct utsname u;
	struct sysinfo si;
	unsigned char r[64] = { 0 }, q[64] = { 0 };
	char name[17] = "";
	cpu_set_t cpus;
	int fd;

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0 && old.rlim_cur >= 64);
	rl = (struct rlimit){ 32, old.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0);
	CHECK(prlimit(0, RLIMIT_NOFILE, NULL, &rl) == 0 && rl.rlim_cur == 32);
	while ((fd = dup(1)) >= 0)
		CHECK(fd < 32);
	CHECK(errno == EMFILE);
	say("descriptor limit\n");
	rl = old;
	CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0);
	fd = dup(1);
	CHECK(fd == 32);
	say("%s\n", how(in_child(too_big)));
	say("%s\n", how(in_child(too_long)));

	CHECK(getpid() == gettid() && getppid() >= 0 && getuid() == geteuid());
	CHECK(getgid() == getegid() && getpgid(0) == getpgrp());
	CHECK(getsid(0) >= 0 && getgroups(0, NULL) >= 0);
	CHECK(prctl(PR_SET_NAME, "a new name") == 0);
	CHECK(prctl(PR_GET_NAME, name) == 0);
	say("name %s\n", name);
	CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &fd) == 0 && fd == SIGTERM);
	FAILS(EINVAL, prctl(12345, 0, 0, 0, 0));
	CHECK(getrandom(r, 64, 0) == 64);
	CHECK(getrandom(q, 64, GRND_NONBLOCK) == 64);
	CHECK(memcmp(r, q, 64) != 0);
	CHECK(uname(&u) == 0);
	say("%s %s\n", u.sysname, u.machine);
	CHECK(sysinfo(&si) == 0 && si.totalram > 0);
	CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	CHECK(CPU_COUNT(&cpus) >= 1 && sched_getcpu() >= 0);
	CHECK(sched_yield() == 0 && getpriority(PRIO_PROCESS, 0) >= -20);
	umask(022);
	CHECK(umask(022) == 022);
	FAILS(ENOSYS, syscall(470 + 30));
	FAILS(ENOSYS, syscall(-1));
	FAILS(ENOSYS, syscall(100000));
	say("small calls\n");
	return 0;
}
