/* --trace: one line a call, as strace writes them. */
#include "sys-host.h"

#include <fcntl.h>
#include <stdio.h>

#include "kern/task/hostcall.h"

static char line[2048];

/* The lines that one call leaves, without "[tid] ". */
static const char *traced(long nr, long ret, const uint64_t *arg)
{
	char prefix[32];
	int fd[2];
	ssize_t n;

	assert_int_equal(pipe(fd), 0);
	policy.trace = true;
	policy.trace_fd = fd[1];
	host.ret = ret;
	gate(nr, arg);
	n = read(fd[0], line, sizeof(line) - 1);
	close(fd[0]);
	close(fd[1]);
	assert_true(n > 0);
	line[n] = 0;
	n = snprintf(prefix, sizeof(prefix), "[%d] ", gettid());
	assert_int_equal(strncmp(line, prefix, n), 0);
	return line + n;
}

#define TRACE6(nr, ret, a, b, c, d, e, f, ...) \
	traced(nr, ret, (const uint64_t[]){ (uint64_t)(a), (uint64_t)(b), \
	       (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f) })
#define trace(...) TRACE6(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

static void put(const char *s)
{
	strcpy((char *)GUEST, s);
}

static void plain_lines(void **state)
{
	(void)state;
	assert_string_equal(trace(SYS_getpid, 42), "getpid() = 42\n");
	assert_string_equal(trace(SYS_lseek, -ESPIPE, 1, -1, 0),
			    "lseek(1, -1, 0) = -1 ESPIPE (Illegal seek)\n");
	assert_string_equal(trace(SYS_umask, 022, 077), "umask(077) = 18\n");
	assert_string_equal(trace(SYS_nanosleep, -DUNE_ERESTART, GUEST, 0),
			    "nanosleep(0x200000000000, NULL) = "
			    "? ERESTARTSYS (to be restarted)\n");
	assert_non_null(strstr(trace(SYS_tgkill, 0, getpid(), gettid(), 15),
			       ", SIGTERM) = 0\n"));
}

static void strings(void **state)
{
	(void)state;
	put("/etc/\"x\"\n\001");
	assert_string_equal(trace(SYS_rmdir, 0, GUEST),
			    "rmdir(\"/etc/\\\"x\\\"\\n\\x01\") = 0\n");
	put("abcdefghijklmnopqrstuvwxyz0123456789");
	assert_string_equal(trace(SYS_write, 36, 1, GUEST, 36),
			    "write(1, \"abcdefghijklmnopqrstuvwxyz012345\"..."
			    ", 36) = 36\n");
	assert_string_equal(trace(SYS_read, 3, 0, GUEST, 10),
			    "read(0, \"abc\", 10) = 3\n");
	assert_string_equal(trace(SYS_read, -EIO, 0, GUEST, 10),
			    "read(0, 0x200000000000, 10) = -1 EIO "
			    "(Input/output error)\n");
	assert_string_equal(trace(SYS_rmdir, 0, 16),
			    "rmdir(0x10) = -1 EFAULT (Bad address)\n");
}

static void flags(void **state)
{
	(void)state;
	put("f");
	assert_string_equal(trace(SYS_openat, 3, AT_FDCWD, GUEST,
				  O_RDONLY | O_CLOEXEC, 0),
			    "openat(AT_FDCWD, \"f\", O_RDONLY|O_CLOEXEC, 0) "
			    "= 3\n");
	assert_string_equal(trace(SYS_openat, 3, 5, GUEST,
				  O_WRONLY | O_CREAT | O_TRUNC, 0644),
			    "openat(5, \"f\", O_WRONLY|O_CREAT|O_TRUNC, 0644)"
			    " = 3\n");
	assert_string_equal(trace(SYS_linkat, 0, 3, GUEST, 4, GUEST, 0),
			    "linkat(3, \"f\", 4, \"f\", 0) = 0\n");
}

static void unknown_numbers(void **state)
{
	(void)state;
	assert_string_equal(trace(400, 0, 1, 2, 3, 4, 5, 6),
			    "syscall_400(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 "
			    "ENOSYS (Function not implemented)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_lines),
		TEST(strings),
		TEST(flags),
		TEST(unknown_numbers),
	};

	return cmocka_run_group_tests_name("sys-trace", tests, guest_setup,
					   NULL);
}
