/* Names below /proc, and what is made of the host's files there. */
#include "sys-host.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kern/sys/path.h"

#define SELF	100
#define THREAD	101

static struct dune_procname name;

static const char *parse(const char *path)
{
	static const char who[][8] = { "none", "self", "other", "global" };
	static char out[DUNE_PATH_MAX + 32];

	dune_procname_parse(&name, path, SELF, THREAD);
	if (name.who == DUNE_PROC_NONE)
		return "none";
	snprintf(out, sizeof(out), "%s %s", who[name.who], name.rest);
	return out;
}

static void paths_are_taken_apart(void **state)
{
	(void)state;
	assert_string_equal(parse("/proc/self/exe"), "self exe");
	assert_string_equal(parse("//proc///self/./exe"), "self exe");
	assert_string_equal(parse("/usr/../proc/self/maps"), "self maps");
	assert_string_equal(parse("/proc/../proc/self/maps"), "self maps");
	assert_string_equal(parse("/proc/1/../self/mem"), "self mem");
	assert_string_equal(parse("/../../proc/self/mem"), "self mem");
	assert_string_equal(parse("/proc/100/maps"), "self maps");
	assert_string_equal(parse("/proc/thread-self/stat"), "self stat");
	assert_int_equal(name.tid, THREAD);
	assert_string_equal(parse("/proc/self/task/102/stat"), "self stat");
	assert_int_equal(name.tid, 102);
	assert_string_equal(parse("/proc/self/task"), "self task");
	assert_string_equal(parse("/proc/7/stat"), "other stat");
	assert_int_equal(name.pid, 7);
	assert_string_equal(parse("/proc/cpuinfo"), "global cpuinfo");
	assert_string_equal(parse("/proc/mounts"), "self mounts");
	assert_string_equal(parse("/proc/net/tcp"), "self net/tcp");
	assert_string_equal(parse("/proc"), "global ");
	assert_string_equal(parse("/proc/self/"), "self ");
	assert_string_equal(parse("/dev/fd/3"), "self fd/3");
	assert_string_equal(parse("/dev/fd"), "none");
	assert_string_equal(parse("/proc/99999999999999999999/stat"),
			    "global 99999999999999999999/stat");
}

static void paths_elsewhere(void **state)
{
	(void)state;
	assert_string_equal(parse("/etc/passwd"), "none");
	assert_string_equal(parse("/process/self/exe"), "none");
	assert_string_equal(parse("proc/self/exe"), "none");
	assert_string_equal(parse("/proc/../etc/passwd"), "none");
	assert_string_equal(parse(""), "none");
	/* behind a link, only the kernel knows */
	assert_string_equal(parse("/proc/self/cwd/../x"), "none");
	assert_string_equal(parse("/proc/self/root/proc/self/mem"), "none");
	assert_string_equal(parse("/proc/self/fd/3/../../mem"), "none");
	assert_string_equal(parse("/proc/self/cwd"), "self cwd");
}

static bool hidden(const char *path)
{
	parse(path);
	return dune_procname_hidden(&name, FD_BASE);
}

static void hidden_descriptors(void **state)
{
	(void)state;
	assert_false(hidden("/proc/self/fd/199"));
	assert_true(hidden("/proc/self/fd/200"));
	assert_true(hidden("/proc/self/fdinfo/200"));
	assert_true(hidden("/dev/fd/2000"));
	assert_true(hidden("/proc/self/task/100/fd/200"));
	assert_true(hidden("/proc/self/fd/00200"));
	assert_false(hidden("/proc/self/fd/99999999999999"));
	assert_false(hidden("/proc/self/fd"));
	assert_false(hidden("/proc/self/maps"));
}

static char out[8192];

static void maps_show_the_guest(void **state)
{
	static const char in[] =
		"00400000-00402000 r--p 00001000 08:01 42 "
		"                        /bin/prog\n"
		"10000000-10004000 rw-p 00000000 00:00 0 \n"
		"20000000-20001000 ---p 00000000 00:00 0 \n"
		"4fffffff0000-4ffffffff000 rw-p 00000000 00:00 0 \n"
		"500000000000-500000001000 ---p 00000000 00:00 0 \n"
		"7f0000000000-7f0000001000 r-xp 00000000 08:01 43 "
		"                 /usr/bin/dune-run\n"
		"not a line of maps\n";
	struct dune_regions rs;
	size_t n;

	(void)state;
	dune_regions_init(&rs);
	dune_region_insert(&rs, 0x400000, 0x1000, PROT_READ, DUNE_R_FILE);
	dune_region_insert(&rs, 0x401000, 0x1000, PROT_READ | PROT_EXEC,
			   DUNE_R_FILE);
	dune_region_insert(&rs, 0x10001000, 0x1000, PROT_READ | PROT_WRITE,
			   DUNE_R_HEAP);
	dune_region_insert(&rs, 0x4fffffff0000, 0xf000, PROT_READ | PROT_WRITE,
			   DUNE_R_STACK);
	n = dune_procfmt_maps(&rs, in, sizeof(in) - 1, out, sizeof(out));
	out[n] = 0;
	assert_string_equal(out,
		"00400000-00401000 r--p 00001000 08:01 42 "
		"                                /bin/prog\n"
		"00401000-00402000 r-xp 00002000 08:01 42 "
		"                                /bin/prog\n"
		"10001000-10002000 rw-p 00000000 00:00 0 "
		"                                 [heap]\n"
		"4fffffff0000-4ffffffff000 rw-p 00000000 00:00 0 "
		"                         [stack]\n");
	/* cut, not overrun */
	assert_int_equal(dune_procfmt_maps(&rs, in, sizeof(in) - 1, out, 10),
			 10);
	dune_regions_free(&rs);
}

