/* A process in bubblewrap that answers through pipes. */
#ifndef BENCH_PLUGIN_BWRAP_H
#define BENCH_PLUGIN_BWRAP_H

/*
 * Becomes this program again, as "PROGRAM --answer", in namespaces of its own,
 * with a seccomp filter, in and out as descriptors 0 and 1. Returns when that
 * cannot be done.
 */
void bench_bwrap(int in, int out);

#endif
