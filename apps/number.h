/* Numbers that options take, alike in all hosts of plugins. */
#ifndef APPS_NUMBER_H
#define APPS_NUMBER_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define APP_NUMBER_MAX	1000000ul

/* The number in `text`, or the program's end as of a wrong usage (status 2). */
static inline unsigned long app_number(const char *option, const char *text,
				       unsigned long least)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < least ||
	    n > APP_NUMBER_MAX) {
		fprintf(stderr, "%s: %s: a number from %lu to %lu is wanted\n",
			option, text, least, APP_NUMBER_MAX);
		exit(2);
	}
	return n;
}

#endif