static void sizes_are_the_guests(void **state)
{
	static const char status[] = "Name:\tcat\nState:\tS (sleeping)\n"
		"VmPeak:\t99999 kB\n"
		"VmSize:\t 99999 kB\nVmRSS:\t 4 kB\nThreads:\t9\n";
	const struct dune_procfacts g = { 8192, 3 };
	static const char stat[] = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 "
		"13 14 15 16 17 18 19 88888 24 25 261 271 281 291 301 31 32 "
		"33 34 351 36 37 38 39 40 41 42 43 44 451 461 471 481 491 501 "
		"511 52\n";
	size_t n;

	(void)state;
	n = dune_procfmt_status(status, sizeof(status) - 1, &g, out,
				sizeof(out));
	out[n] = 0;
	assert_string_equal(out, "Name:\tcat\nState:\tR (running)\n"
			    "VmPeak:\t       8 kB\n"
			    "VmSize:\t       8 kB\nVmRSS:\t 4 kB\n"
			    "Threads:\t3\n");
	n = dune_procfmt_stat(stat, sizeof(stat) - 1, &g, out, sizeof(out));
	out[n] = 0;
	assert_string_equal(out, "12 (a) b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 "
		"14 15 16 3 18 19 8192 24 25 0 0 0 0 0 31 32 33 34 0 36 37 "
		"38 39 40 41 42 43 44 0 0 0 0 0 0 0 52\n");
	assert_int_equal(dune_procfmt_stat("x", 1, &g, out, sizeof(out)), 0);
	n = dune_procfmt_statm("999 1 2\n", 8, &g, out, sizeof(out));
	out[n] = 0;
	assert_string_equal(out, "2 1 2\n");
}

static void listings_hide_ours(void **state)
{
	int dir, high, seen = 0;
	long n, left;

	(void)state;
	high = fcntl(0, F_DUPFD, FD_BASE);
	assert_true(high >= FD_BASE);
	dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	n = syscall(SYS_getdents64, dir, out, sizeof(out));
	close(dir);
	close(high);
	assert_true(n > 0);
	left = dune_procfmt_dents(out, n, FD_BASE, true);
	assert_true(left < n);
	for (long at = 0; at < left; seen++) {
		struct dirent64 *d = (struct dirent64 *)(out + at);

		assert_true(atoi(d->d_name) < FD_BASE);
		at += d->d_reclen;
	}
	assert_true(seen >= 5);		/* . .. 0 1 2 */
}

static void bad_records_end_a_listing(void **state)
{
	struct dirent64 *d = (struct dirent64 *)out;

	(void)state;
	memset(out, 0, sizeof(out));
	strcpy(d->d_name, "1");
	d->d_reclen = 0;
	assert_int_equal(dune_procfmt_dents(out, 64, FD_BASE, true), 0);
	d->d_reclen = 65;
	assert_int_equal(dune_procfmt_dents(out, 64, FD_BASE, true), 0);
	/* the second record is unaligned, the third has no room for its head */
	d->d_reclen = 27;
	out[27 + offsetof(struct dirent64, d_reclen)] = 29;
	assert_int_equal(dune_procfmt_dents(out, 64, FD_BASE, true), 56);
	/* a name without an end */
	memset(d->d_name, '1', 64);
	assert_int_equal(dune_procfmt_dents(out, 27, FD_BASE, true), 0);
}

static void put(const char *s)
{
	strcpy((char *)GUEST, s);
}

