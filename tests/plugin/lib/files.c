/* A plugin that uses files and prints. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int write_file(const char *name)
{
	FILE *f = fopen(name, "w");

	if (!f)
		return -errno;
	fprintf(f, "written\n");
	return fclose(f) ? -errno : 0;
}

int open_file(const char *name)
{
	int fd = open(name, O_RDONLY);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int variable(const char *name)
{
	const char *v = getenv(name);

	return v ? atoi(v) : -1;
}

int prints(int n)
{
	printf("printed %d\n", n);
	fflush(stdout);
	fprintf(stderr, "error %d\n", n);
	return n;
}
