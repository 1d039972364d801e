/*
 * The shared object whose symbols are the host's functions, written by hand:
 * a loadable segment with headers, symbols and code, and one with the
 * dynamic section, which some dynamic linkers write to. Pure.
 */
#include "libdune/sandbox/internal.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "kern/err.h"

#define PHDRS	4
#define DYNS	7
#define ALIGN	4096ul

/* Offsets of the parts, which are also their addresses. */
struct layout {
	uint64_t sym, hash, str, code, dyn, end;
	uint64_t str_size;
};

static struct layout lay_out(const char *const *name, unsigned int n)
{
	struct layout l = { .str_size = 1 };
	unsigned int i;

	for (i = 0; i < n; i++)
		l.str_size += strlen(name[i]) + 1;
	l.sym = sizeof(Elf64_Ehdr) + PHDRS * sizeof(Elf64_Phdr);
	l.hash = l.sym + (n + 1) * sizeof(Elf64_Sym);
	/* one bucket, a chain through all: they are few */
	l.str = l.hash + (2 + 1 + n + 1) * sizeof(uint32_t);
	l.code = (l.str + l.str_size + 63) & ~63ul;
	l.dyn = (l.code + n * DUNE_STUB_SIZE + ALIGN - 1) & ~(ALIGN - 1);
	l.end = l.dyn + DYNS * sizeof(Elf64_Dyn);
	return l;
}

static void put_headers(char *p, const struct layout *l)
{
	Elf64_Ehdr eh = {
		.e_ident = {
			ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE,
		},
		.e_type = ET_DYN, .e_machine = EM_X86_64,
		.e_version = EV_CURRENT, .e_phoff = sizeof(eh),
		.e_ehsize = sizeof(eh), .e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = PHDRS, .e_shentsize = sizeof(Elf64_Shdr),
	};
	const uint64_t dyn = l->dyn, size = l->end - dyn;
	const Elf64_Phdr ph[PHDRS] = {
		{ PT_LOAD, PF_R | PF_X, 0, 0, 0, dyn, dyn, ALIGN },
		{ PT_LOAD, PF_R | PF_W, dyn, dyn, dyn, size, size, ALIGN },
		{ PT_DYNAMIC, PF_R | PF_W, dyn, dyn, dyn, size, size, 8 },
		{ PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16 },
	};
	const Elf64_Dyn d[DYNS] = {
		{ DT_HASH, { l->hash } }, { DT_SYMTAB, { l->sym } },
		{ DT_STRTAB, { l->str } }, { DT_STRSZ, { l->str_size } },
		{ DT_SYMENT, { sizeof(Elf64_Sym) } },
		{ DT_NULL, { 0 } }, { DT_NULL, { 0 } },
	};

	memcpy(p, &eh, sizeof(eh));
	memcpy(p + sizeof(eh), ph, sizeof(ph));
	memcpy(p + dyn, d, sizeof(d));
}

static void put_code(unsigned char *p, uint64_t entry, uint32_t number)
{
	memset(p, 0xcc, DUNE_STUB_SIZE);
	p[0] = 0x49, p[1] = 0xba;		/* movabs $entry, %r10 */
	memcpy(p + 2, &entry, 8);
	p[10] = 0x41, p[11] = 0xbb;		/* mov $number, %r11d */
	memcpy(p + 12, &number, 4);
	p[16] = 0x41, p[17] = 0xff, p[18] = 0xe2;	/* jmp *%r10 */
}

long dune_stubs_make(const char *const *name, unsigned int n,
		     unsigned int first, uint64_t entry, void **out)
{
	const struct layout l = lay_out(name, n);
	char *p = calloc(1, l.end);
	uint64_t str = 1;
	unsigned int i;
	Elf64_Sym *sym;
	uint32_t *hash;

	if (!p)
		return dune_err(-ENOMEM, "callbacks: out of memory");
	put_headers(p, &l);
	sym = (Elf64_Sym *)(p + l.sym);
	hash = (uint32_t *)(p + l.hash);
	hash[0] = 1;			/* buckets */
	hash[1] = n + 1;		/* links: by symbol */
	hash[2] = n ? 1 : 0;
	for (i = 0; i < n; i++) {
		sym[i + 1] = (Elf64_Sym){
			.st_name = str,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = 1,
			.st_value = l.code + i * DUNE_STUB_SIZE,
			.st_size = DUNE_STUB_SIZE,
		};
		hash[3 + i + 1] = i + 1 < n ? i + 2 : 0;
		strcpy(p + l.str + str, name[i]);
		str += strlen(name[i]) + 1;
		put_code((unsigned char *)p + sym[i + 1].st_value, entry,
			 first + i);
	}
	*out = p;
	return l.end;
}
