/*
 * Dirty bits and protection as Linux has them for any process: with mprotect(2)
 * and SIGSEGV, or with userfaultfd's asynchronous write protection and the
 * ioctl PAGEMAP_SCAN (Linux 6.7). And the one that has none.
 */
#include "apps/gc/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint8_t *heap;
static size_t heap_len;

static int failed(int r)
{
	return r < 0 ? -errno : 0;
}

/* Leaves from mapped, and zero. */
static int move(void *from, void *to, size_t len)
{
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED |
		      MREMAP_DONTUNMAP, to) == MAP_FAILED ? -errno : 0;
}

static int none_begin(void *at, size_t len)
{
	(void)at, (void)len;
	return 0;
}

static void none_end(void)
{
}

const struct gc_os gc_os_none = {
	.name = "none", .begin = none_begin, .end = none_end, .move = move,
};

/* ---- faults ---- */

static struct sigaction before;
static void (*made_writable)(void *lo, size_t len);

static int set_prot(void *lo, size_t len, bool writable)
{
	return failed(mprotect(lo, len, PROT_READ |
			       (writable ? PROT_WRITE : 0)));
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr;
	int saved = errno;

	if (at < heap || at >= heap + heap_len) {
		/* Not ours: again, without us. */
		sigaction(sig, &before, NULL);
		return;
	}
	(void)context;
	if (!gc_fault(at, NULL, NULL, NULL)) {
		at -= (uintptr_t)at % GC_PAGE;
		set_prot(at, GC_PAGE, true);
		if (made_writable)
			made_writable(at, GC_PAGE);
	}
	errno = saved;
}

static int catch_faults(void *at, size_t len)
{
	struct sigaction sa = {
		.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	/*
	 * Not to be stopped between looking at what a page is and making it
	 * writable: it may be something else by then.
	 */
	sigfillset(&sa.sa_mask);
	sigdelset(&sa.sa_mask, SIGSEGV);
	heap = at;
	heap_len = len;
	return failed(sigaction(SIGSEGV, &sa, &before));
}

static void end_faults(void)
{
	sigaction(SIGSEGV, &before, NULL);
	made_writable = NULL;
}

static int protect(const struct gc_range *range, size_t n, bool writable)
{
	int r = 0;

	for (; n && !r; n--, range++) {
		r = set_prot(range->lo, range->len, writable);
		if (writable && made_writable)
			made_writable(range->lo, range->len);
	}
	return r;
}

/* ---- mprotect ---- */

/* Since the heap began: a bit a page; written by handlers, so atomically. */
static uint64_t *written;

static size_t written_size(void)
{
	return (heap_len / GC_PAGE / 8 + GC_PAGE) & ~(GC_PAGE - 1);
}

static size_t page_of(const void *p)
{
	return ((const uint8_t *)p - heap) / GC_PAGE;
}

/*
 * Writable first, then dirty: who looks in between protects the page again, and
 * the write faults again.
 */
static void set_written(void *lo, size_t len)
{
	size_t i = page_of(lo), end = i + len / GC_PAGE;

	for (; i < end; i++)
		__atomic_fetch_or(&written[i / 64], 1ul << i % 64,
				  __ATOMIC_SEQ_CST);
}

static int protect_begin(void *at, size_t len)
{
	int r = catch_faults(at, len);

	if (r)
		return r;
	written = mmap(NULL, written_size(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (written == MAP_FAILED) {
		end_faults();
		return -ENOMEM;
	}
	memset(written, 0xff, written_size());
	made_writable = set_written;
	return 0;
}

static void protect_end(void)
{
	end_faults();
	munmap(written, written_size());
}

/* A chunk's pages are a byte. */
static int protect_dirty(const struct gc_range *range, size_t n,
			 uint64_t *bitmap)
{
	for (; n; n--, range++) {
		size_t at = page_of(range->lo) / 8;

		memcpy((uint8_t *)bitmap + at, (uint8_t *)written + at,
		       range->len / GC_CHUNK);
	}
	return 0;
}

/* Pages from i to end: runs of written ones are protected with one call. */
static int clean_run(size_t i, size_t end)
{
	size_t run;
	int r = 0;

	for (; i < end; i++) {
		for (run = i; i < end && written[i / 64] >> i % 64 & 1; i++)
			written[i / 64] &= ~(1ul << i % 64);
		if (i > run)
			r = set_prot(heap + run * GC_PAGE, (i - run) * GC_PAGE,
				     false) ?: r;
	}
	return r;
}

static int protect_clean(const struct gc_range *range, size_t n)
{
	int r = 0;

	for (; n; n--, range++)
		r = clean_run(page_of(range->lo), page_of(range->lo) +
			      range->len / GC_PAGE) ?: r;
	return r;
}

/* mremap() of pages that are protected brings that along. */
static int protect_move(void *from, void *to, size_t len)
{
	struct gc_range both[] = { { from, len }, { to, len } };

	return protect(both, 2, true) ?: move(from, to, len);
}

const struct gc_os gc_os_protect = {
	.name = "mprotect", .begin = protect_begin, .end = protect_end,
	.dirty = protect_dirty, .clean = protect_clean, .protect = protect,
	.move = protect_move,
};

/* ---- userfaultfd and PAGEMAP_SCAN ---- */

/* Linux 6.7, newer than many a libc's headers. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1ul << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1ul << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY		1
#endif

struct region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages,
		 inverted, all_of, any_of, returned;
};

#define SCAN		_IOWR('f', 16, struct scan_arg)
#define SCAN_PROTECT	1	/* what is found */
#define SCAN_CHECK	2	/* that the range is registered */
#define WRITTEN		2

static int uffd = -1, pagemap = -1;

static int enlist(void *lo, size_t len)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)lo, len },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return failed(ioctl(uffd, UFFDIO_REGISTER, &reg));
}

