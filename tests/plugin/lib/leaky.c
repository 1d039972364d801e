/* State of every kind that one caller must not find of another's. */
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>

#define MARK 0x5eC2E75eC2E7ul

static long data = 1;
static long zeroed;
static __thread long tls = 3;
static char *heap_block;
static char *mapped;

/* Its mapping is changed; one that a fork would share, if it were let. */
static char page[4096] __attribute__((aligned(4096))) = { 1 };
static volatile char *shared;

#define ARCH_SET_GS 0x1001
#define ARCH_GET_GS 0x1004

static void handler(int sig) { (void)sig; }

__attribute__((constructor)) static void construct(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* The upper half of ymm9. */
__attribute__((target("avx"))) static uint64_t get_ymm(void)
{
	uint64_t v[4];

	__asm__ volatile("vmovdqu %%ymm9, %0" : "=m"(v));
	return v[2];
}

__attribute__((target("avx"))) static void set_ymm(void)
{
	uint64_t v[4] = { MARK, MARK, MARK, MARK };

	__asm__ volatile("vmovdqu %0, %%ymm9" : : "m"(v) : "xmm9");
}

/* Bit n of the answer: state of kind n is not as at the beginning. */
long look(int ignored)
{
	struct sigaction sa;
	unsigned short fcw;
	sigset_t mask;
	stack_t alt;
	uint64_t xmm[2], gs = 0;
	long bits = 0;

	(void)ignored;
	__asm__ volatile("movdqu %%xmm9, %0" : "=m"(xmm));
	if (xmm[0] == MARK || xmm[1] == MARK ||
	    (__builtin_cpu_supports("avx") && get_ymm() == MARK))
		bits |= 1 << 0;
	if (data != 1)
		bits |= 1 << 1;
	if (zeroed)
		bits |= 1 << 2;
	if (tls != 3)
		bits |= 1 << 3;
	if (heap_block)
		bits |= 1 << 4;
	if (mapped)
		bits |= 1 << 5;
	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	if (fcw != 0x37f)
		bits |= 1 << 6;
	if ((_mm_getcsr() & ~0x3f) != 0x1f80)
		bits |= 1 << 7;
	sigaction(SIGUSR2, NULL, &sa);
	if (sa.sa_handler != SIG_DFL)
		bits |= 1 << 8;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	if (sigismember(&mask, SIGUSR1))
		bits |= 1 << 9;
	sigaltstack(NULL, &alt);
	if (!(alt.ss_flags & SS_DISABLE))
		bits |= 1 << 10;
	if (write(1, "", 0) != 0)
		bits |= 1 << 11;
	sigpending(&mask);
	if (sigismember(&mask, SIGUSR1))
		bits |= 1 << 12;
	syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
	if (gs)
		bits |= 1 << 13;
	if (page[0] != 1)
		bits |= 1 << 14;
	if (shared[0])
		bits |= 1 << 15;
	return bits;
}

static char stack[65536];

long soil(int ignored)
{
	uint64_t xmm[2] = { MARK, MARK };
	struct sigaction sa = { .sa_handler = handler };
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	unsigned short fcw = 0xf7f;
	sigset_t mask;

	(void)ignored;
	data = zeroed = tls = 99;
	heap_block = malloc(100000);
	memset(heap_block, 1, 100000);
	mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mapped[5] = 1;
	sigaction(SIGUSR2, &sa, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
	sigaltstack(&alt, NULL);
	close(1);
	__asm__ volatile("fldcw %0" : : "m"(fcw));
	_mm_setcsr(0x7f80);
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000);
	mmap(page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	     -1, 0);
	shared[0] = 99;
	if (__builtin_cpu_supports("avx"))
		set_ymm();
	__asm__ volatile("movdqu %0, %%xmm9" : : "m"(xmm) : "xmm9");
	return 0;
}

/* The addresses of things; the same in all that come from one snapshot. */
long where(int what)
{
	switch (what) {
	case 0: return (long)&data;
	case 1: return (long)__builtin_frame_address(0);
	case 2: return (long)malloc(10);
	default: return getpid();
	}
}

/* Is nobody else's: not another caller's, not that of the same one's past. */
long draw(int ignored)
{
	long v = 0;

	(void)ignored;
	syscall(SYS_getrandom, &v, sizeof(v), 0);
	return v;
}

int set_data(int v) { data = v; return 0; }
int get_data(int v) { (void)v; return data; }

static char pages[4096 * 64];

int dirty(int n)
{
	for (int i = 0; i < n; i++)
		pages[i * 4096]++;
	return pages[0];
}
