/* The broker: real processes ask, well-behaved and otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kern/broker/protocol.h"
#include "kern/types.h"

/* Longer than anything here takes, shorter than patience. */
#define TIMEOUT_MS 20000

static struct dune_policy policy;
static struct dune_broker *broker;
static int client;

static int fresh(void **state)
{
	(void)state;
	dune_policy_init(&policy);
	return dune_broker_create(&broker, &policy, &client);
}

static int done(void **state)
{
	(void)state;
	dune_broker_destroy(broker);
	return 0;
}

/* As the monitor of a first process; ends with what `check` returns. */
static pid_t start(int (*check)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(TIMEOUT_MS / 1000);
		/* the server's end, or it would never be gone */
		for (int fd = 3; fd < 64; fd++)
			if (fd != client)
				close(fd);
		if (dune_broker_attach(client))
			_exit(98);
		_exit(check());
	}
	close(client);
	assert_int_equal(dune_broker_adopt(broker, pid), 0);
	return pid;
}

/* Serves until no client is left. */
static void serve(void)
{
	struct pollfd p = { .fd = dune_broker_fd(broker), .events = POLLIN };

	while (dune_broker_serve(broker) == 0)
		assert_int_not_equal(poll(&p, 1, TIMEOUT_MS), 0);
}

static void passes(int (*check)(void))
{
	pid_t pid = start(check);
	int status;

	serve();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status))
		fail_msg("check %d failed", WEXITSTATUS(status));
}

static int check_files(void)
{
	static char buf[1 << 20];
	char want[64];
	long n;

	n = dune_broker_proc(client, "self/status", buf, sizeof(buf) - 1);
	if (n <= 0)
		return 1;
	buf[n] = '\0';
	snprintf(want, sizeof(want), "\nPid:\t%d\n", getpid());
	if (!strstr(buf, want))
		return 2;
	/* more than one answer holds */
	for (int i = 0; i < 1000; i++)
		if (syscall(SYS_mmap, NULL, 4096, i % 2, MAP_PRIVATE |
			    MAP_ANONYMOUS, -1, 0) == -1)
			return 3;
	n = dune_broker_proc(client, "self/maps", buf, sizeof(buf));
	if (n <= DUNE_BROKER_CHUNK || n == sizeof(buf) || buf[n - 1] != '\n')
		return 4;
	if (dune_broker_proc(client, "self/maps", buf, 10) != 10)
		return 5;
	snprintf(want, sizeof(want), "self/task/%d/stat", getpid());
	if (dune_broker_proc(client, want, buf, sizeof(buf)) <= 0 ||
	    dune_broker_proc(client, "cpuinfo", buf, sizeof(buf)) <= 0)
		return 6;
	snprintf(want, sizeof(want), "%d/statm", getpid());
	return dune_broker_proc(client, want, buf, sizeof(buf)) > 0 ? 0 : 7;
}

static void files(void **state)
{
	(void)state;
	passes(check_files);
}

static int check_other_files(void)
{
	static const char *const names[] = {
		"self/mem", "self/environ", "self/auxv",
		"self/fd/0", "self/root/etc/passwd", "self/../1/maps",
		"self/task/../maps", "self/task//maps", "self/net/dev",
		"../etc/passwd", "/etc/passwd", "", "self", "self/", "kcore",
		"sys/kernel/../../kcore", "0/maps", "-1/maps", "1 /maps",
		"99999999999/maps", "self/maps/", "sysrq-trigger",
	};
	char buf[64];

	for (size_t i = 0; i < DUNE_ARRAY_SIZE(names); i++)
		if (dune_broker_proc(client, names[i], buf, sizeof(buf)) !=
		    -ENOENT)
			return i + 1;
	/* a process outside */
	if (dune_broker_proc(client, "1/maps", buf, sizeof(buf)) != -ESRCH)
		return 90;
	snprintf(buf, sizeof(buf), "%d/stat", getppid());
	if (dune_broker_proc(client, buf, buf, sizeof(buf)) != -ESRCH)
		return 91;
	return 0;
}

static void other_files(void **state)
{
	(void)state;
	passes(check_other_files);
}

