/*
 * /proc/self is the program's, not the monitor's: exe, cmdline, comm, maps, fd,
 * stat and status agree with what the program knows.
 */
#include <dirent.h>
#include <sys/prctl.h>
#include "guest.h"

static char buf[1 << 18];

static char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY), n, at = 0;

	if (fd < 0) {
		say("%s: %s\n", path, strerror(errno));
		exit(1);
	}
	while ((n = read(fd, buf + at, sizeof(buf) - 1 - at)) > 0)
		at += n;
	CHECK(n == 0);
	close(fd);
	buf[at] = 0;
	return buf;
}

/* The permissions that maps shows for an address, or "none". */
static const char *perms(const void *p)
{
	static char pr[8];
	unsigned long lo, hi;

	for (char *l = slurp("/proc/self/maps"); l; l = strchr(l, '\n')) {
		l += *l == '\n';
		if (sscanf(l, "%lx-%lx %4s", &lo, &hi, pr) == 3 &&
		    (unsigned long)p >= lo && (unsigned long)p < hi)
			return pr;
	}
	return "none";
}

int main(int argc, char **argv)
{
	char exe[PATH_MAX] = "", *p, *q, path[64];
	struct dirent *e;
	long v;
	int fd, n = 0;
	DIR *d;

	(void)argc;
	CHECK(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	CHECK(strcmp(strrchr(exe, '/'), "/proc-self") == 0);
	snprintf(path, sizeof(path), "/proc/%d/exe", getpid());
	CHECK(readlink(path, buf, sizeof(buf)) == (ssize_t)strlen(exe));
	fd = open("/proc/self/exe", O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, 4) == 4 && !memcmp(buf, "\177ELF", 4));
	say("exe\n");

	slurp("/proc/self/cmdline");
	CHECK(strcmp(buf, argv[0]) == 0);
	CHECK(prctl(PR_SET_NAME, "renamed") == 0);
	say("comm %s", slurp("/proc/self/comm"));

	p = map(4 * PAGE, PROT_READ | PROT_WRITE);
	q = map(PAGE, PROT_READ);
	CHECK(mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
	say("maps: data %s", perms(&n));
	say(", code %s", perms(main));
	say(", rw %s, none ", perms(p));
	say("%s, ro ", perms(p + PAGE));
	say("%s, unmapped ", perms(q));
	say("%s\n", perms((void *)0x20000));
	CHECK(strstr(slurp("/proc/self/maps"), "[stack]"));
	CHECK(strstr(buf, exe));
	CHECK(strstr(buf, "[heap]") || sbrk(0));
	say("monitor in maps: %s\n", strstr(buf, "dune-run") ? "yes" : "no");

	d = opendir("/proc/self/fd");
	CHECK(d);
	for (; (e = readdir(d)); n++)
		CHECK(e->d_name[0] == '.' ||
		      fcntl(atoi(e->d_name), F_GETFD) >= 0);
	CHECK(n >= 2 + 3 + 2);		/* . and .., 0 to 2, fd and d */
	closedir(d);
	say("fds\n");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, buf, sizeof(buf)) == (ssize_t)strlen(exe));

	slurp("/proc/self/stat");
	CHECK(atoi(buf) == getpid());
	CHECK(!strncmp(strchr(buf, '('), "(renamed) R ", 12));
	slurp("/proc/self/status");
	CHECK((p = strstr(buf, "\nPid:\t")) && atoi(p + 6) == getpid());
	CHECK((p = strstr(buf, "\nPPid:\t")) && atoi(p + 7) == getppid());
	CHECK((p = strstr(buf, "\nThreads:\t")) && atoi(p + 10) == 1);
	CHECK((p = strstr(buf, "\nUid:\t")) &&
	      strtol(p + 6, NULL, 10) == getuid());
	CHECK((p = strstr(slurp("/proc/meminfo"), "MemTotal:")));
	v = strtol(p + 9, NULL, 10);
	CHECK(v > 1000);
	CHECK(strstr(slurp("/proc/cpuinfo"), "processor"));
	say("stat and status\n");
	return 0;
}
