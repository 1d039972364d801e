/* The policy: from words to rules, and the walls it builds, in a child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/policy/filter.h"
#include "kern/policy/internal.h"
#include "kern/sys/sys.h"

static struct dune_policy p;

static int fresh(void **state)
{
	(void)state;
	dune_policy_init(&p);
	return 0;
}

static int parse(const char *text)
{
	return dune_policy_parse(&p, "file", text, strlen(text),
				 dune_policy_add_path);
}

/* Refused, with a message that holds `says`. */
static void refused(int got, int err, const char *says)
{
	assert_int_equal(got, err);
	if (!strstr(dune_errmsg(), says))
		fail_msg("\"%s\" does not say \"%s\"", dune_errmsg(), says);
}

static void sizes(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(dune_policy_size("64", &n), 0);
	assert_int_equal(n, 64);
	assert_int_equal(dune_policy_size("10K", &n), 0);
	assert_int_equal(n, 10240);
	assert_int_equal(dune_policy_size("3m", &n), 0);
	assert_int_equal(n, 3 << 20);
	assert_int_equal(dune_policy_size("2G", &n), 0);
	assert_int_equal(n, 2ul << 30);
	assert_int_equal(dune_policy_size("16777215T", &n), 0);
	assert_int_equal(n, 16777215ul << 40);
	assert_int_equal(dune_policy_size("18446744073709551615", &n), 0);
	assert_int_equal(n, UINT64_MAX);
	for (const char *const *s = (const char *[]){
		"", "K", "-1", "+1", " 1", "1 ", "1KB", "1E", "1.5G", "0x10",
		"18446744073709551616", "16777216T", "99999999999999999999K",
		NULL }; *s; s++)
		refused(dune_policy_size(*s, &n), -EINVAL, "not a size");
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(parse("time 2"), 0);
	assert_int_equal(p.wall_ns, 2000000000);
	assert_int_equal(parse("time 0.5"), 0);
	assert_int_equal(p.wall_ns, 500000000);
	assert_int_equal(parse("time 1.0000000019"), 0);
	assert_int_equal(p.wall_ns, 1000000001);
	refused(parse("time .5"), -EINVAL, "not a time");
	refused(parse("time 0"), -EINVAL, "use more");
	refused(parse("time -1"), -EINVAL, "not a time");
	refused(parse("time 1s"), -EINVAL, "not a time");
	refused(parse("time 18446744074"), -EINVAL, "not a time");
	assert_int_equal(parse("cpu-time 3"), 0);
	assert_int_equal(p.cpu_seconds, 3);
	refused(parse("cpu-time 0.5"), -EINVAL, "not a number");
}

static void system_calls(void **state)
{
	(void)state;
	assert_int_equal(dune_policy_syscalls(&p, "read,shmget", true), 0);
	assert_int_equal(p.allow[0], 1);
	assert_int_equal(p.allow[SYS_shmget / 8], 1 << SYS_shmget % 8);
	assert_int_equal(dune_policy_syscalls(&p, "openat", false), 0);
	assert_int_equal(p.deny[SYS_openat / 8], 1 << SYS_openat % 8);
	refused(dune_policy_syscalls(&p, "read,nonsense,write", true),
		-EINVAL, "nonsense: ");
	refused(dune_policy_syscalls(&p, "read,", true), -EINVAL, "");
	refused(dune_policy_syscalls(&p, "", true), -EINVAL, "");
	refused(dune_policy_syscalls(&p, "shmget,ptrace", true), -EINVAL,
		"ptrace: refused to every program");
	assert_int_equal(dune_policy_syscalls(&p, "ptrace", false), 0);
	/* of i386 only */
	refused(dune_policy_syscalls(&p, "socketcall", true), -EINVAL, "");
}

