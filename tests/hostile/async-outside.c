/*
 * Has the kernel send signals for it: SIGIO, as whatever signal one likes, to
 * the process group that it shares with processes outside.
 */
#include <sys/socket.h>
#include "hostile.h"

static void owner(int fd, int pid)
{
	struct f_owner_ex ex = { F_OWNER_PGRP, pid };

	fcntl(fd, F_SETOWN, -pid);
	fcntl(fd, F_SETOWN_EX, &ex);
}

int main(void)
{
	int sv[2];
	char c = 0;

	signal(SIGURG, SIG_IGN);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	CHECK(fcntl(sv[0], F_SETSIG, SIGURG) == 0);
	owner(sv[0], getpgrp());
	fcntl(sv[0], F_SETFL, O_ASYNC);
	CHECK(write(sv[1], &c, 1) == 1);
	owner(sv[0], getpgid(getppid()));
	CHECK(write(sv[1], &c, 1) == 1);
	contained("whose signals they are, the kernel or the gate looks");
	return 0;
}
