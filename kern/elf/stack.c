/*
 * The first stack: what a program finds above its stack pointer.
 *
 *	top	8 zero bytes
 *		path the program was started by (AT_EXECFN)
 *		strings of envp, then below them strings of argv
 *		platform string, 16 random bytes
 *		auxiliary vector, ended by AT_NULL
 *		envp[], NULL
 *		argv[], NULL
 *	rsp	argc
 *
 * Programs that overwrite their title count on argv's strings lying
 * straight below envp's.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include "kern/elf/image.h"
#include "kern/err.h"

#define TOP_ZEROES	8
#define STRING_MAX	(128ul << 10)	/* Linux's MAX_ARG_STRLEN */
#define ARGS_MAX	(6ul << 20)	/* three quarters of 8 MiB */
#define ARGS_MIN	(128ul << 10)	/* Linux's ARG_MAX */

/* What dune_stack_build() adds: AT_RANDOM, _EXECFN, _PLATFORM, AT_NULL. */
#define AUX_OWN		4

/* Writes from the end of the buffer to its begin; knows both addresses. */
struct writer {
	char *buf;
	size_t left;		/* free bytes at the start of buf */
	size_t size;
	dune_gva_t top;
};

static dune_gva_t push(struct writer *w, const void *data, size_t len)
{
	w->left -= len;
	memcpy(w->buf + w->left, data, len);
	return w->top - (w->size - w->left);
}

static dune_gva_t push_string(struct writer *w, const char *s)
{
	return push(w, s, strlen(s) + 1);
}

static size_t count(char *const *v, uint64_t *bytes)
{
	size_t n;

	for (n = 0; v[n]; n++)
		*bytes += strlen(v[n]) + 1;
	return n;
}

static uint64_t vector_bytes(size_t argc, size_t envc, unsigned int auxn)
{
	return 8 * (1 + argc + 1 + envc + 1) + 16 * (auxn + AUX_OWN);
}

uint64_t dune_stack_bytes(const struct dune_stack *s)
{
	uint64_t strings = TOP_ZEROES + sizeof(s->random);
	size_t argc, envc;

	strings += strlen(s->execfn) + 1 + strlen(s->platform) + 1;
	argc = count(s->argv, &strings);
	envc = count(s->envp, &strings);
	return strings + vector_bytes(argc, envc, s->auxn) + 15;
}

int dune_stack_fits(char *const *argv, char *const *envp, const char *execfn,
		    uint64_t rlimit)
{
	uint64_t limit = rlimit / 4, used = 0;
	size_t n;

	if (limit > ARGS_MAX)
		limit = ARGS_MAX;
	if (limit < ARGS_MIN)
		limit = ARGS_MIN;
	for (n = 0; argv[n]; n++)
		if (strnlen(argv[n], STRING_MAX) == STRING_MAX)
			return dune_err(-E2BIG, "argument %zu is too long", n);
	for (n = 0; envp[n]; n++)
		if (strnlen(envp[n], STRING_MAX) == STRING_MAX)
			return dune_err(-E2BIG, "environment string %zu is too "
					"long", n);
	used = strlen(execfn) + 1;
	n = count(argv, &used);
	n = (n ? n : 1) + count(envp, &used);
	if (used + n * 8 > limit)
		return dune_err(-E2BIG, "the argument list is too long");
	return 0;
}

/* The caller's buffer may lie at any address. */
static char *put(char *v, uint64_t value)
{
	memcpy(v, &value, sizeof(value));
	return v + sizeof(value);
}

/* Pointers to consecutive strings that start at addr, and a NULL. */
static char *put_pointers(char *v, char *const *strings, dune_gva_t addr)
{
	for (; *strings; strings++) {
		v = put(v, addr);
		addr += strlen(*strings) + 1;
	}
	return put(v, 0);
}

static char *put_aux(char *v, uint64_t type, uint64_t value)
{
	return put(put(v, type), value);
}

static dune_gva_t push_strings(struct writer *w, char *const *v, size_t n)
{
	while (n--)
		push_string(w, v[n]);
	return w->top - (w->size - w->left);
}

long dune_stack_build(const struct dune_stack *s, void *buf, size_t size,
		      dune_gva_t top, dune_gva_t *arg_start,
		      dune_gva_t *arg_end, dune_gva_t *env_start,
		      dune_gva_t *env_end)
{
	static const char zeroes[TOP_ZEROES];
	struct writer w = {
		.buf = buf, .left = size, .size = size, .top = top,
	};
	dune_gva_t execfn, random, platform, rsp;
	uint64_t need, unused = 0;
	size_t argc, envc;
	unsigned int i;
	char *v;

	if (s->auxn > DUNE_ARRAY_SIZE(s->aux))
		return dune_err(-EINVAL, "too many auxiliary values");
	need = dune_stack_bytes(s);
	if (need > size || need > top)
		return dune_err(-E2BIG, "the argument list does not fit the "
				"stack");
	argc = count(s->argv, &unused);
	envc = count(s->envp, &unused);

	push(&w, zeroes, sizeof(zeroes));
	execfn = push_string(&w, s->execfn);
	*env_end = execfn;
	*env_start = push_strings(&w, s->envp, envc);
	*arg_end = *env_start;
	*arg_start = push_strings(&w, s->argv, argc);
	platform = push_string(&w, s->platform);
	random = push(&w, s->random, sizeof(s->random));

	rsp = (random - vector_bytes(argc, envc, s->auxn)) & ~15ul;
	/* What alignment leaves free must not show what was in buf. */
	v = w.buf + size - (top - rsp);
	memset(v, 0, random - rsp);
	v = put(v, argc);
	v = put_pointers(v, s->argv, *arg_start);
	v = put_pointers(v, s->envp, *env_start);
	for (i = 0; i < s->auxn; i++)
		v = put_aux(v, s->aux[i].type, s->aux[i].value);
	v = put_aux(v, AT_RANDOM, random);
	v = put_aux(v, AT_EXECFN, execfn);
	v = put_aux(v, AT_PLATFORM, platform);
	put_aux(v, AT_NULL, 0);
	return top - rsp;
}
