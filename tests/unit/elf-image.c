/*
 * dune_image_parse() takes good programs, refuses each planted fault with the
 * errno and the words it should, and never promises what it did not check.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "kern/err.h"
#include "tests/unit/elf-check.h"

struct patch {
	size_t off, size;
	uint64_t value;
};

#define SET(field, value) \
	{ offsetof(struct elf_file, field), \
	  sizeof(((struct elf_file *)0)->field), value }

struct fault {
	const char *name;
	int err;
	const char *message;		/* some words of it */
	struct patch patch[4];
	size_t size;			/* of the file, 0: all */
};

static const struct fault faults[] = {
	/* the file header */
	{ "empty file", -ENOEXEC, "not an ELF", .size = 1 },
	{ "three bytes", -ENOEXEC, "not an ELF", .size = 3 },
	{ "magic alone", -ENOEXEC, "truncated", .size = 4 },
	{ "half a header", -ENOEXEC, "truncated", .size = 40 },
	{ "header alone", -ENOEXEC, "truncated", .size = 64 },
	{ "wrong magic", -ENOEXEC, "not an ELF",
	  .patch = { SET(eh.e_ident[1], 'F') } },
	{ "32-bit class", -ENOEXEC, "32-bit program",
	  .patch = { SET(eh.e_ident[EI_CLASS], ELFCLASS32) } },
	{ "32-bit class, 32-bit header alone", -ENOEXEC, "32-bit program",
	  .patch = { SET(eh.e_ident[EI_CLASS], ELFCLASS32) }, .size = 52 },
	{ "class zero", -ENOEXEC, "class",
	  .patch = { SET(eh.e_ident[EI_CLASS], 0) } },
	{ "big-endian", -ENOEXEC, "big-endian",
	  .patch = { SET(eh.e_ident[EI_DATA], ELFDATA2MSB) } },
	{ "ident version zero", -ENOEXEC, "version",
	  .patch = { SET(eh.e_ident[EI_VERSION], 0) } },
	{ "version two", -ENOEXEC, "version",
	  .patch = { SET(eh.e_version, 2) } },
	{ "i386 machine", -ENOEXEC, "another machine",
	  .patch = { SET(eh.e_machine, EM_386) } },
	{ "aarch64 machine", -ENOEXEC, "another machine",
	  .patch = { SET(eh.e_machine, EM_AARCH64) } },
	{ "object file", -ENOEXEC, "object file",
	  .patch = { SET(eh.e_type, ET_REL) } },
	{ "core dump", -ENOEXEC, "core dump",
	  .patch = { SET(eh.e_type, ET_CORE) } },
	{ "type none", -ENOEXEC, "type", .patch = { SET(eh.e_type, ET_NONE) } },
	{ "type of an OS", -ENOEXEC, "type",
	  .patch = { SET(eh.e_type, 0xfe00) } },

	/* the program header table */
	{ "phentsize zero", -ENOEXEC, "wrong size",
	  .patch = { SET(eh.e_phentsize, 0) } },
	{ "phentsize of 32-bit files", -ENOEXEC, "wrong size",
	  .patch = { SET(eh.e_phentsize, 32) } },
	{ "phentsize huge", -ENOEXEC, "wrong size",
	  .patch = { SET(eh.e_phentsize, 0xffff) } },
	{ "phnum zero", -ENOEXEC, "no program headers",
	  .patch = { SET(eh.e_phnum, 0) } },
	{ "phnum above 64 KiB of table", -ENOEXEC, "too many",
	  .patch = { SET(eh.e_phnum, 65536 / 56 + 1) } },
	{ "phnum 65535 (PN_XNUM)", -ENOEXEC, "too many",
	  .patch = { SET(eh.e_phnum, PN_XNUM) } },
	{ "phoff after the end", -ENOEXEC, "truncated",
	  .patch = { SET(eh.e_phoff, 0x10000) } },
	{ "phoff at the last byte", -ENOEXEC, "truncated",
	  .patch = { SET(eh.e_phoff, 0x1fff) } },
	{ "phoff wraps", -ENOEXEC, "truncated",
	  .patch = { SET(eh.e_phoff, UINT64_MAX - 55) } },
	{ "phoff plus table wraps", -ENOEXEC, "truncated",
	  .patch = { SET(eh.e_phoff, UINT64_MAX - 100) } },
	{ "table cut by the end", -ENOEXEC, "truncated",
	  .patch = { SET(eh.e_phoff, 0x2000 - 4 * 56) } },

	/* segments */
	{ "nothing to load", -ENOEXEC, "no segment",
	  .patch = { SET(ph[0].p_type, PT_NULL), SET(ph[TEXT].p_type, PT_NULL),
	    SET(ph[DATA].p_type, PT_NULL) } },
	{ "filesz above memsz", -EINVAL, "larger in the file",
	  .patch = { SET(ph[TEXT].p_filesz, 0x801) } },
	{ "filesz without memsz", -EINVAL, "larger in the file",
	  .patch = { SET(ph[TEXT].p_memsz, 0) } },
	{ "filesz after the end", -ENOEXEC, "truncated",
	  .patch = { SET(ph[DATA].p_filesz, 0x900) } },
	{ "offset after the end", -ENOEXEC, "truncated",
	  .patch = { SET(ph[DATA].p_offset, 0x3800) } },
	{ "offset wraps", -ENOEXEC, "truncated",
	  .patch = { SET(ph[DATA].p_offset, 0xfffffffffffff800) } },
	{ "offset plus filesz wraps", -ENOEXEC, "truncated",
	  .patch = { SET(ph[DATA].p_offset, 0xffffffffffffff80),
	    SET(ph[DATA].p_vaddr, 0x402f80) } },
	{ "huge filesz and memsz", -ENOEXEC, "truncated",
	  .patch = { SET(ph[DATA].p_filesz, INT64_MAX),
	    SET(ph[DATA].p_memsz, INT64_MAX) } },
	{ "memsz all ones", -EINVAL, "outside",
	  .patch = { SET(ph[DATA].p_memsz, UINT64_MAX) } },
	{ "vaddr plus memsz wraps", -EINVAL, "outside",
	  .patch = { SET(ph[DATA].p_vaddr, 0xfffffffffffff800) } },
	{ "vaddr in the kernel's half", -EINVAL, "outside",
	  .patch = { SET(ph[DATA].p_vaddr, 0xffffffff80000800) } },
	{ "vaddr not canonical", -EINVAL, "outside",
	  .patch = { SET(ph[DATA].p_vaddr, 0x0000800000000800) } },
	{ "vaddr in the monitor", -EINVAL, "outside",
	  .patch = { SET(ph[DATA].p_vaddr, DUNE_ARENA_HI + 0x800) } },
	{ "bss reaches the monitor", -EINVAL, "outside",
	  .patch = { SET(ph[DATA].p_memsz, DUNE_ARENA_HI) } },
	{ "bss ends one byte above the arena", -EINVAL, "outside",
	  .patch = { SET(ph[DATA].p_memsz, DUNE_ARENA_HI - 0x402800 + 1) } },
	{ "program at address zero", -EINVAL, "below",
	  .patch = { SET(ph[0].p_vaddr, 0) } },
	{ "program below 64 KiB", -EINVAL, "below",
	  .patch = { SET(ph[0].p_vaddr, 0xf000) } },
	{ "alignment of three", -EINVAL, "power of two",
	  .patch = { SET(ph[TEXT].p_align, 3) } },
	{ "alignment all ones", -EINVAL, "power of two",
	  .patch = { SET(ph[TEXT].p_align, UINT64_MAX) } },
	{ "address and offset differ in a page", -EINVAL, "within a page",
	  .patch = { SET(ph[TEXT].p_vaddr, 0x401010) } },
	{ "segments in descending order", -ENOEXEC, "ascending",
	  .patch = { SET(ph[0].p_vaddr, 0x500000) } },
	{ "segment twice", -ENOEXEC, "overlapping",
	  .patch = { SET(ph[TEXT].p_vaddr, 0x400000) } },
	{ "segments overlap by one byte", -ENOEXEC, "overlapping",
	  .patch = { SET(ph[TEXT].p_memsz, 0x1801) } },
	{ "bss overlaps the next segment", -ENOEXEC, "overlapping",
	  .patch = { SET(ph[0].p_memsz, 0x1001) } },
	{ "entry zero", -ENOEXEC, "entry point",
	  .patch = { SET(eh.e_entry, 0) } },
	{ "entry in the monitor", -ENOEXEC, "entry point",
	  .patch = { SET(eh.e_entry, 0x7f0000000000) } },
	{ "entry not canonical", -ENOEXEC, "entry point",
	  .patch = { SET(eh.e_entry, 0x8000000000000000) } },
	{ "entry just after the end", -ENOEXEC, "entry point",
	  .patch = { SET(eh.e_entry, 0x405000) } },

	/* the interpreter */
	{ "interpreter of one byte", -ENOEXEC, "interpreter",
	  .patch = { SET(ph[INTERP].p_filesz, 1) } },
	{ "interpreter of no bytes", -ENOEXEC, "interpreter",
	  .patch = { SET(ph[INTERP].p_filesz, 0) } },
	{ "interpreter above PATH_MAX", -ENOEXEC, "interpreter",
	  .patch = { SET(ph[INTERP].p_filesz, 4097) } },
	{ "interpreter huge", -ENOEXEC, "interpreter",
	  .patch = { SET(ph[INTERP].p_filesz, UINT64_MAX) } },
	{ "interpreter without an end", -ENOEXEC, "without an end",
	  .patch = { SET(ph[INTERP].p_filesz, 10) } },
	{ "interpreter empty", -ENOEXEC, "empty",
	  .patch = { SET(interp[0], 0) } },
	{ "interpreter's offset after the end", -ENOEXEC, "truncated",
	  .patch = { SET(ph[INTERP].p_offset, 0x2000) } },
	{ "interpreter's offset wraps", -ENOEXEC, "truncated",
	  .patch = { SET(ph[INTERP].p_offset, UINT64_MAX - 4) } },

	/* what only looks wrong: real programs are like this */
	{ "ok: as it is", 0, "", .size = sizeof(struct elf_file) },
	{ "ok: PIE from zero", 0, "",
	  .patch = { SET(eh.e_type, ET_DYN), SET(ph[0].p_vaddr, 0) } },
	{ "ok: unknown header types", 0, "",
	  .patch = { SET(ph[STACK].p_type, 0x65041580) } },
	{ "ok: alignment zero and one", 0, "",
	  .patch = { SET(ph[0].p_align, 0), SET(ph[TEXT].p_align, 1) } },
	{ "ok: alignment the offset does not honour", 0, "",
	  .patch = { SET(ph[TEXT].p_align, 0x200000) } },
	{ "ok: segment without a byte", 0, "",
	  .patch = { SET(ph[0].p_filesz, 0), SET(ph[0].p_memsz, 0) } },
	{ "ok: bss alone, at any address", 0, "",
	  .patch = { SET(ph[DATA].p_filesz, 0),
		     SET(ph[DATA].p_vaddr, 0x402813) } },
	{ "ok: two segments share a page", 0, "",
	  .patch = { SET(ph[DATA].p_vaddr, 0x401800) } },
	{ "ok: bss up to the arena's end", 0, "",
	  .patch = { SET(ph[DATA].p_memsz, DUNE_ARENA_HI - 0x402800) } },
};

