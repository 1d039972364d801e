/*
 * Programs outside the policy, setuid ones, and the monitor's own file are not
 * executed with more than this process has. Arguments: FORBIDDEN-PROGRAM
 * SETUID-PROGRAM MONITOR.
 */
#include "hostile.h"

int main(int argc, char **argv)
{
	uid_t uid = geteuid();
	char *args[] = { "x", NULL };
	int fd, st;

	if (argc == 1) {
		/* Executed as the setuid program. */
		_exit(10 + (geteuid() != getuid()));
	}
	CHECK(argc == 4);
	REFUSED("forbidden program", execve(argv[1], args, NULL));
	REFUSED("/bin/su", execve("/bin/su", args, NULL));
	REFUSED("/usr/bin/passwd", execve("/usr/bin/passwd", args, NULL));
	fd = open(argv[1], O_PATH);
	if (fd >= 0)
		REFUSED("by O_PATH", syscall(SYS_execveat, fd, "", args, NULL,
					     AT_EMPTY_PATH));
	if (fork() == 0) {
		execve(argv[2], args, NULL);
		_exit(10);
	}
	wait(&st);
	if (st != 10 << 8)
		ESCAPED("setuid: %s", how(st));
	/*
	 * The monitor's file can be executed, for the monitor does it: as a
	 * program in the sandbox, without the state that it hands itself.
	 */
	for (int i = 0; i < 2; i++) {
		char *a[] = { "dune-run", i ? "--rw" : "--dune-exec=0",
			      i ? "/" : NULL, argv[1], NULL };

		if (fork() == 0) {
			close(2);
			execve(argv[3], a, NULL);
			_exit(125);
		}
		wait(&st);
		if (st == 0)
			ESCAPED("a monitor of its own");
	}
	setuid(0);
	setresuid(0, 0, 0);
	if (geteuid() != uid)
		ESCAPED("uid %d", geteuid());
	contained("programs outside");
	return 0;
}
