/* What /proc says about the monitor, made to be about the guest. Pure. */
#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kern/layout.h"
#include "kern/mm/region.h"
#include "kern/sys/path.h"

struct out {
	char *p;
	size_t len, size;
};

static void put(struct out *o, const char *s, size_t n)
{
	if (n > o->size - o->len)
		n = o->size - o->len;
	memcpy(o->p + o->len, s, n);
	o->len += n;
}

/* The length of the line at s, with its newline. */
static size_t line(const char *s, const char *end)
{
	const char *nl = memchr(s, '\n', end - s);

	return nl ? (size_t)(nl + 1 - s) : (size_t)(end - s);
}

/* One line of maps: what is needed of it. */
struct mapline {
	uint64_t start, end, offset;
	char perms[5];
	char dev[16];
	unsigned long inode;
	char name[DUNE_PATH_MAX];
};

static bool parse(struct mapline *m, const char *s, size_t len)
{
	char buf[DUNE_PATH_MAX + 128];
	int at = 0;

	if (len >= sizeof(buf))
		return false;
	memcpy(buf, s, len);
	buf[len] = 0;
	if (sscanf(buf, "%lx-%lx %4s %lx %15s %lu%n", &m->start, &m->end,
		   m->perms, &m->offset, m->dev, &m->inode, &at) < 6 || !at)
		return false;
	while (buf[at] == ' ')
		at++;
	snprintf(m->name, sizeof(m->name), "%.*s",
		 (int)strcspn(buf + at, "\n"), buf + at);
	return strlen(m->perms) == 4;
}

static const char *label(const struct dune_region *r, const char *host)
{
	if (r->flags & DUNE_R_HEAP)
		return "[heap]";
	if (r->flags & DUNE_R_STACK)
		return "[stack]";
	if (r->flags & DUNE_R_VDSO)
		return "[vdso]";
	return host;
}

/* The part of a host mapping that one region covers. */
static void put_piece(struct out *o, const struct mapline *m,
		      const struct dune_region *r)
{
	uint64_t start = m->start > r->start ? m->start : r->start;
	uint64_t end = m->end < r->end ? m->end : r->end;
	const char *name = label(r, m->name);
	char head[128];
	int n;

	n = snprintf(head, sizeof(head), "%08lx-%08lx %c%c%c%c %08lx %s %lu ",
		     start, end, r->prot & PROT_READ ? 'r' : '-',
		     r->prot & PROT_WRITE ? 'w' : '-',
		     r->prot & PROT_EXEC ? 'x' : '-', m->perms[3],
		     m->inode ? m->offset + (start - m->start) : 0, m->dev,
		     m->inode);
	put(o, head, n);
	if (*name) {
		/* Names start at the same column, as in Linux. */
		for (; n < 73; n++)
			put(o, " ", 1);
		put(o, name, strlen(name));
	}
	put(o, "\n", 1);
}

size_t dune_procfmt_maps(struct dune_regions *rs, const char *in, size_t len,
			 char *dst, size_t size)
{
	struct out o = { dst, 0, size };
	const char *end = in + len;

	for (size_t n; in < end; in += n) {
		const struct dune_region *r;
		struct mapline m;

		n = line(in, end);
		if (!parse(&m, in, n) || m.start >= DUNE_ARENA_HI)
			continue;
		for (r = dune_region_next(rs, m.start); r && r->start < m.end;
		     r = dune_region_next(rs, r->end))
			put_piece(&o, &m, r);
	}
	return o.len;
}

size_t dune_procfmt_status(const char *in, size_t len,
			   const struct dune_procfacts *g, char *dst,
			   size_t size)
{
	struct out o = { dst, 0, size };
	const char *end = in + len;
	char own[64];

	for (size_t n; in < end; in += n) {
		n = line(in, end);
		if (n > 7 && (!strncmp(in, "VmPeak:", 7) ||
			      !strncmp(in, "VmSize:", 7)))
			put(&o, own, snprintf(own, sizeof(own),
					      "%.7s\t%8lu kB\n", in,
					      g->bytes / 1024));
		else if (n > 8 && !strncmp(in, "Threads:", 8))
			put(&o, own, snprintf(own, sizeof(own),
					      "Threads:\t%u\n", g->threads));
		else if (n > 6 && !strncmp(in, "State:", 6))
			put(&o, "State:\tR (running)\n", 19);
		else
			put(&o, in, n);
	}
	return o.len;
}

size_t dune_procfmt_statm(const char *in, size_t len,
			  const struct dune_procfacts *g, char *dst,
			  size_t size)
{
	struct out o = { dst, 0, size };
	const char *rest = memchr(in, ' ', len);
	char own[32];

	put(&o, own, snprintf(own, sizeof(own), "%lu",
			      g->bytes / DUNE_PAGE_SIZE));
	if (rest)
		put(&o, rest, in + len - rest);
	return o.len;
}

/*
 * Fields of stat are numbered from 1 as in proc(5); 2 is the name, which may
 * hold blanks and parentheses. Addresses of the monitor become 0.
 */
size_t dune_procfmt_stat(const char *in, size_t len,
			 const struct dune_procfacts *g, char *dst,
			 size_t size)
{
	struct out o = { dst, 0, size };
	const char *end = in + len, *p = memrchr(in, ')', len);
	char own[32];

	if (!p)
		return 0;
	put(&o, in, p + 1 - in);
	p++;
	for (int field = 3; p < end && *p == ' '; field++) {
		const char *s = p + 1;
		size_t n = 0;

		while (s + n < end && s[n] != ' ' && s[n] != '\n')
			n++;
		put(&o, " ", 1);
		/* who reads it runs; the monitor waits for the broker */
		if (g && field == 3)
			put(&o, "R", 1);
		else if (g && field == 20)
			put(&o, own, snprintf(own, sizeof(own), "%u",
					      g->threads));
		else if (g && field == 23)
			put(&o, own, snprintf(own, sizeof(own), "%lu",
					      g->bytes));
		else if ((field >= 26 && field <= 30) || field == 35 ||
			 (field >= 45 && field <= 51))
			put(&o, "0", 1);
		else
			put(&o, s, n);
		p = s + n;
	}
	put(&o, p, end - p);
	return o.len;
}

/* Where a record has what; struct linux_dirent is in no header. */
static const struct dents {
	size_t reclen, name;
} dents[] = {
	{ 16, 18 },
	{ offsetof(struct dirent64, d_reclen),
	  offsetof(struct dirent64, d_name) },
};

/* The descriptor that the name at p is the number of; -1: none. */
static long fd_of(const char *p, const char *end)
{
	long fd = 0;

	if (p == end || !*p)
		return -1;
	for (; p < end && *p; p++) {
		if (*p < '0' || *p > '9' || fd > INT_MAX / 10)
			return -1;
		fd = fd * 10 + *p - '0';
	}
	return fd;
}

size_t dune_procfmt_dents(char *buf, size_t len, int fd_base, bool wide)
{
	const struct dents *d = &dents[wide];
	size_t from = 0, to = 0;

	while (len - from > d->name) {
		char *p = buf + from;
		uint16_t n;

		memcpy(&n, p + d->reclen, sizeof(n));
		if (n <= d->name || n > len - from)
			break;
		from += n;
		if (fd_of(p + d->name, p + n) >= fd_base)
			continue;
		memmove(buf + to, p, n);
		to += n;
	}
	return to;
}
