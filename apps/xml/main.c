/* dune-xml: an outline of an XML document that nobody has to trust. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/options.h"
#include "outline.h"

enum { EXIT_DOCUMENT = 1, EXIT_FILE = 3 };	/* 2: apps/options.h */

static const char usage[] =
"usage: dune-xml [options] [FILE]\n"
"Prints elements, attributes and text of an XML document (or of the standard\n"
"input). libexpat parses it in a virtual machine of its own.\n"
"  -t, --time MS   time that the parser may take for 64 KiB (10000)\n"
"      --native    parse in this process, without a sandbox\n"
"  -h, --help      this;  -V, --version\n"
"Status: 0, or 1 when the document cannot be parsed, 2 for a wrong usage, 3\n"
"when a file cannot be read or written or there is no sandbox to be had.\n";

static struct outline outline;

int main(int argc, char **argv)
{
	const char *name = "standard input";
	unsigned long ms = 10000;
	FILE *in = stdin;
	int err, native = 0;
	const struct app_option options[] = {
		{ "time", 't', .number = &ms, .least = 1 },
		{ "native", .flag = &native },
		{ 0 }
	};
	int operand = app_options(argc, argv, options, usage, 0, 1);

	if (argc > operand) {
		name = argv[operand];
		in = fopen(name, "re");
		if (!in) {
			app_say("%s: %s", name, strerror(errno));
			return EXIT_FILE;
		}
	}
	outline.out = stdout;
	err = native ? native_parse(&outline, in) :
		box_parse(&outline, in, ms * 1000000);
	if (ferror(in)) {
		app_say("%s: cannot be read", name);
		return EXIT_FILE;
	}
	if (fflush(stdout) || ferror(stdout)) {
		app_say("standard output: cannot be written");
		return EXIT_FILE;
	}
	if (outline.no_parser) {
		app_say("%s", outline.error);
		return EXIT_FILE;
	}
	if (err)
		app_say("%s: %s", name, outline.error);
	return err ? EXIT_DOCUMENT : 0;
}
