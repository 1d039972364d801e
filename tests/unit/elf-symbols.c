/*
 * From an address to "file+offset (function+offset)": the parts of a report
 * that read what the guest may have written.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "kern/report/backtrace.h"
#include "kern/report/maps.h"
#include "kern/report/symbols.h"
#include "tests/unit/bytes.h"

/* ---- symbols ---- */

static bool find(const void *data, size_t len, uint64_t off,
		 struct dune_symbol *sym)
{
	struct bytes b = { data, len };
	struct dune_symfile f = { read_at, &b, len };

	return dune_symbol_find(&f, off, sym);
}

/* A file with one code segment, two functions and a data symbol. */
struct object {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	Elf64_Shdr sh[4];
	Elf64_Sym sym[6];
	char names[64];
	char code[0x200];
};

#define CODE offsetof(struct object, code)
#define ADDR 0x401000

static void make_object(struct object *o)
{
	static const char names[] = "\0first\0second\0data\0alias\0bad\033[2J";

	*o = (struct object){
		.eh = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_phoff = offsetof(struct object, ph),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
			.e_shoff = offsetof(struct object, sh),
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 4,
		},
		.ph = {
			{ PT_LOAD, PF_R, 0, 0x400000, 0, sizeof(*o),
			  sizeof(*o), 1 },
			{ PT_LOAD, PF_R | PF_X, CODE, ADDR, 0, 0x200, 0x200,
			  1 },
		},
		.sh = {
			[1] = { .sh_type = SHT_SYMTAB, .sh_link = 2,
				.sh_offset = offsetof(struct object, sym),
				.sh_size = sizeof(o->sym) },
			[2] = { .sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct object, names),
				.sh_size = sizeof(o->names) },
		},
		.sym = {
			[1] = { 1, ELF64_ST_INFO(STB_LOCAL, STT_FUNC), 0, 1,
				ADDR, 0x20 },
			[2] = { 7, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1,
				ADDR + 0x40, 0x20 },
			[3] = { 14, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0,
				1, ADDR + 0x48, 8 },
			[4] = { 19, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1,
				ADDR, 0x20 },
			[5] = { 25, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1,
				ADDR + 0x100, 0 },
		},
	};
	memcpy(o->names, names, sizeof(names));
}

static void test_symbols(void **state)
{
	struct dune_symbol sym;
	struct object o;

	(void)state;
	make_object(&o);
	assert_true(find(&o, sizeof(o), CODE + 0x44, &sym));
	assert_int_equal(sym.vaddr, ADDR + 0x44);
	assert_int_equal(sym.start, ADDR + 0x40);
	assert_string_equal(sym.name, "second");
	/* of two names the global one; its last byte; a gap */
	assert_true(find(&o, sizeof(o), CODE + 0x1f, &sym));
	assert_string_equal(sym.name, "alias");
	o.sym[1].st_info = ELF64_ST_INFO(STB_WEAK, STT_FUNC);
	assert_true(find(&o, sizeof(o), CODE + 0x1f, &sym));
	assert_string_equal(sym.name, "first");
	assert_true(find(&o, sizeof(o), CODE + 0x20, &sym));
	assert_string_equal(sym.name, "");
	assert_int_equal(sym.vaddr, ADDR + 0x20);
	/* no size; nothing of it may steer a terminal */
	assert_true(find(&o, sizeof(o), CODE + 0x180, &sym));
	assert_string_equal(sym.name, "bad?[2J");
}

static void test_no_symbols(void **state)
{
	struct dune_symbol sym;
	struct object o;

	(void)state;
	assert_false(find("text", 4, 2, &sym));
	assert_int_equal(sym.vaddr, 2);
	assert_string_equal(sym.name, "");
	make_object(&o);
	assert_false(find(&o, sizeof(o), sizeof(o) + 1, &sym));
	o.eh.e_shnum = 0;
	assert_true(find(&o, sizeof(o), CODE + 0x44, &sym));
	assert_int_equal(sym.vaddr, ADDR + 0x44);
	assert_string_equal(sym.name, "");
}

static void test_dynamic_symbols(void **state)
{
	struct dune_symbol sym;
	struct object o;

	(void)state;
	make_object(&o);
	o.sh[1].sh_type = SHT_DYNSYM;
	assert_true(find(&o, sizeof(o), CODE + 0x44, &sym));
	assert_string_equal(sym.name, "second");
}

