/*
 * The original libdune's utilities: mappings as /proc/self/maps has them; ELF
 * files, good ones, cut at every length, and lying; frames that point nowhere;
 * output.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "libdune/dune.h"

/* What fn writes to descriptor 1. */
static char *output_of(void (*fn)(void))
{
	static char text[1 << 16];
	int saved = dup(1), file = memfd_create("out", 0);
	ssize_t n;

	fflush(stdout);
	dup2(file, 1);
	fn();
	dup2(saved, 1);
	n = pread(file, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(saved);
	close(file);
	return text;
}

/* ---- mappings ---- */

static void *mine;
static int seen_mine, seen_exe, seen_stack, seen_all;

static void look(const struct dune_procmap_entry *e)
{
	assert_true(e->begin < e->end);
	if (e->begin == (uintptr_t)mine) {
		seen_mine++;
		assert_true(e->r && !e->w && !e->x && e->p);
		assert_int_equal(e->end - e->begin, 3 * PGSIZE);
		assert_int_equal(e->offset, 2 * PGSIZE);
		assert_non_null(strstr(e->path, "a name"));
		/* it may change the mappings */
		munmap(mine, 3 * PGSIZE);
	}
	seen_exe += e->type == PROCMAP_TYPE_FILE && e->x &&
		    (uintptr_t)look - e->begin < e->end - e->begin;
	seen_stack += e->type == PROCMAP_TYPE_STACK;
	seen_all++;
}

static void maps(void **state)
{
	int fd = memfd_create("a name", 0);

	(void)state;
	assert_int_equal(ftruncate(fd, 5 * PGSIZE), 0);
	mine = mmap(NULL, 3 * PGSIZE, PROT_READ, MAP_PRIVATE, fd, 2 * PGSIZE);
	assert_ptr_not_equal(mine, MAP_FAILED);
	dune_procmap_iterate(look);
	close(fd);
	assert_int_equal(seen_mine, 1);
	assert_int_equal(seen_exe, 1);
	assert_int_equal(seen_stack, 1);
	assert_true(seen_all > 5);
	assert_non_null(strstr(output_of(dune_procmap_dump), "[stack]"));
}

/* ---- ELF ---- */

static unsigned int loads, sections, text_at;

static int count_ph(struct dune_elf *elf, Elf64_Phdr *p)
{
	assert_non_null(elf->phdr);
	loads += p->p_type == PT_LOAD;
	return 0;
}

static int count_sh(struct dune_elf *elf, const char *name, int n,
		    Elf64_Shdr *s)
{
	(void)elf, (void)s;
	sections++;
	if (!strcmp(name, ".text"))
		text_at = n;
	return 0;
}

static int stop(struct dune_elf *elf, Elf64_Phdr *p)
{
	(void)elf, (void)p;
	return 42;
}

static struct dune_elf dumped;

static void dump(void)
{
	dune_elf_dump(&dumped);
}

static void elf_of_a_file(void **state)
{
	(void)state;
	assert_int_equal(dune_elf_open(&dumped, "/proc/self/exe"), 0);
	assert_int_equal(dune_elf_iter_ph(&dumped, count_ph), 0);
	assert_int_equal(dune_elf_iter_sh(&dumped, count_sh), 0);
	assert_int_equal(dune_elf_iter_ph(&dumped, stop), 42);
	assert_true(loads >= 2 && sections > 5 && text_at);
	assert_non_null(strstr(output_of(dump), ".text"));
	assert_int_equal(dune_elf_close(&dumped), 0);
	assert_int_equal(dune_elf_open(&dumped, "/nonexistent"), -ENOENT);
	assert_int_equal(dune_elf_open(&dumped, "/dev/null"), -ENOEXEC);
	assert_int_equal(dune_elf_open(&dumped, "/etc/passwd"), -ENOEXEC);
	assert_int_equal(dune_elf_open_mem(&dumped, NULL, 0), -EINVAL);
}

#define AT 0x200000001000ul

struct file {
	Elf64_Ehdr h;
	Elf64_Phdr p;
	Elf64_Shdr s[2];
	char names[24];
};

static struct file good(void)
{
	return (struct file) {
		.h = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
				     ELFDATA2LSB, EV_CURRENT },
			.e_machine = EM_X86_64,
			.e_phoff = offsetof(struct file, p), .e_phnum = 1,
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_shoff = offsetof(struct file, s), .e_shnum = 2,
			.e_shentsize = sizeof(Elf64_Shdr), .e_shstrndx = 1,
		},
		.p = { .p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = AT + 8,
		       .p_offset = 8, .p_filesz = 64, .p_memsz = 5000 },
		.s = { { .sh_name = 1 },
		       { .sh_name = 7, .sh_type = SHT_STRTAB,
			 .sh_offset = offsetof(struct file, names),
			 .sh_size = 24 } },
		.names = "\0.text\0.shstrtab",
	};
}

