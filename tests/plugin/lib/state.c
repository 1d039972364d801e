/* State of every kind that a saved sandbox has to have again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xmmintrin.h>

int ask(int x);

static long data = 1;
static long zeroed;
static __thread long tls = 3;
static char big[3 << 20];
static char *heap_block, *mapped, *hidden, *code;
static long stack_mark;
static long seed;
static char alt[65536];

static volatile sig_atomic_t caught;
static void handler(int sig) { caught = sig; }

static const char returns_3[] = "\xb8\x03\x00\x00\x00\xc3";

int set_up(int x)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	unsigned short fcw = 0xf7f;
	sigset_t mask;

	data = zeroed = tls = x;
	big[2 << 20] = x;
	heap_block = malloc(300000);
	memset(heap_block, x, 300000);
	mapped = mmap(NULL, 20 << 20, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mapped[3 << 20] = x;
	hidden = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hidden[4096] = x;
	mprotect(hidden, 8192, PROT_NONE);
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(code, returns_3, sizeof(returns_3));
	mprotect(code, 4096, PROT_READ | PROT_EXEC);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigaltstack(&ss, NULL);
	__asm__ volatile("fldcw %0" : : "m"(fcw));
	_mm_setcsr(0x7f80);
	if (!seed)
		getrandom(&seed, sizeof(seed), 0);
	stack_mark = (long)__builtin_frame_address(0);
	return x;
}

/* Bit n of the answer: state of kind n is not as set_up(x) left it. */
long check(int x)
{
	unsigned short fcw;
	struct timespec t;
	sigset_t mask;
	stack_t ss;
	long bits = 0;
	int i;

	bits |= (data != x) << 0;
	bits |= (zeroed != x) << 1;
	bits |= (tls != x) << 2;
	bits |= (big[2 << 20] != x || big[1 << 20]) << 3;
	for (i = 0; i < 300000; i++)
		bits |= (heap_block[i] != x) << 4;
	bits |= (mapped[3 << 20] != x || mapped[1 << 20]) << 5;
	mprotect(hidden, 8192, PROT_READ);
	bits |= (hidden[4096] != x || hidden[0]) << 6;
	mprotect(hidden, 8192, PROT_NONE);
	bits |= (((int (*)(void))code)() != 3) << 7;
	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	bits |= (fcw != 0xf7f) << 8;
	bits |= ((_mm_getcsr() & ~0x3f) != 0x7f80) << 9;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	bits |= !sigismember(&mask, SIGUSR2) << 10;
	sigaltstack(NULL, &ss);
	bits |= (ss.ss_sp != alt) << 11;
	caught = 0;
	raise(SIGUSR1);
	bits |= (caught != SIGUSR1) << 12;
	bits |= (clock_gettime(CLOCK_MONOTONIC, &t) != 0) << 13;
	/* memory goes on as well */
	free(malloc(200000));
	free(malloc(5000000));
	return bits;
}

/* What was drawn before the snapshot, or a new number. */
long random_of(int new)
{
	long v = seed;

	if (new)
		getrandom(&v, sizeof(v), 0);
	return v;
}

/* The runner's own call, which is anybody's in there. */
int saves(int fd) { return syscall(4096, fd) ? -errno : 0; }
int opens(int x) { return x + open("/dev/urandom", O_RDONLY); }
int asks(int x) { return ask(x); }
int faults(int x) { return *(volatile int *)(intptr_t)x; }
