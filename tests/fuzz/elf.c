/*
 * The ELF loader's pure parts on any bytes: headers, #! line, and the first
 * stack made of strings that the bytes spell.
 */
#include <stdlib.h>
#include "tests/unit/bytes.h"
#include "tests/unit/elf-check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* The head of a good program: headers and interpreter. */
#define HEAD_SIZE offsetof(struct elf_file, rest)

/* head of the data's bytes come at once; the file is said to be `size` long */
static void try_parse(const struct bytes *data, size_t head, uint64_t size)
{
	struct bytes b = *data;
	struct dune_image img;
	uint8_t *copy = malloc(head ? head : 1);

	/* a block of its own, so that ASan sees its end */
	memcpy(copy, data->data, head);
	if (!dune_image_parse(&img, copy, head, size, read_at, &b) &&
	    elf_broken_promise(&img, size))
		abort();
	free(copy);
}

static void try_script(const uint8_t *data, size_t size)
{
	char interp[256], arg[256];
	int ret = dune_script_parse((const char *)data, size, interp,
				    sizeof(interp), arg, sizeof(arg));

	if (ret == 1 && (!interp[0] || strlen(interp) > 255 ||
			 strlen(arg) > 255))
		abort();
}

/* The bytes as strings, every other one an environment string. */
static void try_stack(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *end = text + size, *s;
	char *argv[32], *envp[32];
	struct dune_stack stack = { .argv = argv, .envp = envp,
				    .platform = "x86_64" };
	dune_gva_t top = 0x4ffffffff000 - (size ? data[0] : 0), p[4];
	unsigned int n = 0;
	uint64_t need;
	char *buf;
	long used;

	memcpy(text, data, size);
	text[size] = '\0';
	stack.execfn = text;
	for (s = text; s < end && n < 62; s += strlen(s) + 1, n++)
		(n & 1 ? envp : argv)[n / 2] = s;
	argv[(n + 1) / 2] = NULL;
	envp[n / 2] = NULL;
	stack.auxn = size % 33;
	need = dune_stack_bytes(&stack);
	buf = malloc(need);
	used = dune_stack_build(&stack, buf, need, top, &p[0], &p[1], &p[2],
				&p[3]);
	if (used <= 0 || (uint64_t)used > need || (top - used) % 16 ||
	    p[0] > p[1] || p[1] != p[2] || p[2] > p[3] || p[3] >= top)
		abort();
	dune_stack_build(&stack, buf, size < need ? size : need, top, &p[0],
			 &p[1], &p[2], &p[3]);
	free(buf);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };

	try_parse(&b, size, size);
	try_parse(&b, size, 1 << 20);
	try_parse(&b, size / 2, size);
	try_script(data, size);
	try_stack(data, size);
	return 0;
}

/* Now and then starts anew from a good program: few random bytes are one. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	struct elf_file f;

	if (seed % 16 == 0 && max >= HEAD_SIZE) {
		elf_valid(&f);
		memcpy(data, &f, HEAD_SIZE);
		size = HEAD_SIZE;
	}
	return LLVMFuzzerMutate(data, size, max);
}
