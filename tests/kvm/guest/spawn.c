/*
 * posix_spawn, system and popen: they rest on CLONE_VM | CLONE_VFORK, and a
 * program that is not there is reported to the caller through shared memory.
 */
#include <spawn.h>
#include "guest.h"

extern char **environ;

int main(int argc, char **argv)
{
	char *args[] = { argv[0], "child", NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t set;
	char buf[64] = "";
	int fds[2], r;
	pid_t pid;

	if (argc > 1) {
		sigprocmask(SIG_SETMASK, NULL, &set);
		say("child: USR1 %s\n", sigismember(&set, SIGUSR1) ?
		    "blocked" : "open");
		return 5;
	}
	r = posix_spawn(&pid, "/does/not/exist", NULL, NULL, args, environ);
	say("missing program: %s\n", strerror(r));
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);

	r = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ);
	CHECK(r == 0);
	say("%s\n", how(reap(pid)));

	/* Output into a pipe, a mask of the child's own. */
	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	posix_spawnattr_init(&at);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	posix_spawnattr_setsigmask(&at, &set);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(&pid, "/proc/self/exe", &fa, &at, args, environ);
	CHECK(r == 0);
	close(fds[1]);
	CHECK(read(fds[0], buf, sizeof(buf) - 1) > 0);
	say("piped: %s", buf);
	say("%s\n", how(reap(pid)));

	/* A file action that fails is the caller's error as well. */
	posix_spawn_file_actions_adddup2(&fa, 700, 701);
	r = posix_spawn(&pid, "/proc/self/exe", &fa, &at, args, environ);
	say("bad descriptor: %s\n", strerror(r));
	return 0;
}
