/*
 * Memory protection as a tool, as collectors and checkpointers use it: traps,
 * the two patterns of Appel and Li, and finding pages that were written.
 */
#include "bench/micro/micro.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 100	/* as in the paper */
#define SCANNED (1ul << 30)

/* Newer than Debian 12's headers: Linux 6.7. */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef PAGEMAP_SCAN
struct page_region {
	uint64_t start, end, categories;
};
struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages,
		category_inverted, category_mask, category_anyof_mask,
		return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PM_SCAN_WP_MATCHING 1
#define PAGE_IS_WRITTEN 2
#endif

static char *area;
static uint16_t order[PAGES];	/* of the touches: random, always the same */
static int other;		/* appel1: the page to protect meanwhile */

static int prepare(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction act = { .sa_flags = SA_SIGINFO };

	act.sa_sigaction = handler;
	if (sigaction(SIGSEGV, &act, NULL))
		return -errno;
	if (area)
		return 0;
	area = bench_map(2 * PAGES * PAGE, 0);
	if (!area)
		return -errno;
	memset(area, 1, 2 * PAGES * PAGE);
	for (int i = 0; i < PAGES; i++)
		order[i] = i * 37 % PAGES;
	return 0;
}

static void unprotect(void *p)
{
	mprotect(p, PAGE, PROT_READ | PROT_WRITE);
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	/* Over the store, 2 bytes: see touch(). */
	uc->uc_mcontext.gregs[REG_RIP] += 2;
}

static inline void touch(void *p)
{
	__asm__ volatile("movb %%al, (%0)" : : "c"(p), "a"(1) :
			 "memory");
}

/* As in the paper: the time to the handler and back, no protection changes. */
static int64_t run_trap(unsigned long n)
{
	int err = prepare(on_trap);
	int64_t t;

	if (err)
		return err;
	mprotect(area, PAGE, PROT_NONE);
	t = bench_now();
	while (n--)
		touch(area);
	t = bench_now() - t;
	unprotect(area);
	return t;
}

static void on_appel1(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	unprotect((void *)((uintptr_t)info->si_addr & -PAGE));
	mprotect(area + (PAGES + other++) * PAGE, PAGE, PROT_NONE);
}

/* prot1 + trap + unprot; n counts pages. */
static int64_t run_appel1(unsigned long n)
{
	int err = prepare(on_appel1);
	int64_t ns = 0, t;

	if (err)
		return err;
	for (unsigned long done = 0; done < n; done += PAGES) {
		for (int i = 0; i < PAGES; i++) {
			mprotect(area + order[i] * PAGE, PAGE, PROT_NONE);
			unprotect(area + (PAGES + i) * PAGE);
		}
		other = 0;
		t = bench_now();
		for (unsigned long i = 0; i < PAGES && done + i < n; i++)
			touch(area + order[i] * PAGE);
		ns += bench_now() - t;
	}
	mprotect(area, 2 * PAGES * PAGE, PROT_READ | PROT_WRITE);
	return ns;
}

static void on_appel2(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	unprotect((void *)((uintptr_t)info->si_addr & -PAGE));
}

/* protN + trap + unprot; n counts pages. */
static int64_t run_appel2(unsigned long n)
{
	int err = prepare(on_appel2);
	int64_t t;

	if (err)
		return err;
	t = bench_now();
	for (unsigned long done = 0; done < n; done += PAGES) {
		mprotect(area, PAGES * PAGE, PROT_NONE);
		for (unsigned long i = 0; i < PAGES && done + i < n; i++)
			touch(area + order[i] * PAGE);
	}
	t = bench_now() - t;
	mprotect(area, PAGES * PAGE, PROT_READ | PROT_WRITE);
	return t;
}

/* A userfaultfd with these features that watches for writes; or -errno. */
static int watch(char *p, size_t size, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, size },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg)) {
		/* EINVAL: a feature this kernel does not know. */
		int err = errno == EINVAL ? -EOPNOTSUPP : -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int protect(int fd, char *p, size_t size, int on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)p, size },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

static void *uffd_thread(void *arg)
{
	int fd = (intptr_t)arg;
	struct uffd_msg msg;

	/* The closing of fd by munmap() and exit is not waited for. */
	while (read(fd, &msg, sizeof(msg)) == sizeof(msg))
		protect(fd, (char *)(msg.arg.pagefault.address & -PAGE), PAGE,
			0);
	return NULL;
}

