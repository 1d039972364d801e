/*
 * JPEG and WebP as programs usually decode them. Compiled twice: into the
 * application for --native, and into what is loaded into sandboxes.
 */
#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <string.h>
#include <webp/decode.h>
#include "whole.h"

struct jpeg {
	struct jpeg_error_mgr err;	/* the first */
	struct whole *w;
	jmp_buf out;
};

static void jpeg_fail(j_common_ptr c)
{
	struct jpeg *j = (struct jpeg *)c->err;

	c->err->format_message(c, j->w->error);
	longjmp(j->out, 1);
}

/* A warning that pixels are wrong is an error; the rest is nobody's. */
static void jpeg_message(j_common_ptr c, int level)
{
	if (level < 0)
		jpeg_fail(c);
}

int whole_jpeg(struct whole *w)
{
	struct jpeg_decompress_struct c;
	struct jpeg j = { .w = w };
	volatile int failed = 1;
	uint8_t *pixels;

	memset(&c, 0, sizeof(c));
	c.err = jpeg_std_error(&j.err);
	j.err.error_exit = jpeg_fail;
	j.err.emit_message = jpeg_message;
	if (!setjmp(j.out)) {
		jpeg_create_decompress(&c);
		jpeg_mem_src(&c, w->data, w->size);
		jpeg_read_header(&c, TRUE);
		w->width = c.image_width;
		w->height = c.image_height;
		pixels = w->room(w);
		if (pixels) {
			c.out_color_space = JCS_EXT_RGBA;
			jpeg_start_decompress(&c);
			while (c.output_scanline < c.output_height) {
				JSAMPROW row = pixels + (size_t)
					c.output_scanline * w->width * 4;

				jpeg_read_scanlines(&c, &row, 1);
			}
			jpeg_finish_decompress(&c);
			failed = 0;
		}
	}
	jpeg_destroy_decompress(&c);
	return failed;
}

int whole_webp(struct whole *w)
{
	uint8_t *pixels;
	int width, height;

	if (!WebPGetInfo(w->data, w->size, &width, &height)) {
		strcpy(w->error, "header: corrupt");
		return 1;
	}
	w->width = width;
	w->height = height;
	pixels = w->room(w);
	if (!pixels)
		return 1;
	if (WebPDecodeRGBAInto(w->data, w->size, pixels,
			       (size_t)width * height * 4, width * 4))
		return 0;
	strcpy(w->error, "corrupt, truncated or animated");
	return 1;
}
