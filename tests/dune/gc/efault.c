/*
 * System calls that write into old objects of a collector: with dirty bits by
 * mprotect() they fail with EFAULT.
 */
#include <gc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#define N	100
#define SIZE	8192

static char *object[N];

int main(void)
{
	int fd = open("/dev/zero", O_RDONLY), i, failed = 0;

	GC_INIT();
	for (i = 0; i < N; i++)
		object[i] = GC_MALLOC(SIZE);
	for (i = 0; i < 5; i++)
		GC_gcollect();
	for (i = 0; i < N; i++) {
		if (read(fd, object[i], SIZE) != SIZE)
			failed++;
		GC_collect_a_little();
		if (fstat(fd, (struct stat *)object[i]))
			failed++;
	}
	printf("%s, %d of %d calls failed\n", GC_is_incremental_mode() ?
	       "incremental" : "plain", failed, 2 * N);
	return failed != 0;
}
