/*
 * The rules of the seccomp wall (seccomp.c). The monitor may make the system
 * calls that the table forwards and those it needs itself, with a few arguments
 * looked at. libseccomp compiles them when Dune is built (gen-filters.c).
 *
 * Anything else gets EPERM rather than death, because arguments of forwarded
 * calls (an ioctl number, clone flags) are the guest's: a call that the gate
 * judged too kindly must fail, not end the program. Only calls that no honest
 * monitor ever makes end it with SIGSYS, for whoever took it over.
 */
#include "kern/policy/filter.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kern/sys/sys.h"

/* Each is a way out of the other walls, or into a neighbour. */
static const uint16_t never[] = {
	SYS_acct, SYS_add_key, SYS_bpf, SYS_chroot, SYS_clock_adjtime,
	SYS_clock_settime, SYS_delete_module, SYS_finit_module, SYS_fsconfig,
	SYS_fsmount, SYS_fsopen, SYS_fspick, SYS_init_module,
	SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup,
	SYS_ioperm, SYS_iopl, SYS_kexec_file_load, SYS_kexec_load, SYS_keyctl,
	SYS_modify_ldt, SYS_mount, SYS_mount_setattr, SYS_move_mount,
	SYS_open_by_handle_at, SYS_open_tree, SYS_perf_event_open,
	SYS_pidfd_getfd, SYS_pivot_root, SYS_process_madvise,
	SYS_process_vm_readv, SYS_process_vm_writev, SYS_ptrace,
	SYS_quotactl, SYS_reboot, SYS_request_key, SYS_setdomainname, SYS_setns,
	SYS_sethostname, SYS_settimeofday, SYS_swapoff, SYS_swapon,
	SYS_umount2, SYS_unshare, SYS_userfaultfd, SYS_vhangup,
};

/* Some ninety comparisons: 30 ns of an exit, which takes a microsecond. */
static const uint32_t ioctls[] = {
	KVM_RUN,
	KVM_CHECK_EXTENSION, KVM_CREATE_VCPU, KVM_CREATE_VM, KVM_ENABLE_CAP,
	KVM_GET_API_VERSION, KVM_GET_CPUID2, KVM_GET_DEBUGREGS, KVM_GET_FPU,
	KVM_GET_MSRS, KVM_GET_MSR_INDEX_LIST, KVM_GET_REGS, KVM_GET_SREGS,
	KVM_GET_SREGS2, KVM_GET_SUPPORTED_CPUID, KVM_GET_TSC_KHZ,
	KVM_GET_VCPU_EVENTS, KVM_GET_VCPU_MMAP_SIZE, KVM_GET_XCRS,
	KVM_GET_XSAVE, KVM_GET_XSAVE2, KVM_SET_CPUID2, KVM_SET_DEBUGREGS,
	KVM_SET_DEVICE_ATTR,
	KVM_SET_FPU, KVM_SET_GUEST_DEBUG, KVM_SET_IDENTITY_MAP_ADDR,
	KVM_SET_MSRS, KVM_SET_REGS, KVM_SET_SIGNAL_MASK, KVM_SET_SREGS,
	KVM_SET_SREGS2, KVM_SET_TSC_KHZ, KVM_SET_TSS_ADDR,
	KVM_SET_USER_MEMORY_REGION, KVM_SET_VCPU_EVENTS, KVM_SET_XCRS,
	KVM_SET_XSAVE, KVM_TRANSLATE,
	/* terminals; never TIOCSTI or TIOCLINUX, which type for the user */
	TCGETS, TCSETS, TCSETSW, TCSETSF, TCGETS2, TCSETS2, TCSETSW2, TCSETSF2,
	TCGETA, TCSETA, TCSETAW, TCSETAF, TCSBRK, TCSBRKP, TCXONC, TCFLSH,
	TIOCSBRK, TIOCCBRK, TIOCEXCL, TIOCNXCL, TIOCGWINSZ, TIOCSWINSZ,
	TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCOUTQ, TIOCGETD, TIOCMGET,
	TIOCNOTTY, TIOCSCTTY, TIOCGPTN, TIOCSPTLCK, TIOCGPTLCK, TIOCGPTPEER,
	TIOCPKT, TIOCGPKT,
	/* any descriptor, files, sockets */
	FIONREAD, FIONBIO, FIOASYNC, FIOCLEX, FIONCLEX, FIOQSIZE,
	FS_IOC_GETFLAGS, FS_IOC_GETVERSION, FS_IOC_FSGETXATTR, FIGETBSZ,
	BLKGETSIZE, BLKGETSIZE64, BLKSSZGET, BLKROGET,
	SIOCATMARK, SIOCOUTQNSD, SIOCGSTAMP_OLD, SIOCGSTAMPNS_OLD,
};

/* What --net adds: questions about interfaces. */
static const uint32_t net_ioctls[] = {
	SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFCONF, SIOCGIFDSTADDR, SIOCGIFFLAGS,
	SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFMETRIC, SIOCGIFMTU, SIOCGIFNAME,
	SIOCGIFNETMASK, SIOCGIFTXQLEN,
};

#define CLONE_NEWALL (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | \
		      CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
		      CLONE_NEWNET)

/* Only the low half counts: the kernel takes these arguments as int. */
#define EQ32(n, v)	SCMP_CMP64((n), SCMP_CMP_MASKED_EQ, 0xffffffff, (v))
#define CLEAR(n, bits)	SCMP_CMP64((n), SCMP_CMP_MASKED_EQ, (bits), 0)

