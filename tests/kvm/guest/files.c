/*
 * Files and directories: open flags, seeks, holes, directory listings, links,
 * renames, modes, times, statx, xattrs, locks, the *at calls, vectors.
 */
#include <dirent.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include "guest.h"

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *dir)
{
	struct dirent **e;
	int n = scandir(dir, &e, NULL, by_name);

	CHECK(n >= 0);
	say("%s:", dir);
	for (int i = 0; i < n; i++)
		say(" %s%s", e[i]->d_name, e[i]->d_type == DT_DIR ? "/" : "");
	say("\n");
}

int main(int argc, char **argv)
{
	struct timespec times[2] = { { 1000, 5 }, { 2000, 7 } };
	struct iovec iov[2] = { { "vec", 3 }, { "tor", 3 } };
	struct flock fl = { .l_type = F_WRLCK, .l_len = 10 };
	struct statx sx;
	struct stat st;
	struct statfs sf;
	char buf[PATH_MAX], cwd[PATH_MAX];
	int fd, dir, fd2;
	ssize_t n;

	umask(022);
	enter_dir(argc, argv);
	CHECK(mkdir("d", 0755) == 0 && chdir("d") == 0);
	CHECK(getcwd(cwd, sizeof(cwd)) && strcmp(strrchr(cwd, '/'), "/d") == 0);
	fd = open("a", O_CREAT | O_EXCL | O_RDWR, 0640);
	CHECK(fd >= 0);
	FAILS(EEXIST, open("a", O_CREAT | O_EXCL | O_RDWR, 0640));
	FAILS(ENOENT, open("b", O_RDONLY));
	FAILS(EISDIR, open(".", O_RDWR));
	FAILS(ENOTDIR, open("a", O_RDONLY | O_DIRECTORY));
	CHECK(pwritev(fd, iov, 2, 10000) == 6);
	CHECK(lseek(fd, 0, SEEK_END) == 10006);
	CHECK(pread(fd, buf, 10, 9998) == 8 && !memcmp(buf, "\0\0vector", 8));
	CHECK(fallocate(fd, 0, 0, 20000) == 0 && fstat(fd, &st) == 0);
	say("size %ld mode %o links %ld\n", st.st_size, st.st_mode,
	    st.st_nlink);
	CHECK(ftruncate(fd, 100) == 0 && fsync(fd) == 0);

	CHECK(mkdir("sub", 0700) == 0 && link("a", "sub/hard") == 0);
	CHECK(symlink("../a", "sub/soft") == 0);
	n = readlink("sub/soft", buf, sizeof(buf));
	say("soft -> %.*s\n", (int)n, buf);
	CHECK(stat("sub/soft", &st) == 0 && st.st_size == 100 &&
	      st.st_nlink == 2);
	CHECK(lstat("sub/soft", &st) == 0 && S_ISLNK(st.st_mode));
	FAILS(ELOOP, open("sub/soft", O_RDONLY | O_NOFOLLOW));
	list(".");
	list("sub");

	dir = open("sub", O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0);
	fd2 = openat(dir, "x", O_CREAT | O_WRONLY, 0666);
	CHECK(fd2 >= 0 && write(fd2, "xx", 2) == 2 && close(fd2) == 0);
	CHECK(mkdirat(dir, "deep", 0755) == 0);
	CHECK(renameat(dir, "x", dir, "deep/y") == 0);
	CHECK(faccessat(dir, "deep/y", R_OK, 0) == 0);
	CHECK(fchmodat(dir, "deep/y", 0444, 0) == 0);
	CHECK(fstatat(dir, "deep/y", &st, AT_SYMLINK_NOFOLLOW) == 0);
	say("y mode %o size %ld\n", st.st_mode, st.st_size);
	CHECK(linkat(dir, "deep/y", AT_FDCWD, "z", 0) == 0);
	CHECK(symlinkat("z", AT_FDCWD, "zz") == 0);
	CHECK(unlinkat(dir, "deep/y", 0) == 0);
	CHECK(unlinkat(dir, "deep", AT_REMOVEDIR) == 0);
	FAILS(ENOTEMPTY, rmdir("sub"));
	CHECK(syscall(SYS_renameat2, AT_FDCWD, "z", AT_FDCWD, "zz",
		      RENAME_EXCHANGE) == 0);
	CHECK(lstat("z", &st) == 0 && S_ISLNK(st.st_mode));
	FAILS(EEXIST, syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "zz",
			      RENAME_NOREPLACE));
	FAILS(EBADF, openat(999, "x", O_RDONLY));
	FAILS(ENOTDIR, openat(fd, "x", O_RDONLY));
	list(".");

	CHECK(utimensat(AT_FDCWD, "a", times, 0) == 0 && stat("a", &st) == 0);
	say("times %ld.%ld %ld.%ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec,
	    st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) == 0);
	say("statx size %llu mode %o mtime %lld\n", sx.stx_size, sx.stx_mode,
	    sx.stx_mtime.tv_sec);
	CHECK(statfs(".", &sf) == 0 && sf.f_bsize > 0);
	CHECK(chmod("a", 0600) == 0 && access("a", W_OK) == 0);
	CHECK(truncate("a", 5) == 0 && stat("a", &st) == 0 && st.st_size == 5);

	if (setxattr("a", "user.key", "value", 5, 0) == 0) {
		CHECK(getxattr("a", "user.key", buf, 100) == 5);
		CHECK(fgetxattr(fd, "user.key", NULL, 0) == 5);
		CHECK(listxattr("a", buf, 100) >= 9);
		FAILS(ERANGE, getxattr("a", "user.key", buf, 2));
		CHECK(removexattr("a", "user.key") == 0);
		FAILS(ENODATA, getxattr("a", "user.key", buf, 100));
	} else {
		CHECK(errno == EOPNOTSUPP);
	}

	CHECK(fcntl(fd, F_SETLK, &fl) == 0 && flock(fd, LOCK_EX) == 0);
	if (fork() == 0) {
		fd2 = open("a", O_RDWR);
		FAILS(EAGAIN, fcntl(fd2, F_SETLK, &fl));
		FAILS(EAGAIN, flock(fd2, LOCK_EX | LOCK_NB));
		_exit(0);
	}
	CHECK(wait(&fd2) > 0 && fd2 == 0);
	say("locks\n");

	fd2 = open("copy", O_CREAT | O_RDWR | O_APPEND, 0600);
	CHECK(pwrite(fd, "hello", 5, 0) == 5 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(write(fd2, "app", 3) == 3 && write(fd2, "end", 3) == 3);
	CHECK(fchdir(dir) == 0 && access("soft", F_OK) == 0);
	memset(buf, 'n', sizeof(buf));
	FAILS(ENAMETOOLONG, syscall(SYS_open, buf, O_RDONLY));
	say("done\n");
	return 0;
}
