/*
 * Verifies that of a process whose end wait(2) has told nothing is left that
 * others could meet: descriptors, locks, shared memory, its process group.
 */
#include "guest.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/socket.h>

#define ROUNDS 10
#define TRIES 20

#ifndef F_SEAL_WRITE
#define F_ADD_SEALS	1033
#define F_SEAL_WRITE	8
#endif

static int ends[2];

/* The other end of a pipe and of a socket: closed at once. */
static void other_ends(void)
{
	int sock[2];
	char c;
	pid_t pid;

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sock) == 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	close(ends[1]);
	close(sock[1]);
	CHECK(reap(pid) == 0);
	CHECK(read(ends[0], &c, 1) == 0);
	CHECK(read(sock[0], &c, 1) == 0);
	close(ends[0]);
	close(sock[0]);
}

/* High descriptors, too. */
static void high_descriptor(void)
{
	char c;
	pid_t pid;

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(fcntl(ends[1], F_DUPFD, 900) == 900);
		_exit(0);
	}
	close(ends[1]);
	CHECK(reap(pid) == 0);
	CHECK(read(ends[0], &c, 1) == 0);
	close(ends[0]);
}

static void locks(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT, 0600);
	struct flock l = { .l_type = F_WRLCK };
	pid_t pid;

	CHECK(fd >= 0);
	pid = fork();
	if (pid == 0) {
		fd = open(file, O_RDWR);
		CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
		CHECK(fcntl(fd, F_SETLK, &l) == 0);
		_exit(0);
	}
	CHECK(reap(pid) == 0);
	CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	close(fd);
}

/* A file that is mapped shared and writable cannot be sealed. */
static void shared_mapping(void)
{
	int fd = memfd_create("gone", MFD_ALLOW_SEALING);
	int tries = 0;
	pid_t pid;

	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
	pid = fork();
	if (pid == 0) {
		char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fd, 0);

		CHECK(p != MAP_FAILED);
		*p = 'x';
		_exit(0);
	}
	CHECK(reap(pid) == 0);
	/* the kernel itself may still have a page in its hands */
	while (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0)
		CHECK(errno == EBUSY && tries++ < TRIES);
	close(fd);
}

/* Whatever helped it to its end is no child of ours. */
static void children(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	CHECK(reap(pid) == 0);
	FAILS(ECHILD, waitpid(-1, NULL, __WALL | WNOHANG));
}

/* A robust futex in shared memory is marked as its dead owner's. */
static void robust(void)
{
	struct shared { struct robust_list list; uint32_t word; } *s;
	pid_t pid;

	s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	CHECK(s != MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		static struct robust_list_head head;

		head.list.next = &s->list;
		head.futex_offset = offsetof(struct shared, word);
		s->list.next = &head.list;
		s->word = syscall(SYS_gettid);
		syscall(SYS_set_robust_list, &head, sizeof(head));
		_exit(0);
	}
	CHECK(reap(pid) == 0);
	CHECK((s->word & FUTEX_OWNER_DIED) != 0);
	munmap(s, PAGE);
}

/* Statuses, of the first thread and of another that ends the process. */
static void *leave(void *status)
{
	_exit((intptr_t)status);
}

static void statuses(void)
{
	for (int i = 0; i < 256; i += 51) {
		pid_t pid = fork();
		pthread_t t;

		if (pid == 0) {
			if (i & 1)
				_exit(i);
			pthread_create(&t, NULL, leave, (void *)(intptr_t)i);
			pthread_join(t, NULL);
		}
		CHECK(WEXITSTATUS(reap(pid)) == i);
	}
}

int main(int argc, char **argv)
{
	enter_dir(argc, argv);
	for (int i = 0; i < ROUNDS; i++) {
		other_ends();
		high_descriptor();
		locks("lock");
		shared_mapping();
		children();
		robust();
	}
	statuses();
	say("nothing is left\n");
	return 0;
}
