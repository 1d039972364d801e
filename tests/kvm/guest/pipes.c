/*
 * Pipes and descriptors: blocking, O_NONBLOCK, end of file, SIGPIPE, dup, dup2,
 * dup3, fcntl, close_range, splice and tee, PIPE_BUF atomicity, fifos.
 */
#include <sys/ioctl.h>
#include "guest.h"

static volatile int broken;

static void pipe_sig(int sig)
{
	(void)sig;
	broken++;
}

static void no_reader(void)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	close(fds[0]);
	(void)!write(fds[1], "x", 1);
}

int main(int argc, char **argv)
{
	int fds[2], b[2], n, fd;
	char buf[65536], *p = buf;
	pid_t pid;

	enter_dir(argc, argv);
	CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK(fcntl(fds[0], F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fds[0], F_GETFL) == O_NONBLOCK);
	FAILS(EAGAIN, read(fds[0], buf, 1));
	memset(buf, 'x', sizeof(buf));
	for (n = 0; write(fds[1], buf, 4096) == 4096; )
		n += 4096;
	CHECK(errno == EAGAIN);
	CHECK(ioctl(fds[0], FIONREAD, &fd) == 0);
	say("holds %d, says %d\n", n, fd);
	while (read(fds[0], buf, sizeof(buf)) > 0)
		;
	CHECK(errno == EAGAIN);
	close(fds[1]);
	CHECK(read(fds[0], buf, 1) == 0);
	close(fds[0]);

	say("SIGPIPE: %s\n", how(in_child(no_reader)));
	signal(SIGPIPE, pipe_sig);
	CHECK(pipe(fds) == 0);
	close(fds[0]);
	FAILS(EPIPE, write(fds[1], "x", 1));
	say("handled %d\n", broken);
	close(fds[1]);

	/* The lowest free number is given. */
	CHECK(pipe(fds) == 0);
	n = dup(fds[0]);
	close(n);
	CHECK(dup(fds[1]) == n);
	close(n);
	CHECK(dup2(fds[1], 40) == 40 && dup2(40, 40) == 40);
	FAILS(EINVAL, dup3(40, 40, 0));
	FAILS(EBADF, dup2(41, 42));
	CHECK(fcntl(40, F_DUPFD, 45) == 45);
	CHECK(fcntl(40, F_DUPFD_CLOEXEC, 45) == 46);
	CHECK(fcntl(46, F_GETFD) == FD_CLOEXEC);
	CHECK(write(45, "dup", 3) == 3 && read(fds[0], buf, 9) == 3);
	CHECK(syscall(SYS_close_range, 40, 60, 0) == 0);
	FAILS(EBADF, fcntl(45, F_GETFD));
	FAILS(EBADF, close(45));
	FAILS(EBADF, read(-1, buf, 1));
	say("descriptors\n");

	/* 200 KiB through a pipe that holds 64, checked at the other end. */
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		for (int i = 0; i < 50; i++) {
			memset(buf, i, 4096);
			CHECK(write(fds[1], buf, 4096) == 4096);
		}
		_exit(0);
	}
	close(fds[1]);
	for (long at = 0; (n = read(fds[0], buf, 5000)) > 0; at += n)
		for (int i = 0; i < n; i++)
			CHECK(p[i] == (char)((at + i) / 4096));
	CHECK(reap(pid) == 0);
	say("through\n");

	CHECK(pipe(fds) == 0 && pipe(b) == 0);
	fd = open("spliced", O_CREAT | O_TRUNC | O_RDWR, 0600);
	CHECK(write(fds[1], "abcdef", 6) == 6);
	CHECK(tee(fds[0], b[1], 6, 0) == 6);
	CHECK(splice(fds[0], NULL, fd, NULL, 6, 0) == 6);
	CHECK(pread(fd, buf, 10, 0) == 6 && read(b[0], buf + 10, 10) == 6);
	say("splice %.6s tee %.6s\n", buf, buf + 10);

	CHECK(mkfifo("fifo", 0600) == 0);
	pid = fork();
	if (pid == 0) {
		fd = open("fifo", O_WRONLY);
		CHECK(write(fd, "fifo", 4) == 4);
		_exit(0);
	}
	fd = open("fifo", O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, 10) == 4);
	reap(pid);
	say("%.4s\n", buf);
	return 0;
}
