/*
 * System calls with pointers to what is not the program's: outside, wrapping,
 * straddling. Known ones must answer EFAULT; all numbers must leave the monitor
 * and this process as they were.
 */
#include <sys/socket.h>
#include "hostile.h"

static const short skip[] = {
	SYS_exit, SYS_exit_group, SYS_pause, SYS_wait4, SYS_waitid, SYS_fork,
	SYS_vfork, SYS_clone, SYS_clone3, SYS_kill, SYS_tkill, SYS_tgkill,
	SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_rt_sigsuspend,
	SYS_rt_sigreturn, SYS_alarm, SYS_setitimer, SYS_reboot, SYS_munmap,
	SYS_pidfd_send_signal, SYS_rt_sigtimedwait, SYS_ppoll, SYS_select,
	SYS_poll, SYS_pselect6, SYS_vhangup, SYS_brk, SYS_setsid,
};

static unsigned long bad;
static long nr;

static bool skipped(long n)
{
	for (unsigned int i = 0; i < sizeof(skip) / sizeof(*skip); i++)
		if (skip[i] == n)
			return true;
	return false;
}

/* The address in each place, with a valid descriptor or a size elsewhere. */
static void all_places(void)
{
	int null = open("/dev/null", O_RDWR);

	for (unsigned int i = 0; i < OUTSIDE; i += 3) {
		bad = outside[i];
		syscall(nr, bad, bad, bad, bad, bad, bad);
		syscall(nr, null, bad, 8, bad, 8, bad);
		syscall(nr, bad, 16, bad, 4, bad, 4);
		syscall(nr, 0, 0, bad, 0, bad, 0);
	}
}

#define EF(n, ...) do {							\
	errno = 0;							\
	long r_ = syscall(n, __VA_ARGS__);				\
	if (r_ >= 0)							\
		ESCAPED("call %d with %#lx: %ld", (int)(n), bad, r_);	\
} while (0)

static void known(void)
{
	int fds[2], sv[2], mem = memfd_create("m", 0);

	CHECK(pipe(fds) == 0 && write(mem, "0123456789abcdef", 16) == 16);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	EF(SYS_pread64, mem, bad, 16, 0);
	EF(SYS_pwrite64, mem, bad, 16, 0);
	EF(SYS_write, fds[1], bad, 16);
	EF(SYS_sendto, sv[0], bad, 16, 0, 0, 0);
	EF(SYS_openat, AT_FDCWD, bad, 0, 0);
	EF(SYS_fstat, mem, bad);
	EF(SYS_uname, bad);
	EF(SYS_pipe2, bad, 0);
	EF(SYS_getrandom, bad, 16, 0);
	EF(SYS_readv, mem, bad, 1);
	EF(SYS_writev, fds[1], bad, 2);
	EF(SYS_getcwd, bad, 4096);
	EF(SYS_nanosleep, bad, 0);
	EF(SYS_rt_sigaction, SIGUSR1, bad, 0, 8);
	EF(SYS_rt_sigaction, SIGUSR1, 0, bad, 8);
	EF(SYS_rt_sigprocmask, 0, bad, 0, 8);
	EF(SYS_rt_sigprocmask, 0, 0, bad, 8);
	EF(SYS_rt_sigpending, bad, 8);
	EF(SYS_sigaltstack, bad, 0);
	EF(SYS_getrlimit, 7, bad);
	EF(SYS_getrusage, 0, bad);
	EF(SYS_sysinfo, bad);
	EF(SYS_getsockname, sv[0], bad, bad);
	EF(SYS_sendmsg, sv[0], bad, 0);
	EF(SYS_recvmsg, sv[0], bad, MSG_DONTWAIT);
	EF(SYS_arch_prctl, 0x1003, bad);	/* ARCH_GET_FS */
	EF(SYS_get_robust_list, 0, bad, bad);
	EF(SYS_clock_getres, 1, bad);
	EF(SYS_timer_create, 1, 0, bad);
	EF(SYS_execve, bad, bad, bad);
	EF(SYS_prlimit64, 0, 7, 0, bad);
	EF(SYS_sched_getaffinity, 0, 128, bad);
	EF(SYS_futex, bad, 0, 0, 0, 0, 0);
	EF(SYS_clone3, bad, 88);
	EF(SYS_ioctl, fds[0], FIONREAD, bad);
	EF(SYS_fcntl, mem, F_GETLK, bad);
	EF(SYS_statx, mem, "", AT_EMPTY_PATH, 0x7ff, bad);
	EF(SYS_readlink, "/proc/self/exe", bad, 100);
	close(mem);
	close(fds[0]), close(fds[1]);
	close(sv[0]), close(sv[1]);
}

int main(void)
{
	int died = 0, st;

	for (unsigned int i = 0; i < OUTSIDE; i++) {
		bad = outside[i];
		known();
	}
	/* Anywhere: what happens to be mapped there must not show. */
	for (int i = 0; i < 400; i++) {
		bad = 0x550000000000ul + i * 0x1b0000000ul * 64;
		if (bad >= USER_END)
			break;
		EF(SYS_write, 1, bad, 1);
	}
	/* Wrapping and straddling. */
	bad = 0x400000;
	EF(SYS_write, 1, bad, -1ul);
	EF(SYS_write, 1, bad, ARENA_HI);
	bad = 0x4ffffffff000ul;
	EF(SYS_pwrite64, 1, bad, 0x1000000, 0);
	contained("known calls answer with an error");

	for (nr = 0; nr <= 470; nr++) {
		if (skipped(nr))
			continue;
		/* Diagnostics of a dying child are not wanted. */
		st = guarded(all_places);
		died += WIFSIGNALED(st) && WTERMSIG(st) == SIGALRM;
	}
	if (died > 20)
		ESCAPED("%d calls blocked", died);
	CHECK(write(1, "", 0) == 0 && getpid() > 0);
	contained("all numbers tried");
	return 0;
}
