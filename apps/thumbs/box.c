/* The decoders' sandboxes: one is set up and frozen, the others are clones. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "box.h"

/* From this size on memory is taken in pages of as much. */
#define LARGE	(2u << 20)
/* No less is shared: what grows is touched for the first time again. */
#define SHARED	(4u << 20)

struct pool {
	struct dune_engine *engine;
	unsigned int workers;
	struct worker worker[];
};

static const struct {
	const char *file;
	int (*decode)(struct worker *w);
	int (*close)(struct worker *w);
} decoder[FORMATS] = {
	[FORMAT_PNG] = { "libpng16.so.16", box_png, box_png_close },
	[FORMAT_JPEG] = { "libjpeg.so.62", box_jpeg, NULL },
	[FORMAT_GIF] = { "libgif.so.7", box_gif, box_gif_close },
	[FORMAT_WEBP] = { "libwebp.so.7", box_webp, NULL },
};

#define BOX_NAME(format, name, ...) { format, #name },
static const struct {
	unsigned int object;
	const char *name;
} function[F_COUNT] = { BOX_FUNCTIONS(BOX_NAME, BOX_NAME) };

#define BOX_CALLBACK_AT(name) &box_##name,
static const struct dune_callback *const *const callback[C_COUNT] = {
	BOX_CALLBACKS(BOX_CALLBACK_AT)
};

/* Clones share the callbacks' context, so a thread knows its worker. */
static _Thread_local struct worker *current;

struct worker *box_current(void)
{
	return current;
}

