/*
 * PNG in a sandbox: libpng's progressive reader. Header, end and errors come
 * here; rows stay in there (in-box.c), but those of interlaced images, which
 * show that they need not.
 */
#include <errno.h>
#include <png.h>
#include <stddef.h>
#include <stdlib.h>
#include "box.h"
#include "in-box.h"

/* In the transfer heap: what libpng is given pointers to. */
struct png {
	char version[sizeof(PNG_LIBPNG_VER_STRING)];
	struct in_box_rows rows;
	dune_addr png, info;
};
#define AT(w, field) \
	((dune_addr) { (w)->state.v + offsetof(struct png, field) })

static int on_error(struct dune_sandbox *box, void *ctx, dune_addr png,
		    dune_addr text)
{
	(void)box, (void)ctx, (void)png;
	return box_says(box_current(), "PNG", text);
}
DUNE_HOST_CALLBACK_VOID(error_callback, "thumbs_png_error", on_error,
			dune_addr, dune_addr);

static int on_warning(struct dune_sandbox *box, void *ctx, dune_addr png,
		      dune_addr text)
{
	(void)box, (void)ctx, (void)png, (void)text;
	return 0;
}
DUNE_HOST_CALLBACK_VOID(warning_callback, "thumbs_png_warning", on_warning,
			dune_addr, dune_addr);

/* The header has been read: what the pixels shall look like. */
static int on_info(struct dune_sandbox *box, void *ctx, dune_addr png,
		   dune_addr info)
{
	const dune_addr none = { 0 };
	struct worker *w = box_current();
	struct in_box_rows to;
	uint32_t width, height;
	size_t stride;
	int err, passes;

	(void)ctx;
	if ((err = CALL(w, png_get_image_width, &width, png, info)) ||
	    (err = CALL(w, png_get_image_height, &height, png, info)) ||
	    (err = box_room(w, width, height)) ||
	    (err = CALL(w, png_set_expand, png)) ||
	    (err = CALL(w, png_set_strip_16, png)) ||
	    (err = CALL(w, png_set_gray_to_rgb, png)) ||
	    (err = CALL(w, png_set_add_alpha, png, 255u, PNG_FILLER_AFTER)) ||
	    (err = CALL(w, png_set_interlace_handling, &passes, png)) ||
	    (err = CALL(w, png_read_update_info, png, info)) ||
	    (err = CALL(w, png_get_rowbytes, &stride, png, info)))
		return err;
	if (stride != (size_t)width * 4)
		return image_fail(w->im, -EINVAL, "PNG: rows of another size");
	if (passes > 1)
		return CALL(w, png_set_progressive_read_fn, png, none,
			    w->callback[C_png_info], w->callback[C_png_row],
			    w->callback[C_png_end]);
	to = (struct in_box_rows) { w->out.v, stride, height };
	return dune_sandbox_copy_in(box, AT(w, rows), &to, sizeof(to));
}
DUNE_HOST_CALLBACK_VOID(info_callback, "thumbs_png_info", on_info, dune_addr,
			dune_addr);

static int on_row(struct dune_sandbox *box, void *ctx, dune_addr png,
		  dune_addr row, uint32_t y, int pass)
{
	struct worker *w = box_current();
	size_t stride = (size_t)w->im->pixels.width * 4;
	dune_addr to = w->out;

	(void)box, (void)ctx, (void)pass;
	if (!row.v)			/* nothing new in this pass */
		return 0;
	if (y >= w->im->pixels.height)
		return image_fail(w->im, -EINVAL, "PNG: a row too many");
	to.v += y * stride;
	return CALL(w, png_progressive_combine_row, png, to, row);
}
DUNE_HOST_CALLBACK_VOID(row_callback, "thumbs_png_row", on_row, dune_addr,
			dune_addr, uint32_t, int);

static int on_end(struct dune_sandbox *box, void *ctx, dune_addr png,
		  dune_addr info)
{
	(void)box, (void)ctx, (void)png, (void)info;
	box_current()->done = 1;
	return 0;
}
DUNE_HOST_CALLBACK_VOID(end_callback, "thumbs_png_end", on_end, dune_addr,
			dune_addr);

const struct dune_callback *const box_png_error = &error_callback;
const struct dune_callback *const box_png_warning = &warning_callback;
const struct dune_callback *const box_png_info = &info_callback;
const struct dune_callback *const box_png_row = &row_callback;
const struct dune_callback *const box_png_end = &end_callback;

int box_png(struct worker *w)
{
	const dune_addr none = { 0 };
	struct png p = { .version = PNG_LIBPNG_VER_STRING };
	int err;

	if ((err = box_alloc(w, sizeof(p), &w->state)) ||
	    (err = dune_sandbox_copy_in(w->box, w->state, &p, sizeof(p))) ||
	    (err = CALL(w, png_create_read_struct, &p.png, AT(w, version),
			none, w->callback[C_png_error],
			w->callback[C_png_warning])) ||
	    (err = CALL(w, png_create_info_struct, &p.info, p.png)) ||
	    (err = dune_sandbox_copy_in(w->box, w->state, &p, sizeof(p))) ||
	    (err = CALL(w, png_set_progressive_read_fn, p.png, AT(w, rows),
			w->callback[C_png_info], w->f[F_in_box_png_row].addr,
			w->callback[C_png_end])) ||
	    (err = CALL(w, png_process_data, p.png, p.info, w->in,
			w->im->size)))
		return err;
	return w->done ? 0 : image_fail(w->im, -EINVAL, "PNG: truncated");
}

int box_png_close(struct worker *w)
{
	const dune_addr none = { 0 };

	return CALL(w, png_destroy_read_struct, AT(w, png), AT(w, info), none);
}
