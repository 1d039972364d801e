/* Guest memory access: range checks, and faults that end a copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "kern/mm/uaccess.h"

/* A readable and writable page, and one that is neither. */
#define PAGE	0x200000000000ul
#define WALL	(PAGE + DUNE_PAGE_SIZE)

static void handler(int sig, siginfo_t *info, void *ctx)
{
	greg_t *rip = &((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RIP];
	uintptr_t to = dune_uaccess_fixup(*rip);

	(void)info;
	if (!to) {
		signal(sig, SIG_DFL);
		return;
	}
	*rip = to;
}

/* In each test that faults: cmocka sets its own handlers around each. */
static void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = handler,
				.sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static int setup(void **state)
{
	void *p = mmap((void *)PAGE, 2 * DUNE_PAGE_SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		       -1, 0);

	(void)state;
	if (p != (void *)PAGE)
		return -1;
	mprotect(p, DUNE_PAGE_SIZE, PROT_READ | PROT_WRITE);
	return 0;
}

static void access_ok_does_not_overflow(void **state)
{
	(void)state;
	assert_true(dune_access_ok(DUNE_ARENA_LO, 1));
	assert_true(dune_access_ok(DUNE_ARENA_HI - 1, 1));
	assert_true(dune_access_ok(DUNE_ARENA_HI, 0));
	assert_false(dune_access_ok(DUNE_ARENA_HI, 1));
	assert_false(dune_access_ok(DUNE_ARENA_LO - 1, 1));
	assert_false(dune_access_ok(0, 0));
	assert_false(dune_access_ok(DUNE_ARENA_LO, ~0ul));
	assert_false(dune_access_ok(~0ul, 1));
	assert_false(dune_access_ok(~0ul, ~0ul));
}

static void copies_both_ways(void **state)
{
	char in[100], out[100];
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		out[i] = i;
	assert_int_equal(dune_copy_out(WALL - 100, out, 100), 0);
	assert_int_equal(dune_copy_in(in, WALL - 100, 100), 0);
	assert_memory_equal(in, out, 100);
	assert_int_equal(dune_clear_out(WALL - 50, 50), 0);
	assert_int_equal(dune_copy_in(in, WALL - 51, 51), 0);
	assert_int_equal(in[0], 49);
	assert_int_equal(in[1], 0);
	assert_int_equal(in[50], 0);
}

static void faults_end_a_copy(void **state)
{
	char buf[200] = { 0 };

	(void)state;
	catch_faults();
	assert_int_equal(dune_copy_in(buf, WALL - 100, 101), -EFAULT);
	assert_int_equal(dune_copy_in(buf, WALL, 1), -EFAULT);
	assert_int_equal(dune_copy_out(WALL - 100, buf, 200), -EFAULT);
	assert_int_equal(dune_clear_out(WALL - 100, 200), -EFAULT);
	assert_int_equal(dune_copy_in(buf, PAGE - 1, 2), -EFAULT);
	assert_int_equal(dune_copy_in(buf, WALL, 0), 0);
}

static void outside_the_arena(void **state)
{
	char buf[8] = "monitor";

	(void)state;
	assert_int_equal(dune_copy_in(buf, (uintptr_t)buf, 8), -EFAULT);
	assert_int_equal(dune_copy_out((uintptr_t)buf, "", 1), -EFAULT);
	assert_int_equal(dune_clear_out((uintptr_t)buf, 8), -EFAULT);
	assert_int_equal(dune_touch((uintptr_t)buf, true), -EFAULT);
	assert_int_equal(dune_copy_string(buf, (uintptr_t)buf, 8), -EFAULT);
	assert_string_equal(buf, "monitor");
}

static void strings(void **state)
{
	char buf[64];

	(void)state;
	catch_faults();
	dune_copy_out(WALL - 6, "hello", 6);
	assert_int_equal(dune_copy_string(buf, WALL - 6, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(dune_copy_string(buf, WALL - 6, 6), 5);
	assert_int_equal(dune_copy_string(buf, WALL - 6, 5), -ENAMETOOLONG);
	assert_int_equal(dune_copy_string(buf, WALL - 6, 0), -ENAMETOOLONG);
	dune_copy_out(WALL - 1, "!", 1);
	assert_int_equal(dune_copy_string(buf, WALL - 6, sizeof(buf)),
			 -EFAULT);
}

static void touch(void **state)
{
	char c = 'x';

	(void)state;
	catch_faults();
	dune_copy_out(PAGE, &c, 1);
	assert_int_equal(dune_touch(PAGE, false), 0);
	assert_int_equal(dune_touch(PAGE, true), 0);
	dune_copy_in(&c, PAGE, 1);
	assert_int_equal(c, 'x');
	assert_int_equal(dune_touch(WALL, false), -EFAULT);
	mprotect((void *)PAGE, DUNE_PAGE_SIZE, PROT_READ);
	assert_int_equal(dune_touch(PAGE, false), 0);
	assert_int_equal(dune_touch(PAGE, true), -EFAULT);
	assert_int_equal(dune_copy_out(PAGE, &c, 1), -EFAULT);
	mprotect((void *)PAGE, DUNE_PAGE_SIZE, PROT_READ | PROT_WRITE);
}

/* A mapping beyond the end of its file is a SIGBUS on the host. */
static void file_too_short(void **state)
{
	int fd = memfd_create("short", MFD_CLOEXEC);
	void *p = mmap((void *)(PAGE + 0x100000), DUNE_PAGE_SIZE, PROT_READ,
		       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	char c;

	(void)state;
	catch_faults();
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(dune_copy_in(&c, (uintptr_t)p, 1), -EFAULT);
	munmap(p, DUNE_PAGE_SIZE);
	close(fd);
}

static void only_our_instructions_are_mended(void **state)
{
	(void)state;
	assert_int_equal(dune_uaccess_fixup((uintptr_t)handler), 0);
	assert_int_equal(dune_uaccess_fixup((uintptr_t)dune_copy_in), 0);
	assert_int_equal(dune_uaccess_fixup(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access_ok_does_not_overflow),
		cmocka_unit_test(copies_both_ways),
		cmocka_unit_test(faults_end_a_copy),
		cmocka_unit_test(outside_the_arena),
		cmocka_unit_test(strings),
		cmocka_unit_test(touch),
		cmocka_unit_test(file_too_short),
		cmocka_unit_test(only_our_instructions_are_mended),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
