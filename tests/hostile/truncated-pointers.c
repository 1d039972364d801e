/*
 * Arguments in pages of a file that is cut short by another thread while calls
 * use them: EFAULT, not the end of the monitor. memfds of all kinds.
 */
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "hostile.h"

#define RW (PROT_READ | PROT_WRITE)

static char *page;
static int fd;
static volatile int stop;

static void *cutter(void *arg)
{
	while (!stop) {
		(void)!ftruncate(fd, 0);
		(void)!ftruncate(fd, PAGE);
	}
	return arg;
}

static void calls(void)
{
	struct timeval now = { 0, 0 };
	void *p = page + 64;
	int fds[2];

	open(p, O_RDONLY);
	rename(p, p);
	syscall(SYS_readlink, p, p, 100);
	syscall(SYS_rt_sigaction, SIGUSR2, p, p, 8);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, p, 8);
	/* all zeroes are a fork's arguments */
	if (syscall(SYS_clone3, p, 88) == 0)
		_exit(0);
	syscall(SYS_futex, p, FUTEX_WAIT, 1, NULL, NULL, 0);
	syscall(SYS_execve, p, p, p);
	syscall(SYS_sendmsg, 0, p, 0);
	syscall(SYS_writev, 0, p, 4);
	syscall(SYS_nanosleep, (char *)p + 1024, p);
	/* where no other call leaves what looks like a stack */
	syscall(SYS_sigaltstack, page + 2048, NULL);
	syscall(SYS_uname, p);
	syscall(SYS_prlimit64, 0, 7, NULL, p);
	syscall(SYS_poll, p, 1, 0);
	syscall(SYS_select, 1, p, p, NULL, &now);
	syscall(SYS_getdents64, 0, p, 1000);
	syscall(SYS_statx, 0, p, AT_EMPTY_PATH, 0, p);
	if (syscall(SYS_pipe2, p, 0) == 0 && memcpy(fds, p, 0))
		syscall(SYS_close_range, 6, 100, 0);
}

int main(void)
{
	unsigned long wild;
	pthread_t t;
	stack_t off = { .ss_flags = SS_DISABLE };

	try_init();
	fd = memfd_create("cut", 0);
	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
	page = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(page != MAP_FAILED);
	CHECK(ftruncate(fd, 0) == 0);
	(void)TRY(calls());
	REFUSED("open", open(page, O_RDONLY));
	REFUSED("uname", syscall(SYS_uname, page));
	pthread_create(&t, NULL, cutter, NULL);
	for (int i = 0; i < 150; i++)
		(void)TRY(calls());
	stop = 1;
	pthread_join(t, NULL);
	sigaltstack(&off, NULL);
	try_init();

	/* Sizes and seals that make no sense. */
	(void)!ftruncate(fd, 1l << 50);
	(void)!ftruncate(fd, -1);
	CHECK(ftruncate(fd, PAGE) == 0);
	fcntl(fd, F_ADD_SEALS, -1);
	REFUSED("memfd huge page", memfd_create("h", -1));
	/* Executable shared memory is the program's own affair. */
	wild = (unsigned long)mmap(NULL, PAGE, RW | PROT_EXEC, MAP_SHARED,
				   fd, 0);
	if ((void *)wild != MAP_FAILED && wild >= ARENA_HI)
		ESCAPED("mapped at %#lx", wild);
	contained("cut under the calls' hands");
	return 0;
}
