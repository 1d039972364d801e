/*
 * Limits that a program sets itself: of its address space and its data, at once
 * and after execve, of the stack after execve. They may be raised again.
 */
#include <sys/resource.h>
#include "guest.h"

#define MiB (1ul << 20)

static char *self;

static int __attribute__((noinline)) deep(int kib)
{
	volatile char frame[900];

	frame[0] = kib;
	return kib == 0 ? 0 : deep(kib - 1) + (frame[0] == (char)kib);
}

static void soft(int what, unsigned long value)
{
	struct rlimit r;

	CHECK(getrlimit(what, &r) == 0);
	r.rlim_cur = value;
	CHECK(setrlimit(what, &r) == 0);
}

static void go(const char *what)
{
	char *args[] = { self, (char *)what, NULL };

	execv("/proc/self/exe", args);
	_exit(9);
}

static int has(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		       MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return errno == ENOMEM ? 0 : -1;
	munmap(p, size);
	return 1;
}

static void stack_less(void)
{
	soft(RLIMIT_STACK, 2 * MiB);
	go("4000");
}

static void stack_more(void)
{
	soft(RLIMIT_STACK, 1 * MiB);
	soft(RLIMIT_STACK, 20 * MiB);
	go("16000");
}

static void space_at_once(void)
{
	void *end = sbrk(0);

	soft(RLIMIT_AS, 200 * MiB);
	say("100 MiB %d, 300 MiB %d, ", has(100 * MiB), has(300 * MiB));
	say("brk %d\n", sbrk(300 * MiB) == (void *)-1 && sbrk(0) == end);
	soft(RLIMIT_AS, 600 * MiB);
	say("raised: %d\n", has(300 * MiB));
}

static void space_after_exec(void)
{
	soft(RLIMIT_AS, 200 * MiB);
	go("space");
}

static void data(void)
{
	soft(RLIMIT_DATA, 50 * MiB);
	say("100 MiB %d, 20 MiB %d\n", has(100 * MiB), has(20 * MiB));
	go("100");
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "space")) {
		say("100 MiB %d, 300 MiB %d\n", has(100 * MiB),
		    has(300 * MiB));
		return 0;
	}
	if (argc > 1) {
		deep(atoi(argv[1]));
		say("deep enough\n");
		return 0;
	}
	say("%s\n", how(in_child(stack_less)));
	say("%s\n", how(in_child(stack_more)));
	say("%s\n", how(in_child(space_at_once)));
	say("%s\n", how(in_child(space_after_exec)));
	say("%s\n", how(in_child(data)));
	say("here: %d\n", has(300 * MiB));
	return 0;
}
