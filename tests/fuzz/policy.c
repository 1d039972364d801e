/* Policy files of any bytes: parsed or refused with a message, never more. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "kern/err.h"
#include "kern/policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Paths are not looked up; some are refused. */
static int add(struct dune_policy *p, const char *path, bool write)
{
	assert(*path && strlen(path) < PATH_MAX + 64);
	if (path[0] != '/')
		return dune_err(-2, "%s: refused", path);
	p->net = write;
	return 0;
}

static void check_string(const struct dune_policy *p, uint32_t off)
{
	assert(off < p->pathbuf_used);
	assert(memchr(p->pathbuf + off, '\0', p->pathbuf_used - off));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dune_policy p;
	/* a block of its own, so that ASan sees its end */
	char *text = malloc(size ? size : 1);
	int err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	dune_policy_init(&p);
	err = dune_policy_parse(&p, "input", text, size, add);
	free(text);
	assert(err <= 0);
	if (err)
		assert(strncmp(dune_errmsg(), "input:", 6) == 0);
	assert(p.version == sizeof(p) && p.pathbuf_used <= sizeof(p.pathbuf));
	assert(p.envs <= DUNE_POLICY_ENVS && p.wall_ns <= INT64_MAX);
	for (unsigned int i = 0; i < p.envs; i++)
		check_string(&p, p.env[i]);
	check_string(&p, p.cwd);
	check_string(&p, p.trace_file);
	return 0;
}