/* Every byte of the headers at its worst, and every truncation. */
static void test_broken_files(void **state)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct dune_symbol sym;
	struct object o;
	size_t i, v;
	char *copy;

	(void)state;
	for (i = 0; i < CODE; i++)
		for (v = 0; v < sizeof(values); v++) {
			make_object(&o);
			((unsigned char *)&o)[i] = values[v];
			find(&o, sizeof(o), CODE + 0x44, &sym);
			assert_non_null(memchr(sym.name, 0,
					       sizeof(sym.name)));
		}
	make_object(&o);
	for (i = 0; i < sizeof(o); i += 3) {
		copy = malloc(i + 1);
		memcpy(copy, &o, i);
		find(copy, i, CODE + 0x44, &sym);
		free(copy);
	}
}

static long pread_file(void *ctx, void *buf, size_t len, uint64_t off)
{
	return pread(*(int *)ctx, buf, len, off);
}

/* This very function, by the maps and symbols of this process. */
static void test_self(void **state)
{
	struct dune_mapping m;
	struct dune_symbol sym;
	struct dune_symfile f = { .read_at = pread_file };
	static char maps[1 << 20];
	struct stat st;
	int fd;
	size_t n = 0;
	ssize_t got;

	(void)state;
	fd = open("/proc/self/maps", O_RDONLY);
	while ((got = read(fd, maps + n, sizeof(maps) - 1 - n)) > 0)
		n += got;
	close(fd);
	assert_true(dune_maps_find(maps, (uintptr_t)test_self, &m));
	fd = open(m.path, O_RDONLY);
	assert_true(fd >= 0);
	fstat(fd, &st);
	f.ctx = &fd;
	f.size = st.st_size;
	assert_true(dune_symbol_find(&f, (uintptr_t)test_self - m.start +
				     m.offset, &sym));
	assert_string_equal(sym.name, "test_self");
	assert_int_equal(sym.vaddr, sym.start);
	close(fd);
}

/* ---- maps ---- */

static const char maps_text[] =
	"00400000-00401000 r--p 00000000 fe:00 123    /bin/a b\n"
	"00401000-00402000 r--p 00001000 fe:00 123    /bin/new\\012line\n"
	"00500000-00501000 rw-p 00000000 00:00 0 \n"
	"00600000-00601000 rw-p 00000000 00:00 0      [heap]\n"
	"garbage\n"
	"00700000-00701000 r--s 00002000 fe:00 5      /cut";

static void test_maps(void **state)
{
	struct dune_mapping m;

	(void)state;
	assert_true(dune_maps_find(maps_text, 0x400fff, &m));
	assert_int_equal(m.start, 0x400000);
	assert_int_equal(m.end, 0x401000);
	assert_string_equal(m.path, "/bin/a b");
	assert_true(dune_maps_find(maps_text, 0x401000, &m));
	assert_int_equal(m.offset, 0x1000);
	assert_string_equal(m.path, "/bin/new\nline");
	assert_true(dune_maps_find(maps_text, 0x500000, &m));
	assert_string_equal(m.path, "");
	assert_true(dune_maps_find(maps_text, 0x600000, &m));
	assert_string_equal(m.path, "[heap]");
	assert_false(dune_maps_find(maps_text, 0x402000, &m));
	assert_false(dune_maps_find(maps_text, 0x700000, &m));
	assert_false(dune_maps_find("", 0x700000, &m));
}

static void test_long_path(void **state)
{
	struct dune_mapping m;
	char text[1024];
	int n;

	(void)state;
	n = sprintf(text, "1000-2000 r--p 00000000 fe:00 1 /");
	memset(text + n, 'x', 600);
	strcpy(text + n + 600, "\n");
	assert_true(dune_maps_find(text, 0x1000, &m));
	assert_string_equal(m.path, "");
}

/* ---- backtraces ---- */

/* One page of stack and one of code, with a call before every address. */
#define STACK_AT 0x7000
#define CODE_AT 0x400000

static uint64_t stack[512];
static unsigned int reads;

static int read_fake(void *ctx, void *dst, dune_gva_t src, size_t len)
{
	(void)ctx;
	reads++;
	if (src >= STACK_AT && src + len <= STACK_AT + sizeof(stack)) {
		memcpy(dst, (char *)stack + (src - STACK_AT), len);
		return 0;
	}
	if (src >= CODE_AT && src < CODE_AT + 4096) {
		memset(dst, 0x90, len);
		/* even addresses follow a call, odd ones do not */
		if (len == 7 && !((src + len) & 1))
			((uint8_t *)dst)[2] = 0xe8;
		return 0;
	}
	return -EFAULT;
}

