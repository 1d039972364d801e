/* Changing metadata: by the policy's write rules, and by the file itself. */
#include "sys-host.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kern/sys/numbers.h"
#include "kern/sys/path.h"

static char dir[64];

/* A directory with an inside that may be written, and an outside. */
static int make_files(void **state)
{
	char path[128];

	fresh(state);
	strcpy(dir, "/tmp/dune-meta-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/in", dir);
	mkdir(path, 0755);
	dune_policy_add_path(&policy, path, true);
	snprintf(path, sizeof(path), "%s/out", dir);
	close(open(path, O_CREAT | O_RDWR, 0600));
	snprintf(path, sizeof(path), "%s/in/file", dir);
	close(open(path, O_CREAT | O_RDWR, 0600));
	snprintf(path, sizeof(path), "%s/in/link", dir);
	return symlink("../out", path);
}

static int remove_files(void **state)
{
	static const char *const names[] = { "in/link", "in/file", "out" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/in", dir);
	rmdir(path);
	return rmdir(dir);
}

static const char *put(const char *name)
{
	snprintf((char *)GUEST, 256, "%s/%s", dir, name);
	return (char *)GUEST;
}

/* Notes which file the kernel was told to change. */
static char changed[4096];

static long note(long nr, const uint64_t *arg)
{
	const char *path = (const char *)arg[nr == SYS_fchmodat ||
		nr == SYS_fchownat || nr == SYS_utimensat];
	ssize_t n;

	assert_int_equal(strncmp(path, "/proc/self/fd/", 14), 0);
	assert_true(atoi(path + 14) >= FD_BASE);
	n = readlink(path, changed, sizeof(changed) - 1);
	changed[n < 0 ? 0 : n] = 0;
	return 0;
}

static void inside_is_allowed(void **state)
{
	char want[128];

	(void)state;
	host.answer = note;
	strcpy(want, put("in/file"));
	assert_int_equal(call(SYS_chmod, GUEST, 0644), 0);
	assert_string_equal(changed, want);
	assert_int_equal(call(SYS_truncate, GUEST, 0), 0);
	assert_int_equal(call(SYS_utimensat, AT_FDCWD, GUEST, 0, 0), 0);
	assert_int_equal(call(SYS_setxattr, GUEST, GUEST + 512, GUEST, 1, 0),
			 0);
	assert_int_equal(call(__NR_fchmodat2, AT_FDCWD, GUEST, 0600, 0), 0);
	assert_int_equal(host.nr, SYS_fchmodat);
	assert_int_equal(host.calls, 5);
}

static void outside_is_not(void **state)
{
	(void)state;
	put("out");
	assert_int_equal(call(SYS_chmod, GUEST, 0644), -EACCES);
	assert_non_null(violation);
	assert_int_equal(call(SYS_fchownat, AT_FDCWD, GUEST, 0, 0, 0),
			 -EACCES);
	put("in/../out");
	assert_int_equal(call(SYS_chmod, GUEST, 0644), -EACCES);
	put("missing");
	assert_int_equal(call(SYS_chmod, GUEST, 0644), -ENOENT);
	put("in/file");
	assert_int_equal(call(SYS_fchownat, AT_FDCWD, GUEST, 0, 0, 0x8000),
			 -EINVAL);
	assert_int_equal(call(SYS_chmod, 0, 0644), -EFAULT);
	assert_int_equal(host.calls, 0);
}

static void links_are_followed_or_not(void **state)
{
	char want[128];

	(void)state;
	host.answer = note;
	strcpy(want, put("in/link"));
	assert_int_equal(call(SYS_chown, GUEST, 0, 0), -EACCES);
	assert_int_equal(call(SYS_lchown, GUEST, 0, 0), 0);
	assert_int_equal(host.nr, SYS_chown);
	assert_string_equal(changed, want);
	assert_int_equal(call(SYS_utimensat, AT_FDCWD, GUEST, 0,
			      AT_SYMLINK_NOFOLLOW), 0);
	assert_string_equal(changed, want);
	assert_int_equal(host.arg[3], 0);
	assert_int_equal(call(SYS_utimensat, AT_FDCWD, GUEST, 0, 0), -EACCES);
}

static void by_descriptor(void **state)
{
	int rd = open(put("out"), O_RDONLY), wr = open(put("out"), O_WRONLY);
	int in = open(put("in/file"), O_RDONLY), end[2];

	(void)state;
	assert_int_equal(call(SYS_fchmod, rd, 0644), -EACCES);
	assert_non_null(violation);
	/* being open for writing is no permission: so is /dev/null */
	assert_int_equal(call(SYS_fchmod, wr, 0644), -EACCES);
	host.answer = note;	/* by a name that dup2 cannot change */
	assert_int_equal(call(SYS_fchmod, in, 0644), 0);
	assert_int_equal(host.nr, SYS_chmod);
	assert_string_equal(changed, put("in/file"));
	/* without a name there is nothing outside to protect */
	assert_int_equal(pipe(end), 0);
	assert_int_equal(call(SYS_fchmod, end[0], 0644), 0);
	close(end[0]);
	close(end[1]);
	assert_int_equal(call(SYS_fchown, -1, 0, 0), -EBADF);
	assert_int_equal(call(SYS_fchown, 77, 0, 0), -EBADF);
	assert_int_equal(call(SYS_utimensat, in, 0, 0, 0), 0);
	assert_int_equal(call(SYS_utimensat, rd, 0, 0, 0), -EACCES);
	*(char *)GUEST = 0;
	assert_int_equal(call(SYS_fchownat, in, GUEST, 0, 0, AT_EMPTY_PATH),
			 0);
	assert_int_equal(call(SYS_fchownat, rd, GUEST, 0, 0, AT_EMPTY_PATH),
			 -EACCES);
	assert_int_equal(call(SYS_fchownat, rd, GUEST, 0, 0, 0), -ENOENT);
	close(rd);
	close(wr);
	close(in);
}

#define FILES(f) cmocka_unit_test_setup_teardown(f, make_files, remove_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILES(inside_is_allowed),
		FILES(outside_is_not),
		FILES(links_are_followed_or_not),
		FILES(by_descriptor),
	};

	return cmocka_run_group_tests_name("sys-meta", tests, guest_setup,
					   NULL);
}