static int allow_if(scmp_filter_ctx ctx, int nr, struct scmp_arg_cmp cmp)
{
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &cmp);
}

static int allow_ioctls(scmp_filter_ctx ctx, const uint32_t *v, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = allow_if(ctx, SYS_ioctl, EQ32(1, v[i]));
	return err;
}

static int allow_sockets(scmp_filter_ctx ctx, bool net)
{
	struct scmp_arg_cmp route[] = {
		EQ32(0, AF_NETLINK), EQ32(2, NETLINK_ROUTE),
	};
	int err = allow_if(ctx, SYS_socket, EQ32(0, AF_UNIX));

	if (err || !net)
		return err;
	err = allow_if(ctx, SYS_socket, EQ32(0, AF_INET));
	if (!err)
		err = allow_if(ctx, SYS_socket, EQ32(0, AF_INET6));
	if (!err)
		err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SYS_socket,
					     DUNE_ARRAY_SIZE(route), route);
	return err;
}

static int allow_personality(scmp_filter_ctx ctx)
{
	/* not READ_IMPLIES_EXEC, which mmap's rule could not see */
	int err = allow_if(ctx, SYS_personality, EQ32(0, 0xffffffff));

	if (!err)
		err = allow_if(ctx, SYS_personality, EQ32(0, PER_LINUX));
	if (!err)
		err = allow_if(ctx, SYS_personality,
			       EQ32(0, ADDR_NO_RANDOMIZE));
	return err;
}

/*
 * Before ABI 3 Landlock does not see that a file opened to be read is cut to
 * nothing by O_TRUNC: whoever truncates must have asked to write, too.
 */
static int allow_open(scmp_filter_ctx ctx, int nr, unsigned int flags)
{
	int err = allow_if(ctx, nr, CLEAR(flags, O_TRUNC));

	if (!err)
		err = allow_if(ctx, nr, SCMP_CMP64(flags, SCMP_CMP_MASKED_EQ,
						   O_ACCMODE, O_WRONLY));
	if (!err)
		err = allow_if(ctx, nr, SCMP_CMP64(flags, SCMP_CMP_MASKED_EQ,
						   O_ACCMODE, O_RDWR));
	return err;
}

/* One call of the allow-list, with its argument checks if it has any. */
static int allow(scmp_filter_ctx ctx, int nr,
		 const struct dune_filter_kind *k)
{
	int err;

	switch (nr) {
	case SYS_open:
		if (!k->guard_truncation)
			break;
		return allow_open(ctx, nr, 1);
	case SYS_openat:
		if (!k->guard_truncation)
			break;
		return allow_open(ctx, nr, 2);
	case SYS_openat2:	/* its flags are in memory: openat(2) is left */
		if (!k->guard_truncation)
			break;
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
	case SYS_mmap:		/* guest code runs by the guest's tables; */
	case SYS_mprotect:	/* the host never executes what is mapped */
	case SYS_pkey_mprotect:
		return allow_if(ctx, nr, CLEAR(2, PROT_EXEC));
	case SYS_shmat:
		return allow_if(ctx, nr, CLEAR(2, SHM_EXEC));
	case SYS_clone:
		return allow_if(ctx, nr, CLEAR(0, CLONE_NEWALL));
	case SYS_clone3:	/* its flags are in memory, out of sight */
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
	case SYS_socket:
		return allow_sockets(ctx, k->sockets);
	case SYS_socketpair:
		return allow_if(ctx, nr, EQ32(0, AF_UNIX));
	case SYS_personality:
		return allow_personality(ctx);
	case SYS_ioctl:
		err = allow_ioctls(ctx, ioctls, DUNE_ARRAY_SIZE(ioctls));
		if (!err && k->net_ioctls)
			err = allow_ioctls(ctx, net_ioctls,
					   DUNE_ARRAY_SIZE(net_ioctls));
		return err;
	}
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
}

bool dune_seccomp_never(long nr)
{
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(never); i++)
		if (never[i] == nr)
			return true;
	return false;
}

static int add_rules(scmp_filter_ctx ctx, const struct dune_filter_kind *k)
{
	int err = 0;

	for (size_t i = 0; !err && i < DUNE_ARRAY_SIZE(never); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, never[i],
				       0);
	for (int nr = 0; !err && nr < DUNE_NR_MAX; nr++)
		if (dune_sys_host_may_need(nr) && !dune_seccomp_never(nr))
			err = allow(ctx, nr, k);
	return err;
}

/* Compiled rules come out of libseccomp through a descriptor. */
static int take_bpf(scmp_filter_ctx ctx, struct sock_fprog *out)
{
	int fd = memfd_create("dune-filter", MFD_CLOEXEC), err;
	off_t size;

	if (fd < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd);
	size = lseek(fd, 0, SEEK_END);
	if (!err)
		out->filter = malloc(size);
	if (!err && (!out->filter ||
		     pread(fd, out->filter, size, 0) != size))
		err = -ENOMEM;
	close(fd);
	if (!err)
		out->len = size / sizeof(*out->filter);
	return err;
}

int dune_filter_compile(const struct dune_filter_kind *k,
			struct sock_fprog *out)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!ctx)
		return -ENOMEM;
	/* calls by the 32-bit and x32 entries */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
			       SCMP_ACT_KILL_PROCESS);
	/* a binary tree: some ten comparisons for any call */
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = add_rules(ctx, k);
	if (!err)
		err = take_bpf(ctx, out);
	seccomp_release(ctx);
	return err;
}
