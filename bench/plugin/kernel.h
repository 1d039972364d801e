/*
 * A decoder of the QOI format (qoiformat.org) and a function that does next to
 * nothing, for those who cannot take whole libraries. Compiled into the
 * program, as a shared object for a sandbox, and to wasm.
 */
#ifndef BENCH_PLUGIN_KERNEL_H
#define BENCH_PLUGIN_KERNEL_H

#define KERNEL_HEADER	14		/* bytes; QOI's own */

int kernel_add(int a, int b);
/*
 * Decodes a file to rows of RGBA of at most room bytes. 0, or -1: not QOI, cut
 * short, too large.
 */
int kernel_decode(const unsigned char *file, unsigned int size,
		  unsigned char *rgba, unsigned int room);

#endif
