/*
 * The `#!` line, as Linux reads it (fs/binfmt_script.c): only the first 256
 * bytes of the file count; blanks around the interpreter and at the end of
 * the line go; what is between is one argument, blanks and all.
 */
#include <errno.h>
#include <string.h>
#include "kern/elf/image.h"
#include "kern/err.h"

#define LINE_SIZE 256	/* BINPRM_BUF_SIZE */

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Copies [from, to) and a NUL. */
static int copy(char *dst, size_t size, const char *from, const char *to)
{
	size_t len = to - from;

	if (len >= size)
		return dune_err(-ENOEXEC, "has a #! line that is too long");
	memcpy(dst, from, len);
	dst[len] = '\0';
	return 0;
}

int dune_script_parse(const char *head, size_t len, char *interp,
		      size_t interp_size, char *arg, size_t arg_size)
{
	char line[LINE_SIZE + 1] = "";
	const char *name, *name_end, *end;
	int ret;

	if (len < 2 || head[0] != '#' || head[1] != '!')
		return 0;
	/* A short file is as good as one filled up with NULs. */
	memcpy(line, head, len < LINE_SIZE ? len : LINE_SIZE);
	name = line + 2;
	name += strspn(name, " \t");
	end = memchr(line, '\n', LINE_SIZE);
	if (!end) {
		name_end = name + strcspn(name, " \t");
		if (name_end == line + LINE_SIZE)
			return dune_err(-ENOEXEC, "has a #! line that is too "
					"long");
		end = line + LINE_SIZE - 1;
	}
	while (end > name && blank(end[-1]))
		end--;
	/* A NUL ends the interpreter's name like a newline. */
	for (name_end = name; name_end < end; name_end++)
		if (blank(*name_end) || !*name_end)
			break;
	if (name_end == name)
		return dune_err(-ENOEXEC, "has a #! line without an "
				"interpreter");
	ret = copy(interp, interp_size, name, name_end);
	if (ret)
		return ret;
	if (!*name_end)
		end = name_end;
	while (name_end < end && blank(*name_end))
		name_end++;
	ret = copy(arg, arg_size, name_end, name_end +
		   strnlen(name_end, end - name_end));
	return ret ? ret : 1;
}
