/*
 * dune_stack_build(): the first stack as a program's _start finds it
 * (System V AMD64 psABI 3.4.1, figure 3.9), at any size and alignment.
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kern/elf/image.h"
#include "kern/types.h"

#define TOP 0x4ffffffff000ul

/* A stack that was built: guest address to host. */
struct built {
	char *buf;
	size_t size;
	dune_gva_t top, rsp;
	dune_gva_t arg_start, arg_end, env_start, env_end;
};

static const char *at(const struct built *b, dune_gva_t addr)
{
	assert_true(addr >= b->rsp && addr < b->top);
	return b->buf + b->size - (b->top - addr);
}

static uint64_t word(const struct built *b, dune_gva_t addr)
{
	uint64_t v;

	memcpy(&v, at(b, addr), sizeof(v));
	return v;
}

static long build(struct built *b, const struct dune_stack *s, size_t size,
		  dune_gva_t top)
{
	long used;

	b->size = size;
	b->top = top;
	b->buf = malloc(size ? size : 1);
	assert_non_null(b->buf);
	memset(b->buf, 0xee, size);
	used = dune_stack_build(s, b->buf, size, top, &b->arg_start,
				&b->arg_end, &b->env_start, &b->env_end);
	b->rsp = top - used;
	return used;
}

/* argv or envp: pointers to strings without gaps between start and end. */
static dune_gva_t check_vector(const struct built *b, dune_gva_t v,
			       char *const *strings, dune_gva_t start,
			       dune_gva_t end)
{
	for (; *strings; strings++, v += 8) {
		assert_int_equal(word(b, v), start);
		assert_string_equal(at(b, start), *strings);
		start += strlen(*strings) + 1;
	}
	assert_int_equal(start, end);
	assert_int_equal(word(b, v), 0);
	return v + 8;
}

static void check(const struct built *b, const struct dune_stack *s)
{
	dune_gva_t v = b->rsp, random = 0;
	unsigned int argc = 0, i;

	while (s->argv[argc])
		argc++;
	assert_int_equal(b->rsp % 16, 0);
	assert_int_equal(word(b, v), argc);
	v = check_vector(b, v + 8, s->argv, b->arg_start, b->arg_end);
	v = check_vector(b, v, s->envp, b->env_start, b->env_end);
	assert_int_equal(b->arg_end, b->env_start);

	for (i = 0; i < s->auxn; i++, v += 16) {
		assert_int_equal(word(b, v), s->aux[i].type);
		assert_int_equal(word(b, v + 8), s->aux[i].value);
	}
	assert_int_equal(word(b, v), AT_RANDOM);
	random = word(b, v + 8);
	assert_memory_equal(at(b, random), s->random, 16);
	assert_int_equal(word(b, v + 16), AT_EXECFN);
	assert_string_equal(at(b, word(b, v + 24)), s->execfn);
	assert_int_equal(word(b, v + 24), b->env_end);
	assert_int_equal(word(b, v + 32), AT_PLATFORM);
	assert_string_equal(at(b, word(b, v + 40)), s->platform);
	assert_int_equal(word(b, v + 48), AT_NULL);
	assert_int_equal(word(b, v + 56), 0);

	/* Nothing of what was in the buffer may reach the program. */
	for (v += 64; v < random; v++)
		assert_int_equal(*at(b, v), 0);
	assert_true(v == random);
	assert_int_equal(word(b, b->top - 8), 0);
}

static char *const none[] = { NULL };
static char *const two[] = { (char *)"prog", (char *)"-x", NULL };
static char *const three[] = { (char *)"A=1", (char *)"", (char *)"LONG="
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	NULL };

static struct dune_stack sample(char *const *argv, char *const *envp,
				unsigned int auxn)
{
	struct dune_stack s = {
		.argv = argv, .envp = envp, .execfn = "/bin/prog",
		.platform = "x86_64", .random = "0123456789abcdef",
		.auxn = auxn,
	};
	unsigned int i;

	for (i = 0; i < auxn; i++) {
		s.aux[i].type = 100 + i;
		s.aux[i].value = i << 20;
	}
	return s;
}

static void test_layout(void **state)
{
	char *const *const vectors[] = { none, two, three };
	unsigned int a, e, auxn;
	struct dune_stack s;
	struct built b;

	(void)state;
	for (a = 0; a < 3; a++)
		for (e = 0; e < 3; e++)
			for (auxn = 0; auxn <= 32; auxn++) {
				s = sample(vectors[a], vectors[e], auxn);
				assert_true(build(&b, &s, 4096, TOP) > 0);
				check(&b, &s);
				free(b.buf);
			}
}

static void test_any_top(void **state)
{
	struct dune_stack s = sample(two, three, 3);
	struct built b;
	unsigned int i;

	(void)state;
	for (i = 0; i < 64; i++) {
		assert_true(build(&b, &s, 2048 + i, TOP - i) > 0);
		check(&b, &s);
		free(b.buf);
	}
}

/* dune_stack_bytes() is enough, one byte less is an error. */
static void test_exact_size(void **state)
{
	struct dune_stack s = sample(two, three, 5);
	uint64_t need = dune_stack_bytes(&s);
	struct built b;
	unsigned int i;

	(void)state;
	for (i = 0; i < 16; i++) {
		assert_true(build(&b, &s, need, TOP - i) > 0);
		check(&b, &s);
		free(b.buf);
	}
	for (i = 1; i <= need; i++) {
		assert_int_equal(build(&b, &s, need - i, TOP), -E2BIG);
		free(b.buf);
	}
}

static void test_bad_arguments(void **state)
{
	struct dune_stack s = sample(two, three, 3);
	struct built b;

	(void)state;
	assert_int_equal(build(&b, &s, 4096, 100), -E2BIG);
	free(b.buf);
	s.auxn = 33;
	assert_int_equal(build(&b, &s, 4096, TOP), -EINVAL);
	free(b.buf);
}

/* execve(2): a quarter of the stack's limit, at least 128 KiB. */
static void test_fits(void **state)
{
	char *big = malloc((128 << 10) + 1), *many[64];
	unsigned int i;

	(void)state;
	memset(big, 'x', 128 << 10);
	big[128 << 10] = '\0';
	many[0] = big;
	many[1] = NULL;
	assert_int_equal(dune_stack_fits(many, none, "p", UINT64_MAX), -E2BIG);
	assert_int_equal(dune_stack_fits(none, many, "p", UINT64_MAX), -E2BIG);
	big[(128 << 10) - 1] = '\0';
	assert_int_equal(dune_stack_fits(many, none, "p", UINT64_MAX), 0);
	assert_int_equal(dune_stack_fits(none, many, "p", 8 << 20), 0);
	/* the string alone is the least there is */
	assert_int_equal(dune_stack_fits(many, none, "p", 4096), -E2BIG);
	for (i = 0; i < 63; i++)
		many[i] = big;
	many[i] = NULL;
	assert_int_equal(dune_stack_fits(many, none, "p", UINT64_MAX), -E2BIG);
	many[47] = NULL;
	assert_int_equal(dune_stack_fits(many, none, "p", UINT64_MAX), 0);
	assert_int_equal(dune_stack_fits(many, none, "p", 8 << 20), -E2BIG);
	assert_int_equal(dune_stack_fits(none, none, "p", 0), 0);
	free(big);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_any_top),
		cmocka_unit_test(test_exact_size),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
