/*
 * Changing the code of a program from outside: the program's mapping stays
 * readable and executable, its own private copy of the page changes.
 * mm->lock is held.
 */
#ifndef DUNE_KERN_CODE_H
#define DUNE_KERN_CODE_H

#include "kern/mm/mm.h"

/*
 * How many bytes from `at` on, up to max, are code that comes from a file, is
 * this process's own copy, and not the program's to write.
 */
uint64_t dune_mm_code(struct dune_mm *mm, dune_gva_t at, uint64_t max);

/*
 * Room for code of ours: private, readable and executable, aligned to len,
 * its far end at most `reach` from near. 0: there is none.
 */
dune_gva_t dune_mm_code_area(struct dune_mm *mm, dune_gva_t near, uint64_t len,
			     uint64_t reach);

/*
 * Stores bytes into private executable pages. What lies in one aligned word
 * changes at once for CPUs that run it. -EFAULT when it is no such place
 * (any more), -ENOMEM.
 */
int dune_mm_code_write(struct dune_mm *mm, dune_gva_t at, const void *bytes,
		       size_t len);

#endif
