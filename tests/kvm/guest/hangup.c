/*
 * Executes a command as the leader of a terminal's session and, when it has
 * said something, hangs up: what it ended with.
 */
#include <sys/ioctl.h>
#include "guest.h"

int main(int argc, char **argv)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
	char c;
	pid_t pid;

	CHECK(argc > 1);
	if (master < 0 || grantpt(master) || unlockpt(master))
		return 77;
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
	pid = fork();
	if (pid == 0) {
		CHECK(setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(slave, fd);
		close(slave);
		close(master);
		execv(argv[1], argv + 1);
		_exit(127);
	}
	close(slave);
	CHECK(read(master, &c, 1) == 1);
	close(master);
	CHECK(waitpid(pid, &status, 0) == pid);
	say("%s\n", how(status));
	return 0;
}
