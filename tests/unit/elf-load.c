/*
 * dune_program_load() puts programs where Linux would have them: into this
 * very process, whose mmap(2) stands in for the mm. What was loaded is
 * compared with its file, and then run: by a jump, without any VM.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "kern/err.h"
#include "kern/mm/mm.h"
#include "kern/mm/uaccess.h"
#include "tests/unit/elf-check.h"

/* ---- an mm whose guest is this process ---- */

static struct dune_vm vm;
static struct dune_mm mm;
static int mmap_fails_at;	/* the nth call from now, 0: none */

long dune_mm_mmap(struct dune_mm *m, dune_gva_t addr, uint64_t len, int prot,
		  int flags, int fd, uint64_t off)
{
	void *p;

	if (mmap_fails_at && !--mmap_fails_at)
		return -ENOMEM;
	p = mmap((void *)addr, len, prot, flags, fd, off);
	if (p == MAP_FAILED)
		return -errno;
	assert_int_equal((uintptr_t)p, addr);
	return dune_region_insert(&m->regions, addr, len, prot,
				  fd < 0 ? 0 : DUNE_R_FILE) ? -ENOMEM :
	       (long)addr;
}

int dune_copy_out(dune_gva_t dst, const void *src, size_t len)
{
	memcpy((void *)dst, src, len);
	return 0;
}

int dune_clear_out(dune_gva_t dst, size_t len)
{
	memset((void *)dst, 0, len);
	return 0;
}

static void unmap_all(void)
{
	size_t i;

	for (i = 0; i < mm.regions.n; i++)
		munmap((void *)mm.regions.v[i].start,
		       mm.regions.v[i].end - mm.regions.v[i].start);
	dune_regions_free(&mm.regions);
	dune_regions_init(&mm.regions);
}

static int setup(void **state)
{
	(void)state;
	memset(&mm, 0, sizeof(mm));
	pthread_mutex_init(&mm.lock, NULL);
	mm.vm = &vm;
	mm.rlimit_stack = RLIM_INFINITY;
	dune_regions_init(&mm.regions);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unmap_all();
	return 0;
}

static struct dune_program prog;
static struct dune_loaded loaded;
static char *const env[] = { (char *)"PATH=/bin:/usr/bin", (char *)"X=1",
			     NULL };

static int load(char *const *argv)
{
	int ret = dune_program_open(&prog, AT_FDCWD, argv[0], 0, argv);

	if (ret)
		return ret;
	ret = dune_program_load(&prog, &mm, env, &loaded);
	dune_program_close(&prog);
	return ret;
}

static uint64_t word(dune_gva_t addr)
{
	uint64_t v;

	memcpy(&v, (void *)addr, sizeof(v));
	return v;
}

static uint64_t aux(uint64_t type)
{
	dune_gva_t v = loaded.rsp;

	v += 8 * (word(v) + 2);			/* argc, argv, NULL */
	while (word(v))
		v += 8;
	for (v += 8; word(v) != AT_NULL; v += 16)
		if (word(v) == type)
			return word(v + 8);
	fail_msg("no auxiliary value %lu", type);
	return 0;
}

/* Runs what is loaded; what it wrote goes to out. Returns its wait status. */
static int run(char *out, size_t size)
{
	int p[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (!pid) {
		dup2(p[1], 1);
		__asm__ volatile("mov %0, %%rsp; xor %%edx, %%edx; jmp *%1"
				 : : "r" (loaded.rsp), "r" (loaded.entry)
				 : "memory", "rdx");
		_exit(99);
	}
	close(p[1]);
	while ((got = read(p[0], out + n, size - 1 - n)) > 0)
		n += got;
	out[n] = '\0';
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void check_process(void)
{
	const struct dune_region *stack;

	assert_int_equal(loaded.rsp % 16, 0);
	assert_true(mm.stack_low < loaded.rsp && loaded.rsp < mm.stack_top);
	assert_true(mm.stack_top <= DUNE_STACK_TOP);
	assert_true(mm.mmap_top < mm.stack_low);
	stack = dune_region_find(&mm.regions, loaded.rsp);
	assert_non_null(stack);
	assert_true(stack->flags & DUNE_R_STACK);
	assert_true(loaded.rsp < mm.arg_start && mm.arg_start <= mm.arg_end);
	assert_int_equal(mm.arg_end, mm.env_start);
	assert_true(mm.env_end < mm.stack_top);
	assert_int_equal(mm.brk, mm.brk_start);
	assert_int_equal(mm.brk % DUNE_PAGE_SIZE, 0);

	assert_int_equal(aux(AT_PAGESZ), 4096);
	assert_int_equal(aux(AT_PHENT), sizeof(Elf64_Phdr));
	assert_int_equal(aux(AT_UID), getuid());
	assert_int_equal(aux(AT_EGID), getegid());
	assert_int_equal(aux(AT_SECURE), 0);
	assert_int_equal(aux(AT_CLKTCK), sysconf(_SC_CLK_TCK));
	assert_int_equal(aux(AT_ENTRY), loaded.bias + prog.img.entry);
	assert_int_equal(aux(AT_BASE), loaded.interp_base);
	assert_string_equal((char *)aux(AT_PLATFORM), "x86_64");
}

/* Each page of the file part is the file's. */
static void check_contents(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct dune_segment *s;
	char *file;
	unsigned int i;

	assert_true(fd >= 0);
	for (i = 0; i < prog.img.segments; i++) {
		s = &prog.img.seg[i];
		file = malloc(s->filesz + 1);
		assert_int_equal(pread(fd, file, s->filesz, s->offset),
				 s->filesz);
		assert_memory_equal((void *)(loaded.bias + s->vaddr), file,
				    s->filesz);
		free(file);
	}
	close(fd);
}

static void test_program(void **state)
{
	const char *path = *state;
	char *const argv[] = { (char *)path, (char *)"echo", (char *)"one",
			       (char *)"two", NULL };
	char out[64];

	if (access(path, X_OK))
		skip();
	assert_int_equal(load(argv), 0);
	check_process();
	check_contents(path);
	assert_string_equal((char *)aux(AT_EXECFN), path);
	assert_memory_equal((void *)aux(AT_PHDR), (char *)loaded.bias +
			    prog.img.phdr_vaddr, 56);
	if (prog.img.pie)
		assert_true(loaded.bias >= DUNE_EXE_BASE);
	assert_int_equal(run(out, sizeof(out)), 0);
	assert_non_null(strstr(out, "one two\n"));
}

static void test_script(void **state)
{
	char name[] = "/tmp/dune-load-XXXXXX", out[128], expected[128];
	char *const argv[] = { name, (char *)"more", NULL };
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "#!/bin/echo a b\n", 16), 16);
	fchmod(fd, 0755);
	close(fd);
	assert_int_equal(load(argv), 0);
	unlink(name);
	assert_string_equal((char *)aux(AT_EXECFN), name);
	assert_int_equal(run(out, sizeof(out)), 0);
	snprintf(expected, sizeof(expected), "a b %s more\n", name);
	assert_string_equal(out, expected);
}