static void a_file(void **state)
{
	(void)state;
	assert_int_equal(parse("# comment\n\n  ro\t/usr  \nrw /dev/null\r\n"
			       "net\nstat\nreport\ntrace\nmem 64M\nprocs 3\n"
			       "fsize 0\nfd 7\nenv A=b c\nenv HOME\nclearenv\n"
			       "cwd /tmp"), 0);
	assert_int_equal(p.paths, 2);
	assert_string_equal(dune_policy_string(&p, p.path[0].off), "/usr");
	assert_false(p.path[0].write);
	assert_true(p.path[1].write);
	assert_true(p.net && p.stat && p.report && p.trace && p.clearenv);
	assert_int_equal(p.mem, 64 << 20);
	assert_int_equal(p.procs, 3);
	assert_int_equal(p.fsize, 0);
	assert_true(p.keep_fds[7]);
	assert_int_equal(p.envs, 2);
	assert_string_equal(dune_policy_string(&p, p.env[0]), "A=b c");
	assert_string_equal(dune_policy_string(&p, p.cwd), "/tmp");
	assert_string_equal(dune_policy_string(&p, p.trace_file), "");
}

static void bad_files(void **state)
{
	char line[8192];

	(void)state;
	refused(parse("net\n\nbogus 1\n"), -EINVAL, "file:3: bogus: unknown");
	refused(parse("mem"), -EINVAL, "file:1: mem: needs an argument");
	refused(parse("net yes"), -EINVAL, "file:1: net: takes no argument");
	refused(parse("ro /nowhere/at/all"), -ENOENT,
		"file:1: ro: /nowhere/at/all: ");
	refused(parse("fd 1024"), -EINVAL, "fd: ");
	refused(parse("env =x"), -EINVAL, "no name");
	refused(parse("procs 99999999999999999999"), -EINVAL, "procs: ");
	refused(dune_policy_parse(&p, "file", "ne\0t", 4,
				  dune_policy_add_path), -EINVAL, "NUL");
	memset(line, 'x', sizeof(line));
	refused(dune_policy_parse(&p, "file", line, sizeof(line),
				  dune_policy_add_path), -EINVAL, "longer");
}

static void full(void **state)
{
	char text[64];
	int i, err = 0;

	(void)state;
	for (i = 0; !err && i <= DUNE_POLICY_ENVS; i++) {
		snprintf(text, sizeof(text), "env V%d=1", i);
		err = parse(text);
	}
	refused(err, -E2BIG, "more than");
	assert_int_equal(p.envs, DUNE_POLICY_ENVS);
	for (err = i = 0; !err && i < 100000; i++)
		err = parse("cwd /some/where/that/need/not/exist");
	refused(err, -E2BIG, "no room");
}

static void paths(void **state)
{
	(void)state;
	assert_int_equal(parse("ro /usr/../usr/./lib\nrw /tmp"), 0);
	assert_true(dune_policy_path_allowed(&p, "/usr/lib", false));
	assert_true(dune_policy_path_allowed(&p, "/usr/lib/x/y", false));
	assert_false(dune_policy_path_allowed(&p, "/usr/lib/x", true));
	assert_false(dune_policy_path_allowed(&p, "/usr/libx", false));
	assert_false(dune_policy_path_allowed(&p, "/usr", false));
	assert_true(dune_policy_path_allowed(&p, "/tmp/x", true));
	assert_true(dune_policy_path_allowed(&p, "/tmp", false));
	/* the same path again adds rights, it does not take another rule */
	assert_int_equal(parse("rw /usr/lib\nro /tmp"), 0);
	assert_int_equal(p.paths, 2);
	assert_true(dune_policy_path_allowed(&p, "/usr/lib/x", true));
	assert_true(dune_policy_path_allowed(&p, "/tmp/x", true));
	assert_int_equal(parse("ro /"), 0);
	assert_true(dune_policy_path_allowed(&p, "/etc/shadow", false));
	assert_false(dune_policy_path_allowed(&p, "/etc/shadow", true));
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(dune_policy_add_defaults(&p), 0);
	assert_true(dune_policy_path_allowed(&p, "/usr/lib/locale", false));
	/* to be written to by anybody, but its mode is the machine's */
	assert_true(dune_policy_path_allowed(&p, "/dev/null", false));
	assert_false(dune_policy_path_allowed(&p, "/dev/null", true));
	assert_false(dune_policy_path_allowed(&p, "/dev/kvm", false));
	assert_false(dune_policy_path_allowed(&p, "/etc/passwd", false));
	for (unsigned int i = 0; i < p.paths; i++)
		assert_int_equal(p.path[i].list,
				 !strcmp(p.pathbuf + p.path[i].off, "/proc"));
}

