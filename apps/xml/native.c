/* The outline by libexpat in this process: to compare the sandbox with. */
#include <errno.h>
#include <expat.h>
#include <string.h>
#include "outline.h"

struct native {
	struct outline *o;
	XML_Parser parser;
	int err;
};

static void ended(struct native *n, int err)
{
	if (!err || n->err)
		return;
	n->err = err;
	XML_StopParser(n->parser, XML_FALSE);
}

static int too_long(struct outline *o, const char *s)
{
	if (strlen(s) < XML_STRING)
		return 0;
	snprintf(o->error, sizeof(o->error), "too long a string");
	return -E2BIG;
}

static void XMLCALL on_start(void *ctx, const XML_Char *name,
			     const XML_Char **atts)
{
	struct native *n = ctx;
	int err = too_long(n->o, name), i;

	if (n->err)
		return;
	if (!err)
		err = outline_start(n->o, name);
	for (i = 0; !err && atts[i]; i += 2) {
		if (i == XML_ATTRIBUTES * 2) {
			snprintf(n->o->error, sizeof(n->o->error),
				 "too many attributes");
			err = -E2BIG;
		} else if (!(err = too_long(n->o, atts[i])) &&
			   !(err = too_long(n->o, atts[i + 1]))) {
			err = outline_attribute(n->o, atts[i], atts[i + 1]);
		}
	}
	ended(n, err);
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct native *n = ctx;

	(void)name;
	if (!n->err)
		ended(n, outline_end(n->o));
}

static void XMLCALL on_text(void *ctx, const XML_Char *s, int len)
{
	struct native *n = ctx;
	char *to;

	if (n->err)
		return;
	to = outline_text(n->o, len);
	if (to)
		memcpy(to, s, len);
	else
		ended(n, -E2BIG);
}

int native_parse(struct outline *o, FILE *in)
{
	struct native n = { o, XML_ParserCreate(NULL), 0 };
	static char chunk[XML_CHUNK];
	size_t len;
	int err = 0;

	if (!n.parser)
		return -ENOMEM;
	XML_SetUserData(n.parser, &n);
	XML_SetElementHandler(n.parser, on_start, on_end);
	XML_SetCharacterDataHandler(n.parser, on_text);
	do {
		len = fread(chunk, 1, sizeof(chunk), in);
		if (XML_Parse(n.parser, chunk, len, !len) == XML_STATUS_OK)
			continue;
		err = n.err ? n.err : -EBADMSG;
		if (!o->error[0])
			snprintf(o->error, sizeof(o->error), "line %lu: %s",
				 XML_GetCurrentLineNumber(n.parser),
				 XML_ErrorString(XML_GetErrorCode(n.parser)));
	} while (!err && len);
	XML_ParserFree(n.parser);
	return err;
}
