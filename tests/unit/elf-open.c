/*
 * dune_program_open() against the kernel: each file is also given to
 * execveat(2) in a child, and both must answer with the same errno. It must
 * not leave a descriptor behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "kern/err.h"
#include "tests/unit/elf-check.h"

static char dir[] = "/tmp/dune-elf-XXXXXX";
static char *const args[] = { (char *)"zero", (char *)"one", NULL };

static void put(const char *name, const void *data, size_t len, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put_script(const char *name, const char *text)
{
	put(name, text, strlen(text), 0755);
}

static void put_elf(const char *name, const char *interp, uint16_t machine)
{
	struct elf_file f;

	elf_valid(&f);
	f.eh.e_machine = machine;
	strcpy(f.interp, interp);
	f.ph[INTERP].p_filesz = strlen(interp) + 1;
	put(name, &f, sizeof(f), 0755);
}

/* What execveat(2) says; 0 when it starts something. */
static int native(int dirfd, const char *path, int flags)
{
	int p[2], err = 0, null;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		syscall(SYS_execveat, dirfd, path, args, environ, flags);
		err = -errno;
		_exit(write(p[1], &err, sizeof(err)) < 0);
	}
	close(p[1]);
	if (read(p[0], &err, sizeof(err)) < 0)
		fail();
	close(p[0]);
	waitpid(pid, NULL, 0);
	return err;
}

static int open_descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static struct dune_program prog;

static int ours(int dirfd, const char *path, int flags)
{
	int before = open_descriptors();
	int ret = dune_program_open(&prog, dirfd, path, flags, args);

	if (!ret)
		return 0;
	assert_int_equal(open_descriptors(), before);
	assert_int_not_equal(strlen(dune_errmsg()), 0);
	return ret;
}

static void assert_same(int dirfd, const char *path, int flags, int expected)
{
	assert_int_equal(native(dirfd, path, flags), expected);
	assert_int_equal(ours(dirfd, path, flags), expected);
	if (!expected)
		dune_program_close(&prog);
}

static void test_errors(void **state)
{
	(void)state;
	assert_same(AT_FDCWD, "missing", 0, -ENOENT);
	assert_same(AT_FDCWD, "", 0, -ENOENT);
	assert_same(AT_FDCWD, "good/more", 0, -ENOTDIR);
	assert_same(AT_FDCWD, ".", 0, -EACCES);
	assert_same(AT_FDCWD, "fifo", 0, -EACCES);
	assert_same(AT_FDCWD, "/dev/null", 0, -EACCES);
	assert_same(AT_FDCWD, "plain", 0, -EACCES);
	assert_same(AT_FDCWD, "loop", 0, -ELOOP);
	assert_same(AT_FDCWD, "empty", 0, -ENOEXEC);
	assert_same(AT_FDCWD, "text", 0, -ENOEXEC);
	assert_same(AT_FDCWD, "arm", 0, -ENOEXEC);
	assert_same(AT_FDCWD, "no-interp", 0, -ENOENT);
	assert_same(AT_FDCWD, "dir-interp", 0, -EACCES);
	assert_same(AT_FDCWD, "text-interp", 0, -ELIBBAD);
	assert_same(AT_FDCWD, "arm-interp", 0, -ELIBBAD);
	assert_same(AT_FDCWD, "script-to-nothing", 0, -ENOENT);
	assert_same(AT_FDCWD, "script-to-text", 0, -ENOEXEC);
	assert_same(AT_FDCWD, "good", 0x8000, -EINVAL);
	assert_same(99, "good", 0, -EBADF);
	assert_same(99, "", AT_EMPTY_PATH, -EBADF);
}

static void test_messages(void **state)
{
	(void)state;
	ours(AT_FDCWD, "arm-interp", 0);
	assert_non_null(strstr(dune_errmsg(), "arm-interp: its interpreter "
			       "./arm: is for another machine"));
	ours(AT_FDCWD, "arm", 0);
	assert_non_null(strstr(dune_errmsg(), "arm: is for another machine"));
	ours(AT_FDCWD, "missing", 0);
	assert_non_null(strstr(dune_errmsg(), "missing: not found"));
}

static void test_symlinks(void **state)
{
	char path[4096];

	(void)state;
	assert_same(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, -ELOOP);
	assert_same(AT_FDCWD, "link", 0, 0);
	assert_int_equal(ours(AT_FDCWD, "link", 0), 0);
	snprintf(path, sizeof(path), "%s/good", dir);
	assert_string_equal(prog.path, path);
	assert_string_equal(prog.execfn, "link");
	assert_ptr_equal(prog.argv, args);
	dune_program_close(&prog);
}