/* First writes to watched pages: the thread of a userfaultfd resolves them. */
static int64_t run_uffd(unsigned long n)
{
	static int fd = -1;
	static char *p;
	int64_t ns = 0, t;
	pthread_t id;
	int err;

	if (!p) {
		bench_one_cpu();
		p = bench_map(PAGES * PAGE, 0);
		if (!p)
			return -errno;
		memset(p, 1, PAGES * PAGE);
		fd = watch(p, PAGES * PAGE, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
		if (fd < 0)
			return fd;
		err = pthread_create(&id, NULL, uffd_thread,
				     (void *)(intptr_t)fd);
		if (err)
			return -err;
	}
	for (unsigned long done = 0; done < n; done += PAGES) {
		err = protect(fd, p, PAGES * PAGE, 1);
		if (err)
			return err;
		t = bench_now();
		for (unsigned long i = 0; i < PAGES && done + i < n; i++)
			((volatile char *)p)[i * 37 % PAGES * PAGE] = 2;
		ns += bench_now() - t;
	}
	return ns;
}

/* The same where the kernel itself takes the protection away. */
static int64_t run_uffdasync(unsigned long n)
{
	static int fd = -1;
	static char *p;
	int64_t t;
	int err;

	if (!p) {
		p = bench_map(16384 * PAGE, 0);
		if (!p)
			return -errno;
		memset(p, 1, 16384 * PAGE);
		fd = watch(p, 16384 * PAGE, UFFD_FEATURE_WP_ASYNC |
			   UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	}
	if (fd < 0)
		return fd;
	err = protect(fd, p, 16384 * PAGE, 1);
	if (err)
		return err;
	t = bench_now();
	for (unsigned long i = 0; i < n; i++)
		((volatile char *)p)[i * PAGE] = 2;
	return bench_now() - t;
}

/* "Which pages of 1 GiB were written?", one page in every `every`. */
static int64_t scan(unsigned long n, size_t every)
{
	static struct page_region vec[4096];
	static int fd = -1, pagemap = -1;
	static char *p;
	int64_t ns = 0, t;

	if (!p) {
		p = bench_map(SCANNED, 0);
		if (!p)
			return -errno;
		memset(p, 1, SCANNED);
		fd = watch(p, SCANNED, UFFD_FEATURE_WP_ASYNC |
			   UFFD_FEATURE_PAGEFAULT_FLAG_WP);
		pagemap = open("/proc/self/pagemap", O_RDONLY);
		if (fd >= 0) {
			int err = protect(fd, p, SCANNED, 1);

			if (err)
				return err;
		}
	}
	if (fd < 0 || pagemap < 0)
		return fd < 0 ? fd : -EACCES;
	while (n--) {
		struct pm_scan_arg arg = {
			.size = sizeof(arg), .flags = PM_SCAN_WP_MATCHING,
			.start = (uintptr_t)p, .end = (uintptr_t)p + SCANNED,
			.vec = (uintptr_t)vec, .vec_len = 4096,
			.category_mask = PAGE_IS_WRITTEN,
			.return_mask = PAGE_IS_WRITTEN,
		};

		for (size_t i = 0; every && i < SCANNED / PAGE; i += every)
			((volatile char *)p)[i * PAGE] = 2;
		t = bench_now();
		/* It stops when vec is full and says where. */
		do {
			if (ioctl(pagemap, PAGEMAP_SCAN, &arg) < 0)
				return -errno;
			arg.start = arg.walk_end;
		} while (arg.start < arg.end);
		ns += bench_now() - t;
	}
	return ns;
}

static int64_t run_scan0(unsigned long n)
{
	return scan(n, 0);
}

static int64_t run_scan1(unsigned long n)
{
	return scan(n, 100);
}

static int64_t run_scan10(unsigned long n)
{
	return scan(n, 10);
}

const struct bench_case bench_barrier[] = {
	{ "trap", "a write that traps to a handler, and back", run_trap, 0 },
	{ "appel1", "for each page: trap, protect another one, unprotect it",
	  run_appel1, 0 },
	{ "appel2", "protect 100 pages, for each: trap, unprotect it",
	  run_appel2, 0 },
	{ "uffd", "a first write, resolved by the thread of a userfaultfd",
	  run_uffd, 0 },
	{ "uffdasync", "a first write that userfaultfd records by itself",
	  run_uffdasync, 16384 },
	{ "scan0", "finding the written pages of 1 GiB: none", run_scan0, 0 },
	{ "scan1", "finding the written pages of 1 GiB: 1 in 100", run_scan1,
	  0 },
	{ "scan10", "finding the written pages of 1 GiB: 1 in 10", run_scan10,
	  0 },
	{ 0 },
};
