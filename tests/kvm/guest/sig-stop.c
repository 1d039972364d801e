/*
 * Stop and continue: SIGSTOP halts all threads of a process, in calls and in
 * plain computation; SIGCONT lets them go on as if nothing had been.
 */
#include "guest.h"

static volatile long *spins;
static volatile int conts;

static void cont(int sig)
{
	(void)sig;
	conts++;
}

static void *spinner(void *arg)
{
	for (;;)
		spins[(long)arg]++;
	return NULL;
}

static void child(int fd)
{
	pthread_t t;
	char c;

	signal(SIGCONT, cont);
	pthread_create(&t, NULL, spinner, (void *)0);
	pthread_create(&t, NULL, spinner, (void *)1);
	/* Interrupted by SIGCONT's handler (signal() means SA_RESTART). */
	CHECK(read(fd, &c, 1) == 1);
	_exit(conts * 10 + c);
}

int main(void)
{
	/* longer than we take on any machine to stop who sleeps */
	struct timespec ts = { 0, 500000000 }, rest;
	long a[2];
	int fds[2], st;
	pid_t pid;

	spins = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0)
		child(fds[0]);
	while (!spins[0] || !spins[1])
		msleep(1);
	for (int round = 0; round < 3; round++) {
		kill(pid, SIGSTOP);
		CHECK(waitpid(pid, &st, WUNTRACED) == pid);
		CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
		a[0] = spins[0], a[1] = spins[1];
		msleep(20);
		CHECK(spins[0] == a[0] && spins[1] == a[1]);
		kill(pid, SIGCONT);
		CHECK(waitpid(pid, &st, WCONTINUED) == pid);
		while (spins[0] == a[0] || spins[1] == a[1])
			msleep(1);
	}
	say("stopped and continued 3 times\n");
	CHECK(write(fds[1], "\5", 1) == 1);
	say("%s\n", how(reap(pid)));

	/* A sleep that a stop interrupts goes on without EINTR. */
	pid = fork();
	if (pid == 0) {
		pid_t me = getppid();

		msleep(10);
		(void)me;
		_exit(nanosleep(&ts, &rest) == 0 ? 0 : 1);
	}
	msleep(25);
	kill(pid, SIGSTOP);
	CHECK(waitpid(pid, &st, WUNTRACED) == pid);
	kill(pid, SIGCONT);
	say("sleeper: %s\n", how(reap(pid)));
	return 0;
}
