/*
 * Buffers of system calls obey the program's page protections: EFAULT or a
 * short count exactly where Linux gives them, and no signal.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
	char *ro = map(PAGE, PROT_READ), *none = map(PAGE, PROT_NONE);
	char *edge = map(2 * PAGE, RW), *gone = map(PAGE, RW);
	void *bad[] = { NULL, (void *)8, none, gone, (void *)0x800000000000ul,
			(void *)0xffffffffff600000ul, (void *)-1l,
			(void *)-4096l };
	struct iovec iov[2];
	int fds[2], sv[2], fd;
	char c;

	munmap(gone, PAGE);
	munmap(edge + PAGE, PAGE);
	edge += PAGE - 4;		/* four bytes, then nothing */
	fd = memfd_create("x", 0);
	CHECK(pipe(fds) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	CHECK(write(fd, "0123456789", 10) == 10);

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		FAILS(EFAULT, pread(fd, bad[i], 5, 0));
		FAILS(EFAULT, pwrite(fd, bad[i], 5, 0));
		FAILS(EFAULT, write(fds[1], bad[i], 5));
		FAILS(EFAULT, syscall(SYS_openat, AT_FDCWD, bad[i], O_RDONLY));
		FAILS(EFAULT, syscall(SYS_uname, bad[i]));
		FAILS(EFAULT, syscall(SYS_fstat, fd, bad[i]));
		FAILS(EFAULT, syscall(SYS_pipe2, bad[i], 0));
		FAILS(EFAULT, syscall(SYS_readv, fd, bad[i], 1));
		FAILS(EFAULT, syscall(SYS_getrandom, bad[i], 8, 0));
		FAILS(EFAULT, syscall(SYS_clock_gettime, 0, bad[i]));
		if (i > 0)
			FAILS(EFAULT, syscall(SYS_rt_sigprocmask, SIG_BLOCK,
					      bad[i], NULL, 8));
	}
	say("bad pointers\n");

	FAILS(EFAULT, pread(fd, ro, 4, 0));
	CHECK(pwrite(fd, ro, 4, 20) == 4);
	FAILS(EFAULT, uname((struct utsname *)ro));
	FAILS(EFAULT, fstat(fd, (struct stat *)ro));
	FAILS(EFAULT, getsockname(sv[0], (void *)ro, (void *)ro));
	FAILS(EFAULT, ioctl(fds[0], FIONREAD, ro));
	FAILS(EFAULT, syscall(SYS_getcwd, ro, 4096));
	FAILS(EFAULT, send(sv[0], none, 1, 0));
	FAILS(EFAULT, readlink("/proc/self/exe", ro, 10));
	say("read-only\n");

	/* Straddling the end: as much as fits, or EFAULT for structs. */
	say("file %zd\n", pread(fd, edge, 10, 0));
	say("pipe write %zd\n", write(fds[1], edge, 10));
	FAILS(EFAULT, fstat(fd, (struct stat *)edge));
	FAILS(EFAULT, open(memcpy(edge, "/tmp", 4), O_RDONLY));
	CHECK(write(sv[0], "abcdefgh", 8) == 8);
	FAILS(EFAULT, read(sv[1], edge, 8));
	iov[0] = (struct iovec){ edge, 4 };
	iov[1] = (struct iovec){ edge + 4, 4 };
	say("readv %zd\n", preadv(fd, iov, 2, 0));
	iov[0] = (struct iovec){ edge, -1 };
	FAILS(EINVAL, preadv(fd, iov, 1, 0));
	FAILS(EINVAL, syscall(SYS_readv, fd, iov, 2000));
	FAILS(EINVAL, syscall(SYS_readv, fd, iov, -1));
	say("straddling\n");

	/* A page that read(2) filled can be written and forked. */
	char *fresh = map(PAGE, RW);

	CHECK(pread(fd, fresh, 10, 0) == 10 && fresh[9] == '9');
	if (fork() == 0)
		_exit(fresh[5] == '5' && pread(fd, fresh, 1, 3) == 1 &&
		      fresh[0] == '3' ? 0 : 1);
	wait(NULL);
	CHECK(fresh[0] == '0');
	CHECK(mprotect(fresh, PAGE, PROT_READ) == 0);
	FAILS(EFAULT, pread(fd, fresh, 1, 0));
	CHECK(mprotect(fresh, PAGE, RW) == 0);
	CHECK(pread(fd, &c, 1, 0) == 1 && pread(fd, fresh, 2, 1) == 2);
	say("%.2s\n", fresh);
	return 0;
}
