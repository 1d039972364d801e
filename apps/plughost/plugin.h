/*
 * The contract between dune-plughost and its plugins: a plugin gets text line
 * by line and prints what it makes of it. A plugin is a shared object:
 *
 *	cc -shared -fPIC -O2 -o mine.so mine.c
 *
 * It runs in a sandbox: no files, no network, no other process, limited time
 * and memory. All of C, threads and SIMD are there. What it prints to stdout or
 * stderr by itself is thrown away; host_print() is the way out.
 */
#ifndef PLUGHOST_PLUGIN_H
#define PLUGHOST_PLUGIN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What this header describes; plug_version() returns it. */
#define PLUG_VERSION 1

/* ---- what the plugin has ---- */

int plug_version(void);

/*
 * Once, before the first line. argument: the user's, or "". Not 0: an error,
 * and the end. What it leaves behind is what a plugin goes on with after one
 * of its lines made it fail: lines since then are forgotten.
 */
int plug_start(const char *argument);

/*
 * A line without its newline, ended by a 0, and its length; good until it
 * returns. Not 0: the line is in error, and the next one comes.
 */
int plug_line(const char *line, size_t length);

/* Once, after the last line. */
int plug_end(void);

/* ---- what the host has ---- */

/* Prints text: at most 1 MiB a call. */
void host_print(const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
