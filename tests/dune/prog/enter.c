/*
 * Entering and leaving: thousands of times, without a descriptor, a mapping or
 * memory that stays; what a thread has stays as it is.
 */
#include "test.h"

#include <asm/prctl.h>

/* Lines of /proc/self/maps, without stdio's buffers. */
static int mappings(void)
{
	static char text[1 << 16];
	int fd = open("/proc/self/maps", O_RDONLY), n = 0, i;
	ssize_t got;

	CHECK(fd >= 0);
	while ((got = read(fd, text, sizeof(text))) > 0)
		for (i = 0; i < got; i++)
			n += text[i] == '\n';
	close(fd);
	return n;
}

/* KiB of memory that is no file's; statm's numbers are estimates. */
static long anonymous(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[200];
	long kib = -1;

	CHECK(f);
	while (kib < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "Anonymous: %ld", &kib);
	fclose(f);
	CHECK(kib >= 0);
	return kib;
}

static void once(void)
{
	OK(dune_enter());
	CHECK(dune_in_dune_mode());
	OK(dune_leave());
	CHECK(!dune_in_dune_mode());
}

#define THREADS	4

static pthread_barrier_t all;

static void *again(void *n)
{
	int i;

	/* so many vCPUs there are, from the first time on */
	OK(dune_enter());
	pthread_barrier_wait(&all);
	OK(dune_leave());
	for (i = 0; i < *(int *)n; i++)
		once();
	return NULL;
}

static void by_threads(int n)
{
	pthread_t t[THREADS];
	int i;

	pthread_barrier_init(&all, NULL, THREADS);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, again, &n) == 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

/* n times in each of several threads. */
static void often(int n)
{
	int fds, maps;
	long kib;

	by_threads(10);
	fds = descriptors();
	maps = mappings();
	kib = anonymous();
	by_threads(n);
	CHECK(descriptors() == fds);
	CHECK(mappings() == maps);
	CHECK(anonymous() - kib < 400);
}

/* Registers and bases that a call keeps, on both sides of both. */
static void state(void)
{
	static const uint32_t mxcsr[] = { 0x1f80, 0x7f80, 0x9fc0 };
	unsigned long fs, gs, fs0, gs0 = 0;
	uint16_t fcw = 0x27f, was;
	sigset_t mask, now;
	unsigned int i;

	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs0) == 0);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, gs0) == 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	for (i = 0; i < 3; i++) {
		__builtin_ia32_ldmxcsr(mxcsr[i]);
		__asm__ volatile("fldcw %0" : : "m"(fcw));
		errno = 77;
		CHECK(dune_enter() == 0 && errno == 77);
		CHECK(__builtin_ia32_stmxcsr() == mxcsr[i]);
		__asm__ volatile("fnstcw %0" : "=m"(was));
		CHECK(was == fcw);
		CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
		CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0);
		CHECK(fs == fs0 && gs == gs0);
		gs0 = (unsigned long)&gs;
		CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, gs0) == 0);
		pthread_sigmask(SIG_BLOCK, NULL, &now);
		CHECK(sigismember(&now, SIGUSR2) &&
		      !sigismember(&now, SIGUSR1));
		errno = 78;
		CHECK(dune_leave() == 0 && errno == 78);
		CHECK(__builtin_ia32_stmxcsr() == mxcsr[i]);
		__asm__ volatile("fnstcw %0" : "=m"(was));
		CHECK(was == fcw);
		CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
		CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0);
		CHECK(fs == fs0 && gs == gs0);
		pthread_sigmask(SIG_BLOCK, NULL, &now);
		CHECK(sigismember(&now, SIGUSR2) &&
		      !sigismember(&now, SIGUSR1));
	}
}

int main(void)
{
	CHECK(!dune_in_dune_mode());
	CHECK(dune_leave() == -EPERM);
	once();
	OK(dune_enter());
	OK(dune_enter());
	OK(dune_leave());
	CHECK(dune_leave() == -EPERM);
	say("once\n");
	state();
	say("state\n");
	often(times(25000, 100));
	say("often\n");
	return 0;
}
