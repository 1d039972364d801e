/* A host that is killed takes its sandboxes along, busy and idle ones. */
#include <pthread.h>
#include <signal.h>

#include "tests/plugin/plugin.h"

#define BOXES 3

static void *busy(void *box)
{
	int v;

	call_by_name(box, "spins", 1, &v);
	return NULL;
}

static void host(int argc, char **argv, int out)
{
	struct dune_sandbox_stats st = { .size = sizeof(st) };
	struct dune_sandbox *box[BOXES];
	pthread_t t;
	int i, pid;

	begin(argc, argv);
	box[0] = make(OPTIONS(0));
	load(box[0], "bad");
	MUST(dune_sandbox_snapshot(box[0]));
	for (i = 1; i < BOXES; i++)
		MUST(dune_sandbox_clone(box[0], &box[i]));
	pthread_create(&t, NULL, busy, box[1]);
	for (i = 0; i < BOXES; i++) {
		MUST(dune_sandbox_stats(box[i], &st));
		pid = st.pid;
		MUST(write(out, &pid, sizeof(pid)) != sizeof(pid));
	}
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int fd[2], pid, i;
	pid_t child;

	MUST(pipe(fd));
	child = fork();
	if (child == 0)
		host(argc, argv, fd[1]);
	close(fd[1]);
	for (i = 0; i < BOXES; i++) {
		MUST(read(fd[0], &pid, sizeof(pid)) != sizeof(pid));
		CHECK(pid > 0 && kill(pid, 0) == 0);
		if (i < BOXES - 1)
			continue;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	/* the last one; the runner ends a test that waits for ever */
	while (kill(pid, 0) == 0)
		usleep(10000);
	/* and whoever else had our pipe */
	CHECK(read(fd[0], &pid, sizeof(pid)) == 0);
	return failures != 0;
}
