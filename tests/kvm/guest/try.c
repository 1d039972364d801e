/*
 * Tries one thing that a policy allows or not, and prints how it went: `try
 * read FILE`, `write FILE`, `append FILE N`, `list DIR`, `tcp`, `mem BYTES`,
 * `fork N`, `call NUMBER`, `env NAME`, `cwd`, `fd N`, `cat`.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "guest.h"

static const char *result(long r)
{
	return r < 0 ? strerror(errno) : "ok";
}

/* Binds, listens, connects to itself. */
static long tcp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM, 0), c;

	if (s < 0 || bind(s, (void *)&a, len) < 0 || listen(s, 1) < 0 ||
	    getsockname(s, (void *)&a, &len) < 0)
		return -1;
	c = socket(AF_INET, SOCK_STREAM, 0);
	return connect(c, (void *)&a, len);
}

static long children(int n)
{
	long made = 0;
	int fds[2];

	CHECK(pipe(fds) == 0);
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			char c;

			close(fds[1]);
			_exit(read(fds[0], &c, 1));
		}
		made += pid > 0;
	}
	close(fds[1]);
	while (wait(NULL) > 0)
		;
	return made;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char *arg = argc > 2 ? argv[2] : "", buf[4096];
	long n, r = -1;
	DIR *d;

	if (!strcmp(what, "read")) {
		r = open(arg, O_RDONLY);
		if (r >= 0 && (n = read(r, buf, sizeof(buf))) > 0)
			(void)!write(1, buf, n);
	} else if (!strcmp(what, "write")) {
		r = open(arg, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (r >= 0)
			r = write(r, "written\n", 8);
	} else if (!strcmp(what, "append")) {
		n = open(arg, O_WRONLY | O_CREAT | O_APPEND, 0644);
		r = n < 0 ? n : 0;
		for (int i = atoi(argv[3]); i > 0 && r >= 0; i -= 1000)
			r = write(n, buf, i < 1000 ? i : 1000);
	} else if (!strcmp(what, "list")) {
		d = opendir(arg);
		r = d && readdir(d) ? 0 : -1;
	} else if (!strcmp(what, "tcp")) {
		r = tcp();
	} else if (!strcmp(what, "mem")) {
		n = atol(arg);
		char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			       MAP_ANONYMOUS, -1, 0);
		if (p != MAP_FAILED)
			memset(p, 1, n);
		r = p == MAP_FAILED ? -1 : 0;
	} else if (!strcmp(what, "fork")) {
		say("%ld\n", children(atoi(arg)));
		return 0;
	} else if (!strcmp(what, "call")) {
		r = syscall(atoi(arg), 0, 0, 0, 0, 0, 0);
	} else if (!strcmp(what, "env")) {
		say("%s\n", getenv(arg) ? getenv(arg) : "(none)");
		return 0;
	} else if (!strcmp(what, "cwd")) {
		say("%s\n", getcwd(buf, sizeof(buf)) ? buf : "(none)");
		return 0;
	} else if (!strcmp(what, "fd")) {
		r = fcntl(atoi(arg), F_GETFD);
	} else if (!strcmp(what, "cat")) {
		while ((n = read(0, buf, sizeof(buf))) > 0)
			(void)!write(1, buf, n);
		return 0;
	}
	say("%s\n", result(r));
	return 0;
}
