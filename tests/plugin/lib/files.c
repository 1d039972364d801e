/* A plugin that uses files and prints. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../../../libdune/include/dune/syscall.h"

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

/* Behind a harmless call. */
int open_in_batch(const char *name)
{
	struct dune_syscall c[2] = {
		{ .nr = SYS_gettid },
		{ .nr = SYS_openat,
		  .arg = { AT_FDCWD, (unsigned long)name, O_RDONLY } },
	};

	if (getauxval(DUNE_AT_BATCH) != DUNE_NR_BATCH ||
	    syscall(DUNE_NR_BATCH, c, 2, 0) != 2 || c[0].ret != gettid())
		return -1000;
	return c[1].ret < 0 ? c[1].ret : close(c[1].ret);
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