/* What ends a monitor must not be what the table forwards for a guest. */
static void never_forwarded(void **state)
{
	(void)state;
	for (long nr = 0; nr < DUNE_NR_MAX; nr++) {
		const struct dune_sysrow *row = dune_sys_row(nr);

		if (row && row->action == DUNE_DO_FORWARD &&
		    dune_seccomp_never(nr))
			fail_msg("%s is forwarded", dune_sys_name(nr));
	}
}

/* ---- the walls: each check runs in a child, behind them ---- */

static void behind_walls(int (*check)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (dune_confine(&p, "/proc/self/exe")) {
			fprintf(stderr, "%s\n", dune_errmsg());
			_exit(99);
		}
		_exit(check());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		fail_msg("killed by %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		fail_msg("check %d failed", WEXITSTATUS(status));
}

static bool fails(long ret, int err)
{
	return ret == -1 && errno == err;
}

static void need_landlock(void)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
		skip();
}

static char dir[] = "/tmp/dune-policy-XXXXXX";

static int check_paths(void)
{
	struct stat st;

	if (chdir(dir) || open("ro/file", O_RDONLY) < 0)
		return 1;
	if (!fails(open("ro/file", O_RDWR), EACCES) ||
	    !fails(open("ro/new", O_CREAT | O_RDWR, 0600), EACCES) ||
	    open("ro/file", O_RDONLY | O_TRUNC) >= 0 ||
	    !fails(unlink("ro/file"), EACCES) ||
	    !fails(mkdir("ro/d", 0700), EACCES))
		return 2;
	if (!fails(open("secret", O_RDONLY), EACCES) ||
	    !fails(open(".", O_RDONLY), EACCES) ||
	    !fails(open("rw/../secret", O_RDONLY), EACCES) ||
	    !fails(open("rw/out", O_RDONLY), EACCES))
		return 3;
	if (open("rw/new", O_CREAT | O_RDWR, 0600) < 0 ||
	    rename("rw/new", "rw/sub/moved") || unlink("rw/sub/moved"))
		return 4;
	if (!fails(link("ro/file", "rw/file"), EXDEV) &&
	    !fails(link("ro/file", "rw/file"), EACCES))
		return 5;
	if (stat("/proc/self", &st) || open("/proc/self/status", O_RDONLY) >= 0)
		return 6;
	/* the monitor may be executed, what the guest may read may not */
	if (!fails(execl("/usr/bin/true", "true", NULL), EACCES) ||
	    !fails(execl("ro/file", "file", NULL), EACCES))
		return 7;
	return 0;
}