/* ---- a program of our own making ---- */

/* Loads f by way of a file without PT_INTERP. */
static int load_file(struct elf_file *f)
{
	char name[] = "/tmp/dune-load-XXXXXX";
	char *const argv[] = { name, NULL };
	int fd = mkstemp(name), ret;

	f->ph[INTERP].p_type = PT_NULL;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, f, sizeof(*f)), sizeof(*f));
	fchmod(fd, 0755);
	close(fd);
	ret = load(argv);
	unlink(name);
	return ret;
}

static void test_bss_is_zero(void **state)
{
	struct elf_file f;
	char *data;
	size_t i;

	(void)state;
	elf_valid(&f);
	memset(f.rest, 0xaa, sizeof(f.rest));
	assert_int_equal(load_file(&f), 0);
	data = (char *)f.ph[DATA].p_vaddr;
	assert_int_equal((unsigned char)data[0xff], 0xaa);
	for (i = 0x100; i < 0x2000; i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(mm.brk % DUNE_PAGE_SIZE, 0);
	assert_true(mm.brk >= 0x405000 && mm.brk < 0x405000 + (32 << 20));
}

/* As Linux: what follows a read-only segment's file part stays. */
static void test_read_only_bss(void **state)
{
	struct elf_file f;
	char *data;

	(void)state;
	elf_valid(&f);
	memset(f.rest, 0xaa, sizeof(f.rest));
	f.ph[DATA].p_flags = PF_R;
	assert_int_equal(load_file(&f), 0);
	data = (char *)f.ph[DATA].p_vaddr;
	assert_int_equal((unsigned char)data[0x100], 0xaa);
	assert_int_equal(data[0x800], 0);
	data[0x800] = 1;
}

/* Two segments in one page: the page is the later one's. */
static void test_shared_page(void **state)
{
	struct elf_file f;
	const struct dune_region *r;

	(void)state;
	elf_valid(&f);
	f.ph[DATA].p_vaddr = 0x401800;
	assert_int_equal(load_file(&f), 0);
	r = dune_region_find(&mm.regions, 0x401000);
	assert_int_equal(r->prot, PROT_READ | PROT_WRITE);
}

static void test_exec_stack(void **state)
{
	struct elf_file f;

	(void)state;
	elf_valid(&f);
	assert_int_equal(load_file(&f), 0);
	assert_false(dune_region_find(&mm.regions, loaded.rsp)->prot &
		     PROT_EXEC);
	unmap_all();
	f.ph[STACK].p_flags |= PF_X;
	assert_int_equal(load_file(&f), 0);
	assert_true(dune_region_find(&mm.regions, loaded.rsp)->prot &
		    PROT_EXEC);
}

static void test_alignment(void **state)
{
	struct elf_file f;

	(void)state;
	elf_valid(&f);
	f.eh.e_type = ET_DYN;
	f.ph[TEXT].p_align = 1 << 30;
	assert_int_equal(load_file(&f), 0);
	assert_int_equal(loaded.bias % (1 << 30), 0);
	unmap_all();
	/* only address zero is aligned so, and nothing may be there */
	f.ph[0].p_vaddr = 0;
	f.ph[TEXT].p_align = 1ul << 62;
	assert_int_equal(load_file(&f), -ENOMEM);
}

static void test_no_room(void **state)
{
	struct elf_file f;

	(void)state;
	elf_valid(&f);
	assert_int_equal(dune_region_insert(&mm.regions, 0x404000, 4096,
					    PROT_NONE, 0), 0);
	assert_int_equal(load_file(&f), -ENOMEM);
	assert_non_null(strstr(dune_errmsg(), "/tmp/dune-load-"));
}

/* Every mapping may fail. */
static void test_mmap_fails(void **state)
{
	char *const argv[] = { (char *)"/bin/true", NULL };
	int n, ret = -1;

	(void)state;
	for (n = 1; ret && n < 64; n++) {
		mmap_fails_at = n;
		ret = load(argv);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			assert_non_null(strstr(dune_errmsg(), "/bin/true: "));
		}
		unmap_all();
	}
	mmap_fails_at = 0;
	assert_in_range(n, 8, 40);
	assert_int_equal(ret, 0);
}

