/*
 * Robust mutexes: a thread or a process that dies holding one is noticed,
 * and the mutex can be made consistent again.
 */
#include "guest.h"

static pthread_mutex_t *m;

static void make(int shared)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&a, shared);
	CHECK(pthread_mutex_init(m, &a) == 0);
}

static void *die_holding(void *arg)
{
	pthread_mutex_lock(m);
	return arg;
}

static void *waiter(void *arg)
{
	int r = pthread_mutex_lock(m);

	*(int *)arg = r;
	pthread_mutex_consistent(m);
	pthread_mutex_unlock(m);
	return NULL;
}

int main(void)
{
	pthread_t t, w;
	pid_t pid;
	int r = 0, fds[2];
	char c;

	m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);

	make(PTHREAD_PROCESS_PRIVATE);
	pthread_create(&t, NULL, die_holding, NULL);
	pthread_join(t, NULL);
	r = pthread_mutex_lock(m);
	say("after a thread's death: %s\n", strerror(r));
	CHECK(pthread_mutex_consistent(m) == 0);
	CHECK(pthread_mutex_unlock(m) == 0);

	/* Without being made consistent it can never be locked again. */
	make(PTHREAD_PROCESS_PRIVATE);
	pthread_create(&t, NULL, die_holding, NULL);
	pthread_join(t, NULL);
	CHECK(pthread_mutex_lock(m) == EOWNERDEAD);
	pthread_mutex_unlock(m);
	say("left inconsistent: %s\n", strerror(pthread_mutex_lock(m)));

	/* A process that is killed while another waits in the kernel. */
	make(PTHREAD_PROCESS_SHARED);
	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(m);
		CHECK(write(fds[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(fds[0], &c, 1) == 1);
	r = -1;
	pthread_create(&w, NULL, waiter, &r);
	msleep(20);
	kill(pid, SIGKILL);
	reap(pid);
	pthread_join(w, NULL);
	say("after a process's death: %s\n", strerror(r));
	CHECK(pthread_mutex_lock(m) == 0);
	say("consistent again\n");
	return 0;
}
