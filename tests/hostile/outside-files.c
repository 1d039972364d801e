/*
 * Changes files outside --rw, by name, by descriptor, by links and renames.
 * Arguments: RW-DIRECTORY OUTSIDE-DIRECTORY READ-ONLY-DIRECTORY. The runner
 * compares the two last ones afterwards.
 */
#include <linux/fs.h>
#include <sys/xattr.h>
#include <utime.h>
#include "hostile.h"

static char path[PATH_MAX], link_[PATH_MAX];

static const char *in(const char *dir, const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* All that can be done to a file by its name. */
static void by_name(const char *f, const char *rw)
{
	struct timespec ts[2] = { { 1, 1 }, { 1, 1 } };
	char mine[PATH_MAX];

	snprintf(mine, sizeof(mine), "%s/mine", rw);
	REFUSED("O_WRONLY", open(f, O_WRONLY));
	REFUSED("O_RDWR", open(f, O_RDWR));
	REFUSED("O_TRUNC", open(f, O_RDONLY | O_TRUNC));
	REFUSED("O_APPEND", open(f, O_WRONLY | O_APPEND | O_CREAT, 0600));
	REFUSED("truncate", truncate(f, 0));
	REFUSED("chmod", chmod(f, 0777));
	REFUSED("fchmodat", fchmodat(AT_FDCWD, f, 0777, 0));
	REFUSED("chown", chown(f, 12345, 12345));
	REFUSED("lchown", lchown(f, 12345, 12345));
	REFUSED("utimensat", utimensat(AT_FDCWD, f, ts, 0));
	REFUSED("utime", utime(f, NULL));
	REFUSED("setxattr", setxattr(f, "user.x", "y", 1, 0));
	REFUSED("removexattr", removexattr(f, "user.kept"));
	REFUSED("unlink", unlink(f));
	REFUSED("rename away", rename(f, mine));
	REFUSED("rename over", rename(in(rw, "file"), f));
	REFUSED("exchange", syscall(SYS_renameat2, AT_FDCWD, in(rw, "file"),
				    AT_FDCWD, f, RENAME_EXCHANGE));
	/* A link to it inside would give it --rw's rights. */
	if (link(f, mine) == 0) {
		REFUSED("write by link", open(mine, O_WRONLY));
		REFUSED("chmod by link", chmod(mine, 0777));
		unlink(mine);
	}
}

int main(int argc, char **argv)
{
	const char *rw, *out, *ro;
	struct timespec ts[2] = { { 1, 1 }, { 1, 1 } };
	char name[64], f[PATH_MAX];
	int fd, dir, flags = FS_IMMUTABLE_FL;

	CHECK(argc == 4);
	rw = argv[1], out = argv[2], ro = argv[3];
	fd = open(in(rw, "file"), O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	snprintf(f, sizeof(f), "%s/file", out);
	REFUSED("reading outside", open(f, O_RDONLY));
	by_name(f, rw);
	snprintf(f, sizeof(f), "%s/file", ro);
	by_name(f, rw);
	/* By symbolic links, to files and to directories, relative ones too. */
	snprintf(link_, sizeof(link_), "%s/link", rw);
	for (int i = 0; i < 3; i++) {
		snprintf(f, sizeof(f), i == 0 ? "%s/file" : "%s", out);
		if (i == 2)
			snprintf(f, sizeof(f), "../../../../../../..%s", out);
		unlink(link_);
		CHECK(symlink(f, link_) == 0);
		snprintf(f, sizeof(f), i == 0 ? "%s" : "%s/file", link_);
		REFUSED("read by symlink", open(f, O_RDONLY));
		REFUSED("write by symlink", open(f, O_WRONLY));
		REFUSED("truncate by symlink", truncate(f, 0));
		REFUSED("chmod by symlink", chmod(f, 0777));
		REFUSED("chown by symlink", chown(f, 1, 1));
		REFUSED("xattr by symlink", setxattr(f, "user.x", "y", 1, 0));
		REFUSED("utimes by symlink", utimensat(AT_FDCWD, f, ts, 0));
		REFUSED("execve by symlink", execl(f, "x", NULL));
	}
	/* New things. */
	REFUSED("creat", creat(in(out, "new"), 0600));
	REFUSED("mkdir", mkdir(in(out, "new"), 0700));
	REFUSED("mknod", mknod(in(out, "new"), S_IFIFO | 0600, 0));
	REFUSED("symlink", symlink("x", in(out, "new")));
	REFUSED("link", link(in(rw, "file"), (snprintf(f, sizeof(f), "%s/new",
						      out), f)));
	REFUSED("rmdir", rmdir(in(out, "empty")));
	REFUSED("creat in --ro", creat(in(ro, "new"), 0600));
	REFUSED("device", mknod(in(rw, "dev"), S_IFCHR | 0666, 10 << 8 | 232));
	REFUSED("chroot", chroot(rw));
	/* A descriptor for reading gives no more. */
	fd = open(in(ro, "file"), O_RDONLY);
	CHECK(fd >= 0);
	REFUSED("fchmod", fchmod(fd, 0777));
	REFUSED("fchown", fchown(fd, 12345, 12345));
	REFUSED("futimens", futimens(fd, ts));
	REFUSED("futimens now", futimens(fd, NULL));
	REFUSED("fsetxattr", fsetxattr(fd, "user.x", "y", 1, 0));
	REFUSED("fremovexattr", fremovexattr(fd, "user.kept"));
	REFUSED("FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	REFUSED("write", write(fd, "x", 1));
	REFUSED("ftruncate", ftruncate(fd, 0));
	REFUSED("shared writable", mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	REFUSED("reopened", open(name, O_RDWR));
	REFUSED("chmod by fd", chmod(name, 0777));
	REFUSED("AT_EMPTY_PATH", fchownat(fd, "", 1, 1, AT_EMPTY_PATH));
	REFUSED("utimensat by fd", utimensat(AT_FDCWD, name, ts, 0));
	/* From directories. */
	dir = open(ro, O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0);
	REFUSED("..", openat(dir, "../out/file", O_RDONLY));
	REFUSED("openat", openat(dir, "file", O_RDWR));
	REFUSED("unlinkat", unlinkat(dir, "file", 0));
	REFUSED("fchmodat", fchmodat(dir, "file", 0777, 0));
	REFUSED("fchmod of a directory", fchmod(dir, 0777));
	dir = open(out, O_PATH);
	if (dir >= 0) {
		REFUSED("O_PATH", openat(dir, "file", O_RDONLY));
		REFUSED("O_PATH chmod", fchmodat(dir, "file", 0777, 0));
		if (fchdir(dir) == 0)
			REFUSED("fchdir", open("file", O_RDONLY));
	}
	if (chdir(out) == 0) {
		REFUSED("chdir", open("file", O_RDONLY));
		REFUSED("chdir, chmod", chmod("file", 0777));
	}
	contained("files outside stay as they are");
	return 0;
}