static void test_descriptors(void **state)
{
	int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = open("good", O_PATH | O_CLOEXEC);
	char name[64];

	(void)state;
	assert_same(at, "good", 0, 0);
	assert_same(fd, "", AT_EMPTY_PATH, 0);
	assert_int_equal(ours(at, "good", 0), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d/good", at);
	assert_string_equal(prog.execfn, name);
	dune_program_close(&prog);
	assert_int_equal(ours(fd, "", AT_EMPTY_PATH), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	assert_string_equal(prog.execfn, name);
	assert_true(prog.fd > 2 && prog.fd != fd);
	assert_int_equal(fcntl(prog.fd, F_GETFD), FD_CLOEXEC);
	dune_program_close(&prog);
	close(at);
	close(fd);
}

static void test_script(void **state)
{
	(void)state;
	assert_same(AT_FDCWD, "script", 0, 0);
	assert_int_equal(ours(AT_FDCWD, "./script", 0), 0);
	assert_string_equal(prog.execfn, "./script");
	assert_string_equal(prog.argv[0], "/bin/true");
	assert_string_equal(prog.argv[1], "-a -b");
	assert_string_equal(prog.argv[2], "./script");
	assert_string_equal(prog.argv[3], "one");
	assert_null(prog.argv[4]);
	assert_non_null(strstr(prog.path, "/true"));
	dune_program_close(&prog);
}

static void test_nested_scripts(void **state)
{
	char name[16], text[32];
	int i;

	(void)state;
	put_script("s1", "#!/bin/true\n");
	for (i = 2; i <= 6; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(text, sizeof(text), "#!./s%d arg%d\n", i - 1, i);
		put_script(name, text);
	}
	assert_same(AT_FDCWD, "s5", 0, 0);
	assert_same(AT_FDCWD, "s6", 0, -ELOOP);
	assert_int_equal(ours(AT_FDCWD, "s3", 0), 0);
	assert_string_equal(prog.argv[0], "/bin/true");
	assert_string_equal(prog.argv[1], "./s1");
	assert_string_equal(prog.argv[2], "arg2");
	assert_string_equal(prog.argv[3], "./s2");
	assert_string_equal(prog.argv[4], "arg3");
	assert_string_equal(prog.argv[5], "s3");
	assert_string_equal(prog.argv[6], "one");
	assert_null(prog.argv[7]);
	assert_string_equal(prog.execfn, "s3");
	dune_program_close(&prog);
	put_script("self", "#!./self\n");
	assert_same(AT_FDCWD, "self", 0, -ELOOP);
}

/* The interpreter could not open /dev/fd/N any more. */
static void test_script_on_cloexec(void **state)
{
	int fd = open("script", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_same(fd, "", AT_EMPTY_PATH, -ENOENT);
	fcntl(fd, F_SETFD, 0);
	assert_same(fd, "", AT_EMPTY_PATH, 0);
	close(fd);
}

static void test_no_arguments(void **state)
{
	char *const empty[] = { NULL };

	(void)state;
	assert_int_equal(dune_program_open(&prog, AT_FDCWD, "good", 0, empty),
			 0);
	assert_string_equal(prog.argv[0], "");
	assert_null(prog.argv[1]);
	dune_program_close(&prog);
}

static int setup(void **state)
{
	char text[100];

	(void)state;
	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	put("plain", "#!/bin/true\n", 12, 0644);
	put("empty", "", 0, 0755);
	/* longer than an ELF header: Linux says EIO to shorter interpreters */
	put("text", memset(text, 'x', sizeof(text)), sizeof(text), 0755);
	put_script("script", "#!/bin/true -a -b\n");
	put_script("script-to-nothing", "#!/nonexistent/sh\n");
	put_script("script-to-text", "#!./text\n");
	put_elf("good", "/lib64/ld-linux-x86-64.so.2", EM_X86_64);
	put_elf("arm", "/lib/ld.so", EM_AARCH64);
	put_elf("no-interp", "/nonexistent/ld.so", EM_X86_64);
	put_elf("dir-interp", "/tmp", EM_X86_64);
	put_elf("text-interp", "./text", EM_X86_64);
	put_elf("arm-interp", "./arm", EM_X86_64);
	return mkfifo("fifo", 0755) || symlink("good", "link") ||
	       symlink("loop", "loop");
}

static int teardown(void **state)
{
	static const char *const names[] = {
		"plain", "empty", "text", "script", "script-to-nothing",
		"script-to-text", "good", "arm", "no-interp", "dir-interp",
		"text-interp", "arm-interp", "fifo", "link", "loop", "self",
		"s1", "s2", "s3", "s4", "s5", "s6",
	};
	size_t i;

	(void)state;
	for (i = 0; i < DUNE_ARRAY_SIZE(names); i++)
		unlink(names[i]);
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_symlinks),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_nested_scripts),
		cmocka_unit_test(test_script_on_cloexec),
		cmocka_unit_test(test_no_arguments),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
