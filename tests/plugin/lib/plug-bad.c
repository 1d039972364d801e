/* A plugin for dune-plughost that does at a line what the line says. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "../../../apps/plughost/plugin.h"

int plug_version(void)
{
	return PLUG_VERSION;
}

int plug_start(const char *argument)
{
	return !strcmp(argument, "refuse");
}

int plug_line(const char *line, size_t length)
{
	if (!strcmp(line, "fault"))
		abort();
	if (!strcmp(line, "exit"))
		exit(3);
	if (!strcmp(line, "spin"))
		for (;;)
			;
	if (!strcmp(line, "socket"))
		socket(AF_INET, SOCK_STREAM, 0);
	if (!strcmp(line, "error"))
		return 7;
	if (!strcmp(line, "lie"))
		host_print(line, 1u << 30);
	if (!strcmp(line, "wild"))
		host_print((const char *)8, 16);
	host_print(line, length);
	host_print("\n", 1);
	return 0;
}

int plug_end(void)
{
	return 0;
}
