/* Pictures to decode, made here: shapes, shades and a little noise. */
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <jpeglib.h>
#include <stdlib.h>
#include <string.h>
#include <webp/encode.h>

#include "decode.h"
#include "kernel.h"

/* Like a photograph in how well it compresses: no row is like another. */
static uint8_t *picture(uint32_t width, uint32_t height)
{
	uint8_t *rgba = malloc((size_t)width * height * 4), *p = rgba;
	uint32_t seed = 1;

	for (uint32_t y = 0; rgba && y < height; y++) {
		for (uint32_t x = 0; x < width; x++, p += 4) {
			uint32_t far = (x - width / 2) * (x - width / 2) +
				       (y - height / 2) * (y - height / 2);

			seed = seed * 1103515245 + 12345;
			p[0] = x * 200 / width + (seed >> 30);
			p[1] = y * 200 / height + (seed >> 28 & 3);
			p[2] = far >> 8;
			p[3] = 255;
		}
	}
	return rgba;
}

/* More than any of the formats needs. */
static size_t file_room(uint32_t width, uint32_t height)
{
	return (size_t)width * height * 5 + 65536;
}

static size_t to_png(const uint8_t *rgba, uint32_t w, uint32_t h, uint8_t *to)
{
	png_image png = {
		.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGBA,
		.width = w, .height = h,
	};
	png_alloc_size_t size = file_room(w, h);

	return png_image_write_to_memory(&png, to, &size, 0, rgba, 0, NULL) ?
		size : 0;
}

static size_t to_jpeg(const uint8_t *rgba, uint32_t w, uint32_t h, uint8_t *to)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr e;
	unsigned long size = file_room(w, h);

	/* libjpeg ends the program on errors: there is room for any JPEG */
	c.err = jpeg_std_error(&e);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &to, &size);
	c.image_width = w;
	c.image_height = h;
	c.input_components = 4;
	c.in_color_space = JCS_EXT_RGBA;
	jpeg_set_defaults(&c);
	jpeg_set_quality(&c, 85, TRUE);
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < h) {
		JSAMPROW row = (JSAMPROW)rgba + (size_t)c.next_scanline * w * 4;

		jpeg_write_scanlines(&c, &row, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	return size;
}

static size_t to_webp(const uint8_t *rgba, uint32_t w, uint32_t h, uint8_t *to)
{
	uint8_t *out;
	size_t size = WebPEncodeRGBA(rgba, w, h, w * 4, 80, &out);

	if (!size || size > file_room(w, h))
		return 0;
	memcpy(to, out, size);
	WebPFree(out);
	return size;
}

static uint8_t *put(uint8_t *p, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		*p++ = v >> shift;
	return p;
}

static size_t to_qoi(const uint8_t *rgba, uint32_t w, uint32_t h, uint8_t *to)
{
	uint8_t seen[64][4] = { 0 }, last[4] = { 0, 0, 0, 255 };
	uint8_t *p = put(put(put(to, 0x716f6966), w), h);
	uint32_t run = 0;

	*p++ = 4;
	*p++ = 0;
	for (size_t left = (size_t)w * h; left; left--, rgba += 4) {
		uint8_t *s = seen[(rgba[0] * 3 + rgba[1] * 5 + rgba[2] * 7 +
				   rgba[3] * 11) & 63];
		int r = (int8_t)(rgba[0] - last[0]);
		int g = (int8_t)(rgba[1] - last[1]);
		int b = (int8_t)(rgba[2] - last[2]);

		if (!memcmp(rgba, last, 4) && ++run < 62 && left > 1)
			continue;
		if (run)
			*p++ = 0xc0 | (run - 1);
		if (memcmp(rgba, last, 4)) {
			if (!memcmp(rgba, s, 4)) {
				*p++ = (s - seen[0]) / 4;
			} else if (r >= -2 && r < 2 && g >= -2 && g < 2 &&
				   b >= -2 && b < 2) {
				*p++ = 0x40 | (r + 2) << 4 | (g + 2) << 2 |
				       (b + 2);
			} else {
				*p++ = 0xfe;
				memcpy(p, rgba, 3);
				p += 3;
			}
			memcpy(s, rgba, 4);
			memcpy(last, rgba, 4);
		}
		run = 0;
	}
	/* its end: seven zeros and a one */
	memcpy(p, "\0\0\0\0\0\0\0\1", 8);
	return p + 8 - to;
}

int make_image(struct image *im, enum format format, uint32_t width,
	       uint32_t height)
{
	static size_t (*const encode[])(const uint8_t *rgba, uint32_t w,
					uint32_t h, uint8_t *to) = {
		[FORMAT_PNG] = to_png, [FORMAT_JPEG] = to_jpeg,
		[FORMAT_WEBP] = to_webp, [FORMAT_QOI] = to_qoi,
	};
	uint8_t *rgba = picture(width, height);
	uint8_t *to = malloc(file_room(width, height));

	*im = (struct image) { .data = to, .format = format };
	if (rgba && to)
		im->size = encode[format](rgba, width, height, to);
	free(rgba);
	return im->size ? 0 : -ENOMEM;
}

int qoi_room(struct image *im)
{
	const uint8_t *p = im->data + 4;

	if (im->size < KERNEL_HEADER)
		return -EBADMSG;
	im->pixels.width = p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
	im->pixels.height = p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7];
	if ((uint64_t)im->pixels.width * im->pixels.height > PIXEL_BYTES / 4)
		return -EFBIG;
	im->pixels.rgba = malloc((size_t)im->pixels.width *
				 im->pixels.height * 4);
	return im->pixels.rgba ? 0 : -ENOMEM;
}

int decode_native(struct image *im)
{
	int err;

	if (im->format != FORMAT_QOI)
		return native_decode(im);
	err = qoi_room(im);
	if (err)
		return err;
	return kernel_decode(im->data, im->size, im->pixels.rgba,
			     PIXEL_BYTES) ? -EBADMSG : 0;
}
