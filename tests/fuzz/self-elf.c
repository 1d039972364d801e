/*
 * The ELF reader that programs for the original libdune use, on any bytes:
 * what it hands out lies inside the file, whatever the file says of itself.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libdune/dune.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* Where segments may be loaded, and nothing else is. */
#define ROOM_AT		0x200000000000ul
#define ROOM_SIZE	(1ul << 20)

static unsigned int headers;

static int look_ph(struct dune_elf *elf, Elf64_Phdr *p)
{
	const uint64_t at = p->p_vaddr;

	headers++;
	if (p->p_type != PT_LOAD || at < ROOM_AT ||
	    at - ROOM_AT > ROOM_SIZE / 2 || p->p_memsz > ROOM_SIZE / 2)
		return 0;
	if (dune_elf_load_ph(elf, p, 0) || !p->p_filesz)
		return 0;
	/* readable unless it says otherwise, and the file's bytes */
	if (p->p_flags & PF_R &&
	    memcmp((void *)at, elf->mem + p->p_offset, p->p_filesz))
		abort();
	return 0;
}

static int look_sh(struct dune_elf *elf, const char *name, int n,
		   Elf64_Shdr *s)
{
	(void)elf, (void)s;
	headers++;
	return n < 0 || strlen(name) > 1u << 20 ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *copy = malloc(size ? size : 1);	/* ASan sees its end */
	struct dune_elf elf = { .fd = -1 };

	memcpy(copy, data, size);
	headers = 0;
	if (!dune_elf_open_mem(&elf, copy, size)) {
		if (dune_elf_iter_ph(&elf, look_ph) ||
		    dune_elf_iter_sh(&elf, look_sh) ||
		    headers > (unsigned int)elf.hdr.e_phnum + elf.hdr.e_shnum)
			abort();
		dune_elf_close(&elf);
	}
	free(copy);
	return 0;
}

/* Now and then anew from a good file with a segment and a section. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p;
		Elf64_Shdr s[2];
		char names[16];
	} f = {
		.h = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
				     ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_X86_64,
			.e_version = 1, .e_ehsize = sizeof(f.h),
			.e_phoff = sizeof(f.h), .e_phnum = 1,
			.e_phentsize = sizeof(f.p), .e_shnum = 2,
			.e_shoff = sizeof(f.h) + sizeof(f.p),
			.e_shentsize = sizeof(*f.s), .e_shstrndx = 1,
		},
		.p = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X,
		       .p_vaddr = ROOM_AT + 64, .p_offset = 64,
		       .p_filesz = 100, .p_memsz = 9000 },
		.s = { { .sh_name = 1 }, { .sh_name = 7, .sh_type = SHT_STRTAB,
			.sh_offset = sizeof(f) - 16, .sh_size = 16 } },
		.names = "\0.text\0.shstr",
	};

	if (seed % 16 == 0 && max >= sizeof(f)) {
		memcpy(data, &f, sizeof(f));
		size = sizeof(f);
	}
	return LLVMFuzzerMutate(data, size, max);
}