static void plant(struct elf_file *f, const struct fault *fault)
{
	size_t i;

	elf_valid(f);
	for (i = 0; i < DUNE_ARRAY_SIZE(fault->patch); i++)
		memcpy((char *)f + fault->patch[i].off, &fault->patch[i].value,
		       fault->patch[i].size);
}

/* A heap block of the exact size, so that ASan sees the byte after it. */
static int parse(struct dune_image *img, const void *file, size_t size)
{
	char *copy = malloc(size ? size : 1);
	int ret;

	assert_non_null(copy);
	memcpy(copy, file, size);
	ret = dune_image_parse(img, copy, size, size, NULL, NULL);
	free(copy);
	return ret;
}

static void assert_keeps_promises(const struct dune_image *img, size_t size)
{
	const char *broken = elf_broken_promise(img, size);

	if (broken)
		fail_msg("accepted, but: %s", broken);
}

static void test_fault(void **state)
{
	const struct fault *fault = *state;
	struct dune_image img;
	struct elf_file f;
	size_t size = fault->size ? fault->size : sizeof(f);
	int ret;

	plant(&f, fault);
	ret = parse(&img, &f, size);
	if (ret != fault->err)
		fail_msg("%d (%s), expected %d", ret, dune_errmsg(),
			 fault->err);
	if (!ret)
		assert_keeps_promises(&img, size);
	else if (!strstr(dune_errmsg(), fault->message))
		fail_msg("\"%s\" does not say \"%s\"", dune_errmsg(),
			 fault->message);
}

