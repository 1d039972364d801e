/*
 * The process's mappings, as the original libdune tells them: libdune/dune.h.
 */
#include "libdune/dune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* All of the file, ended by a NUL; NULL: no memory, no file. */
static char *read_maps(size_t *mapped)
{
	size_t size = 64 << 10, n = 0;
	ssize_t r = 1;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char *text;

	if (fd < 0)
		return NULL;
	text = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	while (text != MAP_FAILED && r > 0) {
		if (size - n < 8192) {
			text = mremap(text, size, 2 * size, MREMAP_MAYMOVE);
			size *= 2;
			if (text == MAP_FAILED)
				break;
		}
		r = read(fd, text + n, size - n - 1);
		if (r > 0)
			n += r;
	}
	close(fd);
	*mapped = size;
	return text == MAP_FAILED ? NULL : text;
}

static const struct {
	const char *name;
	int type;
} names[] = {
	{ "[heap]", PROCMAP_TYPE_HEAP },
	{ "[stack", PROCMAP_TYPE_STACK },
	{ "[vsyscall]", PROCMAP_TYPE_VSYSCALL },
	{ "[vdso]", PROCMAP_TYPE_VDSO },
	{ "[vvar", PROCMAP_TYPE_VVAR },
	{ "/", PROCMAP_TYPE_FILE },
};

static int type_of(const char *path)
{
	unsigned int i;

	if (!*path)
		return PROCMAP_TYPE_ANONYMOUS;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(path, names[i].name, strlen(names[i].name)))
			return names[i].type;
	return PROCMAP_TYPE_UNKNOWN;
}

/* begin-end perms offset device inode path: the line, which is changed. */
static bool parse(char *line, struct dune_procmap_entry *e)
{
	char *p = line;
	int i;

	e->begin = strtoul(p, &p, 16);
	if (*p++ != '-')
		return false;
	e->end = strtoul(p, &p, 16);
	if (*p++ != ' ' || strlen(p) < 5)
		return false;
	e->r = p[0] == 'r';
	e->w = p[1] == 'w';
	e->x = p[2] == 'x';
	e->p = p[3] == 'p';
	e->offset = strtoul(p + 4, &p, 16);
	for (i = 0; i < 2; i++) {	/* device and inode */
		p += strspn(p, " ");
		p += strcspn(p, " ");
	}
	e->path = p + strspn(p, " ");
	e->type = type_of(e->path);
	return true;
}

void dune_procmap_iterate(dune_procmap_cb cb)
{
	struct dune_procmap_entry e;
	char *text, *line, *next;
	size_t mapped;

	text = read_maps(&mapped);
	for (line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (parse(line, &e))
			cb(&e);
	}
	if (text)
		munmap(text, mapped);
}

static void dump(const struct dune_procmap_entry *e)
{
	dune_printf("%012lx-%012lx %c%c%c%c %08lx %s\n", e->begin, e->end,
		    e->r ? 'r' : '-', e->w ? 'w' : '-', e->x ? 'x' : '-',
		    e->p ? 'p' : 's', e->offset, e->path);
}

void dune_procmap_dump(void)
{
	dune_procmap_iterate(dump);
}
