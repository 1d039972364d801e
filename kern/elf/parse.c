/*
 * ELF headers: from bytes that anyone may have written to a struct
 * dune_image that can be used without more checks.
 *
 * Where Linux takes a file that the ELF specification would refuse, and real
 * programs need it, so do we (segments that share a page, p_align that
 * the offsets do not honour); what no linker makes is refused here, with
 * its name, before anything is mapped.
 *
 * ELF: System V ABI, chapters 4 and 5; Linux's rules: fs/binfmt_elf.c.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "kern/elf/image.h"
#include "kern/err.h"
#include "kern/layout.h"

/* Linux refuses larger program header tables (load_elf_phdrs). */
#define PHDRS_MAX (65536 / sizeof(Elf64_Phdr))

struct input {
	const char *head;
	size_t head_len;
	uint64_t size;			/* of the whole file */
	long (*read_at)(void *ctx, void *buf, size_t len, uint64_t off);
	void *ctx;
};

/* Bytes [off, off + len) of the file, from the head if they are there. */
static int fetch(const struct input *in, void *buf, size_t len, uint64_t off)
{
	long n;

	if (off > in->size || len > in->size - off)
		return dune_err(-ENOEXEC, "is truncated");
	if (off <= in->head_len && len <= in->head_len - off) {
		memcpy(buf, in->head + off, len);
		return 0;
	}
	if (!in->read_at)
		return dune_err(-ENOEXEC, "has program headers far from its "
				"head");
	n = in->read_at(in->ctx, buf, len, off);
	if (n < 0)
		return dune_err(n, "cannot be read");
	if ((uint64_t)n != len)
		return dune_err(-ENOEXEC, "is truncated");
	return 0;
}

/*
 * What is no ELF at all, and what is one for 32 bits: a shorter header, so
 * this comes before the whole of it is looked for.
 */
static int check_magic(const struct input *in)
{
	if (in->size < SELFMAG || in->head_len < SELFMAG ||
	    memcmp(in->head, ELFMAG, SELFMAG))
		return dune_err(-ENOEXEC, "is not an ELF program or a script");
	if (in->size > EI_CLASS && in->head_len > EI_CLASS &&
	    in->head[EI_CLASS] == ELFCLASS32)
		return dune_err(-ENOEXEC, "is a 32-bit program; only 64-bit "
				"x86-64 programs run here");
	return 0;
}

static int check_header(const Elf64_Ehdr *eh)
{
	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return dune_err(-ENOEXEC, "has an unknown ELF class (%u)",
				eh->e_ident[EI_CLASS]);
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return dune_err(-ENOEXEC, "is a big-endian program");
	if (eh->e_ident[EI_VERSION] != EV_CURRENT ||
	    eh->e_version != EV_CURRENT)
		return dune_err(-ENOEXEC, "has an unknown ELF version (%u)",
				eh->e_version);
	if (eh->e_machine != EM_X86_64)
		return dune_err(-ENOEXEC, "is for another machine (ELF machine "
				"%u, x86-64 is %u)", eh->e_machine, EM_X86_64);
	if (eh->e_type == ET_REL)
		return dune_err(-ENOEXEC, "is an object file, not linked yet");
	if (eh->e_type == ET_CORE)
		return dune_err(-ENOEXEC, "is a core dump");
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return dune_err(-ENOEXEC, "has an unknown ELF type (%u)",
				eh->e_type);
	if (eh->e_phentsize != sizeof(Elf64_Phdr))
		return dune_err(-ENOEXEC, "has program headers of a wrong size "
				"(%u bytes)", eh->e_phentsize);
	if (!eh->e_phnum)
		return dune_err(-ENOEXEC, "has no program headers");
	if (eh->e_phnum > PHDRS_MAX)
		return dune_err(-ENOEXEC, "has too many program headers (%u)",
				eh->e_phnum);
	return 0;
}

