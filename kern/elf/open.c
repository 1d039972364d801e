/*
 * execve(2) up to the point of no return: finds the file that will really
 * run, follows `#!`, and checks program and interpreter. Maps nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/elf/image.h"
#include "kern/err.h"

#define SCRIPTS_MAX	5	/* `#!` of `#!` ..., as Linux counts */
#define HEAD_SIZE	4096	/* holds all headers of all usual programs */

static long read_at(void *ctx, void *buf, size_t len, uint64_t off)
{
	const int *fd = ctx;
	ssize_t n;

	do {
		n = pread(*fd, buf, len, off);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Puts "name: " before the message that is there. */
static int name_err(int err, const char *name)
{
	char reason[DUNE_ERR_MAX];

	snprintf(reason, sizeof(reason), "%s", dune_errmsg());
	return dune_err(err, "%s: %s", name, reason);
}

static int open_err(int err, const char *name)
{
	switch (err) {
	case -EACCES:
		return dune_err(err, "%s: permission denied (it must be "
				"executable, and readable with --ro or --rw)",
				name);
	case -ENOENT:
		return dune_err(err, "%s: not found", name);
	default:
		return dune_err(err, "%s: %s", name, strerror(-err));
	}
}

/*
 * Nothing but a regular file with the x bit, on a mount without noexec,
 * may be executed.
 */
static int check_file(int fd, const char *name, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return open_err(-errno, name);
	if (!S_ISREG(st.st_mode))
		return dune_err(-EACCES, "%s: is not a regular file", name);
	if (syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS))
		return dune_err(-errno, "%s: is not executable (mode %03o, or "
				"its mount is noexec)", name,
				st.st_mode & 07777);
	*size = st.st_size;
	return 0;
}

/*
 * Returns a descriptor. O_NONBLOCK: a FIFO must be refused, not waited for.
 * A descriptor of the caller's (AT_EMPTY_PATH) is opened anew, because it may
 * be O_PATH.
 */
static int open_file(int dirfd, const char *path, int flags, const char *name,
		     uint64_t *size)
{
	int how = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char self[40];
	int fd, ret;

	if (flags & AT_SYMLINK_NOFOLLOW)
		how |= O_NOFOLLOW;
	if (!path[0] && flags & AT_EMPTY_PATH && dirfd >= 0) {
		if (fcntl(dirfd, F_GETFD) < 0)
			return open_err(-errno, name);
		snprintf(self, sizeof(self), "/proc/self/fd/%d", dirfd);
		path = self;
		how &= ~O_NOFOLLOW;
	}
	fd = openat(dirfd, path, how);
	if (fd < 0)
		return open_err(-errno, name);
	ret = check_file(fd, name, size);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/* What AT_EXECFN says and a script's interpreter is given (fs/exec.c). */
static int make_execfn(struct dune_program *prog, int dirfd, const char *path)
{
	int n;

	if (dirfd == AT_FDCWD || path[0] == '/')
		n = snprintf(prog->execfn, sizeof(prog->execfn), "%s", path);
	else if (!path[0])
		n = snprintf(prog->execfn, sizeof(prog->execfn), "/dev/fd/%d",
			     dirfd);
	else
		n = snprintf(prog->execfn, sizeof(prog->execfn),
			     "/dev/fd/%d/%s", dirfd, path);
	if (n >= (int)sizeof(prog->execfn))
		return dune_err(-ENAMETOOLONG, "the program's path is too "
				"long");
	return 0;
}

static void drop_argv(struct dune_program *prog)
{
	if (prog->script_argv)
		munmap(prog->script_argv, prog->script_size);
	prog->script_argv = NULL;
}

/*
 * [interp, arg if any, script, argv[1] ...], all in one block. Mapped: in a
 * child of fork malloc's lock may be held by a thread that is not there.
 */
static int rewrite_argv(struct dune_program *prog, const char *interp,
			const char *arg, const char *script)
{
	const char *first[3];
	size_t n = 0, argc, i, bytes = 0;
	char **v, *s;

	first[n++] = interp;
	if (arg[0])
		first[n++] = arg;
	first[n++] = script;
	for (argc = 1; prog->argv[argc]; argc++)
		bytes += strlen(prog->argv[argc]) + 1;
	for (i = 0; i < n; i++)
		bytes += strlen(first[i]) + 1;
	bytes += (n + argc) * sizeof(*v);
	v = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v == MAP_FAILED)
		return dune_err(-ENOMEM, "%s: out of memory", script);
	s = (char *)(v + n + argc);
	for (i = 0; i < n + argc - 1; i++) {
		v[i] = s;
		s = stpcpy(s, i < n ? first[i] : prog->argv[i - n + 1]) + 1;
	}
	v[i] = NULL;
	drop_argv(prog);
	prog->script_argv = v;
	prog->script_size = bytes;
	prog->argv = v;
	return 0;
}

/*
 * What the open program file is: 0 an ELF program, parsed; 1 a script, whose
 * interpreter is now in interp.
 */
static int inspect(struct dune_program *prog, const char *name, uint64_t size,
		   char *interp, size_t interp_size)
{
	char head[HEAD_SIZE], arg[HEAD_SIZE];
	long n;
	int ret;

	n = read_at(&prog->fd, head, sizeof(head), 0);
	if (n < 0)
		return open_err(n, name);
	ret = dune_script_parse(head, n, interp, interp_size, arg,
				sizeof(arg));
	if (ret > 0) {
		ret = rewrite_argv(prog, interp, arg, name);
		return ret ? ret : 1;
	}
	if (!ret)
		ret = dune_image_parse(&prog->img, head, n, size, read_at,
				       &prog->fd);
	return ret ? name_err(ret, name) : 0;
}

/* A script's file may be gone for its interpreter: /dev/fd/N, close-on-exec. */
static bool script_vanishes(int dirfd, const char *path)
{
	int how;

	if (dirfd == AT_FDCWD || path[0] == '/')
		return false;
	how = fcntl(dirfd, F_GETFD);
	return how >= 0 && how & FD_CLOEXEC;
}

static int find_program(struct dune_program *prog, int dirfd,
			const char *path, int flags)
{
	char interp[HEAD_SIZE], name[sizeof(prog->execfn)];
	uint64_t size;
	int depth, ret;

	snprintf(name, sizeof(name), "%s", prog->execfn);
	for (depth = 0; depth <= SCRIPTS_MAX; depth++) {
		prog->fd = open_file(dirfd, path, flags, name, &size);
		if (prog->fd < 0)
			return prog->fd;
		ret = inspect(prog, name, size, interp, sizeof(interp));
		if (ret <= 0)
			return ret;
		if (script_vanishes(dirfd, path))
			return dune_err(-ENOENT, "%s: a script on a "
					"close-on-exec descriptor", name);
		close(prog->fd);
		prog->fd = -1;
		snprintf(name, sizeof(name), "%s", interp);
		path = name;
		dirfd = AT_FDCWD;
		flags = 0;
	}
	return dune_err(-ELOOP, "%s: #! interpreters that are scripts, more "
			"than %d deep", prog->execfn, SCRIPTS_MAX);
}

/* A missing interpreter is ENOENT, one that is no ELF program ELIBBAD. */
static int find_interp(struct dune_program *prog)
{
	const char *name = prog->img.interp;
	char head[HEAD_SIZE], reason[DUNE_ERR_MAX];
	uint64_t size;
	long n;
	int ret;

	prog->interp_fd = open_file(AT_FDCWD, name, 0, name, &size);
	if (prog->interp_fd < 0) {
		ret = prog->interp_fd;
		goto bad;
	}
	n = read_at(&prog->interp_fd, head, sizeof(head), 0);
	if (n < 0) {
		ret = open_err(n, name);
		goto bad;
	}
	ret = dune_image_parse(&prog->interp, head, n, size, read_at,
			       &prog->interp_fd);
	if (!ret)
		return 0;
	ret = name_err(ret == -ENOEXEC ? -ELIBBAD : ret, name);
bad:
	snprintf(reason, sizeof(reason), "%s", dune_errmsg());
	return dune_err(ret, "%s: its interpreter %s", prog->execfn, reason);
}

/*
 * /proc/self/exe of the program to be. Without /proc the name as it was
 * given has to do.
 */
static void resolve_path(struct dune_program *prog)
{
	char self[40];
	ssize_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", prog->fd);
	n = readlink(self, prog->path, sizeof(prog->path) - 1);
	if (n >= 0)
		prog->path[n] = '\0';
	else
		snprintf(prog->path, sizeof(prog->path), "%.*s",
			 (int)sizeof(prog->path) - 1, prog->script_argv ?
			 prog->script_argv[0] : prog->execfn);
}

static int open_program(struct dune_program *prog, int dirfd, int name_fd,
			const char *path, int flags, char *const *argv)
{
	/* Linux gives a program at least an empty name. */
	static char *const nameless[] = { (char *)"", NULL };
	int ret;

	memset(prog, 0, sizeof(*prog));
	prog->fd = prog->interp_fd = -1;
	prog->argv = argv && argv[0] ? argv : nameless;
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return dune_err(-EINVAL, "unknown execveat flags");
	if (!path[0] && !(flags & AT_EMPTY_PATH))
		return dune_err(-ENOENT, "the program's path is empty");
	ret = make_execfn(prog, name_fd, path);
	if (!ret)
		ret = find_program(prog, dirfd, path, flags);
	if (!ret && prog->img.interp[0])
		ret = find_interp(prog);
	if (ret) {
		dune_program_close(prog);
		return ret;
	}
	resolve_path(prog);
	return 0;
}

int dune_program_open(struct dune_program *prog, int dirfd, const char *path,
		      int flags, char *const *argv)
{
	return open_program(prog, dirfd, dirfd, path, flags, argv);
}

int dune_program_open_fd(struct dune_program *prog, int fd, int name_fd,
			 char *const *argv)
{
	return open_program(prog, fd, name_fd, "", AT_EMPTY_PATH, argv);
}

void dune_program_close(struct dune_program *prog)
{
	if (prog->fd >= 0)
		close(prog->fd);
	if (prog->interp_fd >= 0)
		close(prog->interp_fd);
	drop_argv(prog);
	prog->fd = prog->interp_fd = -1;
}
