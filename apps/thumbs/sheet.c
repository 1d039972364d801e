/* The contact sheet: an HTML page without scripts or other files' styles. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "sheet.h"

static const char head[] =
"<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
"img-src 'self' file:; style-src 'unsafe-inline'\">\n"
"<title>Contact sheet</title>\n<style>\n"
"body { font: 14px sans-serif; display: flex; flex-wrap: wrap; gap: 1em }\n"
"figure { margin: 0; padding: .5em; border: 1px solid #ccc; }\n"
"figcaption { max-width: 16em; overflow-wrap: anywhere }\n"
".failed { background: #fee }\n</style>\n";

static void text(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (strchr("<>&\"'", *s))
			fprintf(f, "&#%d;", *s);
		else
			putc(*s, f);
	}
}

static void url(FILE *f, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	for (; *s; s++)
		fprintf(f, strchr(plain, *s) ? "%c" : "%%%02X",
			(unsigned char)*s);
}

int sheet_write(const char *path, const struct outcome *v, size_t n)
{
	FILE *f = fopen(path, "we");
	int bad;

	if (!f)
		return -errno;
	fputs(head, f);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "<figure%s>", v[i].err ? " class=\"failed\"" : "");
		if (!v[i].err) {
			/* "./": a name with a colon is no scheme */
			fputs("<img src=\"./", f);
			url(f, v[i].name);
			fprintf(f, ".png\" width=\"%u\" height=\"%u\" "
				"alt=\"\">", v[i].thumb_width,
				v[i].thumb_height);
		}
		fputs("<figcaption>", f);
		text(f, v[i].name);
		fputs("<br>", f);
		if (v[i].err)
			text(f, v[i].error);
		else
			fprintf(f, "%u &#215; %u", v[i].width, v[i].height);
		fputs("</figcaption></figure>\n", f);
	}
	fputs("</html>\n", f);
	bad = ferror(f);
	return fclose(f) || bad ? -EIO : 0;
}