static void test_fields(void **state)
{
	struct dune_image img;
	struct elf_file f;

	(void)state;
	elf_valid(&f);
	assert_int_equal(parse(&img, &f, sizeof(f)), 0);
	assert_false(img.pie);
	assert_false(img.exec_stack);
	assert_int_equal(img.entry, 0x401000);
	assert_int_equal(img.lo, 0x400000);
	assert_int_equal(img.hi, 0x405000);
	assert_int_equal(img.phdr_vaddr, 0x400040);
	assert_int_equal(img.phnum, 5);
	assert_int_equal(img.segments, 3);
	assert_int_equal(img.seg[TEXT].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(img.seg[DATA].prot, PROT_READ | PROT_WRITE);
	assert_string_equal(img.interp, "/lib/ld.so");

	f.ph[STACK].p_flags |= PF_X;
	f.ph[TEXT].p_align = 0x200000;
	assert_int_equal(parse(&img, &f, sizeof(f)), 0);
	assert_true(img.exec_stack);
	assert_int_equal(img.align, 0x200000);
}

static void test_too_many_segments(void **state)
{
	struct {
		struct elf_file f;
		Elf64_Phdr ph[DUNE_IMAGE_SEGMENTS + 1];
	} big;
	struct dune_image img;
	unsigned int i;

	(void)state;
	elf_valid(&big.f);
	big.f.eh.e_phoff = sizeof(big.f);
	for (i = 0; i <= DUNE_IMAGE_SEGMENTS; i++) {
		big.ph[i] = big.f.ph[0];
		big.ph[i].p_vaddr += i * 0x1000;
	}
	big.f.eh.e_phnum = DUNE_IMAGE_SEGMENTS;
	assert_int_equal(parse(&img, &big, sizeof(big)), 0);
	big.f.eh.e_phnum++;
	assert_int_equal(parse(&img, &big, sizeof(big)), -ENOEXEC);
	assert_non_null(strstr(dune_errmsg(), "more than"));
}

/* A file that ends at any byte is refused until all it needs is there. */
static void test_every_truncation(void **state)
{
	struct dune_image img;
	struct elf_file f;
	size_t size;

	(void)state;
	elf_valid(&f);
	for (size = 0; size < 0x1900; size++)
		assert_int_equal(parse(&img, &f, size), -ENOEXEC);
	assert_int_equal(parse(&img, &f, 0x1900), 0);
}

/* Any byte of the headers may have any value. */
static void test_every_byte(void **state)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct dune_image img;
	struct elf_file f;
	size_t off, v;

	(void)state;
	for (off = 0; off < offsetof(struct elf_file, rest); off++) {
		for (v = 0; v < sizeof(values); v++) {
			elf_valid(&f);
			((unsigned char *)&f)[off] = values[v];
			if (!parse(&img, &f, sizeof(f)))
				assert_keeps_promises(&img, sizeof(f));
		}
	}
}

