/* Virtual soft-dirty: a process's own clear_refs and pagemap. */
#include "kern/self/softdirty.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include "kern/mm/uaccess.h"
#include "kern/self/dirty.h"
#include "kern/raw.h"
#include "kern/task/hostcall.h"

#define SOFT_DIRTY	(1ul << 55)
#define WORDS		512	/* that are looked at at a time */

enum file { OTHER, CLEAR_REFS, PAGEMAP };

/* The program has opened its clear_refs. */
static bool asked;

/*
 * For tests, which build a library with it: the bits of all pages are lost when
 * they have been cleared once, so that who relies on them has to fail.
 */
#ifdef DUNE_TEST_LOSSY
static bool lost;
#define LOSE()		(lost = true)
#define IS_DIRTY(at, va)	(!lost && dune_dirty_test(at, va))
#else
#define LOSE()		((void)0)
#define IS_DIRTY(at, va)	dune_dirty_test(at, va)
#endif

static enum file by_name(const char *path, const char **end)
{
	static const struct {
		const char *name;
		enum file file;
	} names[] = {
		{ "/clear_refs", CLEAR_REFS }, { "/pagemap", PAGEMAP },
	};
	size_t len = strlen(path), n;
	unsigned int i;

	for (i = 0; i < DUNE_ARRAY_SIZE(names); i++) {
		n = strlen(names[i].name);
		*end = path + len - n;
		if (len >= n && !strcmp(*end, names[i].name))
			return names[i].file;
	}
	return OTHER;
}

/* The number that ends at *end, after a slash; *end is moved to the slash. */
static long number_before(const char *path, const char **end)
{
	const char *p = *end;
	long n = 0, unit = 1;

	for (; p > path && p[-1] >= '0' && p[-1] <= '9'; unit *= 10)
		n += (*--p - '0') * unit;
	if (p == *end || p == path || p[-1] != '/')
		return -1;
	*end = p - 1;
	return n;
}

/* .../PID/NAME or .../PID/task/TID/NAME, and the process is this one. */
static enum file own_file(const char *path)
{
	static const char task[] = "/task";
	const size_t n = sizeof(task) - 1;
	const char *end;
	enum file file = by_name(path, &end);
	long pid;

	if (file == OTHER)
		return OTHER;
	pid = number_before(path, &end);
	if (end - path >= (long)n && !memcmp(end - n, task, n)) {
		end -= n;
		pid = number_before(path, &end);
	}
	return pid == dune_raw3(SYS_getpid, 0, 0, 0) ? file : OTHER;
}

static char *put_number(char *p, unsigned int n)
{
	if (n > 9)
		p = put_number(p, n / 10);
	*p++ = '0' + n % 10;
	return p;
}

static enum file file_of(int fd)
{
	char link[32] = "/proc/self/fd/", path[128];
	struct statfs fs;
	long n;

	if (fd < 0 || dune_raw3(SYS_fstatfs, fd, (long)&fs, 0) ||
	    fs.f_type != PROC_SUPER_MAGIC)
		return OTHER;
	*put_number(link + strlen(link), fd) = 0;
	n = dune_raw3(SYS_readlink, (long)link, (long)path, sizeof(path) - 1);
	if (n <= 0)
		return OTHER;
	path[n] = 0;
	return own_file(path);
}

void dune_softdirty_opened(const struct dune_call *c, int fd)
{
	uint64_t at = c->arg[c->nr == SYS_open ? 0 : 1];
	const char *end;
	char path[256];

	if (dune_copy_string(path, at, sizeof(path)) <= 0 ||
	    by_name(path, &end) != CLEAR_REFS || file_of(fd) != CLEAR_REFS)
		return;
	asked = true;
	__atomic_store_n(&dune_self.tracking, true, __ATOMIC_SEQ_CST);
}

/* ---- pagemap ---- */

/* What was read, len bytes of the file from pos on, is at `at`. */
static void answer(uint64_t at, uint64_t pos, uint64_t len)
{
	const uint64_t bit = pos % sizeof(uint64_t);
	unsigned char words[WORDS * sizeof(uint64_t)];
	struct dune_dirty_at last = { .span = -1 };
	uint64_t i, n, page;

	for (; len; len -= n, at += n, pos += n) {
		n = len < sizeof(words) ? len : sizeof(words);
		if (dune_copy_in(words, at, n))
			return;
		/* bit 55 is in byte 6; a read may begin within a word */
		for (i = (6 - bit) % sizeof(uint64_t); i < n;
		     i += sizeof(uint64_t)) {
			page = (pos + i) / sizeof(uint64_t);
			words[i] &= ~(SOFT_DIRTY >> 48);
			if (IS_DIRTY(&last, page << DUNE_PAGE_SHIFT))
				words[i] |= SOFT_DIRTY >> 48;
		}
		if (dune_copy_out(at, words, n))
			return;
	}
}

static void answer_vector(const struct dune_call *c, uint64_t pos,
			  uint64_t len)
{
	uint64_t at = c->arg[1], i, n;
	struct iovec v;

	for (i = 0; len && i < c->arg[2]; i++, at += sizeof(v)) {
		if (dune_copy_in(&v, at, sizeof(v)))
			return;
		n = v.iov_len < len ? v.iov_len : len;
		answer((uintptr_t)v.iov_base, pos, n);
		pos += n;
		len -= n;
	}
}

static long host(const struct dune_call *c)
{
	return dune_host_syscall(c->nr, c->arg[0], c->arg[1], c->arg[2],
				 c->arg[3], c->arg[4], c->arg[5]);
}

static long read_pagemap(const struct dune_call *c)
{
	bool vector = c->nr != SYS_read && c->nr != SYS_pread64;
	bool at = c->nr != SYS_read && c->nr != SYS_readv;
	uint64_t pos = c->arg[3];
	long ret = host(c);

	if (ret <= 0)
		return ret;
	if (!at || (c->nr == SYS_preadv2 && pos == -1ul))
		pos = dune_raw3(SYS_lseek, c->arg[0], 0, SEEK_CUR) - ret;
	if (vector)
		answer_vector(c, pos, ret);
	else
		answer(c->arg[1], pos, ret);
	return ret;
}

/* ---- clear_refs ---- */

/* "4", and what else the kernel reads as that number. */
static bool says_soft_dirty(const struct dune_call *c)
{
	char text[12] = "";
	size_t n = c->arg[2] < sizeof(text) ? c->arg[2] : sizeof(text) - 1;

	if (dune_copy_in(text, c->arg[1], n))
		return false;
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = 0;
	return !strcmp(text, "4");
}

static bool is_read(long nr)
{
	return nr == SYS_read || nr == SYS_pread64 || nr == SYS_readv ||
	       nr == SYS_preadv || nr == SYS_preadv2;
}

bool dune_softdirty_call(const struct dune_call *c, long *ret, bool *clear)
{
	bool writes = c->nr == SYS_write || c->nr == SYS_pwrite64;
	enum file file;

	if (!asked || (!writes && !is_read(c->nr)))
		return false;
	file = file_of((int)c->arg[0]);
	if (file == PAGEMAP && !writes) {
		*ret = read_pagemap(c);
		return true;
	}
	/* clear_refs cannot be opened but for writing */
	if (file != CLEAR_REFS || !writes || !says_soft_dirty(c))
		return false;
	LOSE();
	*ret = c->arg[2];
	*clear = true;
	return true;
}
