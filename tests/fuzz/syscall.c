/*
 * The system call layer under arbitrary calls: numbers, arguments, and a
 * guest memory full of whatever the fuzzer likes, for every structure that
 * is copied in.
 *
 * The host is played here: it checks that no pointer outside the arena and no
 * descriptor of the monitor's gets through, and answers at random. Rows that
 * belong to the task, signal and memory modules are decided, not run. Batches
 * go through the same.
 */
#include <asm/ioctls.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "kern/layout.h"
#include "kern/report/report.h"
#include "kern/sys/batch.h"
#include "kern/sys/internal.h"
#include "kern/sys/numbers.h"
#include "kern/sys/stats.h"
#include "kern/task/task.h"
#include "tests/unit/catch-faults.h"

#define GUEST		0x200000000000ul
#define GUEST_SIZE	(4 * DUNE_PAGE_SIZE)
#define FD_BASE		64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct dune_policy policy;
static struct dune_stats stats;
static struct dune_mm mm;
static struct dune_proc proc;
static struct dune_task task;
static uint64_t poison;		/* an address that must not get through */

/* The input, read off as it is needed; zeros when it is used up. */
static const uint8_t *in;
static size_t left;

static uint64_t take(size_t n)
{
	uint64_t v = 0;

	if (n > left)
		n = left;
	memcpy(&v, in, n);
	in += n;
	left -= n;
	return v;
}

/* An address in the arena, or of memory that the gate made for its copies. */
static void check_range(uint64_t addr, uint64_t len)
{
	if (addr >= DUNE_ARENA_LO && addr < DUNE_ARENA_HI)
		assert(len <= DUNE_ARENA_HI - addr);
	else
		assert(addr != poison);
}

static void check_vector(const struct iovec *v, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (v[i].iov_len)
			assert(dune_access_ok((uint64_t)v[i].iov_base,
					      v[i].iov_len));
}

static void check_control(const struct msghdr *h)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR((struct msghdr *)h, c)) {
		size_t room = (char *)h->msg_control + h->msg_controllen -
			(char *)c;

		if (c->cmsg_len < CMSG_LEN(0) || c->cmsg_len > room)
			return;		/* the kernel refuses */
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + 4 <= c->cmsg_len; at += 4)
			assert(*(int *)((char *)c + at) < FD_BASE);
	}
}

/* The kernel fills in what recvmsg and getsockopt ask for. */
static void fill(long nr, const uint64_t *arg, bool *done)
{
	struct msghdr *h = (struct msghdr *)arg[1];

	if (nr == SYS_recvmsg) {
		check_vector(h->msg_iov, h->msg_iovlen);
		h->msg_namelen = take(1);
		h->msg_controllen = h->msg_controllen ? 16 : 0;
		if (h->msg_controllen)
			*(struct cmsghdr *)h->msg_control = (struct cmsghdr){
				16, SOL_SOCKET, SCM_RIGHTS };
		h->msg_flags = 0;
		*done = true;
	} else if (nr == SYS_getsockopt) {
		*(int *)arg[4] = take(4);
		*done = true;
	} else if (nr == SYS_pipe || nr == SYS_pipe2 ||
		   nr == SYS_socketpair) {
		int *fd = (int *)arg[nr == SYS_socketpair ? 3 : 0];

		fd[0] = take(1);
		fd[1] = take(1);
		*done = true;
	}
}

