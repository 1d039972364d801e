/*
 * What a struct dune_image promises, for the unit tests and the fuzzer; and
 * a small valid program to plant faults in.
 */
#ifndef DUNE_TESTS_ELF_CHECK_H
#define DUNE_TESTS_ELF_CHECK_H

#include <elf.h>
#include <string.h>
#include "kern/elf/image.h"
#include "kern/layout.h"

/* NULL, or the promise that is broken. */
static inline const char *elf_broken_promise(const struct dune_image *img,
					     uint64_t file_size)
{
	const struct dune_segment *s;
	uint64_t end = 0;
	unsigned int i;

	if (!img->segments || img->segments > DUNE_IMAGE_SEGMENTS)
		return "number of segments";
	for (i = 0; i < img->segments; i++) {
		s = &img->seg[i];
		if (s->filesz > s->memsz || !s->memsz)
			return "filesz <= memsz";
		if (s->offset > file_size || s->filesz > file_size - s->offset)
			return "segment inside the file";
		if (s->vaddr < end || s->memsz > DUNE_ARENA_HI - s->vaddr)
			return "ascending, without overlap or wrap-around";
		if (s->filesz && (s->vaddr ^ s->offset) % DUNE_PAGE_SIZE)
			return "offset and address agree within a page";
		end = s->vaddr + s->memsz;
	}
	if (img->lo % DUNE_PAGE_SIZE || img->hi % DUNE_PAGE_SIZE ||
	    img->lo > img->seg[0].vaddr || img->hi < end ||
	    img->hi > DUNE_ARENA_HI)
		return "span";
	if (!img->pie && img->lo < DUNE_ARENA_LO)
		return "ET_EXEC inside the arena";
	if (img->entry < img->lo || img->entry >= img->hi)
		return "entry inside the span";
	if (img->align < DUNE_PAGE_SIZE || img->align & (img->align - 1))
		return "alignment";
	if (!memchr(img->interp, 0, sizeof(img->interp)))
		return "interpreter's name ends";
	return NULL;
}

struct elf_file {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[8];
	char interp[64];
	char rest[0x2000 - sizeof(Elf64_Ehdr) - 8 * sizeof(Elf64_Phdr) - 64];
};

enum { TEXT = 1, DATA, INTERP, STACK };

static inline void elf_valid(struct elf_file *f)
{
	*f = (struct elf_file){
		.eh = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = 0x401000,
			.e_phoff = offsetof(struct elf_file, ph),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 5,
		},
		.ph = {
			{ PT_LOAD, PF_R, 0, 0x400000, 0x400000,
			  0x1000, 0x1000, 0x1000 },
			{ PT_LOAD, PF_R | PF_X, 0x1000, 0x401000, 0x401000,
			  0x800, 0x800, 0x1000 },
			{ PT_LOAD, PF_R | PF_W, 0x1800, 0x402800, 0x402800,
			  0x100, 0x2000, 0x1000 },
			{ PT_INTERP, PF_R, offsetof(struct elf_file, interp),
			  0, 0, sizeof("/lib/ld.so"), sizeof("/lib/ld.so"),
			  1 },
			{ PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16 },
		},
		.interp = "/lib/ld.so",
	};
}

#endif
