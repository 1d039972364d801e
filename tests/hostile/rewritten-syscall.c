/*
 * A thread rewrites the `syscall` instruction that another one waits in, then
 * a signal restarts the call; stores to the vDSO and to the own code fault.
 */
#include <sys/auxv.h>
#include "hostile.h"

static int fds[2];

static void nop(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
}

static void *wait_in(void *code)
{
	char c;
	long (*f)(long, long, long) = (long (*)(long, long, long))code;

	f(fds[0], (long)&c, 1);
	return NULL;
}

static void child(void)
{
	/* mov rdi.. are in place already: xor eax, eax; syscall; ret */
	static const unsigned char text[] = { 0x31, 0xc0, 0x0f, 0x05, 0xc3 };
	unsigned char *p = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	pthread_t t;

	memcpy(p, text, sizeof(text));
	CHECK(pipe(fds) == 0);
	handle(SIGUSR1, nop, SA_RESTART);
	pthread_create(&t, NULL, wait_in, p);
	msleep(30);
	p[2] = 0x0f, p[3] = 0x0b;		/* ud2 */
	pthread_kill(t, SIGUSR1);
	msleep(30);
	CHECK(write(fds[1], "x", 1) == 1);
	pthread_join(t, NULL);
}

int main(void)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	int st = guarded(child);

	if (st != 0 && (!WIFSIGNALED(st) || WTERMSIG(st) != SIGILL))
		ESCAPED("rewritten call: %s", how(st));
	try_init();
	if (vdso && TRY(*(volatile char *)vdso = 0))
		ESCAPED("store to the vDSO");
	/*
	 * Its own copy may be written; code that time(2) runs must stay code.
	 */
	if (vdso && mprotect((void *)vdso, PAGE, PROT_READ | PROT_WRITE |
			     PROT_EXEC) == 0)
		(void)TRY(*(volatile char *)vdso = 0);
	if (TRY(*(volatile char *)main = 0))
		ESCAPED("store to code");
	CHECK(time(NULL) != 1);
	contained("rewritten calls: %s", how(st));
	return 0;
}
