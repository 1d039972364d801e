/*
 * The same libraries in this process, as programs use them usually: what the
 * sandboxed ones are compared with.
 */
#include <errno.h>
#include <gif_lib.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "thumbs.h"
#include "whole.h"

/* What a callback of a library needs, and where its errors go. */
struct reader {
	struct image *im;
	size_t pos;
	jmp_buf out;
};

static int room(struct image *im, uint64_t width, uint64_t height)
{
	int err = image_check_size(im, width, height);

	if (err)
		return err;
	im->pixels.width = width;
	im->pixels.height = height;
	im->pixels.rgba = image_memory(width * height * 4);
	return im->pixels.rgba ? 0 : image_fail(im, -ENOMEM, "out of memory");
}

static size_t take(struct reader *r, void *to, size_t len)
{
	size_t left = r->im->size - r->pos;

	if (len > left)
		len = left;
	memcpy(to, r->im->data + r->pos, len);
	r->pos += len;
	return len;
}

/* ---- PNG ---- */

static void png_read(png_structp png, png_bytep to, size_t len)
{
	if (take(png_get_io_ptr(png), to, len) != len)
		png_error(png, "truncated");
}

static void png_fail(png_structp png, png_const_charp text)
{
	struct reader *r = png_get_error_ptr(png);

	image_fail(r->im, -EBADMSG, "PNG: %s", text);
	longjmp(r->out, 1);
}

static void png_quiet(png_structp png, png_const_charp text)
{
	(void)png, (void)text;
}

static int native_png(struct image *im)
{
	struct reader r = { .im = im };
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r,
						 png_fail, png_quiet);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	volatile int err = -EBADMSG;
	png_bytep *volatile rows = NULL;

	if (info && !setjmp(r.out)) {
		png_set_read_fn(png, &r, png_read);
		png_read_info(png, info);
		err = room(im, png_get_image_width(png, info),
			   png_get_image_height(png, info));
		if (!err) {
			png_set_expand(png);
			png_set_strip_16(png);
			png_set_gray_to_rgb(png);
			png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
			png_set_interlace_handling(png);
			png_read_update_info(png, info);
			rows = malloc(im->pixels.height * sizeof(*rows));
			for (uint32_t y = 0; rows && y < im->pixels.height; y++)
				rows[y] = im->pixels.rgba +
					(size_t)y * im->pixels.width * 4;
			if (!rows)
				png_error(png, "out of memory");
			err = -EBADMSG;
			png_read_image(png, rows);
			png_read_end(png, NULL);
			err = 0;
		}
	}
	free(rows);
	png_destroy_read_struct(&png, &info, NULL);
	return err;
}

/* ---- GIF ---- */

static int gif_read(GifFileType *gif, GifByteType *to, int len)
{
	return take(gif->UserData, to, len);
}

static int native_gif_frame(struct image *im, GifFileType *gif,
			    struct gif_frame *f)
{
	const ColorMapObject *map;
	GifRecordType type;
	GifByteType *ext;
	int err, code;

	do {
		if (DGifGetRecordType(gif, &type) != GIF_OK)
			return -EBADMSG;
		if (type == TERMINATE_RECORD_TYPE)
			return image_fail(im, -EINVAL, "GIF: no image");
		if (type != EXTENSION_RECORD_TYPE)
			continue;
		if (DGifGetExtension(gif, &code, &ext) != GIF_OK)
			return -EBADMSG;
		while (ext) {
			if (code == GRAPHICS_EXT_FUNC_CODE && ext[0] == 4)
				f->transparent = ext[1] & 1 ? ext[4] : -1;
			if (DGifGetExtensionNext(gif, &ext) != GIF_OK)
				return -EBADMSG;
		}
	} while (type != IMAGE_DESC_RECORD_TYPE);
	if (DGifGetImageDesc(gif) != GIF_OK)
		return -EBADMSG;
	f->left = gif->Image.Left;
	f->top = gif->Image.Top;
	f->width = gif->Image.Width;
	f->height = gif->Image.Height;
	f->interlaced = gif->Image.Interlace;
	f->screen_width = gif->SWidth;
	f->screen_height = gif->SHeight;
	if ((err = image_check_size(im, f->screen_width, f->screen_height)) ||
	    (err = image_check_size(im, f->width, f->height)))
		return err;
	map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
	f->colors = map ? map->ColorCount : 0;
	if (map)
		memcpy(f->color, map->Colors, f->colors * 3);
	f->index = malloc((size_t)f->width * f->height);
	if (!f->index)
		return image_fail(im, -ENOMEM, "out of memory");
	for (int y = 0; y < f->height; y++)
		if (DGifGetLine(gif, f->index + (size_t)y * f->width,
				f->width) != GIF_OK)
			return -EBADMSG;
	return gif_compose(im, f);
}

static int native_gif(struct image *im)
{
	struct gif_frame frame = { .transparent = -1 };
	struct reader r = { .im = im };
	GifFileType *gif = DGifOpen(&r, gif_read, NULL);
	int err;

	if (!gif)
		return image_fail(im, -EINVAL, "GIF: header: corrupt");
	err = native_gif_frame(im, gif, &frame);
	if (err && !im->error[0]) {
		const char *text = GifErrorString(gif->Error);

		image_fail(im, err, "GIF: %s", text ? text : "corrupt");
	}
	free(frame.index);
	DGifCloseFile(gif, NULL);
	return err;
}

/* ---- JPEG, WebP ---- */

static uint8_t *whole_room(struct whole *w)
{
	struct image *im = w->ctx;

	return room(im, w->width, w->height) ? NULL : im->pixels.rgba;
}

static int native_whole(struct image *im, int (*whole)(struct whole *w),
			const char *who)
{
	char error[WHOLE_TEXT] = "";
	struct whole w = {
		.data = im->data, .size = im->size, .room = whole_room,
		.ctx = im, .error = error,
	};

	if (!whole(&w))
		return 0;
	return im->error[0] ? -EINVAL :
		image_fail(im, -EBADMSG, "%s: %.120s", who, error);
}

static int native_jpeg(struct image *im)
{
	return native_whole(im, whole_jpeg, "JPEG");
}

static int native_webp(struct image *im)
{
	return native_whole(im, whole_webp, "WebP");
}

int native_decode(struct image *im)
{
	static int (*const decode[FORMATS])(struct image *) = {
		[FORMAT_PNG] = native_png, [FORMAT_JPEG] = native_jpeg,
		[FORMAT_GIF] = native_gif, [FORMAT_WEBP] = native_webp,
	};

	return decode[im->format](im);
}
