/* System calls that do next to nothing: what is measured is the way there. */
#include "bench/micro/micro.h"
#include "dune/syscall.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char page[4096];

static int64_t run_getpid(unsigned long n)
{
	int64_t t = bench_now();

	while (n--)
		syscall(SYS_getpid);
	return bench_now() - t;
}

static int64_t run_getppid(unsigned long n)
{
	int64_t t = bench_now();

	while (n--)
		syscall(SYS_getppid);
	return bench_now() - t;
}

/* In one batch. */
static int64_t run_batch(unsigned long n)
{
	struct dune_syscall c[16] = { { 0 } };
	int64_t t;

	for (int i = 0; i < 16; i++)
		c[i].nr = SYS_getppid;
	t = bench_now();
	while (n--)
		if (dune_syscall_batch(c, 16, 0) != 16 || c[15].ret <= 0)
			return -EIO;
	return bench_now() - t;
}

static int64_t run_clock(unsigned long n)
{
	int64_t t = bench_now();
	struct timespec ts;

	while (n--)
		clock_gettime(CLOCK_REALTIME, &ts);
	return bench_now() - t;
}

static int64_t run_read(unsigned long n)
{
	static int fd = -1;
	int64_t t;

	if (fd < 0)
		fd = open("/dev/zero", O_RDONLY);
	if (fd < 0)
		return -errno;
	t = bench_now();
	while (n--)
		if (read(fd, page, sizeof(page)) != sizeof(page))
			return -EIO;
	return bench_now() - t;
}

static int64_t run_write(unsigned long n)
{
	static int fd = -1;
	int64_t t;

	if (fd < 0)
		fd = open("/dev/null", O_WRONLY);
	if (fd < 0)
		return -errno;
	t = bench_now();
	while (n--)
		if (write(fd, page, sizeof(page)) != sizeof(page))
			return -EIO;
	return bench_now() - t;
}

/* 4 KiB of a file in the page cache, there and back. */
static int64_t file(unsigned long n, int writing)
{
	static int fd = -1;
	int64_t t;

	if (fd < 0) {
		fd = memfd_create("bench", 0);
		if (fd < 0 || ftruncate(fd, 1 << 20))
			return -errno;
	}
	t = bench_now();
	for (unsigned long i = 0; i < n; i++) {
		off_t at = i % 256 * sizeof(page);

		if ((writing ? pwrite(fd, page, sizeof(page), at) :
			       pread(fd, page, sizeof(page), at)) !=
		    sizeof(page))
			return -EIO;
	}
	return bench_now() - t;
}

static int64_t run_pread(unsigned long n)
{
	return file(n, 0);
}

static int64_t run_pwrite(unsigned long n)
{
	return file(n, 1);
}

static int64_t run_open(unsigned long n)
{
	int64_t t = bench_now();

	while (n--) {
		int fd = open("/dev/null", O_RDONLY);

		if (fd < 0)
			return -errno;
		close(fd);
	}
	return bench_now() - t;
}

const struct bench_case bench_sys[] = {
	{ "getpid", "getpid(2)", run_getpid, 0 },
	{ "getppid", "getppid(2)", run_getppid, 0 },
	{ "batch", "16 getppid(2) by dune_syscall_batch(3)", run_batch, 0 },
	{ "clock", "clock_gettime(2) through the vDSO", run_clock, 0 },
	{ "read", "read(2) of 4 KiB from /dev/zero", run_read, 0 },
	{ "write", "write(2) of 4 KiB to /dev/null", run_write, 0 },
	{ "pread", "pread(2) of 4 KiB of a cached file", run_pread, 0 },
	{ "pwrite", "pwrite(2) of 4 KiB of a cached file", run_pwrite, 0 },
	{ "open", "open(2) of /dev/null and close(2)", run_open, 0 },
	{ 0 },
};
