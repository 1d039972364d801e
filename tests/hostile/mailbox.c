/*
 * A thread scribbles over the mailboxes that system calls are posted in, while
 * others make calls: states that cannot be, calls and pointers changed after
 * the post, answers, registers. What comes of it is the program's own affair.
 */
#include <sys/uio.h>
#include "hostile.h"

#define PAGES 64

static volatile uint32_t *box[PAGES];
static int boxes;
static volatile int stop;

static void find(void)
{
	for (unsigned long a = RING0; a < RING0 + PAGES * PAGE; a += PAGE) {
		volatile unsigned char *p = (unsigned char *)a;
		unsigned char v = 0;

		if (TRY(v = *p) && TRY(*p = v))
			box[boxes++] = (uint32_t *)a;
	}
}

/* How much of the page: 0 the call, 1 what the host says, 2 registers. */
static void scribble(int what, unsigned int seed)
{
	static const int first[] = { 0, 32, 48 }, words[] = { 26, 4, 8 };

	for (int n = 0; n < 200000 && !stop; n++) {
		volatile uint32_t *b = box[n % boxes];
		int i;

		seed = seed * 1103515245 + 12345;
		i = first[what] + (seed >> 16) % words[what];
		b[i] = i == 0 ? n % 6 : outside[n % OUTSIDE] >> (i & 1) * 32;
		/* what was posted, again, and calls of all numbers */
		if (what == 0 && n % 3 == 0) {
			b[1] = n % 400;
			b[0] = 1;
		}
	}
}

static void *scribbler(void *arg)
{
	scribble((long)arg, 7);
	return NULL;
}

static void calls(void)
{
	static char buf[64];
	struct iovec v = { buf, 8 };
	struct stat st;
	int fd = open("/dev/zero", O_RDONLY);

	for (int i = 0; i < 3000; i++) {
		getppid();
		fstat(fd, &st);
		stat("/dev/null", &st);
		pread(fd, buf, 8, 0);
		readv(fd, &v, 1);
		lseek(fd, 0, SEEK_SET);
		getpid();
	}
	close(fd);
}

static int kind;

static void child(void)
{
	pthread_t t;

	/* it may not find its way back: its own fault, and nobody else's */
	pthread_create(&t, NULL, scribbler, (void *)(long)kind);
	calls();
	stop = 1;
	pthread_join(t, NULL);
}

/* Jumps into the middle of the entry code, and calls from there. */
static void jumper(void)
{
	unsigned long code = (unsigned long)box[0] - PAGE;

	for (int i = 0; i < 0x160; i++)
		(void)TRY(__asm__ volatile(
			"lea 1f(%%rip), %%rcx; mov $0x246, %%r11d\n"
			"mov $110, %%eax; jmp *%0\n1:"
			: : "r"(code + i)
			: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
			  "r11", "memory", "cc"));
	(void)TRY(((void (*)(void))box[0])());
}

int main(void)
{
	int st = 0;

	try_init();
	calls();
	find();
	if (!boxes) {
		contained("no mailbox to reach");
		return 0;
	}
	for (kind = 0; kind < 3; kind++) {
		for (int i = 0; i < 3; i++)
			st = guarded(child);
		calls();
	}
	guarded(jumper);
	calls();
	contained("%d mailboxes, ended by %s", boxes, how(st));
	return 0;
}
