/* Decoding in sandboxes: the libraries as dune-thumbs does, and the kernel. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"

DUNE_PLUGIN_CALL(call_add, int, int, int)
DUNE_PLUGIN_CALL(call_decode, int, dune_addr, unsigned int, dune_addr,
		 unsigned int)

/* The libraries' sandboxes: reset after each image, and never. */
static struct pool *pool, *kept;
static struct dune_engine *engine;
/* One that stays as images leave it, and one that is reset. */
static struct dune_sandbox *box, *fresh;
static struct dune_function f_add, f_decode;
static dune_addr file, pixels;
static char why[200];

const char *boxes_start(const char *library)
{
	char policy[4200];
	struct box_limits limits = { .memory = 1u << 30 };
	struct dune_sandbox_options options = {
		.size = sizeof(options), .policy = policy,
		.heap = FILE_BYTES + PIXEL_BYTES + 65536,
	};
	struct dune_object *object;

	snprintf(policy, sizeof(policy), "ro %s\n", library);
	pool = pool_create(1, &limits, NULL);
	limits.images = UINT_MAX;
	kept = pool_create(1, &limits, NULL);
	if (!pool || !kept || dune_engine_create(&engine) ||
	    dune_sandbox_create(engine, &options, &box) ||
	    dune_sandbox_load(box, library, 0, &object) ||
	    dune_object_function(object, "kernel_add", &f_add) ||
	    dune_object_function(object, "kernel_decode", &f_decode) ||
	    dune_sandbox_alloc(box, FILE_BYTES, &file) ||
	    dune_sandbox_alloc(box, PIXEL_BYTES, &pixels) ||
	    dune_sandbox_snapshot(box) || dune_sandbox_clone(box, &fresh)) {
		/* other calls change what the message is */
		snprintf(why, sizeof(why), "%s", dune_errmsg());
		return why;
	}
	return NULL;
}

void boxes_end(void)
{
	dune_engine_destroy(engine);
	if (pool)
		pool_destroy(pool);
	if (kept)
		pool_destroy(kept);
}

int box_add(int a, int b)
{
	int sum;

	return call_add(&f_add, &sum, a, b) || sum != a + b;
}

/* The addresses are the same in both. */
static int decode_in(struct dune_sandbox *b, struct image *im)
{
	const struct dune_function f = dune_function_in(b, f_decode);
	size_t len;
	int bad, err;

	err = qoi_room(im);
	if (err)
		return err;
	len = (size_t)im->pixels.width * im->pixels.height * 4;
	if ((err = dune_sandbox_copy_in(b, file, im->data, im->size)) ||
	    (err = call_decode(&f, &bad, file, im->size, pixels, PIXEL_BYTES)))
		return err;
	return bad ? -EBADMSG :
		dune_sandbox_copy_out(b, im->pixels.rgba, pixels, len);
}

int decode_box(struct image *im)
{
	if (im->format != FORMAT_QOI)
		return box_decode(pool_worker(kept, 0), im);
	return decode_in(box, im);
}

int decode_box_reset(struct image *im)
{
	int err;

	if (im->format != FORMAT_QOI)
		return box_decode(pool_worker(pool, 0), im);
	err = decode_in(fresh, im);
	return err ? err : dune_sandbox_reset(fresh);
}