static void wall_of_paths(void **state)
{
	char path[64];
	int fd;

	(void)state;
	need_landlock();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("ro", 0700) | mkdir("rw", 0700) |
			 mkdir("rw/sub", 0700), 0);
	assert_int_equal(symlink("../secret", "rw/out"), 0);
	assert_true((fd = open("secret", O_CREAT | O_WRONLY, 0600)) >= 0);
	close(fd);
	assert_true((fd = open("ro/file", O_CREAT | O_WRONLY, 0700)) >= 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/ro", dir);
	assert_int_equal(dune_policy_add_path(&p, path, false), 0);
	snprintf(path, sizeof(path), "%s/rw", dir);
	assert_int_equal(dune_policy_add_path(&p, path, true), 0);
	assert_int_equal(dune_policy_add_defaults(&p), 0);
	behind_walls(check_paths);
	unlink("secret");
	unlink("ro/file");
	unlink("rw/out");
	rmdir("rw/sub");
	rmdir("rw");
	rmdir("ro");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

static int check_calls(void)
{
	int one = 1;

	if (!fails(socket(AF_INET, SOCK_STREAM, 0), EPERM) ||
	    !fails(socket(AF_NETLINK, SOCK_RAW, 0), EPERM) ||
	    !fails(socket(AF_PACKET, SOCK_RAW, 0), EPERM) ||
	    socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		return 1;
	if (!fails((long)mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE |
			      MAP_ANONYMOUS, -1, 0), EPERM) ||
	    !fails(mprotect(&p, 4096, PROT_READ | PROT_EXEC), EPERM))
		return 2;
	if (!fails(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
		   EPERM) ||
	    !fails(syscall(SYS_clone3, NULL, 0), ENOSYS))
		return 3;
	if (!fails(ioctl(0, TIOCSTI, "x"), EPERM) ||
	    !fails(ioctl(0, TIOCLINUX, &one), EPERM))
		return 4;
	if (!fails(syscall(SYS_personality, 0x0400000), EPERM))
		return 5;
	return 0;
}

static void wall_of_calls(void **state)
{
	(void)state;
	need_landlock();
	behind_walls(check_calls);
}

static int check_net(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&in, sizeof(in)))
		return 1;
	if (socket(AF_NETLINK, SOCK_RAW, 0) < 0 ||
	    !fails(socket(AF_NETLINK, SOCK_RAW, 12), EPERM) ||
	    !fails(socket(AF_PACKET, SOCK_RAW, 0), EPERM))
		return 2;
	return 0;
}

static void wall_with_net(void **state)
{
	(void)state;
	need_landlock();
	p.net = true;
	behind_walls(check_net);
}

static int check_rest(void)
{
	cap_t none = cap_init(), caps = cap_get_proc();
	struct rlimit r;

	if (cap_compare(caps, none) != 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	if (getrlimit(RLIMIT_FSIZE, &r) || r.rlim_max != 4096 ||
	    getrlimit(RLIMIT_CPU, &r) || r.rlim_max != 7)
		return 2;
	cap_free(none);
	cap_free(caps);
	return p.landlock_abi >= 1 ? 0 : 3;
}

static void wall_of_limits(void **state)
{
	(void)state;
	need_landlock();
	assert_int_equal(parse("fsize 4K\ncpu-time 7"), 0);
	behind_walls(check_rest);
}

/* Signals to what is outside: the test itself, from ABI 6 on. */
static int check_scope(void)
{
	return fails(kill(getppid(), 0), EPERM) ? 0 : 1;
}

static void wall_of_signals(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 6)
		skip();
	behind_walls(check_scope);
}

static void taken_over(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_landlock();
	pid = fork();
	if (pid == 0) {
		if (dune_confine(&p, "/proc/self/exe"))
			_exit(99);
		syscall(SYS_ptrace, 16, getppid(), 0, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void filters_of_the_build_are_current(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < DUNE_FILTER_KINDS; i++) {
		const struct dune_filter_kind kind = dune_filter_kind(i);
		struct sock_fprog f;

		assert_int_equal(dune_filter_index(kind), i);
		assert_int_equal(dune_filter_compile(&kind, &f), 0);
		assert_int_equal(f.len, dune_filters[i].len);
		assert_memory_equal(f.filter, dune_filters[i].filter,
				    f.len * sizeof(*f.filter));
		free(f.filter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sizes, fresh),
		cmocka_unit_test_setup(times, fresh),
		cmocka_unit_test_setup(system_calls, fresh),
		cmocka_unit_test_setup(a_file, fresh),
		cmocka_unit_test_setup(bad_files, fresh),
		cmocka_unit_test_setup(full, fresh),
		cmocka_unit_test_setup(paths, fresh),
		cmocka_unit_test_setup(defaults, fresh),
		cmocka_unit_test_setup(never_forwarded, fresh),
		cmocka_unit_test_setup(wall_of_paths, fresh),
		cmocka_unit_test_setup(wall_of_calls, fresh),
		cmocka_unit_test_setup(wall_with_net, fresh),
		cmocka_unit_test_setup(wall_of_limits, fresh),
		cmocka_unit_test_setup(wall_of_signals, fresh),
		cmocka_unit_test_setup(taken_over, fresh),
		cmocka_unit_test(filters_of_the_build_are_current),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
