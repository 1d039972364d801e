/*
 * Another process moves directories about while this one walks through them
 * with "..", hoping to come out above. Arguments: RW-DIRECTORY SECRET-FILE.
 */
#include "hostile.h"

int main(int argc, char **argv)
{
	char up[PATH_MAX], buf[16], *p = up;
	int fd, tries = 0;
	pid_t pid;

	CHECK(argc == 3 && chdir(argv[1]) == 0);
	CHECK(mkdir("a", 0700) == 0 && mkdir("a/b", 0700) == 0);
	CHECK(mkdir("a/b/c", 0700) == 0 && mkdir("t", 0700) == 0);
	pid = fork();
	if (pid == 0)
		for (;;) {
			rename("a/b/c", "t/c");
			rename("t/c", "a/b/c");
		}
	/* a/b/c/../../../ up to the root, then the file's own name. */
	p += sprintf(p, "a/b/c");
	for (int i = 0; i < 20; i++)
		p += sprintf(p, "/..");
	strcpy(p, argv[2]);
	for (int i = 0; i < 2000; i++) {
		fd = open(up, O_RDONLY);
		if (fd >= 0 && read(fd, buf, 6) == 6)
			ESCAPED("read %.6s", buf);
		tries++;
		if (i % 50 == 0 && chdir("a/b/c") == 0) {
			fd = open("../../../../file", O_RDONLY);
			if (fd >= 0 && read(fd, buf, 6) == 6)
				ESCAPED("read %.6s", buf);
			CHECK(chdir(argv[1]) == 0);
		}
	}
	kill(pid, SIGKILL);
	reap(pid);
	contained("%d walks", tries);
	return 0;
}
