/* dune-xml: what its files share: an outline being printed, and two parsers. */
#ifndef XML_OUTLINE_H
#define XML_OUTLINE_H

#include <stddef.h>
#include <stdio.h>
#include "dune/sandbox.h"

/* What a document may have, whoever parses it. */
enum {
	XML_DEPTH	= 1000,
	XML_ATTRIBUTES	= 1000,		/* of an element */
	XML_STRING	= 1 << 16,	/* bytes of a name or a value */
	XML_TEXT	= 1 << 20,	/* bytes in a row */
	XML_CHUNK	= 1 << 16,	/* what is read at once */
};

struct outline {
	FILE *out;
	unsigned int depth;
	size_t len;			/* of text that is not printed yet */
	char text[XML_TEXT];
	char error[200];		/* why it ended, for a person */
	int no_parser;			/* the document is not to blame */
};

/* What a document consists of. 0, or a negative errno, which ends it. */
int outline_start(struct outline *o, const char *name);
int outline_attribute(struct outline *o, const char *name, const char *value);
int outline_end(struct outline *o);
/* Room for len bytes of text, to be filled by the caller; NULL: too much. */
char *outline_text(struct outline *o, size_t len);

/* All of in. 0, or a negative errno with o->error. */
int native_parse(struct outline *o, FILE *in);
int box_parse(struct outline *o, FILE *in, uint64_t wall_ns);

#endif
