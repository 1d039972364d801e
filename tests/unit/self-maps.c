/*
 * The parser of /proc/self/maps: what the kernel writes, what it never
 * should, and the process's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "kern/layout.h"
#include "kern/self/maps.h"

#define R	PROT_READ
#define W	PROT_WRITE
#define X	PROT_EXEC

/* The good lines of a text. */
static unsigned int parse(const char *text, struct dune_region *r,
			  unsigned int max)
{
	struct dune_maps p;
	unsigned int n = 0;

	dune_maps_begin(&p);
	for (; *text; text++)
		if (dune_maps_char(&p, *text) && n < max)
			r[n++] = (struct dune_region){ p.start, p.end, p.prot,
						       p.flags };
	return n;
}

static void what_the_kernel_writes(void **state)
{
	static const struct {
		const char *line;
		struct dune_region want;
	} lines[] = {
		{ "55d0c8a4e000-55d0c8a50000 r--p 00000000 fe:00 1234"
		  "                       /usr/bin/cat\n",
		  { 0x55d0c8a4e000, 0x55d0c8a50000, R, DUNE_R_FILE } },
		{ "00400000-00401000 r-xp 00000000 fe:00 1 /a b\\012c (deleted)\n",
		  { 0x400000, 0x401000, R | X, DUNE_R_FILE } },
		{ "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n",
		  { 0x7f0000000000, 0x7f0000021000, R | W, 0 } },
		{ "1000-2000 ---p 00000000 00:00 0\n",
		  { 0x1000, 0x2000, 0, 0 } },
		{ "7f0000000000-7f0000001000 rw-s 00000000 00:01 5 "
		  "/dev/zero (deleted)\n",
		  { 0x7f0000000000, 0x7f0000001000, R | W,
		    DUNE_R_FILE | DUNE_R_SHARED } },
		{ "7f0000000000-7f0000001000 rw-s 00000000 00:01 0 "
		  "/SYSV00000000 (deleted)\n",
		  { 0x7f0000000000, 0x7f0000001000, R | W,
		    DUNE_R_FILE | DUNE_R_SHARED } },
		{ "7f0000000000-7f0000001000 rw-s 00000000 00:0e 14 "
		  "anon_inode:kvm-vcpu:0\n",
		  { 0x7f0000000000, 0x7f0000001000, R | W,
		    DUNE_R_FILE | DUNE_R_SHARED } },
		{ "555555579000-55555559a000 rw-p 00000000 00:00 0    [heap]\n",
		  { 0x555555579000, 0x55555559a000, R | W, DUNE_R_HEAP } },
		{ "7ffffffde000-7ffffffff000 rwxp 00000000 00:00 0  [stack]\n",
		  { 0x7ffffffde000, 0x7ffffffff000, R | W | X,
		    DUNE_R_STACK } },
		{ "7ffff7fc1000-7ffff7fc5000 r--p 00000000 00:00 0  [vvar]\n",
		  { 0x7ffff7fc1000, 0x7ffff7fc5000, R, DUNE_R_VDSO } },
		{ "7ffff7fc5000-7ffff7fc7000 r--p 00000000 00:00 0  "
		  "[vvar_vclock]\n",
		  { 0x7ffff7fc5000, 0x7ffff7fc7000, R, DUNE_R_VDSO } },
		{ "7ffff7fc7000-7ffff7fc9000 r-xp 00000000 00:00 0  [vdso]\n",
		  { 0x7ffff7fc7000, 0x7ffff7fc9000, R | X, 0 } },
		{ "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 "
		  "[anon: glibc: malloc]\n",
		  { 0x7f0000000000, 0x7f0000001000, R | W, 0 } },
		{ "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 "
		  "                 [vsyscall]\n",
		  { 0xffffffffff600000, 0xffffffffff601000, X, 0 } },
	};
	struct dune_region r;
	unsigned int i;

	(void)state;
	for (i = 0; i < DUNE_ARRAY_SIZE(lines); i++) {
		if (parse(lines[i].line, &r, 1) != 1)
			fail_msg("line %u", i);
		if (memcmp(&r, &lines[i].want, sizeof(r)))
			fail_msg("line %u: %lx-%lx prot %x flags %x", i,
				 r.start, r.end, r.prot, r.flags);
	}
}

