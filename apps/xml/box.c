/*
 * The outline by libexpat in a sandbox: elements and text come as callbacks,
 * whose arguments are checked and copied before they are looked at.
 */
#include <errno.h>
#include <expat.h>
#include <string.h>
#include "outline.h"

#define P dune_addr
DUNE_PLUGIN_CALL(call_create, P, P)
DUNE_PLUGIN_VOID(call_set_elements, P, P, P)
DUNE_PLUGIN_VOID(call_set_text, P, P)
DUNE_PLUGIN_CALL(call_parse, int, P, P, int, int)
DUNE_PLUGIN_CALL(call_code, int, P)
DUNE_PLUGIN_CALL(call_string, P, int)
DUNE_PLUGIN_CALL(call_line, unsigned long, P)

enum { CREATE, ELEMENTS, TEXT, PARSE, CODE, STRING, LINE, FUNCTIONS };

struct box {
	struct dune_engine *engine;
	struct dune_sandbox *sandbox;
	struct dune_function f[FUNCTIONS];
};

static int string(struct dune_sandbox *sandbox, struct outline *o, char *to,
		  P from)
{
	long len = dune_sandbox_copy_string(sandbox, to, from, XML_STRING);

	if (len == -ENAMETOOLONG) {
		snprintf(o->error, sizeof(o->error), "too long a string");
		return -E2BIG;
	}
	return len < 0 ? len : 0;
}

static int on_start(struct dune_sandbox *sandbox, void *ctx, P user, P name,
		    P atts)
{
	static char text[2][XML_STRING];
	struct outline *o = ctx;
	int err = string(sandbox, o, text[0], name);
	P pair[2];

	(void)user;
	if (!err)
		err = outline_start(o, text[0]);
	for (int i = 0; !err; i++, atts.v += sizeof(pair)) {
		/* a name and its value; the list ends with one zero */
		err = dune_sandbox_copy_out(sandbox, pair, atts, sizeof(P));
		if (err || !pair[0].v)
			break;
		if (i == XML_ATTRIBUTES) {
			snprintf(o->error, sizeof(o->error),
				 "too many attributes");
			return -E2BIG;
		}
		if (!(err = dune_sandbox_copy_out(sandbox, pair, atts,
						  sizeof(pair))) &&
		    !(err = string(sandbox, o, text[0], pair[0])) &&
		    !(err = string(sandbox, o, text[1], pair[1])))
			err = outline_attribute(o, text[0], text[1]);
	}
	return err;
}
DUNE_HOST_CALLBACK_VOID(start_callback, "xml_start", on_start, P, P, P);

static int on_end(struct dune_sandbox *sandbox, void *ctx, P user, P name)
{
	(void)sandbox, (void)user, (void)name;
	return outline_end(ctx);
}
DUNE_HOST_CALLBACK_VOID(end_callback, "xml_end", on_end, P, P);

static int on_text(struct dune_sandbox *sandbox, void *ctx, P user, P text,
		   int len)
{
	char *to = len < 0 ? NULL : outline_text(ctx, len);

	(void)user;
	return to ? dune_sandbox_copy_out(sandbox, to, text, len) : -E2BIG;
}
DUNE_HOST_CALLBACK_VOID(text_callback, "xml_text", on_text, P, P, int);

/* Loads libexpat and makes a parser that calls back. */
static int set_up(struct box *b, struct outline *o, uint64_t wall_ns, P *parser)
{
	static const char *const name[FUNCTIONS] = {
		"XML_ParserCreate", "XML_SetElementHandler",
		"XML_SetCharacterDataHandler", "XML_Parse", "XML_GetErrorCode",
		"XML_ErrorString", "XML_GetCurrentLineNumber",
	};
	struct dune_sandbox_options options = {
		.size = sizeof(options), .wall_ns = wall_ns,
		.memory = 256u << 20,
	};
	struct dune_object *expat;
	P none = { 0 }, start, end, text;
	int err;

	if ((err = dune_engine_create(&b->engine)) ||
	    (err = dune_sandbox_create(b->engine, &options, &b->sandbox)) ||
	    (err = dune_sandbox_callbacks(b->sandbox, &start_callback, 1, o)) ||
	    (err = dune_sandbox_callbacks(b->sandbox, &end_callback, 1, o)) ||
	    (err = dune_sandbox_callbacks(b->sandbox, &text_callback, 1, o)) ||
	    (err = dune_sandbox_load(b->sandbox, "libexpat.so.1", 0, &expat)))
		return err;
	for (int i = 0; !err && i < FUNCTIONS; i++)
		err = dune_object_function(expat, name[i], &b->f[i]);
	if (err ||
	    (err = dune_sandbox_callback_addr(b->sandbox, "xml_start",
					      &start)) ||
	    (err = dune_sandbox_callback_addr(b->sandbox, "xml_end", &end)) ||
	    (err = dune_sandbox_callback_addr(b->sandbox, "xml_text", &text)) ||
	    (err = call_create(&b->f[CREATE], parser, none)) ||
	    (err = call_set_elements(&b->f[ELEMENTS], *parser, start, end)))
		return err;
	return call_set_text(&b->f[TEXT], *parser, text);
}

/* What expat says of the document. Always an error. */
static int malformed(struct box *b, struct outline *o, P parser)
{
	char said[120];
	unsigned long line;
	int err, code;
	P text;

	if ((err = call_code(&b->f[CODE], &code, parser)) ||
	    (err = call_line(&b->f[LINE], &line, parser)) ||
	    (err = call_string(&b->f[STRING], &text, code)))
		return err;
	if (dune_sandbox_copy_string(b->sandbox, said, text, sizeof(said)) < 0)
		strcpy(said, "malformed");
	for (char *p = said; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	snprintf(o->error, sizeof(o->error), "line %lu: %s", line, said);
	return -EBADMSG;
}

static int parse(struct box *b, struct outline *o, FILE *in, P parser)
{
	char *to;
	size_t len;
	int err, ok;
	P chunk;

	err = dune_sandbox_alloc(b->sandbox, XML_CHUNK, &chunk);
	if (err)
		return err;
	to = dune_sandbox_pointer(b->sandbox, chunk, XML_CHUNK);
	do {
		len = fread(to, 1, XML_CHUNK, in);
		err = call_parse(&b->f[PARSE], &ok, parser, chunk, (int)len,
				 !len);
		if (!err && ok != XML_STATUS_OK)
			err = malformed(b, o, parser);
	} while (!err && len);
	return err;
}

int box_parse(struct outline *o, FILE *in, uint64_t wall_ns)
{
	struct dune_report r = { .size = sizeof(r) };
	struct box b = { 0 };
	P parser;
	int err = set_up(&b, o, wall_ns, &parser);

	o->no_parser = err != 0;
	if (!err)
		err = parse(&b, o, in, parser);
	if (err && !o->error[0]) {
		if (b.sandbox && !dune_sandbox_report(b.sandbox, &r) && r.cause)
			snprintf(o->error, sizeof(o->error),
				 "the parser ended by %s",
				 dune_cause_name(r.cause));
		else
			snprintf(o->error, sizeof(o->error), "%s",
				 dune_errmsg());
	}
	dune_engine_destroy(b.engine);
	return err;
}
