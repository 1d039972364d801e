/*
 * fork: memory is copied, shared memory is not, descriptors are shared, exit
 * codes and deaths reach the parent, children fork again.
 */
#include <sched.h>
#include "guest.h"

static int data = 1;
static char bss[3 << 20];
static int *shared;

static void writes(void)
{
	data = 2;
	bss[100] = bss[2 << 20] = 5;
	*shared = 77;
	_exit(data + bss[2 << 20]);
}

static void nested(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			_exit(5);
		_exit(WEXITSTATUS(reap(pid)) + 5);
	}
	_exit(WEXITSTATUS(reap(pid)) + 5);
}

static void dies(void)
{
	raise(SIGUSR1);
}

static void faults(void)
{
	*(volatile int *)8 = 1;
}

int main(void)
{
	char *heap = malloc(1 << 20), buf[32] = "";
	int fds[2], st, sum = 0;
	pid_t pid, me = getpid();

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	say("writes: %s\n", how(in_child(writes)));
	say("data %d, bss %d %d, shared %d\n", data, bss[100], bss[2 << 20],
	    *shared);
	say("nested: %s\n", how(in_child(nested)));
	say("killed: %s\n", how(in_child(dies)));
	say("fault: %s\n", how(in_child(faults)));

	/* Both sides write the same pages after the fork. */
	memset(heap, 'p', 1 << 20);
	pid = fork();
	if (pid == 0) {
		CHECK(getppid() == me && getpid() != me);
		for (int i = 0; i < 1 << 20; i += 512)
			CHECK(heap[i] == 'p');
		memset(heap, 'c', 1 << 20);
		for (int i = 0; i < 1 << 20; i += 512)
			CHECK(heap[i] == 'c');
		_exit(0);
	}
	memset(heap, 'q', 1 << 20);
	CHECK(reap(pid) == 0);
	for (int i = 0; i < 1 << 20; i += 512)
		CHECK(heap[i] == 'q');
	say("copies apart\n");

	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		CHECK(write(fds[1], "through a pipe", 14) == 14);
		_exit(0);
	}
	close(fds[1]);
	CHECK(read(fds[0], buf, sizeof(buf)) == 14);
	CHECK(read(fds[0], buf + 20, 1) == 0);
	reap(pid);
	say("%s\n", buf);

	for (int i = 0; i < 20; i++)
		if (fork() == 0)
			_exit(i);
	while (wait(&st) > 0)
		sum += WEXITSTATUS(st);
	CHECK(errno == ECHILD);
	say("20 children: %d\n", sum);
	return 0;
}
