/*
 * JPEG in a sandbox. libjpeg's caller owns its structures: they lie in the
 * transfer heap, where both sides see them.
 */
#include <errno.h>
#include <stdio.h>
#include <jpeglib.h>
#include "box.h"

/* So many are read in one turn. */
#define ROWS	4096

/* One of libjpeg's, in memory of the sandbox. */
struct jpeg {
	struct jpeg_decompress_struct c;
	struct jpeg_error_mgr err;
	char text[JMSG_LENGTH_MAX];
};

DUNE_PLUGIN_VOID(call_format_message, dune_addr, dune_addr)

static dune_addr at(dune_addr base, size_t offset)
{
	return (dune_addr) { base.v + offset };
}

/* libjpeg tells what. */
static int on_error(struct dune_sandbox *box, void *ctx, dune_addr c)
{
	struct worker *w = box_current();
	struct jpeg *j = dune_sandbox_pointer(box, c, sizeof(*j));
	struct dune_function f = { .box = box };
	int err;

	(void)ctx;
	if (!j)
		return -EFAULT;
	/* wherever that is, it runs in there */
	f.addr.v = (uintptr_t)j->err.format_message;
	err = call_format_message(&f, c, at(c, offsetof(struct jpeg, text)));
	return err ? err :
		box_says(w, "JPEG", at(c, offsetof(struct jpeg, text)));
}
DUNE_HOST_CALLBACK_VOID(error_callback, "thumbs_jpeg_error", on_error,
			dune_addr);

const struct dune_callback *const box_jpeg_error = &error_callback;

/* All rows, through a table of pointers to them, many in one turn. */
static int scan(struct worker *w, dune_addr c)
{
	/* each call returns how many rows it has read */
	const struct dune_batch_end end = { DUNE_UNTIL_OTHER, 32, 1 };
	uint32_t height = w->im->pixels.height, y, n, done;
	size_t stride = (size_t)w->im->pixels.width * 4;
	struct dune_batch_call call[ROWS];
	dune_addr rows;
	uint64_t *row;
	int err;

	err = box_alloc(w, height * sizeof(*row), &rows);
	if (err)
		return err;
	row = dune_sandbox_pointer(w->box, rows, height * sizeof(*row));
	for (y = 0; y < height; y++)
		row[y] = w->out.v + y * stride;
	for (y = 0; y < height; y += n) {
		n = height - y < ROWS ? height - y : ROWS;
		for (uint32_t i = 0; i < n; i++)
			call[i] = (struct dune_batch_call) {
				w->f[F_jpeg_read_scanlines].addr,
				{ c.v, rows.v + (y + i) * sizeof(*row), 1 }, 0
			};
		err = dune_call_batch(w->box, call, n, &end, &done);
		if (err)
			return err;
		if (done < n || (uint32_t)call[n - 1].result != 1)
			return image_fail(w->im, -EINVAL, "JPEG: no rows");
	}
	return 0;
}

int box_jpeg(struct worker *w)
{
	dune_addr c, e;
	uint32_t width, height;
	struct jpeg *j;
	int err, r;

	err = box_alloc(w, sizeof(*j), &w->state);
	if (err)
		return err;
	c = w->state;
	j = dune_sandbox_pointer(w->box, c, sizeof(*j));
	memset(j, 0, sizeof(*j));
	e = at(c, offsetof(struct jpeg, err));
	err = CALL(w, jpeg_std_error, &e, e);
	if (err)
		return err;
	j->c.err = (void *)(uintptr_t)(c.v + offsetof(struct jpeg, err));
	j->err.error_exit =
		(void *)(uintptr_t)w->callback[C_jpeg_error].v;
	j->err.emit_message =
		(void *)(uintptr_t)w->f[F_in_box_jpeg_message].addr.v;
	if ((err = CALL(w, jpeg_CreateDecompress, c, JPEG_LIB_VERSION,
			sizeof(j->c))) ||
	    (err = CALL(w, jpeg_mem_src, c, w->in, w->im->size)) ||
	    (err = CALL(w, jpeg_read_header, &r, c, TRUE)))
		return err;
	width = j->c.image_width;
	height = j->c.image_height;
	err = box_room(w, width, height);
	if (err)
		return err;
	j->c.out_color_space = JCS_EXT_RGBA;
	err = CALL(w, jpeg_start_decompress, &r, c);
	if (err)
		return err;
	if (j->c.output_width != width || j->c.output_height != height ||
	    j->c.output_components != 4)
		return image_fail(w->im, -EINVAL, "JPEG: rows of another size");
	err = scan(w, c);
	return err ? err : CALL(w, jpeg_finish_decompress, &r, c);
}

int box_jpeg_close(struct worker *w)
{
	return CALL(w, jpeg_destroy, w->state);
}