int box_says(struct worker *w, const char *who, dune_addr text)
{
	char said[120];

	if (dune_sandbox_copy_string(w->box, said, text, sizeof(said)) < 0)
		strcpy(said, "it cannot say why");
	for (char *p = said; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return image_fail(w->im, -EBADMSG, "%s: %s", who, said);
}

int box_alloc(struct worker *w, size_t size, dune_addr *addr)
{
	int err = dune_sandbox_alloc(w->box, size, addr);

	if (!err)
		w->heap[w->heaps++] = *addr;
	return err;
}

int box_memory(struct worker *w, int room, size_t size, dune_addr *addr)
{
	size_t align = size < LARGE / 16 ? 64 : LARGE;
	int err = 0;

	*addr = w->room[room].at;
	if (w->room[room].size >= size)
		return 0;
	if (addr->v)
		err = CALL(w, free, *addr);
	size = (size + align - 1) & ~(align - 1);
	if (!err)
		err = CALL(w, aligned_alloc, addr, align, size);
	if (!err && !addr->v)
		err = image_fail(w->im, -ENOMEM, "out of memory");
	if (!err) {
		w->room[room].at = *addr;
		w->room[room].size = size;
	}
	return err;
}

static void drop_shared(struct worker *w)
{
	/* a reset has unmapped it already */
	dune_sandbox_unshare(w->box, w->shared);
	dune_buffer_destroy(w->shared);
	w->shared = NULL;
	w->room[ROOM_SHARED].size = 0;
}

/*
 * Pixels need not be copied out of memory that both sides see. It has small
 * pages only, which is dear the first time: for a sandbox that is kept.
 */
static int share(struct worker *w, size_t size)
{
	size_t room = SHARED;
	int err;

	if (w->room[ROOM_SHARED].size >= size)
		return 0;
	if (w->shared)
		drop_shared(w);
	while (room < size)
		room *= 2;
	err = dune_buffer_create(w->engine, room, DUNE_SHARE_WRITE,
				 &w->shared);
	if (err)
		return err;
	err = dune_sandbox_share(w->box, w->shared, &w->room[ROOM_SHARED].at);
	if (err)
		drop_shared(w);
	else
		w->room[ROOM_SHARED].size = room;
	return err;
}

int box_room(struct worker *w, uint64_t width, uint64_t height)
{
	int err = image_check_size(w->im, width, height);

	if (err)
		return err;
	/* nor after the end: a decoder that is closed may call as well */
	if (w->out.v || w->im->pixels.rgba)
		return image_fail(w->im, -EINVAL, "two headers");
	w->im->pixels.width = width;
	w->im->pixels.height = height;
	if (w->pixels == ROOM_OUT)
		return box_memory(w, ROOM_OUT, width * height * 4, &w->out);
	err = share(w, width * height * 4);
	w->out = w->room[ROOM_SHARED].at;
	return err;
}

/* The sandbox of which the others are clones. */
static int set_up(struct worker *w)
{
	struct dune_object *object[BOX_OBJECTS];
	int err;

	for (int i = 0; i < C_COUNT; i++) {
		err = dune_sandbox_callbacks(w->box, *callback[i], 1, NULL);
		if (err)
			return err;
	}
	for (int i = 0; i < FORMATS; i++) {
		err = dune_sandbox_load(w->box, decoder[i].file, 0,
					&object[i]);
		if (err)
			return err;
	}
	err = dune_sandbox_load_memory(w->box, box_glue_start,
				       box_glue_end - box_glue_start, 0,
				       &object[BOX_GLUE]);
	if (err)
		return err;
	for (int i = 0; i < C_COUNT; i++) {
		err = dune_sandbox_callback_addr(w->box, (*callback[i])->name,
						 &w->callback[i]);
		if (err)
			return err;
	}
	for (int i = 0; i < F_COUNT; i++) {
		err = dune_object_function(object[function[i].object],
					   function[i].name, &w->f[i]);
		if (err)
			return err;
	}
	return dune_sandbox_snapshot(w->box);
}

struct pool *pool_create(unsigned int workers, const struct box_limits *limits,
			 const char *decoders)
{
	char policy[2 * PATH_MAX + 64];
	struct dune_sandbox_options options = {
		.size = sizeof(options), .wall_ns = limits->wall_ns,
		.memory = limits->memory,
		/* batches of lines, small things */
		.heap = 1u << 20,
	};
	struct pool *pool = calloc(1, sizeof(*pool) +
				   workers * sizeof(pool->worker[0]));
	struct worker *w = pool ? pool->worker : NULL;

	if (!pool)
		return NULL;
	if (decoders) {
		/* the dynamic linker in there looks there first */
		snprintf(policy, sizeof(policy),
			 "ro %s\nenv LD_LIBRARY_PATH=%s\n", decoders,
			 decoders);
		options.policy = policy;
	}
	pool->workers = workers;
	w->most = limits->images;
	w->pixels = w->most > 1 ? ROOM_SHARED : ROOM_OUT;
	if (dune_engine_create(&pool->engine))
		goto fail;
	w->engine = pool->engine;
	if (dune_sandbox_create(pool->engine, &options, &w->box) || set_up(w))
		goto fail;
	for (unsigned int i = 1; i < workers; i++) {
		w[i] = w[0];
		if (dune_sandbox_clone(w->box, &w[i].box))
			goto fail;
		for (int k = 0; k < F_COUNT; k++)
			w[i].f[k] = dune_function_in(w[i].box, w->f[k]);
	}
	return pool;
fail:
	dune_engine_destroy(pool->engine);
	free(pool);
	return NULL;
}

void pool_destroy(struct pool *pool)
{
	dune_engine_destroy(pool->engine);
	free(pool);
}

struct worker *pool_worker(struct pool *pool, unsigned int n)
{
	return &pool->worker[n];
}

/* What happened, when nobody else has said so. */
static void explain(struct worker *w, int err)
{
	struct dune_report r = { .size = sizeof(r) };

	if (w->im->error[0])
		return;
	if (!dune_sandbox_report(w->box, &r) && r.cause)
		image_fail(w->im, err, "the decoder ended by %s",
			   dune_cause_name(r.cause));
	else
		image_fail(w->im, err, "%s", dune_errmsg());
}

static int take_pixels(struct worker *w)
{
	struct pixels *px = &w->im->pixels;
	size_t size = (size_t)px->width * px->height * 4;

	if (px->rgba)			/* GIF: composed here */
		return 0;
	if (w->pixels == ROOM_SHARED) {
		px->rgba = dune_buffer_pointer(w->shared);
		px->lent = 1;
		return 0;
	}
	px->rgba = image_memory(size);
	if (!px->rgba)
		return image_fail(w->im, -ENOMEM, "out of memory");
	return dune_sandbox_copy_out(w->box, px->rgba, w->out, size);
}

/* The file, to memory of the sandbox: for one image less than sharing it. */
static int give_file(struct worker *w)
{
	int err = box_memory(w, ROOM_IN, w->im->size, &w->in);

	return err ? err : dune_sandbox_copy_in(w->box, w->in, w->im->data,
						w->im->size);
}

/* Gives back what the image needed, but its rooms. */
static int tidy(struct worker *w)
{
	int (*close)(struct worker *w) = decoder[w->im->format].close;
	int err = close ? close(w) : 0;

	while (!err && w->heaps)
		err = dune_sandbox_free(w->box, w->heap[--w->heaps]);
	return err;
}

int box_decode(struct worker *w, struct image *im)
{
	int err, again = 0;

	w->im = im;
	w->out.v = 0;
	w->pos = 0;
	w->done = 0;
	current = w;
	err = give_file(w);
	if (!err)
		err = decoder[im->format].decode(w);
	if (!err)
		err = take_pixels(w);
	if (err)
		explain(w, err);
	/* memory of decoders, what they know: back to how it was before */
	if (err || ++w->images >= w->most || tidy(w)) {
		again = dune_sandbox_reset(w->box);
		w->images = w->heaps = 0;
		memset(w->room, 0, sizeof(w->room));
	}
	current = NULL;
	if (again && !err)
		err = image_fail(im, again, "reset: %s", dune_errmsg());
	if (err && im->pixels.lent)
		image_free(&im->pixels);
	return err;
}
