/*
 * A plugin that attacks its host: each function one attempt. They return 0 when
 * they were kept from it and live on, or a line of what they got done.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHANNEL ((volatile unsigned char *)0x200000000000)
#define CHANNEL_SIZE (17 * 4096)

int host_call(int x);

static unsigned int seed = 1;

static unsigned int rnd(void)
{
	return seed = seed * 1103515245 + 12345;
}

/* ---- scribbling ---- */

static void *scribbler(void *arg)
{
	unsigned int from = (uintptr_t)arg;

	for (;;)
		CHANNEL[from + rnd() % (CHANNEL_SIZE - from)] = rnd() >> 16;
	return NULL;
}

/* Everywhere but the head, from a thread, while calls go on. */
int scribble(int x)
{
	pthread_t t;

	pthread_create(&t, NULL, scribbler, (void *)4096);
	return x;
}

int scribble_all(int x)
{
	pthread_t t;

	pthread_create(&t, NULL, scribbler, NULL);
	return x;
}

/* Answers for the runner: sequence numbers and kinds, plausible ones. */
static void *answerer(void *arg)
{
	volatile uint32_t *to_guest = (void *)(CHANNEL + 4096);
	volatile uint32_t *to_host = (void *)(CHANNEL + 4096 + 256);

	for (;;) {
		to_host[1] = (rnd() >> 16) % 9;
		to_host[2] = rnd();
		to_host[4] = rnd();
		to_host[0] = to_guest[0] + (rnd() >> 16) % 2;
	}
	return arg;
}

int answer(int x)
{
	pthread_t t;

	pthread_create(&t, NULL, answerer, NULL);
	return x;
}

int unmap_channel(int x)
{
	munmap((void *)CHANNEL, CHANNEL_SIZE);
	return x;
}

int protect_channel(int x)
{
	mprotect((void *)CHANNEL, CHANNEL_SIZE, PROT_READ);
	return x;
}

int free_channel(int x)
{
	free((void *)(CHANNEL + CHANNEL_SIZE + 64));
	return x;
}

int cover_channel(int x)
{
	mmap((void *)CHANNEL, CHANNEL_SIZE, PROT_READ | PROT_WRITE,
	     MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return x;
}

/* ---- callbacks ---- */

/* The stub's entry with another number than its own. */
int forge_callback(int x)
{
	const unsigned char *stub = (const unsigned char *)host_call;
	uint64_t entry, number = (unsigned int)x;

	memcpy(&entry, stub + 2, 8);
	__asm__ volatile("mov %0, %%r11; call *%1"
			 : : "r"(number), "r"(entry)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
			   "r10", "r11", "memory");
	return 0;
}

static void *call_from_thread(void *arg)
{
	host_call(1);
	return arg;
}

int callback_from_thread(int x)
{
	pthread_t t;

	pthread_create(&t, NULL, call_from_thread, NULL);
	pthread_join(t, NULL);
	return x;
}

static jmp_buf out;
int jump_out(int x) { longjmp(out, x); return x; }	/* nowhere */

int over_callback(int x)
{
	if (setjmp(out) == 0)
		host_call(x);	/* it calls jump_over() */
	return 0;
}

/* Drops the runner's stack of the callback under way. */
int jump_over(int x) { longjmp(out, x ? x : 1); return x; }

int thread_exit(int x) { pthread_exit(NULL); return x; }

/* ---- memory that is not its own ---- */

int write_shared(int x)
{
	volatile char *p = (char *)0x210000000000;
	int fd;

	/* read-only, and to stay so */
	if (mprotect((void *)p, 4096, PROT_READ | PROT_WRITE) == 0) {
		*p = x;
		return 1;
	}
	for (fd = 3; fd < 20; fd++)
		if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 0) != MAP_FAILED)
			return 2;
	return 0;
}