static void the_exe_is_the_program(void **state)
{
	char *buf = (char *)(GUEST + 1024);

	(void)state;
	put("/proc/self/exe");
	assert_int_equal(call(SYS_readlink, GUEST, GUEST + 1024, 100), 9);
	assert_string_equal(buf, "/bin/true");
	assert_int_equal(call(SYS_readlink, GUEST, GUEST + 1024, 4), 4);
	assert_int_equal(call(SYS_readlink, GUEST, GUEST + 1024, 0), -EINVAL);
	assert_int_equal(host.calls, 0);
	call(SYS_stat, GUEST, GUEST + 1024);
	assert_ptr_equal(host.arg[0], proc.exe);
	call(SYS_lstat, GUEST, GUEST + 1024);
	assert_string_equal((char *)host.arg[0], "/proc/self/exe");
	call(SYS_open, GUEST, O_RDONLY, 0);
	assert_ptr_equal(host.arg[1], proc.exe);
	call(SYS_openat, 77, GUEST, O_RDONLY, 0);
	assert_ptr_equal(host.arg[1], proc.exe);
	/* by a directory of /proc and a relative name */
	assert_int_equal(chdir("/proc/self"), 0);
	put("exe");
	assert_int_equal(call(SYS_readlink, GUEST, GUEST + 1024, 100), 9);
	host.ret = -EACCES;
	assert_int_equal(call(SYS_openat, AT_FDCWD, GUEST, O_RDONLY, 0),
			 -EACCES);
	assert_ptr_equal(host.arg[1], proc.exe);
	assert_int_equal(host.calls, 6);
	assert_int_equal(chdir("/"), 0);
}

static void other_names_go_as_they_are(void **state)
{
	(void)state;
	put("/etc/passwd");
	call(SYS_open, GUEST, O_RDONLY, 0);
	assert_int_equal(host.nr, SYS_open);
	assert_int_equal(host.arg[0], GUEST);
	call(SYS_stat, GUEST, GUEST + 1024);
	assert_int_equal(host.arg[0], GUEST);
	assert_int_equal(call(SYS_stat, OUTSIDE, GUEST), -EFAULT);
	host.ret = -EFAULT;
	assert_int_equal(call(SYS_open, 0, O_RDONLY, 0), -EFAULT);
	memset((void *)GUEST, 'a', GUEST_SIZE);
	assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), -ENAMETOOLONG);
}

static void memory_and_the_like_are_refused(void **state)
{
	static const char *const names[] = {
		"/proc/self/mem", "/proc/self/pagemap", "/proc/self/auxv",
		"/proc/self/smaps", "/proc/self/clear_refs",
		"/proc/1/environ", "/proc/1/maps", "/proc/kallsyms",
		"/proc/self/task/../mem", "/proc/self/../self/mem",
	};

	(void)state;
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(names); i++) {
		put(names[i]);
		assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), -EACCES);
		assert_non_null(violation);
		assert_int_equal(call(SYS_open, GUEST, O_RDWR, 0), -EACCES);
	}
	put("/proc/self/fd/200");
	assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), -ENOENT);
	assert_int_equal(call(SYS_stat, GUEST, GUEST + 1024), -ENOENT);
	assert_int_equal(call(SYS_readlink, GUEST, GUEST + 64, 64), -ENOENT);
	put("/proc/self/nothing");
	assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), -ENOENT);
	assert_int_equal(host.calls, 0);
	put("/proc/self/fd/1");
	assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), 0);
	put("/proc/self/fd");
	assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), 0);
	assert_true(host.arg[2] & O_DIRECTORY);
	assert_int_equal(host.calls, 2);
}

static void a_command_line_is_a_file(void **state)
{
	char buf[64];
	int fd;

	(void)state;
	put("/proc/self/cmdline");
	memcpy((void *)(GUEST + 1024), "prog\0-x\0", 8);
	guest_mm.arg_start = GUEST + 1024;
	guest_mm.arg_end = GUEST + 1032;
	fd = call(SYS_open, GUEST, O_RDONLY | O_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(fd, buf, sizeof(buf)), 8);
	assert_memory_equal(buf, "prog\0-x\0", 8);
	close(fd);
	assert_int_equal(call(SYS_open, GUEST, O_WRONLY, 0), -EACCES);
	/* nor can it be made to hold more */
	put("/proc/self/cmdline");
	fd = call(SYS_open, GUEST, O_RDONLY, 0);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	put("/proc/1/stat");
	assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), -EACCES);
	policy.siblings = true;
	assert_int_equal(call(SYS_open, GUEST, O_RDONLY, 0), -ENOENT);
	put("/proc/self/comm");
	fd = call(SYS_open, GUEST, O_WRONLY, 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths_are_taken_apart),
		TEST(paths_elsewhere),
		TEST(hidden_descriptors),
		TEST(maps_show_the_guest),
		TEST(sizes_are_the_guests),
		TEST(listings_hide_ours),
		TEST(bad_records_end_a_listing),
		TEST(the_exe_is_the_program),
		TEST(other_names_go_as_they_are),
		TEST(memory_and_the_like_are_refused),
		TEST(a_command_line_is_a_file),
	};

	return cmocka_run_group_tests_name("sys-proc", tests, guest_setup,
					   NULL);
}
