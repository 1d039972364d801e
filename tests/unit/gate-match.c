/*
 * Rewriting system call sites: which are taken and which are refused, and that
 * patched code does what it did, by running it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include "kern/gate/match.h"

#define CODE(...)	(const uint8_t[]){ 0x0f, 0x05, __VA_ARGS__ }
#define MATCH(at, ...)	dune_site_match(CODE(__VA_ARGS__), \
					sizeof(CODE(__VA_ARGS__)), at)

static void test_moved(void **state)
{
	(void)state;
	/* cmp $-4095, %rax; ja: what glibc has everywhere */
	assert_int_equal(MATCH(0x1000, 0x48, 0x3d, 1, 0xf0, 0xff, 0xff, 0x77),
			 6);
	assert_int_equal(MATCH(0x1000, 0x3d, 0, 0xf0, 0xff, 0xff), 5);
	assert_int_equal(MATCH(0x1000, 0x48, 0x83, 0xf8, 0xff), 4);
	assert_int_equal(MATCH(0x1000, 0x83, 0xf8, 0xda), 3);
	assert_int_equal(MATCH(0x1000, 0x48, 0x89, 0xc5), 3);
	assert_int_equal(MATCH(0x1000, 0x41, 0x89, 0xc4), 3);
	assert_int_equal(MATCH(0x1000, 0x48, 0x85, 0xc0, 0x78), 3);
	assert_int_equal(MATCH(0x1000, 0x48, 0x63, 0xd0), 3);
	assert_int_equal(MATCH(0x1000, 0x48, 0xf7, 0xd8), 3);
	assert_int_equal(MATCH(0x1000, 0x48, 0xc7, 0xc7, 1, 0, 0, 0), 7);
}

static void test_refused(void **state)
{
	(void)state;
	/* no syscall at all, or not enough of it to see */
	assert_int_equal(dune_site_match((const uint8_t *)"\x0f\x0b\x48\x3d"
					 "\1\xf0\xff\xff", 8, 0x1000), 0);
	assert_int_equal(dune_site_match(CODE(0), 2, 0x1000), 0);
	assert_int_equal(MATCH(0x1000, 0x48, 0x3d, 1, 0xf0), 0);
	/* too short to make room: another instruction would have to move */
	assert_int_equal(MATCH(0x1000, 0x89, 0xc2, 0x90, 0x90), 0);
	assert_int_equal(MATCH(0x1000, 0x85, 0xc0, 0x78, 0x10), 0);
	/* what means something else in another place, or may fault there */
	assert_int_equal(MATCH(0x1000, 0xe9, 1, 2, 3, 4), 0);
	assert_int_equal(MATCH(0x1000, 0xe8, 1, 2, 3, 4), 0);
	assert_int_equal(MATCH(0x1000, 0x0f, 0x84, 1, 2, 3, 4), 0);
	assert_int_equal(MATCH(0x1000, 0x48, 0x8b, 0x05, 1, 2, 3, 4), 0);
	assert_int_equal(MATCH(0x1000, 0x48, 0x89, 0x04, 0x24), 0);
	assert_int_equal(MATCH(0x1000, 0x48, 0x83, 0x38, 0x00), 0);
	/* f7 /0 has an immediate, c7 /7 is xbegin */
	assert_int_equal(MATCH(0x1000, 0x48, 0xf7, 0xc0, 1, 2, 3, 4), 0);
	assert_int_equal(MATCH(0x1000, 0xc7, 0xf8, 1, 2, 3, 4), 0);
	/* a prefix that is none of a REX's business */
	assert_int_equal(MATCH(0x1000, 0x66, 0x3d, 1, 2, 0x90), 0);
	assert_int_equal(MATCH(0x1000, 0xf0, 0x48, 0x01, 0xc0), 0);
}

static void test_ret(void **state)
{
	(void)state;
	/* getppid: ret, then nopw 0(%rax,%rax) up to the next function */
	assert_int_equal(MATCH(0x1007, 0xc3, 0x66, 0x0f, 0x1f, 0x44, 0, 0), 1);
	assert_int_equal(MATCH(0x1005, 0xc3, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0),
			 1);
	assert_int_equal(MATCH(0x100b, 0xc3, 0xcc, 0xcc), 1);
	assert_int_equal(MATCH(0x100b, 0xc3, 0x66, 0x90), 1);
	assert_int_equal(MATCH(0x100a, 0xc3, 0x66, 0x2e, 0x90), 1);
	/* no room, or the next function is there already */
	assert_int_equal(MATCH(0x100c, 0xc3, 0x90, 0x90), 0);
	assert_int_equal(MATCH(0x100d, 0xc3, 0x90, 0x90, 0x90), 0);
	assert_int_equal(MATCH(0x100b, 0xc3, 0x31, 0xc0), 0);
	assert_int_equal(MATCH(0x1007, 0xc3, 0x0f, 0x1f, 0x40, 0, 0x55, 0x53),
			 0);
	/* filled beyond where a function may start: that is no filler */
	assert_int_equal(MATCH(0x100a, 0xc3, 0x0f, 0x1f, 0x40, 0), 0);
	/* filled as far as can be seen */
	assert_int_equal(MATCH(0x1000, 0xc3, 0x90, 0x90, 0x90), 0);
}