static pid_t child_of_sandbox(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(TIMEOUT_MS / 1000);
		if (dune_broker_attach(client) ||
		    dune_broker_born(client, getppid()))
			_exit(1);
		pause();
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int check_forks(void)
{
	pid_t a, b;

	if (dune_broker_fork(client))
		return 1;
	a = child_of_sandbox();
	if (dune_broker_fork(client))
		return 2;
	b = child_of_sandbox();
	if (dune_broker_fork(client) != -EAGAIN)
		return 3;
	end(a);
	/* its pidfd says so */
	for (int i = 0; i < 1000 && dune_broker_fork(client); i++)
		usleep(1000);
	if (dune_broker_fork(client) != -EAGAIN)
		return 4;
	end(b);
	return 0;
}

static void forks(void **state)
{
	(void)state;
	policy.procs = 3;
	passes(check_forks);
}

static int check_no_leave(void)
{
	return dune_broker_fork(client) == -EAGAIN ? 0 : 1;
}

static int check_leave(void)
{
	return dune_broker_fork(client) == 0 ? 0 : 1;
}

/* A sandbox whose processes fork only when their host says which. */
static void none_may_fork(void **state)
{
	(void)state;
	policy.procs = 3;
	dune_broker_forker(broker, -1);
	passes(check_no_leave);
}

static void another_may_fork(void **state)
{
	(void)state;
	policy.procs = 3;
	dune_broker_forker(broker, getpid());
	passes(check_no_leave);
}

static void all_may_fork(void **state)
{
	(void)state;
	policy.procs = 3;
	dune_broker_forker(broker, 0);
	passes(check_leave);
}

#define PARENT 42

static void let_it_fork(void *ctx, pid_t pid, pid_t parent)
{
	if (parent == PARENT)
		dune_broker_forker(ctx, pid);
}

/* Once each time that it may, were the child never heard of. */
static int check_one_fork(void)
{
	for (int i = 0; i < 3; i++)
		if (dune_broker_fork(client) != -EAGAIN ||
		    dune_broker_born(client, PARENT) ||
		    dune_broker_fork(client))
			return i + 1;
	return dune_broker_fork(client) == -EAGAIN ? 0 : 4;
}

static void one_may_fork_once(void **state)
{
	(void)state;
	policy.procs = 1;
	dune_broker_on_born(broker, let_it_fork, broker);
	dune_broker_forker(broker, -1);
	passes(check_one_fork);
}

static int check_failed_forks(void)
{
	if (dune_broker_fork(client) || dune_broker_fork(client) != -EAGAIN)
		return 1;
	usleep(1100000);
	return dune_broker_fork(client) ? 2 : 0;
}

/* Leave to fork that nobody used lapses. */
static void failed_forks(void **state)
{
	(void)state;
	policy.procs = 2;
	passes(check_failed_forks);
}

static int check_members(void)
{
	pid_t pid = child_of_sandbox();

	for (int i = 0; i < 1000 && dune_broker_member(client, pid); i++)
		usleep(1000);
	if (dune_broker_member(client, pid) ||
	    dune_broker_member(client, getpid()))
		return 1;
	if (dune_broker_member(client, getppid()) != -EPERM ||
	    dune_broker_member(client, 1) != -EPERM ||
	    dune_broker_member(client, 0) != -EPERM ||
	    dune_broker_member(client, -1) != -EPERM)
		return 2;
	end(pid);
	return dune_broker_member(client, pid) == -EPERM ? 0 : 3;
}

static void members(void **state)
{
	(void)state;
	passes(check_members);
}

/* Not of the sandbox, though it somehow holds the socket. */
static void stranger(void **state)
{
	char buf[16];
	pid_t pid, inner;
	int status, out[2];

	(void)state;
	assert_int_equal(pipe(out), 0);
	pid = start(check_files);
	/* its parent is no member: this process's other child's child */
	inner = fork();
	if (inner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fork() == 0) {
			long r = dune_broker_attach(client) ? 0 :
				 dune_broker_proc(client, "self/stat", buf,
						  sizeof(buf));

			_exit(write(out[1], &r, sizeof(r)) < 0);
		}
		pause();
	}
	serve();
	end(inner);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(out[0]);
	close(out[1]);
}

static int check_stats(void)
{
	struct dune_stats s = { .exits = 3, .sys[1] = { .calls = 5 } };

	if (dune_broker_stats(client, &s, sizeof(s)) ||
	    dune_broker_stats(client, &s, sizeof(s)))
		return 1;
	/* of another size: not taken */
	return dune_broker_stats(client, &s, sizeof(s) - 8) ? 2 : 0;
}

static void stats(void **state)
{
	(void)state;
	passes(check_stats);
	assert_int_equal(dune_broker_total(broker)->exits, 6);
	assert_int_equal(dune_broker_total(broker)->sys[1].calls, 10);
}