long dune_forward(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		  uint64_t a3, uint64_t a4, uint64_t a5)
{
	const uint64_t arg[] = { a0, a1, a2, a3, a4, a5 };
	const struct dune_sysrow *row = dune_sys_row(nr);
	bool async = (nr == SYS_fcntl && (int)a1 == F_SETFL) ||
		     (nr == SYS_ioctl && (uint32_t)a1 == FIOASYNC);
	bool done = false;

	assert(row && row->action != DUNE_DO_REFUSE);
	assert(dune_sys_host_may_need(nr));
	for (int i = 0; i < 6; i++) {
		const struct dune_argspec *a = &row->arg[i];

		if (a->kind >= DUNE_A_PATH && a->kind <= DUNE_A_INOUT)
			check_range(arg[i], a->rule == DUNE_L_BYTES ?
				    a->size : 1);
		/* our own descriptor for the guest's, to hold it */
		if (a->kind == DUNE_A_FD && nr != SYS_pidfd_send_signal &&
		    !async)
			assert((int)arg[i] < FD_BASE);
	}
	if (row->handler == dune_sys_iov)
		check_vector((const struct iovec *)a1, a2);
	if (nr == SYS_sendmsg) {
		const struct msghdr *h = (const struct msghdr *)a1;

		check_vector(h->msg_iov, h->msg_iovlen);
		check_control(h);
	}
	if (nr == SYS_poll) {
		struct pollfd *p = (struct pollfd *)a0;

		for (uint32_t i = 0; i < (uint32_t)a1; i++)
			assert(p[i].fd < FD_BASE);
	}
	if (nr == SYS_close_range)
		assert(a1 < FD_BASE);
	fill(nr, arg, &done);
	switch (take(1) % 4) {
	case 0:
		return -(long)(take(1) + 1);
	case 1:
		return done ? 0 : (long)take(1);
	case 2:
		return -512;
	}
	return 0;
}