/* Nothing past the end is read: the copy is as long as it says (ASan). */
static int try(const struct file *f, size_t len, int (*then)(struct dune_elf *))
{
	unsigned char *copy = malloc(len ? len : 1);
	struct dune_elf elf;
	int r;

	memcpy(copy, f, len);
	r = dune_elf_open_mem(&elf, copy, len);
	if (!r) {
		r = then ? then(&elf) : 0;
		dune_elf_close(&elf);
	}
	free(copy);
	return r;
}

static int load(struct dune_elf *elf)
{
	return dune_elf_load_ph(elf, elf->phdr, 0);
}

static int load_moved(struct dune_elf *elf)
{
	return dune_elf_load_ph(elf, elf->phdr, 16 * PGSIZE);
}

static void elf_in_memory(void **state)
{
	struct file f = good();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(f); i++)
		assert_int_equal(try(&f, i, NULL), -ENOEXEC);
	assert_int_equal(try(&f, sizeof(f), load), 0);
	assert_memory_equal((void *)(AT + 8), (char *)&f + 8, 64);
	assert_int_equal(*(char *)(AT + 8 + 64), 0);
	assert_int_equal(try(&f, sizeof(f), load_moved), 0);
	assert_memory_equal((void *)(AT + 16 * PGSIZE + 8), (char *)&f + 8, 64);
	munmap((void *)AT, 32 * PGSIZE);
#define LIES(field, value, then, error) do {				\
	f = good();							\
	f.field = value;						\
	assert_int_equal(try(&f, sizeof(f), then), error);		\
} while (0)
	LIES(h.e_machine, EM_386, NULL, -ENOEXEC);
	LIES(h.e_ident[EI_CLASS], ELFCLASS32, NULL, -ENOEXEC);
	LIES(h.e_phoff, -8ul, NULL, -ENOEXEC);
	LIES(h.e_phnum, 0xffff, NULL, -ENOEXEC);
	LIES(h.e_phentsize, 8, NULL, -ENOEXEC);
	LIES(h.e_shoff, sizeof(f), NULL, -ENOEXEC);
	LIES(h.e_shstrndx, 2, NULL, -ENOEXEC);
	LIES(s[1].sh_size, -1ul, NULL, -ENOEXEC);
	LIES(p.p_filesz, 4096, load, -ENOEXEC);
	LIES(p.p_offset, -64ul, load, -ENOEXEC);
	LIES(p.p_memsz, 8, load, -EINVAL);
	LIES(p.p_vaddr, -100ul, load, -EINVAL);
}

/* ---- output ---- */

static struct dune_tf frame;

static void dump_frame(void)
{
	dune_dump_trap_frame(&frame);
}

static void print_long(void)
{
	char text[2000];

	memset(text, 'x', sizeof(text));
	text[1999] = '\0';
	assert_int_equal(dune_printf("%s", text), 1023);
	assert_int_equal(dune_printf("%d\n", 7), 2);
}

static void output(void **state)
{
	char *text;

	(void)state;
	frame = (struct dune_tf){ .rip = 0x10, .rsp = 1ul << 63, .r9 = 0xabc };
	text = output_of(dump_frame);
	assert_non_null(strstr(text, "0x0000000000000abc"));
	assert_non_null(strstr(text, "code: cannot be read"));
	assert_non_null(strstr(text, "stack: cannot be read"));
	frame.rip = (uint64_t)dump_frame;
	frame.rsp = (uint64_t)&frame;
	text = output_of(dump_frame);
	assert_null(strstr(text, "cannot be read"));
	assert_int_equal(strlen(output_of(print_long)), 1025);
}

/* ---- outside Dune mode ---- */

static void outside(void **state)
{
	struct dune_tf tf = { 0 };

	(void)state;
	assert_int_equal(dune_register_intr_handler(-1, NULL), -EINVAL);
	assert_int_equal(dune_register_intr_handler(256, NULL), -EINVAL);
	assert_int_equal(dune_register_signal_handler(0, NULL), -EINVAL);
	assert_int_equal(dune_apic_id(), ~0u);
	assert_int_equal(dune_apic_send_ipi(64, 0), -EPERM);
	dune_apic_eoi();
	assert_int_equal(dune_jump_to_user(&tf), -EPERM);
	assert_int_equal(dune_get_user_fs(), 0);
	assert_int_equal(dune_vm_mprotect(NULL, NULL, 1, PERM_R), -EPERM);
	assert_int_equal(dune_load_cr3(0), -EPERM);
	assert_null(dune_page_alloc());
	assert_null(dune_vm_clone(NULL));
	dune_flush_tlb();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),
		cmocka_unit_test(elf_of_a_file),
		cmocka_unit_test(elf_in_memory),
		cmocka_unit_test(output),
		cmocka_unit_test(outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
