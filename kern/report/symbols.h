/*
 * Names for code addresses, from the symbol tables of an ELF file. The file
 * may be anything, and may change while it is read: every number in it is
 * checked, and nothing of it is mapped. Pure but for read_at.
 */
#ifndef DUNE_KERN_SYMBOLS_H
#define DUNE_KERN_SYMBOLS_H

#include "kern/types.h"

struct dune_symfile {
	/* bytes read (fewer at the end), or a negative errno */
	long (*read_at)(void *ctx, void *buf, size_t len, uint64_t off);
	void *ctx;
	uint64_t size;
};

struct dune_symbol {
	uint64_t vaddr;		/* in the file's own numbers (addr2line's) */
	uint64_t start;		/* vaddr of the symbol */
	char name[128];		/* printable; cut when longer; "" when none */
};

/*
 * Names the byte at offset off of the file. false, and vaddr = off, when it
 * is no ELF file or no segment holds the byte.
 */
bool dune_symbol_find(const struct dune_symfile *f, uint64_t off,
		      struct dune_symbol *sym);

#endif
