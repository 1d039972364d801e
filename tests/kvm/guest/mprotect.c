/*
 * mprotect: every change of protection holds at once, in both directions, for
 * all threads; faults can be used to track writes; holes and bad arguments.
 */
#include <setjmp.h>
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)
#define N 32

static char *area;
static volatile int faults;
static sigjmp_buf env;

static void track(int sig, siginfo_t *si, void *uc)
{
	char *p = (char *)((unsigned long)si->si_addr & ~(PAGE - 1));

	(void)sig, (void)uc;
	CHECK(p >= area && p < area + N * PAGE);
	CHECK(si->si_code == SEGV_ACCERR);
	faults++;
	CHECK(mprotect(p, PAGE, RW) == 0);
}

static void leave(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	siglongjmp(env, sig);
}

static int faults_on(char *p, bool write)
{
	if (sigsetjmp(env, 1))
		return 1;
	if (write)
		*(volatile char *)p = 1;
	else
		(void)*(volatile char *)p;
	return 0;
}

static int ready[2];

static void *toucher(void *arg)
{
	area[0] = 1;		/* the translation is in this vCPU now */
	CHECK(write(ready[1], "x", 1) == 1);
	while (!__atomic_load_n(&faults, __ATOMIC_SEQ_CST))
		area[0]++;
	return arg;
}

int main(void)
{
	pthread_t t;
	char c;

	area = map(N * PAGE, RW);
	handle(SIGSEGV, track, 0);
	for (int round = 0; round < 3; round++) {
		CHECK(mprotect(area, N * PAGE, PROT_READ) == 0);
		faults = 0;
		for (int i = 0; i < N; i += 2)
			area[i * PAGE + round]++;
		for (int i = 0; i < N; i += 2)
			area[i * PAGE + round]++;
		say("writes tracked: %d\n", faults);
	}
	for (int i = 0; i < N; i++)
		CHECK(area[i * PAGE] == (i % 2 ? 0 : 2));

	handle(SIGSEGV, leave, 0);
	CHECK(mprotect(area, N * PAGE, RW) == 0);
	for (int i = 0; i < 5; i++) {
		int prot[] = { PROT_NONE, PROT_READ, RW, PROT_NONE, RW };

		CHECK(mprotect(area, PAGE, prot[i]) == 0);
		say("prot %d: read %s, write %s\n", prot[i],
		    faults_on(area, false) ? "faults" : "works",
		    faults_on(area, true) ? "faults" : "works");
	}
	/* In the middle: the neighbours keep theirs. */
	CHECK(mprotect(area + PAGE, PAGE, PROT_NONE) == 0);
	CHECK(!faults_on(area, true) && faults_on(area + PAGE, false) &&
	      !faults_on(area + 2 * PAGE, true));

	FAILS(EINVAL, mprotect(area + 1, PAGE, RW));
	FAILS(EINVAL, mprotect(area, PAGE, 0x1000));
	CHECK(munmap(area + 5 * PAGE, PAGE) == 0);
	FAILS(ENOMEM, mprotect(area + 3 * PAGE, 4 * PAGE, PROT_READ));
	say("before the hole: %s, after it: %s\n",
	    faults_on(area + 4 * PAGE, true) ? "changed" : "as it was",
	    faults_on(area + 6 * PAGE, true) ? "changed" : "as it was");

	/* Another thread that writes all the time sees the change. */
	CHECK(pipe(ready) == 0);
	handle(SIGSEGV, track, 0);
	CHECK(mprotect(area, PAGE, RW) == 0);
	faults = 0;
	pthread_create(&t, NULL, toucher, NULL);
	CHECK(read(ready[0], &c, 1) == 1);
	msleep(5);
	CHECK(mprotect(area, PAGE, PROT_READ) == 0);
	pthread_join(t, NULL);
	say("other thread: %d fault\n", faults);
	return 0;
}
