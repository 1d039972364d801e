/*
 * Ends of threads and processes: the first thread leaves before the others,
 * exit_group from another thread, exit while others run or sleep.
 */
#include "guest.h"

static void *late(void *arg)
{
	msleep(30);
	say("last thread\n");
	return arg;
}

static void main_leaves(void)
{
	pthread_t t;

	pthread_create(&t, NULL, late, NULL);
	/* The process ends with status 0 when the last thread does. */
	pthread_exit(NULL);
}

static void *ender(void *arg)
{
	(void)arg;
	_exit(11);
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *spinner(void *arg)
{
	for (;;)
		__asm__ volatile("pause");
	return arg;
}

static void other_ends(void)
{
	pthread_t t;

	pthread_create(&t, NULL, sleeper, NULL);
	pthread_create(&t, NULL, spinner, NULL);
	pthread_create(&t, NULL, ender, NULL);
	for (;;)
		pause();
}

static void first_ends(void)
{
	pthread_t t;

	for (int i = 0; i < 4; i++) {
		pthread_create(&t, NULL, sleeper, NULL);
		pthread_create(&t, NULL, spinner, NULL);
	}
	msleep(10);
	_exit(12);
}

static void killed(void)
{
	pthread_t t;

	pthread_create(&t, NULL, spinner, NULL);
	pthread_create(&t, NULL, sleeper, NULL);
	kill(getpid(), SIGTERM);
	for (;;)
		pause();
}

/* Raw exit of one thread: its number is gone from the kernel's list. */
static void *raw(void *arg)
{
	*(pid_t *)arg = gettid();
	syscall(SYS_exit, 0);
	return NULL;
}

int main(void)
{
	pthread_t t;
	pid_t tid;

	say("%s\n", how(in_child(main_leaves)));
	say("%s\n", how(in_child(other_ends)));
	say("%s\n", how(in_child(first_ends)));
	say("%s\n", how(in_child(killed)));
	pthread_create(&t, NULL, raw, &tid);
	pthread_join(t, NULL);
	/* Joined means that clear_child_tid was done; death follows. */
	for (int i = 0; i < 100 && !syscall(SYS_tgkill, getpid(), tid, 0); i++)
		msleep(1);
	FAILS(ESRCH, syscall(SYS_tgkill, getpid(), tid, 0));
	say("thread gone\n");
	return 0;
}
