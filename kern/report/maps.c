/* Which file is behind an address. */
#include "kern/report/maps.h"

#include <stdio.h>
#include <string.h>

/* The kernel writes a newline in a path as \012, and nothing else so. */
static void copy_path(struct dune_mapping *m, const char *path, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (n == sizeof(m->path) - 1) {
			n = 0;
			break;
		}
		if (len - i >= 4 && !memcmp(path + i, "\\012", 4)) {
			m->path[n++] = '\n';
			i += 3;
		} else {
			m->path[n++] = path[i];
		}
	}
	m->path[n] = '\0';
}

bool dune_maps_find(const char *text, dune_gva_t va, struct dune_mapping *m)
{
	unsigned long start, end, offset;
	const char *line, *eol;
	int path;

	for (line = text; (eol = strchr(line, '\n')); line = eol + 1) {
		path = 0;
		if (sscanf(line, "%lx-%lx %*4s %lx %*x:%*x %*u %n", &start,
			   &end, &offset, &path) < 3 || !path)
			continue;
		if (va < start || va >= end)
			continue;
		*m = (struct dune_mapping){ .start = start, .end = end,
					    .offset = offset };
		if (line + path < eol)
			copy_path(m, line + path, eol - (line + path));
		return true;
	}
	return false;
}