static void test_randomised(void **state)
{
	char *const argv[] = { (char *)"/bin/true", NULL };
	struct dune_loaded first;
	uint64_t random, brk, stack, top;
	int persona = personality(0xffffffff);

	(void)state;
	assert_int_equal(load(argv), 0);
	first = loaded;
	random = word(aux(AT_RANDOM));
	brk = mm.brk;
	stack = mm.stack_top;
	top = mm.mmap_top;
	unmap_all();
	assert_int_equal(load(argv), 0);
	assert_int_not_equal(word(aux(AT_RANDOM)), random);
	assert_false(first.bias == loaded.bias && brk == mm.brk);
	assert_false(stack == mm.stack_top && top == mm.mmap_top);
	unmap_all();

	personality(persona | ADDR_NO_RANDOMIZE);
	assert_int_equal(load(argv), 0);
	personality(persona);
	assert_int_equal(loaded.bias, DUNE_EXE_BASE);
	assert_int_equal(mm.stack_top, DUNE_STACK_TOP);
	assert_int_not_equal(word(aux(AT_RANDOM)), random);
}

static void test_stack_limit(void **state)
{
	static const struct {
		rlim_t limit;
		uint64_t size;
	} rows[] = {
		{ 8 << 20, 8 << 20 },
		{ 16 << 20, 16 << 20 },
		{ 1ul << 40, 64 << 20 },
		{ RLIM_INFINITY, 8 << 20 },
		{ (1 << 20) + 1, (1 << 20) + 4096 },
	};
	char *const argv[] = { (char *)"/bin/true", NULL };
	struct rlimit old, new;
	size_t i;

	(void)state;
	getrlimit(RLIMIT_STACK, &old);
	new = old;
	for (i = 0; i < DUNE_ARRAY_SIZE(rows); i++) {
		new.rlim_cur = rows[i].limit;
		if (setrlimit(RLIMIT_STACK, &new))
			continue;
		assert_int_equal(load(argv), 0);
		assert_int_equal(mm.stack_top - mm.stack_low, rows[i].size);
		unmap_all();
	}
	/* a limit below what the strings need: they get what they need */
	new.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_STACK, &new), 0);
	assert_int_equal(load(argv), 0);
	assert_true(loaded.rsp - mm.stack_low >= 128 << 10);
	setrlimit(RLIMIT_STACK, &old);
	unmap_all();
	/* the program's own goes before the host's */
	mm.rlimit_stack = 1 << 20;
	assert_int_equal(load(argv), 0);
	assert_int_equal(mm.stack_top - mm.stack_low, 1 << 20);
}

static void test_auxiliary(void **state)
{
	char *const argv[] = { (char *)"/bin/true", NULL };

	(void)state;
	mm.vdso = 0x123456789000;
	vm.kind.fsgsbase = true;
	assert_int_equal(load(argv), 0);
	assert_int_equal(aux(AT_SYSINFO_EHDR), 0x123456789000);
	assert_true(aux(AT_HWCAP2) & 2);
	assert_true(aux(AT_HWCAP) & 1 << 26);		/* SSE2 */
	/* the stack lies close below it, in its window of the VM */
	assert_in_range(mm.stack_top, mm.vdso - DUNE_LARGE_SIZE, mm.vdso);
	unmap_all();
	vm.kind.fsgsbase = false;
	assert_int_equal(load(argv), 0);
	assert_false(aux(AT_HWCAP2) & 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define PROGRAM(path) { path, test_program, setup, teardown, (void *)path }
	static const struct CMUnitTest tests[] = {
		PROGRAM("/bin/busybox"),	/* static, fixed address */
		PROGRAM("/bin/echo"),		/* PIE and interpreter */
		TEST(test_script),
		TEST(test_bss_is_zero),
		TEST(test_read_only_bss),
		TEST(test_shared_page),
		TEST(test_exec_stack),
		TEST(test_alignment),
		TEST(test_no_room),
		TEST(test_mmap_fails),
		TEST(test_randomised),
		TEST(test_stack_limit),
		TEST(test_auxiliary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
