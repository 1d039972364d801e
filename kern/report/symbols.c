/* Names for code addresses: .symtab if the file has it, else .dynsym. */
#include "kern/report/symbols.h"

#include <elf.h>
#include <string.h>

/* More than any program has; bounds the time a hostile file can cost. */
#define PHDRS_MAX	1024
#define SYMBOLS_MAX	(1u << 20)
#define CHUNK		256

/* A symbol without a size covers no more than this. */
#define UNSIZED_MAX	4096

static bool get(const struct dune_symfile *f, void *buf, size_t len,
		uint64_t off)
{
	return off <= f->size && len <= f->size - off &&
	       f->read_at(f->ctx, buf, len, off) == (long)len;
}

static bool get_header(const struct dune_symfile *f, Elf64_Ehdr *eh)
{
	return get(f, eh, sizeof(*eh), 0) &&
	       !memcmp(eh->e_ident, ELFMAG, SELFMAG) &&
	       eh->e_ident[EI_CLASS] == ELFCLASS64 &&
	       eh->e_ident[EI_DATA] == ELFDATA2LSB &&
	       eh->e_phentsize == sizeof(Elf64_Phdr) &&
	       eh->e_phoff <= f->size;
}

static bool get_section(const struct dune_symfile *f, const Elf64_Ehdr *eh,
			unsigned int i, Elf64_Shdr *sh)
{
	return i < eh->e_shnum && eh->e_shentsize == sizeof(*sh) &&
	       eh->e_shoff <= f->size &&
	       get(f, sh, sizeof(*sh), eh->e_shoff + i * sizeof(*sh));
}

/* Segments may share a page of the file: the executable one is meant. */
static bool find_vaddr(const struct dune_symfile *f, const Elf64_Ehdr *eh,
		       uint64_t off, uint64_t *vaddr)
{
	bool found = false;
	Elf64_Phdr ph;
	unsigned int i;

	for (i = 0; i < eh->e_phnum && i < PHDRS_MAX; i++) {
		if (!get(f, &ph, sizeof(ph), eh->e_phoff + i * sizeof(ph)))
			break;
		if (ph.p_type != PT_LOAD || off < ph.p_offset ||
		    off - ph.p_offset >= ph.p_filesz)
			continue;
		if (found && !(ph.p_flags & PF_X))
			continue;
		*vaddr = off - ph.p_offset + ph.p_vaddr;
		found = true;
	}
	return found;
}

static bool covers(const Elf64_Sym *s, uint64_t vaddr)
{
	unsigned int type = ELF64_ST_TYPE(s->st_info);

	if ((type != STT_FUNC && type != STT_GNU_IFUNC) ||
	    s->st_shndx == SHN_UNDEF || s->st_value > vaddr)
		return false;
	return vaddr - s->st_value < (s->st_size ? s->st_size : UNSIZED_MAX);
}

/* Aliases: the weak one is mostly the name in the manual, open for __open. */
static int rank(const Elf64_Sym *s)
{
	switch (ELF64_ST_BIND(s->st_info)) {
	case STB_WEAK:
		return 2;
	case STB_GLOBAL:
		return 1;
	default:
		return 0;
	}
}

/* Of two that cover an address. */
static bool better(const Elf64_Sym *a, const Elf64_Sym *b)
{
	if (!b->st_name)
		return true;
	if (a->st_value != b->st_value)
		return a->st_value > b->st_value;
	return rank(a) > rank(b);
}

/* The best symbol of a table; st_name is 0 when there is none. */
static void search(const struct dune_symfile *f, const Elf64_Shdr *table,
		   uint64_t vaddr, Elf64_Sym *best)
{
	uint64_t n = table->sh_size / sizeof(Elf64_Sym), i, k, now;
	Elf64_Sym chunk[CHUNK];

	memset(best, 0, sizeof(*best));
	if (table->sh_offset > f->size)
		return;
	if (n > SYMBOLS_MAX)
		n = SYMBOLS_MAX;
	for (i = 0; i < n; i += now) {
		now = n - i < CHUNK ? n - i : CHUNK;
		if (!get(f, chunk, now * sizeof(chunk[0]),
			 table->sh_offset + i * sizeof(chunk[0])))
			return;
		for (k = 0; k < now; k++)
			if (chunk[k].st_name && covers(&chunk[k], vaddr) &&
			    better(&chunk[k], best))
				*best = chunk[k];
	}
}

static void read_name(const struct dune_symfile *f, const Elf64_Shdr *strings,
		      uint64_t off, struct dune_symbol *sym)
{
	uint64_t len = sizeof(sym->name) - 1;
	char *c;
	long n;

	if (strings->sh_type != SHT_STRTAB || off >= strings->sh_size ||
	    strings->sh_offset > f->size)
		return;
	if (len > strings->sh_size - off)
		len = strings->sh_size - off;
	if (off > f->size - strings->sh_offset)
		return;
	n = f->read_at(f->ctx, sym->name, len, strings->sh_offset + off);
	sym->name[n > 0 ? n : 0] = '\0';
	/* It will go to somebody's terminal. */
	for (c = sym->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

bool dune_symbol_find(const struct dune_symfile *f, uint64_t off,
		      struct dune_symbol *sym)
{
	static const uint32_t tables[] = { SHT_SYMTAB, SHT_DYNSYM };
	Elf64_Shdr table, strings;
	Elf64_Ehdr eh;
	Elf64_Sym best;
	unsigned int t, i;

	*sym = (struct dune_symbol){ .vaddr = off };
	if (!get_header(f, &eh) || !find_vaddr(f, &eh, off, &sym->vaddr))
		return false;
	for (t = 0; t < DUNE_ARRAY_SIZE(tables) && !sym->name[0]; t++) {
		for (i = 0; get_section(f, &eh, i, &table); i++)
			if (table.sh_type == tables[t])
				break;
		if (!get_section(f, &eh, i, &table) ||
		    !get_section(f, &eh, table.sh_link, &strings))
			continue;
		search(f, &table, sym->vaddr, &best);
		if (!best.st_name)
			continue;
		sym->start = best.st_value;
		read_name(f, &strings, best.st_name, sym);
	}
	return true;
}
