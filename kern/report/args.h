/*
 * A call as text, for reports: name(argument, ...).
 */
#ifndef DUNE_KERN_ARGS_H
#define DUNE_KERN_ARGS_H

#include <stddef.h>

struct dune_call;

/* At most size bytes with the NUL; strings are cut and escaped. */
void dune_format_call(char *buf, size_t size, const struct dune_call *call);

#endif
