/*
 * System calls from four threads at once, each result checked, with all
 * callee-visible registers kept; argument: rounds per thread.
 */
#include "guest.h"

static int rounds = 2000;

/* Only rax, rcx and r11 may change; rcx and r11 as the architecture says. */
static void registers(long i)
{
	register long r8 __asm__("r8") = i + 8, r9 __asm__("r9") = i + 9;
	register long r10 __asm__("r10") = i + 10, r12 __asm__("r12") = i + 12;
	register long r13 __asm__("r13") = i + 13, r14 __asm__("r14") = i + 14;
	long rax = SYS_getppid, rbx = i + 1, rdx = i + 2, rsi = i + 3;
	long rdi = i + 4, rcx, r11;

	__asm__ volatile("stc\n\tsyscall\n1:\tlea 1b(%%rip), %%r15\n\t"
			 "sub %%r15, %%rcx\n\tmov %%r11, %1"
			 : "=c"(rcx), "=&r"(r11), "+a"(rax), "+b"(rbx),
			   "+d"(rdx), "+S"(rsi), "+D"(rdi), "+r"(r8), "+r"(r9),
			   "+r"(r10), "+r"(r12), "+r"(r13), "+r"(r14)
			 : : "r11", "r15", "memory", "cc");
	CHECK(rax > 0 && rbx == i + 1 && rdx == i + 2 && rsi == i + 3);
	CHECK(rdi == i + 4 && r8 == i + 8 && r9 == i + 9 && r10 == i + 10);
	CHECK(r12 == i + 12 && r13 == i + 13 && r14 == i + 14);
	CHECK(rcx == 0 && (r11 & 1));
}

static void *storm(void *arg)
{
	pid_t tid = gettid();
	int fds[2];
	char c;

	CHECK(pipe(fds) == 0);
	for (int i = 0; i < rounds; i++) {
		switch (i % 4) {
		case 0:
			registers(i);
			break;
		case 1:
			CHECK(syscall(SYS_gettid) == tid);
			break;
		case 2:
			c = i;
			CHECK(write(fds[1], &c, 1) == 1);
			break;
		default:
			CHECK(read(fds[0], &c, 1) == 1 && c == (char)(i - 1));
		}
	}
	close(fds[0]);
	close(fds[1]);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[4];

	if (argc > 1)
		rounds = atoi(argv[1]) & ~3;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, storm, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	say("4 x %d calls\n", rounds);
	return 0;
}
