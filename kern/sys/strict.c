/* The closed list of system calls for plugins. */
#include "kern/sys/strict.h"

#include <errno.h>
#include <sys/syscall.h>
#include "kern/sys/internal.h"

static const uint16_t always[] = {
	/* memory */
	SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk,
	SYS_msync,
	/* threads; fork is asked of the broker, which says no */
	SYS_clone, SYS_clone3, SYS_futex, SYS_set_tid_address,
	SYS_set_robust_list, SYS_get_robust_list, SYS_arch_prctl, SYS_exit,
	SYS_exit_group, SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu,
	SYS_gettid, SYS_getpid, SYS_tgkill, SYS_membarrier,
	/* signals: a plugin's own handlers, abort() */
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
	SYS_sigaltstack, SYS_rt_sigpending,
	/* time */
	SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_time,
	SYS_nanosleep, SYS_clock_nanosleep, SYS_restart_syscall, SYS_times,
	SYS_getrusage,
	/* facts that C libraries ask for */
	SYS_getrandom, SYS_uname, SYS_sysinfo, SYS_getrlimit, SYS_getuid,
	SYS_geteuid, SYS_getgid, SYS_getegid,
	/* the descriptors it was given */
	SYS_read, SYS_write, SYS_writev, SYS_close, SYS_recvmsg,
};

/* The dynamic linker's; file calls need them as well. */
static const uint16_t loading[] = {
	SYS_open, SYS_openat, SYS_stat, SYS_lstat, SYS_fstat, SYS_newfstatat,
	SYS_statx, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_pread64,
	SYS_readlink, SYS_readlinkat, SYS_lseek, SYS_getdents64, SYS_getcwd,
	SYS_fcntl, SYS_prlimit64, SYS_fadvise64,
};

static const uint16_t on_files[] = {
	SYS_pwrite64, SYS_readv, SYS_preadv, SYS_pwritev, SYS_ftruncate,
	SYS_truncate, SYS_fsync, SYS_fdatasync, SYS_unlink, SYS_unlinkat,
	SYS_rename, SYS_renameat, SYS_renameat2, SYS_mkdir, SYS_mkdirat,
	SYS_rmdir, SYS_fallocate, SYS_flock, SYS_dup, SYS_statfs, SYS_fstatfs,
	SYS_fchmod, SYS_utimensat, SYS_creat,
};

/* C libraries try these and do without. */
static const uint16_t shrugged_off[] = {
	SYS_ioctl, SYS_fcntl, SYS_fstat, SYS_newfstatat, SYS_lseek, SYS_prctl,
	SYS_prlimit64, SYS_readlink, SYS_mlock, SYS_munlock, SYS_mlock2,
	SYS_mlockall, SYS_munlockall, SYS_sched_setaffinity,
	SYS_sched_setscheduler, SYS_sched_getscheduler, SYS_sched_getparam,
	SYS_setpriority, SYS_getpriority, SYS_mincore, SYS_fadvise64,
	SYS_pkey_mprotect, SYS_fchown,
};

static const struct dune_phase *phase;

static void add(uint8_t *bits, const uint16_t *nr, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bits[nr[i] / 8] |= 1 << nr[i] % 8;
}

void dune_strict_lists(struct dune_policy *p, bool files)
{
	uint8_t *load = files ? p->only : p->only_loading;

	add(p->only, always, DUNE_ARRAY_SIZE(always));
	add(load, loading, DUNE_ARRAY_SIZE(loading));
	if (files)
		add(p->only, on_files, DUNE_ARRAY_SIZE(on_files));
	add(p->quiet, shrugged_off, DUNE_ARRAY_SIZE(shrugged_off));
	for (size_t i = 0; i < sizeof(p->only); i++)
		p->only[i] |= p->allow[i];
}

void dune_strict_phase(const struct dune_phase *page)
{
	phase = page;
}

static bool is_loading(void)
{
	uint32_t pid = dune_own(SYS_getpid);

	for (size_t i = 0; phase && i < DUNE_PHASE_PIDS; i++) {
		uint32_t who = __atomic_load_n(&phase->loading[i],
					       __ATOMIC_ACQUIRE);

		if (who == pid || who == ~0u)
			return true;
	}
	return false;
}

long dune_strict_decide(const struct dune_policy *p, long nr,
			const char **violation)
{
	if (dune_bit(p->only, nr) ||
	    (dune_bit(p->only_loading, nr) && is_loading()))
		return 0;
	if (!dune_bit(p->quiet, nr))
		*violation = "not a call of a plugin";
	return -EPERM;
}
