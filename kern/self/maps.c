/* The process's mappings, as /proc/self/maps tells them. */
#include "kern/self/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "kern/layout.h"
#include "kern/raw.h"

/* 55d0c8a4e000-55d0c8a50000 r--p 00000000 fe:00 1234   /usr/bin/cat */
enum { START, END, PERMS, OFFSET, DEVICE, INODE, NAME };

void dune_maps_begin(struct dune_maps *p)
{
	memset(p, 0, sizeof(*p));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static void address(struct dune_maps *p, char c, dune_gva_t *va)
{
	int digit = hex_digit(c);

	if (digit < 0 || p->n >= 16)
		p->bad = true;
	*va = *va << 4 | (digit & 15);
}

static void permission(struct dune_maps *p, char c)
{
	static const struct {
		char c;
		uint32_t prot, flags;
	} yes[] = {
		{ 'r', PROT_READ, 0 }, { 'w', PROT_WRITE, 0 },
		{ 'x', PROT_EXEC, 0 }, { 's', 0, DUNE_R_SHARED },
	};

	if (p->n >= DUNE_ARRAY_SIZE(yes)) {
		p->bad = true;
	} else if (c == yes[p->n].c) {
		p->prot |= yes[p->n].prot;
		p->flags |= yes[p->n].flags;
	} else if (c != (p->n == 3 ? 'p' : '-')) {
		p->bad = true;
	}
}

static void next_field(struct dune_maps *p)
{
	/* Each field has something in it; perms all four. */
	if (p->n < (p->field == PERMS ? 4 : 1))
		p->bad = true;
	p->field++;
	p->n = 0;
}

/* What the kernel calls its own mappings. No path begins like this. */
static void named(struct dune_maps *p)
{
	static const struct {
		char name[sizeof(p->name)];
		uint32_t flag;
	} names[] = {
		{ "[stack]", DUNE_R_STACK }, { "[heap]", DUNE_R_HEAP },
		{ "[vvar", DUNE_R_VDSO }, { "/", DUNE_R_FILE },
	};
	unsigned int i;

	for (i = 0; i < DUNE_ARRAY_SIZE(names); i++)
		if (!strncmp(p->name, names[i].name, strlen(names[i].name)))
			p->flags |= names[i].flag;
}

static bool end_of_line(struct dune_maps *p)
{
	bool good = !p->bad && p->field >= INODE && p->start < p->end &&
		    !((p->start | p->end) & ~DUNE_PAGE_MASK);

	named(p);
	p->field = START;
	p->n = 0;
	p->bad = false;
	return good;
}

bool dune_maps_char(struct dune_maps *p, char c)
{
	if (c == '\n')
		return end_of_line(p);
	if (p->field == START && p->n == 0)
		dune_maps_begin(p);
	if (p->field < NAME && c == (p->field == START ? '-' : ' ')) {
		next_field(p);
		return false;
	}
	switch (p->field) {
	case START:
		address(p, c, &p->start);
		break;
	case END:
		address(p, c, &p->end);
		break;
	case PERMS:
		permission(p, c);
		break;
	case INODE:
		if (c != '0')
			p->flags |= DUNE_R_FILE;
		break;
	case NAME:
		if (c == ' ' && p->n == 0)
			return false;
		if (p->n < sizeof(p->name) - 1)
			p->name[p->n] = c;
		break;
	}
	p->n++;
	return false;
}

static int add(struct dune_regions *rs, const struct dune_maps *p,
	       dune_gva_t lo, dune_gva_t hi)
{
	dune_gva_t start = p->start > lo ? p->start : lo;
	dune_gva_t end = p->end < hi ? p->end : hi;

	if (start >= end)
		return 0;
	return dune_region_insert(rs, start, end - start, p->prot, p->flags);
}

static int take(struct dune_regions *rs, const struct dune_maps *p)
{
	const dune_gva_t ring0 = DUNE_RING0_GVA;
	int err = add(rs, p, DUNE_ARENA_LO, ring0);

	return err ? err : add(rs, p, ring0 + DUNE_RING0_SIZE, DUNE_ARENA_HI);
}

static int read_all(struct dune_regions *rs, int fd, char *buf, size_t size)
{
	struct dune_maps p;
	long n, i;

	dune_maps_begin(&p);
	do {
		n = dune_raw3(SYS_read, fd, (long)buf, size);
		for (i = 0; i < n; i++)
			if (dune_maps_char(&p, buf[i]) && take(rs, &p))
				return -ENOMEM;
	} while (n > 0 || n == -EINTR);
	return n || !rs->n ? -EIO : 0;
}

int dune_maps_read(struct dune_regions *rs, char *buf, size_t size)
{
	long fd = dune_raw6(SYS_openat, AT_FDCWD, (long)"/proc/self/maps",
			    O_RDONLY | O_CLOEXEC, 0, 0, 0);
	int err;

	if (fd < 0)
		return -EIO;
	err = read_all(rs, fd, buf, size);
	dune_raw3(SYS_close, fd, 0, 0);
	return err;
}