static int open_scan(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (uffd < 0 || pagemap < 0 || ioctl(uffd, UFFDIO_API, &api))
		return -ENOTSUP;
	return enlist(heap, heap_len);
}

static void close_scan(void)
{
	close(uffd);
	close(pagemap);
	uffd = pagemap = -1;
}

static int scan_begin(void *at, size_t len)
{
	int r = catch_faults(at, len);

	if (!r)
		r = open_scan();
	if (r) {
		close_scan();
		end_faults();
	}
	return r;
}

static void scan_end(void)
{
	close_scan();
	end_faults();
}

/* The child has neither our descriptor nor what is registered with it. */
static int scan_forked(void)
{
	close_scan();
	return open_scan();
}

/* bitmap: of the written ones; NULL: they become clean. */
static int scan_one(const struct gc_range *range, uint64_t *bitmap)
{
	static struct region found[512];
	const uint64_t end = (uintptr_t)range->lo + range->len;
	struct scan_arg a = {
		.size = sizeof(a), .start = (uintptr_t)range->lo, .end = end,
		.all_of = WRITTEN, .returned = WRITTEN,
	};
	long n, i;

	if (bitmap) {
		a.vec = (uintptr_t)found;
		a.vec_len = 512;
	} else {
		a.flags = SCAN_PROTECT | SCAN_CHECK;
	}
	while (a.start < end) {
		n = ioctl(pagemap, SCAN, &a);
		if (n < 0)
			return -errno;
		for (i = 0; i < n; i++) {
			size_t p = page_of((void *)found[i].start);
			size_t last = page_of((void *)found[i].end);

			for (; p < last; p++)
				bitmap[p / 64] |= 1ul << p % 64;
		}
		a.start = a.walk_end;
	}
	return 0;
}

static int scan_dirty(const struct gc_range *range, size_t n, uint64_t *bitmap)
{
	int r = 0;

	for (; n && !r; n--, range++)
		r = scan_one(range, bitmap);
	return r;
}

static int scan_clean(const struct gc_range *range, size_t n)
{
	return scan_dirty(range, n, NULL);
}

/* What moves is no longer registered. */
static int scan_move(void *from, void *to, size_t len)
{
	int r = move(from, to, len);

	return r ?: enlist(to, len);
}

const struct gc_os gc_os_scan = {
	.name = "PAGEMAP_SCAN", .begin = scan_begin, .end = scan_end,
	.dirty = scan_dirty, .clean = scan_clean, .protect = protect,
	.move = scan_move, .forked = scan_forked,
};
