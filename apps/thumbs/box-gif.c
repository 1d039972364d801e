/* GIF in a sandbox: the first frame; giflib's input comes by a callback. */
#include <errno.h>
#include <gif_lib.h>
#include <stdlib.h>
#include "box.h"

/* So many lines are read in one turn. */
#define ROWS	512

/* giflib wants bytes: the file's next ones. */
static int on_read(struct dune_sandbox *box, void *ctx, int *result,
		   dune_addr gif, dune_addr to, int len)
{
	struct worker *w = box_current();
	size_t left = w->im->size - w->pos;

	(void)ctx, (void)gif;
	if (len < 0)
		return -EINVAL;
	*result = (size_t)len < left ? len : (int)left;
	w->pos += *result;
	return dune_sandbox_copy_in(box, to, w->im->data + w->pos - *result,
				    *result);
}
DUNE_HOST_CALLBACK(read_callback, "thumbs_gif_read", on_read, int, dune_addr,
		   dune_addr, int);

const struct dune_callback *const box_gif_read = &read_callback;

static dune_addr pointer(const void *p)
{
	return (dune_addr) { (uintptr_t)p };
}

/* A giflib function said GIF_ERROR. */
static int failed(struct worker *w, dune_addr gif)
{
	GifFileType g;
	dune_addr text;
	int err;

	if ((err = dune_sandbox_copy_out(w->box, &g, gif, sizeof(g))) ||
	    (err = CALL(w, GifErrorString, &text, g.Error)))
		return err;
	return text.v ? box_says(w, "GIF", text) :
		image_fail(w->im, -EINVAL, "GIF: corrupt");
}

/* The size, place and colours of the frame whose header has been read. */
static int describe(struct worker *w, dune_addr gif, struct gif_frame *frame)
{
	GifFileType g;
	ColorMapObject map;
	const void *colors;
	int err;

	err = dune_sandbox_copy_out(w->box, &g, gif, sizeof(g));
	if (err)
		return err;
	frame->left = g.Image.Left;
	frame->top = g.Image.Top;
	frame->width = g.Image.Width;
	frame->height = g.Image.Height;
	frame->interlaced = g.Image.Interlace;
	frame->screen_width = g.SWidth;
	frame->screen_height = g.SHeight;
	colors = g.Image.ColorMap ? g.Image.ColorMap : g.SColorMap;
	if (frame->width < 0 || frame->height < 0)
		return image_fail(w->im, -EINVAL, "GIF: a size below 0");
	if ((err = image_check_size(w->im, frame->screen_width,
				    frame->screen_height)) ||
	    (err = image_check_size(w->im, frame->width, frame->height)))
		return err;
	if (!colors)
		return 0;
	err = dune_sandbox_copy_out(w->box, &map, pointer(colors), sizeof(map));
	if (err)
		return err;
	if (map.ColorCount < 0 || map.ColorCount > 256)
		return image_fail(w->im, -EINVAL, "GIF: too many colours");
	frame->colors = map.ColorCount;
	return dune_sandbox_copy_out(w->box, frame->color, pointer(map.Colors),
				     frame->colors * 3);
}

/* Extensions before the frame: which colour is transparent? */
static int extension(struct worker *w, dune_addr gif, dune_addr scratch,
		     struct gif_frame *frame)
{
	dune_addr data = { scratch.v + 8 };
	struct { int code, unused; dune_addr bytes; } got;
	uint8_t block[5];
	int err, ok;

	err = CALL(w, DGifGetExtension, &ok, gif, scratch, data);
	while (!err && ok == GIF_OK) {
		err = dune_sandbox_copy_out(w->box, &got, scratch, sizeof(got));
		if (err || !got.bytes.v)
			return err;
		if (got.code == GRAPHICS_EXT_FUNC_CODE) {
			err = dune_sandbox_copy_out(w->box, block, got.bytes,
						    sizeof(block));
			if (err)
				return err;
			if (block[0] == 4)
				frame->transparent = block[1] & 1 ?
					block[4] : -1;
		}
		err = CALL(w, DGifGetExtensionNext, &ok, gif, data);
	}
	return err ? err : failed(w, gif);
}

/* All lines, many in one turn. */
static int lines(struct worker *w, dune_addr gif, struct gif_frame *frame)
{
	const struct dune_batch_end end = { DUNE_UNTIL_OTHER, 32, GIF_OK };
	size_t width = frame->width, size = width * frame->height;
	struct dune_batch_call call[ROWS];
	uint32_t y, n, done;
	dune_addr rows;
	int err;

	frame->index = malloc(size);
	if (!frame->index)
		return image_fail(w->im, -ENOMEM, "out of memory");
	err = box_memory(w, ROOM_OUT, size, &rows);
	for (y = 0; !err && y < (uint32_t)frame->height; y += n) {
		n = frame->height - y < ROWS ? frame->height - y : ROWS;
		for (uint32_t i = 0; i < n; i++)
			call[i] = (struct dune_batch_call) {
				w->f[F_DGifGetLine].addr,
				{ gif.v, rows.v + (y + i) * width, width }, 0
			};
		err = dune_call_batch(w->box, call, n, &end, &done);
		if (!err && (done < n ||
			     (int)call[n - 1].result != GIF_OK))
			err = failed(w, gif);
	}
	return err ? err : dune_sandbox_copy_out(w->box, frame->index, rows,
						 size);
}

/* Records up to the first image. */
static int first_frame(struct worker *w, dune_addr gif, dune_addr scratch,
		       struct gif_frame *frame)
{
	int err, ok, type;

	for (;;) {
		err = CALL(w, DGifGetRecordType, &ok, gif, scratch);
		if (!err && ok != GIF_OK)
			err = failed(w, gif);
		if (!err)
			err = dune_sandbox_copy_out(w->box, &type, scratch,
						    sizeof(type));
		if (err)
			return err;
		if (type == TERMINATE_RECORD_TYPE)
			return image_fail(w->im, -EINVAL, "GIF: no image");
		if (type == IMAGE_DESC_RECORD_TYPE)
			break;
		if (type != EXTENSION_RECORD_TYPE)
			continue;
		err = extension(w, gif, scratch, frame);
		if (err)
			return err;
	}
	err = CALL(w, DGifGetImageDesc, &ok, gif);
	if (!err && ok != GIF_OK)
		err = failed(w, gif);
	if (!err)
		err = describe(w, gif, frame);
	return err ? err : lines(w, gif, frame);
}

int box_gif(struct worker *w)
{
	const dune_addr none = { 0 };
	struct gif_frame frame = { .transparent = -1 };
	dune_addr gif, scratch;
	int err;

	if ((err = box_alloc(w, 16, &scratch)) ||
	    (err = CALL(w, DGifOpen, &gif, none, w->callback[C_gif_read],
			none)))
		return err;
	w->state = gif;
	if (!gif.v)
		return image_fail(w->im, -EINVAL, "GIF: header: corrupt");
	err = first_frame(w, gif, scratch, &frame);
	if (!err)
		err = gif_compose(w->im, &frame);
	free(frame.index);
	return err;
}

int box_gif_close(struct worker *w)
{
	const dune_addr none = { 0 };
	int ok;

	return CALL(w, DGifCloseFile, &ok, w->state, none);
}
