/*
 * An example of a plugin: prints lines that have the argument in them, with
 * their number, and at the end how many there were. Its bug: a line "crash".
 */
#include <stdio.h>
#include <string.h>
#include "plugin.h"

static char wanted[64];
static unsigned long lines, found;

int plug_version(void)
{
	return PLUG_VERSION;
}

int plug_start(const char *argument)
{
	if (strlen(argument) >= sizeof(wanted))
		return 1;
	strcpy(wanted, argument);
	return 0;
}

int plug_line(const char *line, size_t length)
{
	char number[32];

	lines++;
	if (!strcmp(line, "crash"))
		*(volatile char *)16 = 0;
	if (!strstr(line, wanted))
		return 0;
	found++;
	host_print(number, snprintf(number, sizeof(number), "%lu: ", lines));
	host_print(line, length);
	host_print("\n", 1);
	return 0;
}

int plug_end(void)
{
	char text[64];

	host_print(text, snprintf(text, sizeof(text), "%lu of %lu lines\n",
				  found, lines));
	return 0;
}