/* Sends len bytes with n copies of fd. */
static void send_raw(const void *data, size_t len, int fd, unsigned int n)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(64 * sizeof(int))];
	} c = { .h = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	c.h.cmsg_len = CMSG_LEN(n * sizeof(int));
	for (unsigned int i = 0; i < n; i++)
		memcpy(CMSG_DATA(&c.h) + i * sizeof(int), &fd, sizeof(fd));
	if (n) {
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	sendmsg(client, &m, MSG_NOSIGNAL);
}

static int check_garbage(void)
{
	struct dune_broker_request r = { .op = DUNE_BROKER_PROC };
	unsigned char junk[sizeof(r)];
	char big[40000];
	int fd[2], tty = open("/dev/null", O_RDWR);

	memset(big, 0xff, sizeof(big));
	for (unsigned int seed = 1; seed < 300; seed++) {
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = rand_r(&seed);
		junk[1] = junk[2] = junk[3] = 0;
		junk[0] %= 8;
		send_raw(junk, seed % (sizeof(junk) + 1), tty, seed % 4);
	}
	send_raw("", 0, -1, 0);
	send_raw(big, sizeof(big), tty, 1);
	/* a name without an end; an answer to nobody, to a file, to many */
	memset(r.name, 'a', sizeof(r.name));
	send_raw(&r, sizeof(r), tty, 1);
	strcpy(r.name, "self/maps");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd))
		return 1;
	close(fd[0]);
	send_raw(&r, sizeof(r), fd[1], 1);
	send_raw(&r, sizeof(r), client, 1);
	send_raw(&r, sizeof(r), tty, 60);
	send_raw(&r, sizeof(r), tty, 2);
	r.offset = UINT64_MAX;
	send_raw(&r, sizeof(r), tty, 1);
	/* an asker that does not take its answers */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd))
		return 2;
	r.offset = 0;
	for (int i = 0; i < 1000; i++)
		send_raw(&r, sizeof(r), fd[1], 1);
	return check_files();
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void garbage(void **state)
{
	unsigned int before = open_fds();

	(void)state;
	passes(check_garbage);
	/* the clients' end and the pidfd are gone, and nothing has come */
	dune_broker_serve(broker);
	assert_int_equal(open_fds(), before - 1);
}

static int check_gone(void)
{
	char buf[16];

	/* the broker goes away meanwhile */
	while (dune_broker_proc(client, "uptime", buf, sizeof(buf)) > 0)
		;
	return dune_broker_fork(client) == -EPIPE ? 0 : 1;
}

static int server_that_leaves(void)
{
	int status;
	pid_t pid;

	dune_broker_destroy(broker);
	if (fresh(NULL))
		return 1;
	pid = start(check_gone);
	for (int i = 0; i < 20; i++) {
		dune_broker_serve(broker);
		usleep(1000);
	}
	dune_broker_destroy(broker);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 2;
}

static void gone(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(server_that_leaves());
	close(client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int forker(void)
{
	for (int i = 0; i < 20; i++)
		if (fork() == 0) {
			alarm(TIMEOUT_MS / 1000);
			/* some tell, some do not; orphans, too */
			if (i % 2) {
				dune_broker_attach(client);
				dune_broker_born(client, getppid());
			}
			if (fork() > 0 && i % 3)
				_exit(0);
			alarm(TIMEOUT_MS / 1000);
			pause();
		}
	pause();
	return 0;
}

static void count(void *ctx, pid_t pid, pid_t parent)
{
	(void)pid, (void)parent;
	++*(int *)ctx;
}

static int killer(void)
{
	struct pollfd p;
	int status, found = 0, told = 0;

	dune_broker_destroy(broker);
	if (fresh(NULL) || prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 1;
	dune_broker_on_born(broker, count, &told);
	start(forker);
	p = (struct pollfd){ dune_broker_fd(broker), POLLIN, 0 };
	for (int i = 0; i < 50; i++) {
		poll(&p, 1, 2);
		dune_broker_serve(broker);
	}
	if (told < 3)
		return 2;
	for (int i = 0; i < 1000; i++) {
		pid_t pid;

		dune_broker_kill(broker);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			found++;
		if (pid < 0)
			return found > 20 ? 0 : 3;
		usleep(1000);
		dune_broker_serve(broker);
	}
	return 4;
}

static void kill_all(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		alarm(TIMEOUT_MS / 1000);
		_exit(killer());
	}
	close(client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files),
		TEST(other_files),
		TEST(forks),
		TEST(none_may_fork),
		TEST(another_may_fork),
		TEST(all_may_fork),
		TEST(one_may_fork_once),
		TEST(failed_forks),
		TEST(members),
		TEST(stranger),
		TEST(stats),
		TEST(garbage),
		TEST(gone),
		TEST(kill_all),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
