/*
 * What reports read of the guest's making: files with symbols, the text of
 * maps, stacks.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "kern/report/backtrace.h"
#include "kern/report/maps.h"
#include "kern/report/symbols.h"
#include "tests/unit/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_stack(void *ctx, void *dst, dune_gva_t src, size_t len)
{
	return read_at(ctx, dst, len, src) == (long)len ? 0 : -1;
}

static bool is_code(void *ctx, dune_gva_t va)
{
	const struct bytes *b = ctx;

	return va < b->size;
}

static void try_symbols(struct bytes *b, uint64_t off)
{
	struct dune_symfile f = { read_at, b, b->size };
	struct dune_symbol sym;

	dune_symbol_find(&f, off, &sym);
	if (!memchr(sym.name, 0, sizeof(sym.name)))
		abort();
	if (sym.name[0] && sym.start > sym.vaddr)
		abort();
}

/*
 * The bytes as symbols, and again as their names, under good headers but for
 * the sizes: few random bytes are a symbol table.
 */
static void try_table(const uint8_t *data, size_t size, const uint64_t *word)
{
	struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph;
		Elf64_Shdr sh[3];
	} *file = malloc(sizeof(*file) + size);
	struct bytes b = { (uint8_t *)file, sizeof(*file) + size };

	memset(file, 0, sizeof(*file));
	memcpy(file + 1, data, size);
	memcpy(file->eh.e_ident, ELFMAG, SELFMAG);
	file->eh.e_ident[EI_CLASS] = ELFCLASS64;
	file->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	file->eh.e_phoff = (uint8_t *)&file->ph - (uint8_t *)file;
	file->eh.e_phentsize = sizeof(Elf64_Phdr);
	file->eh.e_phnum = 1;
	file->eh.e_shoff = (uint8_t *)file->sh - (uint8_t *)file;
	file->eh.e_shentsize = sizeof(Elf64_Shdr);
	file->eh.e_shnum = 3;
	file->ph.p_type = PT_LOAD;
	file->ph.p_vaddr = word[1];
	file->ph.p_filesz = b.size;
	file->sh[1].sh_type = word[2] & 1 ? SHT_SYMTAB : SHT_DYNSYM;
	file->sh[1].sh_link = 2;
	file->sh[1].sh_offset = sizeof(*file);
	file->sh[1].sh_size = word[2];
	file->sh[2].sh_type = SHT_STRTAB;
	file->sh[2].sh_offset = sizeof(*file);
	file->sh[2].sh_size = word[3];
	try_symbols(&b, word[0] % b.size);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dune_frame frame[DUNE_FRAMES];
	struct bytes b = { data, size };
	const struct dune_backtrace trace = { read_stack, is_code, &b };
	struct dune_mapping m;
	uint64_t word[4];
	unsigned int n;
	char *text;

	if (size < sizeof(word))
		return 0;
	memcpy(word, data, sizeof(word));
	b.data += sizeof(word);
	b.size -= sizeof(word);
	try_symbols(&b, word[0]);
	try_table(b.data, b.size, word);

	n = dune_backtrace(&trace, word[1], word[2], word[3], frame);
	if (!n || n > DUNE_FRAMES)
		abort();

	text = malloc(b.size + 1);
	memcpy(text, b.data, b.size);
	text[b.size] = '\0';
	if (dune_maps_find(text, word[1], &m) &&
	    (word[1] < m.start || word[1] >= m.end ||
	     !memchr(m.path, 0, sizeof(m.path))))
		abort();
	free(text);
	return 0;
}
