/*
 * Signals that come while a trap is being served find the program's stack and
 * registers, not the library's, and none waits until the next trap: a
 * thread takes page faults all the time, another sends signals one by one.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "test.h"

#define PAGE	4096ul
#define SPAN	(2ul << 20)

static atomic_int taken, done;
static char *low, *high;	/* the thread's stack */

static bool on_stack(const void *p)
{
	return (const char *)p >= low && (const char *)p < high;
}

static void handler(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;

	(void)sig;
	(void)info;
	CHECK(on_stack(&uc) && on_stack(uc));
	CHECK(on_stack((void *)uc->uc_mcontext.gregs[REG_RSP]));
	taken++;
}

/*
 * Faults that make tables, one a round as long as there are spans of 2 MiB that
 * have none; other system calls; and neither.
 */
static void *victim(void *arg)
{
	const size_t spans = times(4096, 256);
	volatile unsigned int spin;
	size_t next = 0;
	char *p;

	(void)arg;
	p = mmap(NULL, spans * SPAN, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	while (!done) {
		if (next < spans)
			p[next++ * SPAN] = 1;
		else
			CHECK(!mprotect(p, PAGE, PROT_READ));
		for (spin = 0; spin < 1000; spin++)
			;
	}
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = handler,
				.sa_flags = SA_SIGINFO | SA_RESTART };
	unsigned int i, n = times(500, 100);
	pthread_attr_t attr;
	pthread_t t;
	int before;

	OK(dune_enter());
	low = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(low != MAP_FAILED);
	high = low + (1 << 20);
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK(!pthread_attr_init(&attr));
	CHECK(!pthread_attr_setstack(&attr, low, 1 << 20));
	CHECK(!pthread_create(&t, &attr, victim, NULL));
	for (i = 0; i < n; i++) {
		before = taken;
		CHECK(!pthread_kill(t, SIGUSR1));
		while (taken == before)
			sched_yield();
	}
	done = 1;
	CHECK(!pthread_join(t, NULL));
	say("%d\n", taken == (int)n);
	return 0;
}