static int segment_prot(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) |
	       (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

static int check_load(const struct dune_image *img, const Elf64_Phdr *ph,
		      uint64_t file_size)
{
	if (ph->p_filesz > ph->p_memsz)
		return dune_err(-EINVAL, "has a segment that is larger in the "
				"file than in memory");
	if (ph->p_offset > file_size || ph->p_filesz > file_size - ph->p_offset)
		return dune_err(-ENOEXEC, "is truncated: a segment ends after "
				"the file");
	if (ph->p_align & (ph->p_align - 1))
		return dune_err(-EINVAL, "has a segment whose alignment is not "
				"a power of two");
	/* Linux maps by whole pages and asks no more than this. */
	if (ph->p_filesz &&
	    (ph->p_vaddr ^ ph->p_offset) & (DUNE_PAGE_SIZE - 1))
		return dune_err(-EINVAL, "has a segment whose address and file "
				"offset differ within a page");
	if (ph->p_memsz > DUNE_ARENA_HI ||
	    ph->p_vaddr > DUNE_ARENA_HI - ph->p_memsz)
		return dune_err(-EINVAL, "has a segment outside the address "
				"space (0x%llx, %llu bytes)",
				(unsigned long long)ph->p_vaddr,
				(unsigned long long)ph->p_memsz);
	if (!img->pie && DUNE_PAGE_DOWN(ph->p_vaddr) < DUNE_ARENA_LO)
		return dune_err(-EINVAL, "has a segment below 0x%lx, where "
				"nothing may be mapped", DUNE_ARENA_LO);
	return 0;
}

static int add_load(struct dune_image *img, const Elf64_Phdr *ph,
		    uint64_t file_size)
{
	const struct dune_segment *prev;
	int ret;

	if (!ph->p_memsz && !ph->p_filesz)
		return 0;
	ret = check_load(img, ph, file_size);
	if (ret)
		return ret;
	if (img->segments == DUNE_IMAGE_SEGMENTS)
		return dune_err(-ENOEXEC, "has more than %d segments",
				DUNE_IMAGE_SEGMENTS);
	if (img->segments) {
		prev = &img->seg[img->segments - 1];
		if (ph->p_vaddr < prev->vaddr)
			return dune_err(-ENOEXEC, "has segments that are not "
					"in ascending order");
		/* Pages may be shared (the later one wins), bytes not. */
		if (ph->p_vaddr < prev->vaddr + prev->memsz)
			return dune_err(-ENOEXEC, "has overlapping segments");
	}
	img->seg[img->segments++] = (struct dune_segment){
		.vaddr = ph->p_vaddr,
		.memsz = ph->p_memsz,
		.filesz = ph->p_filesz,
		.offset = ph->p_offset,
		.prot = segment_prot(ph->p_flags),
	};
	if (ph->p_align > img->align)
		img->align = ph->p_align;
	return 0;
}

/* The first PT_INTERP counts, as in Linux. */
static int read_interp(struct dune_image *img, const struct input *in,
		       const Elf64_Phdr *ph)
{
	int ret;

	if (ph->p_filesz < 2 || ph->p_filesz > sizeof(img->interp))
		return dune_err(-ENOEXEC, "names its interpreter in %llu bytes",
				(unsigned long long)ph->p_filesz);
	ret = fetch(in, img->interp, ph->p_filesz, ph->p_offset);
	if (!ret && img->interp[ph->p_filesz - 1])
		ret = dune_err(-ENOEXEC, "has an interpreter name without an "
			       "end");
	if (!ret && !img->interp[0])
		ret = dune_err(-ENOEXEC, "has an empty interpreter name");
	return ret;
}

static int add_header(struct dune_image *img, const struct input *in,
		      const Elf64_Phdr *ph)
{
	switch (ph->p_type) {
	case PT_LOAD:
		return add_load(img, ph, in->size);
	case PT_INTERP:
		if (img->interp[0])
			return 0;
		return read_interp(img, in, ph);
	case PT_GNU_STACK:
		img->exec_stack = ph->p_flags & PF_X;
		return 0;
	default:
		return 0;
	}
}

/* Where the program headers are in memory: 0 when no segment holds them. */
static uint64_t find_phdrs(const struct dune_image *img)
{
	const struct dune_segment *s;
	unsigned int i;

	for (i = 0; i < img->segments; i++) {
		s = &img->seg[i];
		if (s->offset <= img->phoff &&
		    img->phoff - s->offset < s->filesz)
			return s->vaddr + (img->phoff - s->offset);
	}
	return 0;
}

static int finish(struct dune_image *img)
{
	const struct dune_segment *last;

	if (!img->segments)
		return dune_err(-ENOEXEC, "has no segment to load");
	last = &img->seg[img->segments - 1];
	img->lo = DUNE_PAGE_DOWN(img->seg[0].vaddr);
	img->hi = DUNE_PAGE_UP(last->vaddr + last->memsz);
	/* A wild entry would be a fault in ring 0's way back, not in ring 3. */
	if (img->entry < img->lo || img->entry >= img->hi)
		return dune_err(-ENOEXEC, "has its entry point outside of its "
				"segments (0x%llx)",
				(unsigned long long)img->entry);
	img->phdr_vaddr = find_phdrs(img);
	return 0;
}

int dune_image_parse(struct dune_image *img, const void *head,
		     size_t head_len, uint64_t file_size,
		     long (*read_at)(void *ctx, void *buf, size_t len,
				     uint64_t off), void *ctx)
{
	struct input in = {
		.head = head,
		.head_len = head_len,
		.size = file_size,
		.read_at = read_at,
		.ctx = ctx,
	};
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	unsigned int i;
	int ret;

	memset(img, 0, sizeof(*img));
	img->align = DUNE_PAGE_SIZE;
	ret = check_magic(&in);
	if (!ret)
		ret = fetch(&in, &eh, sizeof(eh), 0);
	if (!ret)
		ret = check_header(&eh);
	if (ret)
		return ret;

	img->pie = eh.e_type == ET_DYN;
	img->entry = eh.e_entry;
	img->phoff = eh.e_phoff;
	img->phnum = eh.e_phnum;
	img->phentsize = eh.e_phentsize;
	if (eh.e_phoff > file_size)
		return dune_err(-ENOEXEC, "is truncated: its program headers "
				"are missing");
	for (i = 0; i < eh.e_phnum; i++) {
		ret = fetch(&in, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph));
		if (!ret)
			ret = add_header(img, &in, &ph);
		if (ret)
			return ret;
	}
	return finish(img);
}
