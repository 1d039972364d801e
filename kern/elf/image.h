/*
 * ELF images: parsing (pure, fuzzed), loading, and the first stack.
 */
#ifndef DUNE_KERN_IMAGE_H
#define DUNE_KERN_IMAGE_H

#include "kern/types.h"

#define DUNE_IMAGE_SEGMENTS 32

struct dune_segment {
	uint64_t vaddr, memsz, filesz, offset;	/* as in the file */
	int prot;				/* PROT_* */
};

/* A checked ELF header: every field is safe to use without more checks. */
struct dune_image {
	bool pie;			/* ET_DYN */
	uint64_t entry;
	uint64_t phoff;
	uint16_t phnum, phentsize;
	uint64_t phdr_vaddr;		/* AT_PHDR before the load bias */
	uint64_t lo, hi;		/* page-aligned span of PT_LOAD */
	uint64_t align;			/* largest p_align, power of two */
	unsigned int segments;
	struct dune_segment seg[DUNE_IMAGE_SEGMENTS];
	char interp[4096];		/* "" when static */
	bool exec_stack;		/* PT_GNU_STACK asks for it */
};

/*
 * Parses an ELF file's head. `head` holds the first head_len bytes (at least
 * all program headers must be inside, else -ENOEXEC); file_size is the whole
 * file's. PT_INTERP outside head is read by the `read_at` callback. Pure but
 * for the callback. -ENOEXEC, -ELIBBAD, -EINVAL with a message: not an ELF,
 * wrong class, wrong machine, truncated, overlapping, wrap-around ...
 */
int dune_image_parse(struct dune_image *img, const void *head,
		     size_t head_len, uint64_t file_size,
		     long (*read_at)(void *ctx, void *buf, size_t len,
				     uint64_t off), void *ctx);

/* "#! interp arg" at head: 1 and filled, 0 when not a script, -ENOEXEC. */
int dune_script_parse(const char *head, size_t len, char *interp,
		      size_t interp_size, char *arg, size_t arg_size);

/* What the first stack holds; strings are the caller's. */
struct dune_stack {
	char *const *argv;
	char *const *envp;
	const char *execfn;
	const char *platform;		/* "x86_64" */
	uint8_t random[16];
	struct { uint64_t type, value; } aux[32];	/* without strings */
	unsigned int auxn;
};

/*
 * Lays out the first stack in buf, whose last byte will be at guest address
 * top - 1. Returns the number of bytes used at the end of buf (rsp = top
 * - result, 16-byte aligned, argc there), -E2BIG when it does not fit.
 * Pure. ABI: System V AMD64 psABI 3.4.1 and Linux's fs/binfmt_elf.c.
 */
long dune_stack_build(const struct dune_stack *s, void *buf, size_t size,
		      dune_gva_t top, dune_gva_t *arg_start,
		      dune_gva_t *arg_end, dune_gva_t *env_start,
		      dune_gva_t *env_end);

/* Bytes that dune_stack_build() needs at most. */
uint64_t dune_stack_bytes(const struct dune_stack *s);

/*
 * May these strings be handed to a program? rlimit: RLIMIT_STACK in bytes.
 * 0, or -E2BIG where execve(2) would say so. Pure.
 */
int dune_stack_fits(char *const *argv, char *const *envp, const char *execfn,
		    uint64_t rlimit);

struct dune_mm;

/* What loading made. */
struct dune_loaded {
	dune_gva_t entry;	/* where to start: interpreter's or program's */
	dune_gva_t rsp;
	dune_gva_t bias, interp_base;
	char path[4096];	/* resolved program (a script's interpreter) */
};

/*
 * Opens and checks a program: follows #! (up to 5 deep, rewriting argv),
 * reads headers of program and interpreter. Nothing is mapped: execve uses
 * it to fail as Linux does before the point of no return. dirfd/flags as
 * execveat(2). argv and its strings must stay while prog is in use. On
 * error nothing is left open, and the message names the file.
 *
 * execfn (its last component is the thread's name) is the path given, or
 * "/dev/fd/N/path"; path is what /proc/self/exe points at. "/proc/self/exe"
 * as a path names the monitor: the caller substitutes the guest's program.
 */
struct dune_program {
	int fd, interp_fd;		/* close-on-exec; -1: none */
	struct dune_image img, interp;
	char path[4096];		/* program file, absolute */
	char execfn[4096 + 32];		/* the name it was started by */
	char *const *argv;		/* as given, or script_argv */
	char **script_argv;		/* mapped; NULL when no script */
	size_t script_size;
};
int dune_program_open(struct dune_program *prog, int dirfd, const char *path,
		      int flags, char *const *argv);
/* The program that `fd` is, which is descriptor `name_fd` to whom it names. */
int dune_program_open_fd(struct dune_program *prog, int fd, int name_fd,
			 char *const *argv);
void dune_program_close(struct dune_program *prog);

/*
 * Maps program and interpreter into mm (its mmap), chooses mm->mmap_top, sets
 * brk, makes the first stack. mm->vdso is used for AT_SYSINFO_EHDR. Once per
 * mm, before any guest thread runs; on error mm is left as it is and of
 * no more use.
 */
int dune_program_load(struct dune_program *prog, struct dune_mm *mm,
		      char *const *envp, struct dune_loaded *out);

#endif
