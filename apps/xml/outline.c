/* Prints elements, attributes and text, a line each, nested by indentation. */
#include <errno.h>
#include <string.h>
#include "outline.h"

static void indent(const struct outline *o)
{
	fprintf(o->out, "%*s", (int)o->depth * 2, "");
}

/* In quotes, without what a terminal would obey. */
static void quote(FILE *f, const char *s, size_t len)
{
	putc('"', f);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c < ' ' || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else if (c == 0xc2 && i + 1 < len &&
			 (unsigned char)s[i + 1] < 0xa0)
			fprintf(f, "\\u%04x", (unsigned char)s[++i]);
		else
			putc(c, f);
	}
	putc('"', f);
}

/* A name, likewise: the parser says that it is one, who knows. */
static void name_of(FILE *f, const char *s)
{
	const char *p = s;

	while ((unsigned char)*p > ' ' && !strchr("\"\\\x7f\xc2", *p))
		p++;
	if (*s && !*p)
		fputs(s, f);
	else
		quote(f, s, strlen(s));
}

/* Text has come to its end, unless it is white space only. */
static void flush(struct outline *o)
{
	size_t from = 0, to = o->len;

	while (from < to && strchr(" \t\r\n", o->text[from]) && o->text[from])
		from++;
	while (to > from && strchr(" \t\r\n", o->text[to - 1]) &&
	       o->text[to - 1])
		to--;
	o->len = 0;
	if (from == to)
		return;
	indent(o);
	quote(o->out, o->text + from, to - from);
	putc('\n', o->out);
}

int outline_start(struct outline *o, const char *name)
{
	flush(o);
	if (o->depth == XML_DEPTH) {
		snprintf(o->error, sizeof(o->error), "elements too deep");
		return -E2BIG;
	}
	indent(o);
	name_of(o->out, name);
	putc('\n', o->out);
	o->depth++;
	return ferror(o->out) ? -EIO : 0;
}

int outline_attribute(struct outline *o, const char *name, const char *value)
{
	indent(o);
	putc('@', o->out);
	name_of(o->out, name);
	putc('=', o->out);
	quote(o->out, value, strlen(value));
	putc('\n', o->out);
	return 0;
}

int outline_end(struct outline *o)
{
	flush(o);
	if (!o->depth) {
		snprintf(o->error, sizeof(o->error), "an end without a start");
		return -EPROTO;
	}
	o->depth--;
	return 0;
}

char *outline_text(struct outline *o, size_t len)
{
	if (len > XML_TEXT - o->len) {
		snprintf(o->error, sizeof(o->error), "too much text in a row");
		return NULL;
	}
	o->len += len;
	return o->text + o->len - len;
}
