/*
 * What it costs to see a system call of another program before the kernel
 * does, by the means Linux has. Every case makes getppid(2) n times; each is
 * intercepted, found harmless and let through. All on one CPU, where the
 * hand-over between two processes is cheapest.
 */
#include "bench/micro/micro.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1
#endif

/* Where a child tells its parent what it saw. */
static struct shared {
	volatile int64_t ns;	/* or a negative errno */
	volatile int listener;
} *shared;

static int prepare(void)
{
	if (!shared) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (shared == MAP_FAILED)
			return -errno;
	}
	bench_one_cpu();
	shared->ns = -ECHILD;
	shared->listener = -1;
	return 0;
}

static int64_t call(unsigned long n)
{
	int64_t t = bench_now();

	while (n--)
		syscall(SYS_getppid);
	return bench_now() - t;
}

static int64_t run_ptrace(unsigned long n)
{
	int err = prepare(), status;
	pid_t pid;

	if (err)
		return err;
	pid = fork();
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) {
			shared->ns = -errno;
			_exit(1);
		}
		raise(SIGSTOP);
		shared->ns = call(n);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status))
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL))
			break;
	return pid < 0 ? -errno : shared->ns;
}

/* A filter that hands getppid(2) to user space; returns its descriptor. */
static int listen_to_getppid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			 SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);

	return fd < 0 ? -errno : fd;
}

static int64_t serve(int fd, unsigned long calls)
{
	struct seccomp_notif req;
	struct seccomp_notif_resp resp;

	/* Not in older kernels; only faster. */
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	      SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	while (calls--) {
		memset(&req, 0, sizeof(req));
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req))
			return -errno;
		memset(&resp, 0, sizeof(resp));
		resp.id = req.id;
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp))
			return -errno;
	}
	return 0;
}

static int64_t run_notify(unsigned long n)
{
	int err = prepare();
	pid_t pid;

	if (err)
		return err;
	/* One table of descriptors: the parent uses the child's listener. */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		return -errno;
	if (!pid) {
		int fd = listen_to_getppid();

		if (fd < 0) {
			shared->ns = fd;
			_exit(1);
		}
		shared->listener = fd;
		shared->ns = call(n);
		_exit(0);
	}
	while (shared->listener < 0) {
		if (waitpid(pid, NULL, WNOHANG))
			return shared->ns;
		sched_yield();
	}
	err = serve(shared->listener, n);
	if (err)
		kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(shared->listener);
	return err ? err : shared->ns;
}

/*
 * Syscall User Dispatch: calls from outside of one range of code become
 * SIGSYS. In the range are the handler's own call and its return.
 */
extern const char sud_begin[], sud_end[];
long sud_getppid(void);
void sud_restore(void);
__asm__(".pushsection .text\n"
	".balign 64\n"
	"sud_begin:\n"
	".globl sud_getppid\n"
	"sud_getppid: mov $110, %eax\n"	/* SYS_getppid */
	"	syscall\n"
	"	ret\n"
	".globl sud_restore\n"
	"sud_restore: mov $15, %eax\n"	/* SYS_rt_sigreturn */
	"	syscall\n"
	"	nop\n"	/* the address behind the call counts */
	"sud_end:\n"
	".popsection");

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_RAX] = sud_getppid();
}

static int64_t run_sud(unsigned long n)
{
	/* What the kernel calls struct sigaction. */
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} act = { on_sigsys, SA_SIGINFO | 0x04000000 /* SA_RESTORER */,
		  sud_restore, 0 };
	static volatile char selector;
	int64_t ns;

	bench_one_cpu();
	if (syscall(SYS_rt_sigaction, SIGSYS, &act, NULL, 8))
		return -errno;
	selector = 0;	/* SYSCALL_DISPATCH_FILTER_ALLOW */
	if (prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, sud_begin,
		  sud_end - sud_begin, &selector))
		return -errno;
	selector = 1;	/* SYSCALL_DISPATCH_FILTER_BLOCK */
	ns = call(n);
	selector = 0;
	prctl(59, 0, 0, 0, 0);
	return ns;
}

const struct bench_case bench_intercept[] = {
	{ "ptrace", "getppid(2) stopped twice by PTRACE_SYSCALL", run_ptrace,
	  0 },
	{ "notify", "getppid(2) by seccomp user notification", run_notify, 0 },
	{ "sud", "getppid(2) by Syscall User Dispatch", run_sud, 0 },
	{ 0 },
};
