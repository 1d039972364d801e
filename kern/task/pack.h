/*
 * Bytes as a C string, for the state's way through execve's arguments. Runs of
 * zeroes, which the state is full of, become two bytes. Pure.
 */
#ifndef DUNE_KERN_PACK_H
#define DUNE_KERN_PACK_H

#include <stddef.h>

/* Writes in[len] packed, with a NUL, to out[size]. Its length, or -E2BIG. */
long dune_pack(const void *in, size_t len, char *out, size_t size);

/* The reverse; out is filled to exactly size bytes, else -EINVAL. */
int dune_unpack(const char *in, void *out, size_t size);

#endif