/* A bad line is skipped; the next one counts. */
static void what_it_never_should(void **state)
{
	static const char *const bad[] = {
		"", "-", " ", "-2000 r--p 0 0:0 0", "1000- r--p 0 0:0 0",
		"1000-1000 r--p 0 0:0 0", "2000-1000 r--p 0 0:0 0",
		"1001-2000 r--p 0 0:0 0", "1000-2001 r--p 0 0:0 0",
		"1000-2000 r--p", "1000-2000 r--p 0", "1000-2000 r--p 0 0:0",
		"1000-2000 r-- 0 0:0 0", "1000-2000 r--pp 0 0:0 0",
		"1000-2000 x--p 0 0:0 0", "1000-2000 r--? 0 0:0 0",
		"1000-2000  0 0:0 0", "1000-2000-3000 r--p 0 0:0 0",
		"0x1000-0x2000 r--p 0 0:0 0", "1000_2000 r--p 0 0:0 0",
		"00000000000001000-2000 r--p 0 0:0 0", "1G00-2000 r--p 0 0:0 0",
	};
	struct dune_region r[2];
	char text[256];
	unsigned int i;

	(void)state;
	for (i = 0; i < DUNE_ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "%s\n5000-6000 rw-p 0 0:0 0 \n",
			 bad[i]);
		if (parse(text, r, 2) != 1 || r[0].start != 0x5000)
			fail_msg("\"%s\" passed", bad[i]);
	}
	/* without its newline a line is not one */
	assert_int_equal(parse("1000-2000 r--p 0 0:0 0 /x", r, 2), 0);
}

static void our_own(void **state)
{
	struct dune_regions rs;
	const struct dune_region *r;
	static int data;
	char buf[512];
	void *none;

	(void)state;
	none = mmap(NULL, 3 * DUNE_PAGE_SIZE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mmap((char *)none + DUNE_PAGE_SIZE, DUNE_PAGE_SIZE, R | W,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	dune_regions_init(&rs);
	assert_int_equal(dune_maps_read(&rs, buf, sizeof(buf)), 0);
	r = dune_region_find(&rs, (uintptr_t)&data);
	assert_int_equal(r->prot, R | W);
	r = dune_region_find(&rs, (uintptr_t)&buf);
	assert_true(r->flags & DUNE_R_STACK);
	r = dune_region_find(&rs, (uintptr_t)our_own);
	assert_int_equal(r->prot, R | X);
	assert_true(r->flags & DUNE_R_FILE);
	assert_null(dune_region_find(&rs, 0));
	r = dune_region_find(&rs, (uintptr_t)none);
	assert_int_equal(r->prot, 0);
	assert_int_equal(r[1].start, (uintptr_t)none + DUNE_PAGE_SIZE);
	assert_int_equal(r[1].flags, DUNE_R_FILE | DUNE_R_SHARED);
	assert_true(rs.v[rs.n - 1].end <= DUNE_ARENA_HI);
	dune_regions_free(&rs);
	munmap(none, 3 * DUNE_PAGE_SIZE);
}

static void no_descriptor_left(void **state)
{
	struct rlimit rl, none = { 0, 0 };
	struct dune_regions rs;
	char buf[512];

	(void)state;
	getrlimit(RLIMIT_NOFILE, &rl);
	none.rlim_max = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &none);
	dune_regions_init(&rs);
	assert_int_equal(dune_maps_read(&rs, buf, sizeof(buf)), -EIO);
	setrlimit(RLIMIT_NOFILE, &rl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_kernel_writes),
		cmocka_unit_test(what_it_never_should),
		cmocka_unit_test(our_own),
		cmocka_unit_test(no_descriptor_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
