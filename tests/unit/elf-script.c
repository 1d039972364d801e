/* dune_script_parse() reads the `#!` line as Linux does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kern/elf/image.h"

#define S(s) s, sizeof(s) - 1

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X250 X50 X50 X50 X50 X50

static const struct line {
	const char *head;
	size_t len;
	int ret;
	const char *interp, *arg;
} lines[] = {
	{ S(""), 0, "", "" },
	{ S("#"), 0, "", "" },
	{ S("x#!/bin/sh\n"), 0, "", "" },
	{ S("\177ELF"), 0, "", "" },
	{ S("#!/bin/sh\n"), 1, "/bin/sh", "" },
	{ S("#!/bin/sh"), 1, "/bin/sh", "" },
	{ S("#!sh\n"), 1, "sh", "" },
	{ S("#! \t /bin/sh \t \necho"), 1, "/bin/sh", "" },
	{ S("#!/bin/sh -eu\n"), 1, "/bin/sh", "-eu" },
	{ S("#!/bin/sh \t -e -u \t\n"), 1, "/bin/sh", "-e -u" },
	{ S("#!/usr/bin/env  a  b\n"), 1, "/usr/bin/env", "a  b" },
	{ S("#!/bin/sh\r\n"), 1, "/bin/sh\r", "" },
	{ S("#!/bin/sh\0junk -x\n"), 1, "/bin/sh", "" },
	{ S("#!/bin/sh -a\0junk\n"), 1, "/bin/sh", "-a" },
	{ S("#!/bin/sh -a\n\n#!/bin/no\n"), 1, "/bin/sh", "-a" },
	{ S("#!"), -ENOEXEC, "", "" },
	{ S("#!\n"), -ENOEXEC, "", "" },
	{ S("#!  \t \n/bin/sh\n"), -ENOEXEC, "", "" },
	{ S("#!   "), -ENOEXEC, "", "" },
	/* 256 bytes are looked at: an argument may be cut, a name not */
	{ S("#!/" X250 "\n"), 1, "/" X250, "" },
	{ S("#!/" X250 "yyy\n"), -ENOEXEC, "", "" },
	{ S("#!/" X250 "yyyyyyyy\n"), -ENOEXEC, "", "" },
	{ S("#!/bin/sh " X250 "\n"), 1, "/bin/sh",
	  X50 X50 X50 X50 X10 X10 X10 X10 "xxxxx" },
};

static void test_line(void **state)
{
	const struct line *l = *state;
	char interp[256] = "", arg[256] = "";
	char *copy = malloc(l->len ? l->len : 1);

	assert_non_null(copy);
	memcpy(copy, l->head, l->len);
	assert_int_equal(dune_script_parse(copy, l->len, interp,
					   sizeof(interp), arg, sizeof(arg)),
			 l->ret);
	free(copy);
	if (l->ret == 1) {
		assert_string_equal(interp, l->interp);
		assert_string_equal(arg, l->arg);
	}
}

/* The caller's buffers are never overrun. */
static void test_small_buffers(void **state)
{
	char interp[8], arg[4];

	(void)state;
	assert_int_equal(dune_script_parse(S("#!/bin/sh -e\n"), interp, 8,
					   arg, 4), 1);
	assert_int_equal(dune_script_parse(S("#!/bin/sh -e\n"), interp, 7,
					   arg, 4), -ENOEXEC);
	assert_int_equal(dune_script_parse(S("#!/bin/sh -eux\n"), interp, 8,
					   arg, 4), -ENOEXEC);
}

int main(void)
{
	enum { N = sizeof(lines) / sizeof(lines[0]) };
	struct CMUnitTest tests[N + 1];
	size_t i;

	for (i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){
			.name = "test_line",
			.test_func = test_line,
			.initial_state = (void *)&lines[i],
		};
	tests[N] = (struct CMUnitTest)cmocka_unit_test(test_small_buffers);
	return _cmocka_run_group_tests("elf-script", tests, N + 1, NULL, NULL);
}