static long read_file(void *ctx, void *buf, size_t len, uint64_t off)
{
	return pread(*(int *)ctx, buf, len, off);
}

static long read_fails(void *ctx, void *buf, size_t len, uint64_t off)
{
	(void)ctx;
	(void)buf;
	(void)len;
	(void)off;
	return -EIO;
}

/* What is not in the head is read; failing to read is not ENOEXEC. */
static void test_far_headers(void **state)
{
	struct dune_image img;
	struct elf_file f;

	(void)state;
	elf_valid(&f);
	assert_int_equal(dune_image_parse(&img, &f, 64, sizeof(f), NULL, NULL),
			 -ENOEXEC);
	assert_int_equal(dune_image_parse(&img, &f, 64, sizeof(f), read_fails,
					  NULL), -EIO);
}

static void test_real_program(void **state)
{
	const char *path = *state;
	struct dune_image img;
	struct stat st;
	char head[512];
	int fd = open(path, O_RDONLY);
	long n;

	if (fd < 0)
		skip();
	assert_int_equal(fstat(fd, &st), 0);
	n = read(fd, head, sizeof(head));
	assert_int_equal(dune_image_parse(&img, head, n, st.st_size, read_file,
					  &fd), 0);
	assert_keeps_promises(&img, st.st_size);
	assert_int_not_equal(img.phdr_vaddr, 0);
	close(fd);
}

int main(void)
{
	static const char *const programs[] = {
		"/proc/self/exe", "/bin/true", "/bin/busybox",
		"/usr/bin/python3", "/lib64/ld-linux-x86-64.so.2",
	};
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_too_many_segments),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_far_headers),
	};
	struct CMUnitTest tests[DUNE_ARRAY_SIZE(faults) +
				DUNE_ARRAY_SIZE(programs) +
				DUNE_ARRAY_SIZE(fixed)];
	size_t n = 0, i;

	for (i = 0; i < DUNE_ARRAY_SIZE(faults); i++)
		tests[n++] = (struct CMUnitTest){
			.name = faults[i].name,
			.test_func = test_fault,
			.initial_state = (void *)&faults[i],
		};
	for (i = 0; i < DUNE_ARRAY_SIZE(programs); i++)
		tests[n++] = (struct CMUnitTest){
			.name = programs[i],
			.test_func = test_real_program,
			.initial_state = (void *)programs[i],
		};
	for (i = 0; i < DUNE_ARRAY_SIZE(fixed); i++)
		tests[n++] = fixed[i];
	return _cmocka_run_group_tests("elf-image", tests, n, NULL, NULL);
}
