/*
 * Without --net there is nobody to talk to: families, the outside listener
 * (arguments: TCP-PORT UNIX-SOCKET), abstract sockets, raw packets, terminals.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "hostile.h"

int main(int argc, char **argv)
{
	static const int families[] = { AF_INET, AF_INET6, AF_NETLINK,
		AF_PACKET, AF_VSOCK, AF_ALG, AF_BLUETOOTH, AF_CAN, AF_KEY };
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(un);
	int s, sv[2];

	CHECK(argc == 3);
	in.sin_port = htons(atoi(argv[1]));
	for (unsigned int f = 0; f < sizeof(families) / sizeof(int); f++)
		for (int t = 0; t < 3; t++) {
			s = socket(families[f], types[t], 0);
			if (s < 0)
				continue;
			if (families[f] != AF_INET)
				ESCAPED("family %d", families[f]);
			REFUSED("connect", connect(s, (void *)&in, sizeof(in)));
			REFUSED("sendto", sendto(s, "x", 1, 0, (void *)&in,
						 sizeof(in)));
			close(s);
		}
	for (int t = 0; t < 2; t++) {
		s = socket(AF_UNIX, types[t], 0);
		if (s < 0)
			continue;
		strncpy(un.sun_path, argv[2], sizeof(un.sun_path) - 1);
		REFUSED("unix connect", connect(s, (void *)&un, len));
		REFUSED("unix sendto", sendto(s, "x", 1, 0, (void *)&un, len));
		/* The canary's abstract name is its path. */
		memmove(un.sun_path + 1, argv[2], strlen(argv[2]));
		un.sun_path[0] = 0;
		len = offsetof(struct sockaddr_un, sun_path) + 1 +
		      strlen(argv[2]);
		REFUSED("abstract connect", connect(s, (void *)&un, len));
		REFUSED("abstract sendto", sendto(s, "x", 1, 0, (void *)&un,
						  len));
		memset(un.sun_path, 0, sizeof(un.sun_path));
		strcpy(un.sun_path, "/dev/log");
		len = sizeof(un);
		REFUSED("syslog", connect(s, (void *)&un, len));
		close(s);
	}
	/* From a pair that is its own to elsewhere. */
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv) == 0);
	strncpy(un.sun_path, argv[2], sizeof(un.sun_path) - 1);
	REFUSED("pair to elsewhere", sendto(sv[0], "x", 1, 0, (void *)&un,
					    sizeof(un)));
	for (int fd = 0; fd < 3; fd++) {
		REFUSED("TIOCSTI", ioctl(fd, TIOCSTI, "x"));
		REFUSED("TIOCLINUX", ioctl(fd, TIOCLINUX, "\3"));
		REFUSED("TIOCCONS", ioctl(fd, TIOCCONS, 0));
	}
	contained("nobody to talk to");
	return 0;
}
