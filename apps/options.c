/* Options from a table, by getopt_long(3); messages. */
#include "apps/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, OPTIONS_MAX = 16, FIRST = 256 };

void app_say(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static unsigned long number(const struct app_option *o, const char *text)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < o->least ||
	    n > APP_NUMBER_MAX) {
		app_say("--%s: %s: a number from %lu to %lu is wanted",
			o->name, text, o->least, APP_NUMBER_MAX);
		exit(EXIT_USAGE);
	}
	return n;
}

static void take(const struct app_option *o, const char *text)
{
	if (o->flag)
		*o->flag = 1;
	else if (o->number)
		*o->number = number(o, text);
	else
		*o->text = text;
}

/* What was asked for, and the end. */
static void say(const char *name, const char *text)
{
	printf("%s%s", name, text);
	if (fflush(stdout) || ferror(stdout)) {
		app_say("standard output: %s", strerror(errno));
		exit(EXIT_USAGE);
	}
	exit(0);
}

int app_options(int argc, char **argv, const struct app_option *table,
		const char *usage, int least, int most)
{
	struct option longs[OPTIONS_MAX + 3] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
	};
	char shorts[2 * OPTIONS_MAX + 3] = "hV", *s = shorts + 2;
	const struct app_option *o;
	int c, n;

	for (n = 0; n < OPTIONS_MAX && table[n].name; n++) {
		longs[n + 2].name = table[n].name;
		longs[n + 2].has_arg = !table[n].flag;
		longs[n + 2].val = FIRST + n;
		if (!table[n].letter)
			continue;
		*s++ = table[n].letter;
		if (!table[n].flag)
			*s++ = ':';
	}
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
		if (c == 'h')
			say("", usage);
		if (c == 'V')
			say(program_invocation_short_name,
			    " " DUNE_VERSION "\n");
		for (o = table; o->name; o++)
			if (c == FIRST + (o - table) ||
			    (o->letter && c == o->letter))
				break;
		if (!o->name)
			break;		/* getopt_long() has said why */
		take(o, optarg);
	}
	n = argc - optind;
	if (c >= 0 || n < least || n > most) {
		fprintf(stderr, "%.*s\nMore: %s --help\n",
			(int)strcspn(usage, "\n"), usage,
			program_invocation_short_name);
		exit(EXIT_USAGE);
	}
	return optind;
}
