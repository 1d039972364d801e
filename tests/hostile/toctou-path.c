/*
 * A second thread rewrites a path between a permitted and a forbidden file
 * while the first one opens it: arguments are RW-DIRECTORY FORBIDDEN-FILE.
 */
#include "hostile.h"

static char path[PATH_MAX];
static const char *good, *bad;
static volatile int stop;

static void *flipper(void *arg)
{
	while (!stop) {
		strcpy(path, bad);
		strcpy(path, good);
	}
	return arg;
}

int main(int argc, char **argv)
{
	char buf[16], name[PATH_MAX];
	int opened = 0, fd;
	struct stat st, before = { 0 };
	pthread_t t;

	CHECK(argc == 3);
	snprintf(name, sizeof(name), "%s/good", argv[1]);
	fd = open(name, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && write(fd, "good", 4) == 4);
	good = name;
	bad = argv[2];
	strcpy(path, good);
	(void)!stat(bad, &before);
	REFUSED("opened without a race", open(bad, O_RDONLY));
	pthread_create(&t, NULL, flipper, NULL);
	for (int i = 0; i < 3000; i++) {
		fd = i % 3 ? open(path, O_RDONLY) :
		     (int)syscall(SYS_openat2, AT_FDCWD, path,
				  &(unsigned long[3]){ 0 }, 24);
		if (fd < 0)
			continue;
		memset(buf, 0, sizeof(buf));
		CHECK(read(fd, buf, sizeof(buf)) >= 0);
		if (strncmp(buf, "good", 4) != 0)
			ESCAPED("read %s", buf);
		opened++;
		close(fd);
		if (i % 5 == 0 && chmod(path, 0600 + i % 7) == 0 &&
		    stat(bad, &st) == 0 && st.st_mode != before.st_mode)
			ESCAPED("mode changed");
	}
	stop = 1;
	pthread_join(t, NULL);
	contained("%s opened, never the other", opened ? "the good one" :
		  "nothing");
	return 0;
}
