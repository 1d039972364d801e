/*
 * Calls that change the machine or open a way around the gate: all refused.
 */
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include "hostile.h"

static void no_process(const char *what, long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		ESCAPED("%s", what);
}

int main(void)
{
	char buf[4096] = { 0 };
	struct sock_filter filter = { BPF_RET | BPF_K, 0, 0, 0x7fff0000 };
	struct sock_fprog prog = { 1, &filter };
	unsigned long caps[8] = { 0x20080522, 0, -1ul, -1ul };
	static const int ns[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID,
		CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP };

#define NO(name, ...) REFUSED(#name, syscall(SYS_##name, ##__VA_ARGS__))
	NO(io_uring_setup, 8, buf);
	NO(io_setup, 8, buf);
	NO(userfaultfd, 0);
	NO(userfaultfd, 1);
	NO(bpf, 5, buf, 120);
	NO(perf_event_open, buf, 0, -1, -1, 0);
	NO(add_key, "user", "dune", "x", 1, KEY_SPEC_PROCESS_KEYRING);
	NO(keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
	NO(mount, "none", "/tmp", "tmpfs", 0, NULL);
	NO(umount2, "/proc", MNT_DETACH);
	NO(pivot_root, "/", "/");
	NO(chroot, "/");
	NO(open_tree, AT_FDCWD, "/", 1);
	NO(fsopen, "tmpfs", 0);
	NO(move_mount, AT_FDCWD, "/", AT_FDCWD, "/", 0);
	NO(name_to_handle_at, AT_FDCWD, "/", buf, buf, 0);
	NO(open_by_handle_at, AT_FDCWD, buf, O_RDONLY);
	NO(fanotify_init, 0, 0);
	NO(init_module, buf, 10, "");
	NO(finit_module, 0, "", 0);
	NO(delete_module, "dune_none", 0);
	NO(kexec_load, 0, 0, NULL, 0);
	NO(iopl, 3);
	NO(ioperm, 0x10, 1, 1);
	NO(modify_ldt, 1, buf, 16);
	NO(set_thread_area, buf);
	NO(swapon, "/dev/null", 0);
	NO(swapoff, "/dev/null");
	NO(reboot, 0, 0, 0, NULL);
	NO(sethostname, "dune", 4);
	NO(setdomainname, "dune", 4);
	NO(clock_settime, CLOCK_REALTIME, buf);
	NO(acct, NULL);
	NO(syslog, 3, buf, 100);
	NO(vhangup);
	NO(quotactl, 0x800007, "/dev/null", 0, buf);
	NO(kcmp, getpid(), getppid(), 0, 0, 0);
	NO(memfd_secret, 0);
	NO(process_madvise, 0, buf, 1, 4, 0);
	NO(lookup_dcookie, 1ul, buf, 100);
	for (unsigned int i = 0; i < sizeof(ns) / sizeof(*ns); i++) {
		unsigned long ca[11] = { ns[i], [4] = SIGCHLD };

		NO(unshare, ns[i]);
		no_process("clone", syscall(SYS_clone, ns[i] | SIGCHLD, 0, 0,
					    0, 0));
		no_process("clone3", syscall(SYS_clone3, ca, 88));
	}
	/* The monitor's own walls and identity are not the program's. */
	NO(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
	   &prog);
	REFUSED("PR_SET_MM", prctl(PR_SET_MM, PR_SET_MM_START_CODE, 1, 0, 0));
	REFUSED("PR_SET_PTRACER", prctl(PR_SET_PTRACER, getppid(), 0, 0, 0));
	REFUSED("PR_CAPBSET_DROP then use", prctl(PR_CAP_AMBIENT,
		PR_CAP_AMBIENT_RAISE, 1, 0, 0));
	NO(capset, caps, caps + 2);
	prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		ESCAPED("no_new_privs is off");
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
	prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
	prctl(PR_TASK_PERF_EVENTS_DISABLE, 0, 0, 0, 0);
	prctl(59, 1, buf, 100, buf);	/* PR_SET_SYSCALL_USER_DISPATCH */
	CHECK(getpid() > 0);
	contained("all refused");
	return 0;
}
