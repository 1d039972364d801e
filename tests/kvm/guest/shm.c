/*
 * Memory that processes share: anonymous and memfd mappings across forks,
 * atomic counters, System V segments, changes of protection that stay private.
 */
#include <sys/ipc.h>
#include <sys/shm.h>
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
	volatile int *n, *m;
	int fd, id, st, sum = 0;
	char *a, *b;

	n = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(n != MAP_FAILED);
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			for (int k = 0; k < 50000; k++)
				__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
			n[PAGE / 4 + i] = i;	/* first touched by a child */
			_exit(0);
		}
	while (wait(&st) > 0)
		CHECK(st == 0);
	for (int i = 0; i < 4; i++)
		sum += n[PAGE / 4 + i];
	say("counter %d, sum %d\n", *n, sum);

	/* A child's mprotect and munmap are its own. */
	if (fork() == 0) {
		mprotect((void *)n, PAGE, PROT_NONE);
		munmap((char *)n + PAGE, PAGE);
		_exit(0);
	}
	wait(NULL);
	n[0] = 1;
	n[PAGE / 4] = 1;

	fd = memfd_create("shared", 0);
	CHECK(ftruncate(fd, PAGE) == 0);
	m = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	if (fork() == 0) {
		int *own = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);

		own[3] = 333;
		_exit(0);
	}
	wait(NULL);
	say("memfd %d\n", m[3]);

	id = shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600);
	if (id < 0) {
		say("shmget: %s\n", strerror(errno));
		return 0;
	}
	a = shmat(id, NULL, 0);
	b = shmat(id, NULL, SHM_RDONLY);
	CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	a[2 * PAGE] = 's';
	CHECK(b[2 * PAGE] == 's');
	if (fork() == 0) {
		a[0] = 'c';
		_exit(0);
	}
	wait(NULL);
	say("shm %c%c\n", b[0], b[2 * PAGE]);
	CHECK(shmdt(a) == 0 && shmdt(b) == 0);
	FAILS(EINVAL, shmdt(a));
	return 0;
}
