/*
 * Not hostile: runs natively, outside, and writes to FILE whatever reaches it.
 * `canary FILE SOCKET`: prints its TCP port, listens there, on the Unix socket
 * and on the abstract name equal to its path; notes signals.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "hostile.h"

static int note;

static void hit(int sig)
{
	dprintf(note, "signal %d\n", sig);
}

int main(int argc, char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	struct pollfd p[5];

	CHECK(argc == 3);
	note = open(argv[1], O_CREAT | O_WRONLY | O_APPEND, 0600);
	CHECK(note >= 0);
	signal(SIGURG, hit);
	signal(SIGUSR1, hit);
	p[0].fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(p[0].fd, (void *)&in, len) == 0 && listen(p[0].fd, 5) == 0);
	CHECK(getsockname(p[0].fd, (void *)&in, &len) == 0);
	p[1].fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(p[1].fd, (void *)&in, len) == 0);
	strncpy(un.sun_path, argv[2], sizeof(un.sun_path) - 1);
	p[2].fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(p[2].fd, (void *)&un, sizeof(un)) == 0);
	CHECK(listen(p[2].fd, 5) == 0);
	memset(&un.sun_path, 0, sizeof(un.sun_path));
	memcpy(un.sun_path + 1, argv[2], strlen(argv[2]));
	len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(argv[2]);
	for (int i = 3; i < 5; i++) {
		p[i].fd = socket(AF_UNIX, i == 3 ? SOCK_STREAM : SOCK_DGRAM, 0);
		CHECK(bind(p[i].fd, (void *)&un, len) == 0);
	}
	CHECK(listen(p[3].fd, 5) == 0);
	say("%d\n", ntohs(in.sin_port));
	for (;;) {
		for (int i = 0; i < 5; i++)
			p[i].events = POLLIN;
		if (poll(p, 5, -1) <= 0)
			continue;
		dprintf(note, "contact %d %d %d %d %d\n", p[0].revents,
			p[1].revents, p[2].revents, p[3].revents, p[4].revents);
		sleep(1);
	}
}