static void test_reach(void **state)
{
	const dune_gva_t at = 0x7f1234567891;

	(void)state;
	assert_true(dune_site_reaches(at, at + 5 + 0xcc00));
	assert_true(dune_site_reaches(at, at + 5 + 0xccff));
	assert_false(dune_site_reaches(at, at + 5 + 0xcbff));
	assert_false(dune_site_reaches(at, at + 5 + 0xcd00));
	assert_true(dune_site_reaches(at, at + 5 - 0x3400));
	assert_true(dune_site_reaches(at, at + 5 + 0x7ff0cc10));
	assert_true(dune_site_reaches(at, at + 5 - 0x7ff03400));
	assert_false(dune_site_reaches(at, at + 5 + 0x8000cc00));
	assert_false(dune_site_reaches(at, at + 5 - 0x80003400));
	assert_false(dune_site_reaches(at, at + 5 + 0x10000cc00));
}

static void test_original(void **state)
{
	(void)state;
	/* before it has left, at what was moved, and behind */
	assert_int_equal(dune_site_original(0x1000, 6, 0), 0x1000);
	assert_int_equal(dune_site_original(0x1000, 6, 7), 0x1000);
	assert_int_equal(dune_site_original(0x1000, 6, 17), 0x1000);
	assert_int_equal(dune_site_original(0x1000, 6, DUNE_SITE_BACK), 0x1002);
	assert_int_equal(dune_site_original(0x1000, 6, DUNE_SITE_BACK + 6),
			 0x1008);
}

/* What trampolines come to in place of the entry code: rax plus one, carry. */
void fake_entry(void);
__asm__(".text\n"
	".globl fake_entry\n"
	"fake_entry:\n"
	"	inc	%rax\n"
	"	stc\n"
	"	jmp	*%rcx\n");

static uint8_t *area;

/* Patched code at `at`, its trampoline at the first place it reaches. */
static long run(const uint8_t *code, size_t size, unsigned int first,
		unsigned int moved, long arg)
{
	uint8_t *at = area + 64, *to = area + 128;
	uint8_t patch[DUNE_SITE_PATCH];
	long ret;

	memset(area, 0xf4, 0x20000);
	memcpy(at, code, size);
	assert_int_equal(dune_site_match(at + first, size - first,
					 (uintptr_t)at + first), moved);
	while (!dune_site_reaches((uintptr_t)at + first, (uintptr_t)to))
		to += DUNE_TRAMPOLINE;
	dune_site_trampoline(to, (uintptr_t)to, (uintptr_t)at + first,
			     at + first, moved, (uintptr_t)fake_entry);
	dune_site_patch(patch, (uintptr_t)at + first, (uintptr_t)to);
	assert_int_equal(patch[2], 0xcc);
	memcpy(at + first, patch, sizeof(patch));
	__asm__ volatile("call *%1" : "=a"(ret) : "r"(at), "a"(arg)
			 : "rcx", "r11", "rdx", "cc", "memory");
	return ret;
}

static void test_run(void **state)
{
	/* syscall; cmp $5, %rax; mov $0, %edx; cmove %rax, %rdx; xchg; ret */
	static const uint8_t compares[] = {
		0x0f, 0x05, 0x48, 0x83, 0xf8, 0x05, 0xba, 0, 0, 0, 0,
		0x48, 0x0f, 0x44, 0xd0, 0x48, 0x92, 0xc3,
	};
	/* nop; syscall; mov %rax, %rdx; lea 7(%rdx), %rax; ret */
	static const uint8_t moves[] = {
		0x90, 0x0f, 0x05, 0x48, 0x89, 0xc2, 0x48, 0x8d, 0x42, 0x07,
		0xc3,
	};
	/* syscall; sbb $0, %rax (of the entry code's carry); ret */
	static const uint8_t carries[] = {
		0x0f, 0x05, 0x48, 0x83, 0xd8, 0x00, 0xc3,
	};
	/* eleven nops; syscall; ret; nopl 0(%rax) */
	static const uint8_t returns[] = {
		0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
		0x0f, 0x05, 0xc3, 0x0f, 0x1f, 0x00,
	};

	(void)state;
	area = mmap(NULL, 0x20000, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(area != MAP_FAILED);
	assert_int_equal(run(compares, sizeof(compares), 0, 4, 4), 5);
	assert_int_equal(run(compares, sizeof(compares), 0, 4, 5), 0);
	assert_int_equal(run(moves, sizeof(moves), 1, 3, 10), 18);
	assert_int_equal(run(carries, sizeof(carries), 0, 4, 10), 10);
	assert_int_equal(run(returns, sizeof(returns), 10, 1, 20), 21);
	munmap(area, 0x20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ret),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_original),
		cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