int beyond_arena(int x)
{
	void *p = mmap((void *)0x7f0000000000, 4096, PROT_READ | PROT_WRITE,
		       MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? 0 : x;
}

int touch_ring0(int x)
{
	*(volatile char *)0x501000000000 = x;
	return 1;
}

/* ---- the kernel ---- */

int steal_descriptors(int x)
{
	char buf[256], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = buf, .msg_controllen = 256 };

	for (int fd = 0; fd < 64; fd++)
		if (recvmsg(fd, &m, MSG_DONTWAIT) > 0)
			return fd + x;
	return 0;
}

int close_all(int x)
{
	for (int fd = 0; fd < 300; fd++)
		close(fd);
	return x;
}

/* Into the descriptors that are its monitor's. */
int write_high(int x)
{
	for (int fd = 3; fd < 300; fd++)
		if (write(fd, "ended: forged\n", 14) == 14)
			return fd + x;
	return 0;
}

int change_fs(int x)
{
	syscall(SYS_arch_prctl, 0x1002, 0x1000);	/* ARCH_SET_FS */
	return x;
}

int change_fs_far(int x)
{
	return syscall(SYS_arch_prctl, 0x1002, 0x800000000000) ? 0 : x;
}

int signal_parent(int x)
{
	for (int pid = 1; pid < 5; pid++)
		if (syscall(SYS_tgkill, pid, pid, SIGKILL) == 0)
			return x;
	return 0;
}

int odd_signals(int x)
{
	struct sigaction sa = { .sa_handler = (void (*)(int))0x10 };
	stack_t alt = { .ss_sp = (void *)0x1000, .ss_size = 65536 };

	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGBUS, &sa, NULL);
	*(volatile int *)8 = x;
	return 1;
}

/*
 * The runner's own calls, by the plugin: PASS wakes and waits at no address but
 * the plugin's, SAVE writes to no descriptor but its own.
 */
int forge_runner(int x)
{
	static const uint64_t outside[] = {
		0x500000000000, 0x501000000000, 0x555555554000, 0x7ffff7ff8000,
		0x7ffffffff000, 0xffff800000000000, -4ul, 1,
	};
	static uint32_t word = 1;

	for (unsigned int i = 0; i < sizeof(outside) / 8; i++) {
		/* the second is what the first one's failing leads to */
		if (syscall(4097, outside[i], &word, 0) != -1 ||
		    errno != EAGAIN)
			return 100 + i;
		if (syscall(4097, &word, outside[i], 0) != -1 ||
		    (errno != EFAULT && errno != EINVAL))
			return 200 + i;
	}
	for (int fd = 256; fd < 300; fd++)
		if (syscall(4096, fd) != -1 || errno != EBADF)
			return fd + x;
	for (int nr = 4098; nr < 4120; nr++)
		if (syscall(nr, 1, 1, 1) != -1 || errno != ENOSYS)
			return nr;
	return syscall(4096, -1) == -1 && errno == EBADF ? 0 : 3;
}

/* Wild arguments for all calls that are allowed, until the time is over. */
int wild_calls(int x)
{
	static const short calls[] = {
		SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise,
		SYS_futex, SYS_set_robust_list, SYS_rt_sigprocmask,
		SYS_sigaltstack, SYS_read, SYS_write, SYS_writev, SYS_recvmsg,
		SYS_clock_nanosleep, SYS_getrandom, SYS_sched_getaffinity,
		SYS_brk, SYS_msync, SYS_uname, SYS_times,
	};

	for (int i = 0; i < x; i++) {
		uint64_t a[6];

		for (int k = 0; k < 6; k++) {
			a[k] = rnd() % 5 == 0 ? ~0ul - rnd() % 4096 :
			       rnd() % 3 == 0 ? (uint64_t)CHANNEL + rnd() :
			       rnd() % 64;
		}
		syscall(calls[rnd() % (sizeof(calls) / sizeof(calls[0]))],
			a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	return 0;
}
