/* First touches of memory, and calls that change mappings. */
#include "bench/micro/micro.h"

#include <sys/mman.h>
#include <unistd.h>

#define SMALL 4096ul
#define HUGE (2ul << 20)

static int64_t touch(unsigned long n, size_t page, int huge)
{
	volatile char *p = bench_map(n * page, huge);
	int64_t t;

	if (!p)
		return -errno;
	t = bench_now();
	for (unsigned long i = 0; i < n; i++)
		p[i * page] = 1;
	t = bench_now() - t;
	munmap((void *)p, n * page);
	return t;
}

static int64_t run_touch4k(unsigned long n)
{
	return touch(n, SMALL, 0);
}

static int64_t run_touch2m(unsigned long n)
{
	return touch(n, HUGE, 1);
}

static int64_t run_touchfile(unsigned long n)
{
	static int fd = -1;
	volatile char *p;
	char sum = 0;
	int64_t t;

	if (fd < 0) {
		fd = memfd_create("bench", 0);
		if (fd < 0 || ftruncate(fd, 64 << 20))
			return -errno;
		/* The file is in memory; its mapping is not. */
		for (off_t at = 0; at < 64 << 20; at += SMALL)
			if (pwrite(fd, "x", 1, at) != 1)
				return -errno;
	}
	p = mmap(NULL, n * SMALL, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	t = bench_now();
	for (unsigned long i = 0; i < n; i++)
		sum += p[i * SMALL];
	t = bench_now() - t;
	munmap((void *)p, n * SMALL);
	return sum == 1 ? -EIO : t;
}

static int64_t run_refault(unsigned long n)
{
	static char *p;
	int64_t t;

	if (!p)
		p = bench_map(64 * SMALL, 0);
	if (!p)
		return -errno;
	t = bench_now();
	for (unsigned long i = 0; i < n; i++) {
		char *page = p + i % 64 * SMALL;

		*page = 1;
		if (madvise(page, SMALL, MADV_DONTNEED))
			return -errno;
	}
	return bench_now() - t;
}

static int64_t map_unmap(unsigned long n, size_t size, int touched)
{
	int64_t t = bench_now();

	while (n--) {
		volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return -errno;
		if (touched)
			*p = 1;
		munmap((void *)p, size);
	}
	return bench_now() - t;
}

static int64_t run_mmap(unsigned long n)
{
	return map_unmap(n, SMALL, 0);
}

static int64_t run_mmaptouch(unsigned long n)
{
	return map_unmap(n, SMALL, 1);
}

/* As an allocator under load: 64 mappings alive, of 64 KiB, all touched. */
static int64_t run_storm(unsigned long n)
{
	enum { ALIVE = 64, SIZE = 16 * 4096 };
	static char *alive[ALIVE];
	int64_t t = bench_now();

	for (unsigned long i = 0; i < n; i++) {
		char **p = &alive[i * 29 % ALIVE];

		if (*p)
			munmap(*p, SIZE);
		*p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (*p == MAP_FAILED) {
			*p = NULL;
			return -errno;
		}
		for (size_t at = 0; at < SIZE; at += SMALL)
			((volatile char *)*p)[at] = 1;
	}
	return bench_now() - t;
}

static int64_t run_mprotect(unsigned long n)
{
	static char *p;
	int64_t t;

	if (!p) {
		p = bench_map(64 * SMALL, 0);
		if (!p)
			return -errno;
		for (size_t at = 0; at < 64 * SMALL; at += SMALL)
			p[at] = 1;
	}
	t = bench_now();
	for (unsigned long i = 0; i < n; i++) {
		char *page = p + i / 2 % 64 * SMALL;

		if (mprotect(page, SMALL, i & 1 ? PROT_READ | PROT_WRITE :
						  PROT_READ))
			return -errno;
	}
	return bench_now() - t;
}

const struct bench_case bench_mem[] = {
	{ "touch4k", "the first write to 4 KiB of memory", run_touch4k, 16384 },
	{ "touch2m", "the first write to 2 MiB in a large page", run_touch2m,
	  64 },
	{ "touchfile", "the first read of 4 KiB of a mapped, cached file",
	  run_touchfile, 16384 },
	{ "refault", "madvise(MADV_DONTNEED) of 4 KiB and writing there again",
	  run_refault, 0 },
	{ "mmap", "mmap(2) and munmap(2) of 4 KiB, not touched", run_mmap, 0 },
	{ "mmaptouch", "mmap(2), one write, munmap(2)", run_mmaptouch, 0 },
	{ "storm", "munmap(2) and mmap(2) of 64 KiB out of 64 such, 16 writes",
	  run_storm, 0 },
	{ "mprotect", "mprotect(2) of one page in a large mapping",
	  run_mprotect, 0 },
	{ 0 },
};
