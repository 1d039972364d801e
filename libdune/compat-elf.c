/*
 * ELF files, as the original libdune reads them: libdune/dune.h. The file is
 * not trusted: whatever it says is checked against its size before it is used.
 */
#include "libdune/dune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/err.h"

static int size_of(const struct dune_elf *elf, uint64_t *size)
{
	struct stat st;

	*size = elf->len;
	if (elf->mem)
		return 0;
	if (fstat(elf->fd, &st))
		return -errno;
	*size = st.st_size;
	return 0;
}

static bool inside(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* len bytes from off on; -ENOEXEC when the file ends before. */
static int read_at(const struct dune_elf *elf, void *to, uint64_t off,
		   uint64_t len)
{
	uint64_t size;
	ssize_t n;
	int r = size_of(elf, &size);

	if (r)
		return r;
	if (!inside(off, len, size))
		return -ENOEXEC;
	if (elf->mem) {
		memcpy(to, elf->mem + off, len);
		return 0;
	}
	while (len) {
		n = pread(elf->fd, to, len, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOEXEC;
		to = (char *)to + n;
		off += n;
		len -= n;
	}
	return 0;
}

/* A copy of a part of the file, with a NUL behind it. The size is checked
 * first, so that a file cannot ask for more memory than it has bytes. */
static int copy_of(const struct dune_elf *elf, uint64_t off, uint64_t len,
		   void *out)
{
	uint64_t size;
	char *p;
	int r = size_of(elf, &size);

	if (r)
		return r;
	if (!inside(off, len, size))
		return -ENOEXEC;
	p = malloc(len + 1);
	if (!p)
		return -ENOMEM;
	r = read_at(elf, p, off, len);
	if (r) {
		free(p);
		return r;
	}
	p[len] = '\0';
	memcpy(out, &p, sizeof(p));
	return 0;
}

static int check_header(const Elf64_Ehdr *h)
{
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) ||
	    h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
		return -ENOEXEC;
	if (h->e_phnum && h->e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	if (h->e_shnum && h->e_shentsize != sizeof(Elf64_Shdr))
		return -ENOEXEC;
	return 0;
}

static int read_names(struct dune_elf *elf)
{
	const Elf64_Shdr *s;

	if (elf->hdr.e_shstrndx == SHN_UNDEF)
		return 0;
	if (elf->hdr.e_shstrndx >= elf->hdr.e_shnum)
		return -ENOEXEC;
	s = &elf->shdr[elf->hdr.e_shstrndx];
	if (s->sh_type == SHT_NOBITS)
		return -ENOEXEC;
	return copy_of(elf, s->sh_offset, s->sh_size, &elf->shdrstr);
}

static int read_headers(struct dune_elf *elf)
{
	Elf64_Ehdr *h = &elf->hdr;
	int r = read_at(elf, h, 0, sizeof(*h));

	if (!r)
		r = check_header(h);
	if (!r && h->e_phnum)
		r = copy_of(elf, h->e_phoff, h->e_phnum * sizeof(Elf64_Phdr),
			    &elf->phdr);
	if (!r && h->e_shnum)
		r = copy_of(elf, h->e_shoff, h->e_shnum * sizeof(Elf64_Shdr),
			    &elf->shdr);
	if (!r)
		r = read_names(elf);
	if (r)
		dune_elf_close(elf);
	return r == -ENOEXEC ? dune_err(r, "not a 64-bit x86 ELF file, or cut "
					"short") : r;
}

static void begin(struct dune_elf *elf, int fd, void *mem, int len)
{
	void *priv = elf->priv;

	memset(elf, 0, sizeof(*elf));
	elf->fd = fd;
	elf->mem = mem;
	elf->len = len;
	elf->priv = priv;
}

int dune_elf_open(struct dune_elf *elf, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	begin(elf, fd, NULL, 0);
	if (fd < 0)
		return dune_err(-errno, "%s: %s", path, strerror(errno));
	return read_headers(elf);
}

int dune_elf_open_mem(struct dune_elf *elf, void *mem, int len)
{
	if (!mem || len < 0)
		return dune_err(-EINVAL, "dune_elf_open_mem: no memory given");
	begin(elf, -1, mem, len);
	return read_headers(elf);
}

int dune_elf_close(struct dune_elf *elf)
{
	free(elf->phdr);
	free(elf->shdr);
	free(elf->shdrstr);
	if (elf->fd >= 0)
		close(elf->fd);
	begin(elf, -1, NULL, 0);
	return 0;
}

int dune_elf_iter_ph(struct dune_elf *elf, dune_elf_phcb cb)
{
	int i, r = 0;

	for (i = 0; !r && elf->phdr && i < elf->hdr.e_phnum; i++)
		r = cb(elf, &elf->phdr[i]);
	return r;
}

static const char *name_of(const struct dune_elf *elf, const Elf64_Shdr *s)
{
	uint64_t size;

	if (!elf->shdrstr)
		return "";
	size = elf->shdr[elf->hdr.e_shstrndx].sh_size;
	return s->sh_name < size ? elf->shdrstr + s->sh_name : "";
}

int dune_elf_iter_sh(struct dune_elf *elf, dune_elf_shcb cb)
{
	int i, r = 0;

	for (i = 0; !r && elf->shdr && i < elf->hdr.e_shnum; i++)
		r = cb(elf, name_of(elf, &elf->shdr[i]), i, &elf->shdr[i]);
	return r;
}

/* ---- loading ---- */

static int prot_of(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) |
	       (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

int dune_elf_load_ph(struct dune_elf *elf, Elf64_Phdr *phdr, off_t off)
{
	uint64_t va, lo, hi, size;
	void *at;
	int r = size_of(elf, &size);

	if (r)
		return r;
	if (!inside(phdr->p_offset, phdr->p_filesz, size))
		return dune_err(-ENOEXEC, "a segment lies outside its file");
	if (phdr->p_filesz > phdr->p_memsz || PGOFF(off) ||
	    __builtin_add_overflow(phdr->p_vaddr, (uint64_t)off, &va) !=
	    (off < 0) ||
	    __builtin_add_overflow(va, phdr->p_memsz, &hi) ||
	    __builtin_add_overflow(hi, (uint64_t)PGMASK, &hi))
		return dune_err(-EINVAL, "a segment's sizes or addresses do "
				"not fit together");
	lo = PGADDR(va);
	hi = PGADDR(hi);
	if (lo == hi)
		return 0;
	at = mmap((void *)lo, hi - lo, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (at == MAP_FAILED)
		return dune_err(-errno, "a segment cannot be mapped at %#lx: "
				"%s", lo, strerror(errno));
	r = read_at(elf, (void *)va, phdr->p_offset, phdr->p_filesz);
	if (!r && mprotect(at, hi - lo, prot_of(phdr->p_flags)))
		r = -errno;
	return r;
}

/* ---- for people ---- */

static int dump_ph(struct dune_elf *elf, Elf64_Phdr *p)
{
	(void)elf;
	dune_printf("segment type %#x flags %c%c%c offset %#lx vaddr %#lx "
		    "filesz %#lx memsz %#lx align %#lx\n", p->p_type,
		    p->p_flags & PF_R ? 'r' : '-',
		    p->p_flags & PF_W ? 'w' : '-',
		    p->p_flags & PF_X ? 'x' : '-', p->p_offset, p->p_vaddr,
		    p->p_filesz, p->p_memsz, p->p_align);
	return 0;
}

static int dump_sh(struct dune_elf *elf, const char *name, int n,
		   Elf64_Shdr *s)
{
	(void)elf;
	dune_printf("section %d %s type %#x flags %#lx addr %#lx offset %#lx "
		    "size %#lx\n", n, name, s->sh_type, s->sh_flags,
		    s->sh_addr, s->sh_offset, s->sh_size);
	return 0;
}

int dune_elf_dump(struct dune_elf *elf)
{
	const Elf64_Ehdr *h = &elf->hdr;

	dune_printf("ELF type %u machine %u entry %#lx segments %u sections "
		    "%u\n", h->e_type, h->e_machine, h->e_entry, h->e_phnum,
		    h->e_shnum);
	dune_elf_iter_ph(elf, dump_ph);
	return dune_elf_iter_sh(elf, dump_sh);
}
