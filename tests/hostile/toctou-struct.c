/*
 * A second thread rewrites vectors and message headers between the check and
 * the use: what is transferred is the program's own memory or nothing.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include "hostile.h"

static struct iovec iov[2];
static struct msghdr msg;
static char own[64];
static volatile int stop;

static void *flipper(void *arg)
{
	for (unsigned int i = 0; !stop; i++) {
		unsigned long a = outside[i % OUTSIDE];

		iov[0].iov_base = (void *)a;
		iov[1].iov_len = -1ul;
		msg.msg_iov = (void *)a;
		msg.msg_iovlen = 1ul << 40;
		msg.msg_name = (void *)a;
		__asm__ volatile("" : : : "memory");
		iov[0].iov_base = own;
		iov[1].iov_len = 8;
		msg.msg_iov = iov;
		msg.msg_iovlen = 2;
		msg.msg_name = NULL;
		__asm__ volatile("" : : : "memory");
	}
	return arg;
}

int main(void)
{
	char buf[256];
	int fds[2], sv[2], sent = 0;
	pthread_t t;
	ssize_t n;

	memset(own, 'o', sizeof(own));
	iov[0] = iov[1] = (struct iovec){ own, 8 };
	msg.msg_iov = iov;
	msg.msg_iovlen = 2;
	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv) == 0);
	pthread_create(&t, NULL, flipper, NULL);
	for (int i = 0; i < 4000; i++) {
		if (i & 1)
			n = writev(fds[1], iov, 2);
		else
			n = sendmsg(sv[0], &msg, 0);
		if (n <= 0)
			continue;
		sent++;
		n = read(i & 1 ? fds[0] : sv[1], buf, sizeof(buf));
		for (int k = 0; k < n; k++)
			if (buf[k] != 'o')
				ESCAPED("sent %#x", buf[k]);
		/* Into memory: only our own may change, which we know. */
		if (write(fds[1], "oooooooo", 8) == 8)
			(void)!readv(fds[0], iov, 1);
	}
	stop = 1;
	pthread_join(t, NULL);
	contained("%s", sent ? "only own memory was sent" : "nothing sent");
	return 0;
}
