/*
 * The latest system calls of this process, for its report. Kept only where the
 * policy asks for reports: no locks, a line may be torn between two threads.
 */
#ifndef DUNE_KERN_RECENT_H
#define DUNE_KERN_RECENT_H

#include <stdbool.h>
#include <stddef.h>

struct dune_call;

void dune_recent_note(const struct dune_call *call, long ret);

/*
 * The n-th latest, from 0, as text "name(arguments) = result". false: no more.
 * Pointers in it are printed as numbers: what they pointed to may be gone.
 */
bool dune_recent_get(unsigned int n, char *text, size_t size);

#endif
