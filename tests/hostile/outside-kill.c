/*
 * Signals and other process calls to what is outside: init, the supervisor, an
 * outside process (argument). Only harmless signals: if they get out, nothing
 * but the test fails.
 */
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include "hostile.h"

int main(int argc, char **argv)
{
	pid_t out[] = { 1, getppid(), argc > 1 ? atoi(argv[1]) : 1 };
	struct sched_param sp = { 0 };
	struct rlimit rl;
	siginfo_t si = { .si_code = SI_QUEUE };
	char buf[16];
	struct iovec iov = { buf, 16 };

	for (int i = 0; i < 3; i++) {
		pid_t p = out[i];
		int fd;

		if (p <= 0)
			continue;
		REFUSED("kill 0", kill(p, 0));
		REFUSED("kill", kill(p, SIGURG));
		if (getpgid(p) > 1 && getpgid(p) != getpgrp())
			REFUSED("killpg", kill(-getpgid(p), SIGURG));
		REFUSED("tgkill", syscall(SYS_tgkill, p, p, SIGURG));
		REFUSED("tkill", syscall(SYS_tkill, p, SIGURG));
		REFUSED("rt_sigqueueinfo",
			syscall(SYS_rt_sigqueueinfo, p, SIGURG, &si));
		REFUSED("ptrace", ptrace(PTRACE_ATTACH, p, 0, 0));
		REFUSED("ptrace", ptrace(PTRACE_SEIZE, p, 0, 0));
		REFUSED("process_vm_readv",
			process_vm_readv(p, &iov, 1, &iov, 1, 0));
		REFUSED("process_vm_writev",
			process_vm_writev(p, &iov, 1, &iov, 1, 0));
		REFUSED("setpriority", setpriority(PRIO_PROCESS, p, 10));
		REFUSED("sched_setscheduler",
			sched_setscheduler(p, SCHED_IDLE, &sp));
		REFUSED("prlimit", syscall(SYS_prlimit64, p, 7, NULL, &rl));
		REFUSED("prlimit", syscall(SYS_prlimit64, p, 0, &rl, NULL));
		REFUSED("setpgid", setpgid(p, 0));
		REFUSED("get_robust_list",
			syscall(SYS_get_robust_list, p, buf, buf + 8));
		REFUSED("migrate_pages",
			syscall(SYS_migrate_pages, p, 0, NULL, NULL));
		fd = syscall(SYS_pidfd_open, p, 0);
		if (fd >= 0) {
			REFUSED("pidfd_send_signal",
				syscall(SYS_pidfd_send_signal, fd, SIGURG, 0,
					0));
			REFUSED("pidfd_getfd",
				syscall(SYS_pidfd_getfd, fd, 0, 0));
			REFUSED("process_madvise",
				syscall(SYS_process_madvise, fd, &iov, 1,
					MADV_COLD, 0));
			REFUSED("setns", setns(fd, CLONE_NEWNET));
		}
	}
	/* To all: those outside must not get it; the runner looks. */
	kill(-1, SIGURG);
	kill(0, SIGURG);
	REFUSED("PTRACE_TRACEME", ptrace(PTRACE_TRACEME, 0, 0, 0));
	REFUSED("own memory by process_vm_readv",
		process_vm_readv(getpid(), &iov, 1, &iov, 1, 0));
	contained("no signal, no tracing, no limits of others");
	return 0;
}