static bool code_fake(void *ctx, dune_gva_t va)
{
	(void)ctx;
	return va >= CODE_AT && va < CODE_AT + 4096;
}

static const struct dune_backtrace fake = { read_fake, code_fake, NULL };

static unsigned int trace(dune_gva_t rsp, dune_gva_t rbp,
			  struct dune_frame *frame)
{
	unsigned int n;

	reads = 0;
	n = dune_backtrace(&fake, CODE_AT, rsp, rbp, frame);
	assert_in_range(n, 1, DUNE_FRAMES);
	assert_int_equal(frame[0].pc, CODE_AT);
	assert_true(reads < 256);
	return n;
}

static dune_gva_t slot(unsigned int i)
{
	return STACK_AT + 8 * i;
}

static void test_frame_pointers(void **state)
{
	struct dune_frame f[DUNE_FRAMES];

	(void)state;
	memset(stack, 0, sizeof(stack));
	stack[2] = slot(10);
	stack[3] = CODE_AT + 0x10;
	stack[10] = slot(100);
	stack[11] = CODE_AT + 0x20;
	stack[100] = 0;
	stack[101] = CODE_AT + 0x30;
	assert_int_equal(trace(slot(0), slot(2), f), 4);
	assert_int_equal(f[1].pc, CODE_AT + 0x10);
	assert_int_equal(f[2].pc, CODE_AT + 0x20);
	assert_int_equal(f[3].pc, CODE_AT + 0x30);
	assert_true(f[1].sure && f[2].sure && f[3].sure);
}

/* A leaf's caller is not in the chain, but on the stack. */
static void test_guessed_frames(void **state)
{
	struct dune_frame f[DUNE_FRAMES];

	(void)state;
	memset(stack, 0, sizeof(stack));
	stack[0] = CODE_AT + 0x40;		/* follows a call */
	stack[1] = CODE_AT + 0x41;		/* does not */
	stack[2] = 0;
	stack[3] = CODE_AT + 0x10;
	assert_int_equal(trace(slot(0), slot(2), f), 3);
	assert_int_equal(f[1].pc, CODE_AT + 0x40);
	assert_false(f[1].sure);
	assert_int_equal(f[2].pc, CODE_AT + 0x10);
	assert_true(f[2].sure);
}

static void test_hostile_stacks(void **state)
{
	static const dune_gva_t wild[] = {
		0, 1, 7, 8, STACK_AT - 1, STACK_AT + sizeof(stack) - 8,
		STACK_AT + sizeof(stack), CODE_AT, 1ul << 47, 1ul << 63,
		UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 15,
	};
	struct dune_frame f[DUNE_FRAMES];
	size_t i, k;

	(void)state;
	/* a frame that is its own caller, and a ring of two */
	memset(stack, 0, sizeof(stack));
	stack[2] = slot(2);
	stack[3] = CODE_AT + 0x10;
	assert_int_equal(trace(slot(0), slot(2), f), 2);
	stack[2] = slot(4);
	stack[4] = slot(2);
	stack[5] = CODE_AT + 0x20;
	assert_int_equal(trace(slot(0), slot(2), f), 3);
	/* all of it looks like frames */
	for (i = 0; i < DUNE_ARRAY_SIZE(stack); i += 2) {
		stack[i] = slot(i + 2);
		stack[i + 1] = CODE_AT + 2;
	}
	assert_int_equal(trace(slot(0), slot(0), f), DUNE_FRAMES);
	for (i = 0; i < DUNE_ARRAY_SIZE(stack); i++)
		stack[i] = CODE_AT + 0x40;
	assert_int_equal(trace(slot(0), slot(400), f), DUNE_FRAMES);
	for (i = 0; i < DUNE_ARRAY_SIZE(wild); i++)
		for (k = 0; k < DUNE_ARRAY_SIZE(wild); k++)
			trace(wild[i], wild[k], f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_no_symbols),
		cmocka_unit_test(test_dynamic_symbols),
		cmocka_unit_test(test_broken_files),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_frame_pointers),
		cmocka_unit_test(test_guessed_frames),
		cmocka_unit_test(test_hostile_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
