/*
 * A whole report, for a guest that is made of this program's own file mapped
 * into the arena; and calls as text.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "kern/err.h"
#include "kern/report/args.h"
#include "kern/report/maps.h"
#include "kern/report/report.h"
#include "kern/sys/sys.h"
#include "kern/task/task.h"

#define CODE_AT		0x10000000ul
#define STACK_AT	0x20000000ul

static struct dune_policy policy;
static struct dune_mm mm;
static struct dune_vm vm;
static struct dune_vcpu vcpu = { .vm = &vm };
static struct dune_proc proc = { .exe = "/bin/guest\033[2J", .broker = -1,
				 .fd_base = 100, .policy = &policy };
static struct dune_task task = { .vcpu = &vcpu, .mm = &mm, .proc = &proc,
				 .tid = 77 };

/* Functions of the "guest"; never run. */
__attribute__((noinline, used)) static void guest_inner(void)
{
	__asm__ volatile("nop; nop; nop; nop");
}

__attribute__((noinline, used)) static void guest_outer(void)
{
	__asm__ volatile("nop; nop; nop; nop");
}

static uint64_t *stack;
static dune_gva_t inner, outer;

/* This program's file, whole, at CODE_AT: where a function is then. */
static dune_gva_t in_guest(void (*function)(void))
{
	static char maps[1 << 20];
	struct dune_mapping m;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, maps + n, sizeof(maps) - 1 - n)) > 0)
		n += got;
	close(fd);
	assert_true(dune_maps_find(maps, (uintptr_t)function, &m));
	return CODE_AT + m.offset + ((uintptr_t)function - m.start);
}

static int setup(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	(void)state;
	pthread_mutex_init(&mm.lock, NULL);
	dune_regions_init(&mm.regions);
	fstat(fd, &st);
	p = mmap((void *)CODE_AT, st.st_size, PROT_READ, MAP_PRIVATE |
		 MAP_FIXED_NOREPLACE, fd, 0);
	assert_int_equal((uintptr_t)p, CODE_AT);
	close(fd);
	stack = mmap((void *)STACK_AT, 8192, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_int_equal((uintptr_t)stack, STACK_AT);
	dune_region_insert(&mm.regions, CODE_AT,
			   DUNE_PAGE_UP((uint64_t)st.st_size),
			   PROT_READ | PROT_EXEC, DUNE_R_FILE);
	dune_region_insert(&mm.regions, STACK_AT, 8192,
			   PROT_READ | PROT_WRITE, DUNE_R_STACK);
	inner = in_guest(guest_inner);
	outer = in_guest(guest_outer);
	return 0;
}

static char text[16384];

/* Runs one kind of report; its text is in `text`. */
static void report(const struct dune_call *call)
{
	int fd = memfd_create("report", MFD_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	policy.report_fd = fd;
	dune_err(-EIO, "kept");
	if (call)
		dune_report_violation(&task, call, "some rule");
	else
		dune_report_fault(&task, dune_errmsg());
	assert_string_equal(dune_errmsg(), "kept");
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd);
}

static void assert_says(const char *words)
{
	if (!strstr(text, words))
		fail_msg("no \"%s\" in:\n%s", words, text);
}

static void test_violation(void **state)
{
	struct dune_call call = {
		.nr = SYS_socket, .arg = { 2, 1, 0 },
		.row = dune_sys_row(SYS_socket),
	};
	const char *line, *c;

	(void)state;
	vcpu.u = (struct kvm_regs){
		.rip = inner, .rsp = STACK_AT, .rbp = STACK_AT + 64,
		.r15 = 0x1234567890abcdef,
	};
	memset(stack, 0, 8192);
	stack[9] = outer + 2;
	report(&call);
	assert_says("dune-run: refused: socket(2");
	assert_says("some rule");
	assert_says("thread 77");
	assert_says("r15 1234567890abcdef");
	assert_says("(guest_inner+0x0)\n");
	assert_says("(guest_outer+0x2)\n");
	for (line = text; *line; line = strchr(line, '\n') + 1)
		assert_int_equal(strncmp(line, "dune-run: ", 10), 0);
	for (c = text; *c; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
}

static void test_fault_with_wild_registers(void **state)
{
	static const uint64_t wild[] = {
		0, 1, STACK_AT + 8190, DUNE_ARENA_HI - 1, DUNE_ARENA_HI,
		1ul << 47, UINT64_MAX - 3, UINT64_MAX,
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < DUNE_ARRAY_SIZE(wild); i++)
		for (k = 0; k < DUNE_ARRAY_SIZE(wild); k++) {
			vcpu.u = (struct kvm_regs){
				.rip = wild[i], .rsp = DUNE_ARENA_HI,
				.rbp = wild[k],
			};
			report(NULL);
			assert_says("dune-run: ended: kept\n");
			assert_says("#0");
		}
	vcpu.u.rip = STACK_AT + 16;
	report(NULL);
	assert_says("[stack]+0x10\n");
	vcpu.u.rip = 0x30000000;
	report(NULL);
	assert_says("[not mapped]+0x30000000\n");
}

static const char *format(long nr, uint64_t a, uint64_t b, uint64_t c,
			  size_t size)
{
	struct dune_call call = {
		.nr = nr, .arg = { a, b, c }, .row = dune_sys_row(nr),
	};

	memset(text, 'x', sizeof(text));
	dune_format_call(text, size, &call);
	assert_true(strlen(text) < size);
	return text;
}

static void test_calls_as_text(void **state)
{
	char *s = (char *)stack;
	size_t size;

	(void)state;
	strcpy(s, "/a\"b\\\033\n\377");
	assert_string_equal(format(SYS_openat, AT_FDCWD, STACK_AT, 0x80, 256),
		"openat(AT_FDCWD, \"/a\\\"b\\\\\\033\\012\\377\", 0x80, 00)");
	format(SYS_openat, (uint32_t)-7, 0, 0, 256);
	assert_says("openat(-7, NULL, ");
	format(SYS_openat, 5, DUNE_ARENA_HI + 1, 0, 256);
	assert_says("openat(5, 0x500000000001, ");
	memset(s, 'y', 4096);
	format(SYS_openat, 5, STACK_AT, 0, 512);
	assert_says("yyyy\"..., ");
	/* no row: all six, as they are */
	assert_string_equal(format(499, 1, 2, UINT64_MAX, 256),
			    "syscall_499(0x1, 0x2, 0xffffffffffffffff, 0x0, "
			    "0x0, 0x0)");
	for (size = 1; size < 300; size++)
		format(SYS_openat, AT_FDCWD, STACK_AT, 0, size);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_violation),
		cmocka_unit_test(test_fault_with_wild_registers),
		cmocka_unit_test(test_calls_as_text),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