/* Our own calls: those that give memory are real, the rest is made up. */
long dune_own_call(long nr, uint64_t a0, uint64_t a1, uint64_t a2,
		   uint64_t a3, uint64_t a4, uint64_t a5)
{
	static const char name[] = "/tmp/some/file";

	switch (nr) {
	case SYS_mmap:
	case SYS_munmap:
		return syscall(nr, a0, a1, a2, a3, a4, a5);
	case SYS_getpid:
	case SYS_gettid:
	case SYS_getpgid:
		return 1000;
	case SYS_readlink:
		assert(a2 >= sizeof(name));
		if (take(1) % 2) {
			memcpy((void *)a1, "/proc/1000/fd", 13);
			return 13;
		}
		memcpy((void *)a1, name, sizeof(name) - 1);
		return sizeof(name) - 1;
	case SYS_fstatfs:
		memset((void *)a1, 0, sizeof(struct statfs));
		((struct statfs *)a1)->f_type = PROC_SUPER_MAGIC;
		return 0;
	case SYS_newfstatat:
		memset((void *)a2, 0, sizeof(struct stat));
		((struct stat *)a2)->st_mode = take(1) % 2 ? S_IFDIR : S_IFREG;
		return take(1) % 2 ? -ENOENT : 0;
	case SYS_clock_gettime:
		memset((void *)a1, 0, sizeof(struct timespec));
		return 0;
	case SYS_openat:
	case SYS_memfd_create:
		return take(1) % 2 ? -ENOENT : 7;
	case SYS_fcntl:
		return a1 == F_DUPFD_CLOEXEC ? FD_BASE + 1 : 0;
	case SYS_close:
	case SYS_pwrite64:
	case SYS_write:
		return 0;
	case SYS_ioctl:
		return take(1) % 2 ? -ENOTTY : 0;
	case SYS_kill:
	case SYS_tgkill:
	case SYS_waitid:
		return take(1) % 2 ? -ESRCH : 0;
	case SYS_prlimit64:
		memset((void *)a3, 0, 16);
		return 0;
	case SYS_prctl:
		assert(a0 == PR_GET_PDEATHSIG);
		*(int *)a1 = take(1) % 2 ? SIGKILL : 0;
		return 0;
	}
	abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (mmap((void *)GUEST, GUEST_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
	    MAP_FAILED)
		abort();
	catch_faults();
	dune_policy_init(&policy);
	policy.trace = true;
	pthread_mutex_init(&proc.lock, NULL);
	pthread_mutex_init(&mm.lock, NULL);
	mm.rlimit = UINT64_MAX;
	dune_regions_init(&mm.regions);
	proc.policy = &policy;
	proc.stats = &stats;
	proc.fd_base = FD_BASE;
	proc.broker = -1;
	strcpy(proc.exe, "/bin/true");
	task.proc = &proc;
	task.mm = &mm;
	return 0;
}

/* Does the row's handler live here, and run without a VM? */
static bool runs(long nr)
{
	static dune_sys_handler *const ours[] = {
		dune_sys_path, dune_sys_readlink, dune_sys_open,
		dune_sys_getdents, dune_sys_meta, dune_sys_watch,
		dune_sys_close_range, dune_sys_dup_to, dune_sys_fcntl,
		dune_sys_fd_pair, dune_sys_iov, dune_sys_socket,
		dune_sys_connect, dune_sys_sendto, dune_sys_setsockopt,
		dune_sys_getsockopt, dune_sys_sendmsg, dune_sys_recvmsg,
		dune_sys_sendmmsg, dune_sys_recvmmsg, dune_sys_futex,
		dune_sys_futex_waitv, dune_sys_semctl, dune_sys_ioctl,
		dune_sys_prctl, dune_sys_personality, dune_sys_unshare,
		dune_sys_rlimit, dune_sys_kill, dune_sys_tkill,
		dune_sys_pidfd_signal,
		dune_sys_own_pid, dune_sys_own_who,
	};
	const struct dune_sysrow *row = dune_sys_row(nr);

	if (nr == DUNE_NR_BATCH)
		return false;
	if (!row || row->action != DUNE_DO_EMULATE)
		return true;
	for (size_t i = 0; i < DUNE_ARRAY_SIZE(ours); i++)
		if (ours[i] == row->handler)
			return true;
	return nr == SYS_poll || nr == SYS_select;
}

/* A number, or an address near a border, or one in guest memory. */
static uint64_t argument(void)
{
	static const uint64_t borders[] = {
		DUNE_ARENA_LO, DUNE_ARENA_HI, GUEST, GUEST + GUEST_SIZE,
		1ul << 47, ~0ul,
	};
	uint8_t how = take(1);

	switch (how % 8) {
	case 0:
		return take(8);
	case 1:
		return borders[how / 8 % DUNE_ARRAY_SIZE(borders)] +
			(int8_t)take(1);
	case 2:
		return poison;
	case 3:
		return (int)take(4);
	case 4:
	case 5:
		return GUEST + take(2) % GUEST_SIZE;
	}
	return take(1);
}

static bool one_of_batch(struct dune_task *t, struct dune_call *c,
			 const void *ctx, long *ret)
{
	(void)ctx;
	if (!runs(c->nr))
		return false;
	*ret = dune_sys_dispatch(t, c);
	return true;
}

/* An array of the input's, wherever it says; what follows are results. */
static void batch(struct dune_call *call)
{
	struct dune_syscall *c = (void *)(GUEST + (take(2) & ~7ul) %
					  GUEST_SIZE);
	unsigned int n = take(1) % 8;
	long made;

	for (unsigned int i = 0; i < n; i++) {
		struct dune_syscall s = { .nr = take(2) % DUNE_NR_MAX };

		for (int k = 0; k < 6; k++)
			s.arg[k] = argument();
		if ((uint64_t)(c + i + 1) <= GUEST + GUEST_SIZE)
			c[i] = s;
	}
	call->nr = DUNE_NR_BATCH;
	call->arg[0] = take(1) % 4 ? (uint64_t)c : argument();
	call->arg[1] = take(1) % 4 ? n : argument();
	call->arg[2] = take(1) % 4;
	made = dune_batch_serve(&task, call, one_of_batch, NULL);
	assert(made < 0 || (uint64_t)made <= (unsigned int)call->arg[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dune_call call = { 0 };
	const char *why;
	uint8_t knobs;

	in = data;
	left = size;
	poison = (uint64_t)&poison;
	knobs = take(1);
	policy.net = knobs & 1;
	policy.landlock_abi = knobs & 2 ? 6 : 0;
	memset(policy.allow, knobs & 4 ? 0xff : 0, sizeof(policy.allow));
	if (knobs & 16) {
		memset((void *)GUEST, 0, GUEST_SIZE);
		batch(&call);
		return 0;
	}
	call.nr = knobs & 8 ? (int)take(4) : (long)(take(2) % DUNE_NR_MAX);
	for (int i = 0; i < 6; i++)
		call.arg[i] = argument();
	/* The rest lies in guest memory, and is what the host answers. */
	memset((void *)GUEST, 0, GUEST_SIZE);
	memcpy((void *)GUEST, in, left < GUEST_SIZE ? left : GUEST_SIZE);

	if (runs(call.nr))
		dune_sys_dispatch(&task, &call);
	else
		dune_sys_decide(&policy, FD_BASE, &call, &why);
	return 0;
}
