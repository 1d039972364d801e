/* Images: limits, formats, scaling, and what a GIF's frame looks like. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "thumbs.h"

int image_fail(struct image *im, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(im->error, sizeof(im->error), format, ap);
	va_end(ap);
	return err;
}

int image_check_size(struct image *im, uint64_t width, uint64_t height)
{
	if (!width || !height)
		return image_fail(im, -EINVAL, "no pixels");
	if (width > MAX_PIXELS || height > MAX_PIXELS ||
	    width * height > MAX_PIXELS)
		return image_fail(im, -EFBIG, "too large: %llu x %llu pixels",
				  (unsigned long long)width,
				  (unsigned long long)height);
	return 0;
}

void *image_memory(size_t size)
{
	const size_t large = 2u << 20;
	void *p;

	if (size < large / 2)
		return malloc(size);
	size = (size + large - 1) & ~(large - 1);
	p = aligned_alloc(large, size);
	if (p)
		madvise(p, size, MADV_HUGEPAGE);
	return p;
}

int image_sniff(struct image *im)
{
	static const struct { const char *magic; size_t at, len; } known[] = {
		[FORMAT_PNG] = { "\x89PNG\r\n\x1a\n", 0, 8 },
		[FORMAT_JPEG] = { "\xff\xd8\xff", 0, 3 },
		[FORMAT_GIF] = { "GIF8", 0, 4 },
		[FORMAT_WEBP] = { "WEBP", 8, 4 },
	};

	for (int i = 0; i < FORMATS; i++) {
		size_t end = known[i].at + known[i].len;

		if (im->size < end || memcmp(im->data + known[i].at,
					     known[i].magic, known[i].len))
			continue;
		im->format = i;
		return 0;
	}
	return image_fail(im, -ENOEXEC, "not a PNG, JPEG, GIF or WebP image");
}

void image_free(struct pixels *px)
{
	if (!px->lent)
		free(px->rgba);
	px->rgba = NULL;
	px->lent = 0;
}

/*
 * The average of a rectangle; colours count as much as they are opaque. Pixels
 * that change meanwhile make another colour, and nothing else.
 */
static void average(const struct pixels *px, uint32_t x0, uint32_t x1,
		    uint32_t y0, uint32_t y1, uint8_t *to)
{
	uint64_t sum[4] = { 0 }, n = (uint64_t)(x1 - x0) * (y1 - y0);

	for (uint32_t y = y0; y < y1; y++) {
		const uint8_t *p = px->rgba + ((size_t)y * px->width + x0) * 4;

		for (uint32_t x = x0; x < x1; x++, p += 4) {
			for (int c = 0; c < 3; c++)
				sum[c] += p[c] * p[3];
			sum[3] += p[3];
		}
	}
	for (int c = 0; c < 3; c++)
		to[c] = sum[3] ? (sum[c] + sum[3] / 2) / sum[3] : 0;
	to[3] = (sum[3] + n / 2) / n;
}

static uint32_t at_least_1(uint64_t v)
{
	return v ? v : 1;
}

/* A copy in place of what is lent. */
static int own(struct pixels *px)
{
	size_t size = (size_t)px->width * px->height * 4;
	uint8_t *copy;

	if (!px->lent)
		return 0;
	copy = image_memory(size);
	if (copy)
		memcpy(copy, px->rgba, size);
	image_free(px);
	px->rgba = copy;
	return copy ? 0 : -ENOMEM;
}

int image_scale(struct pixels *px, uint32_t side)
{
	uint32_t large = px->width > px->height ? px->width : px->height;
	uint32_t w, h;
	uint8_t *small;

	if (!side || large <= side)
		return own(px);
	w = at_least_1((uint64_t)px->width * side / large);
	h = at_least_1((uint64_t)px->height * side / large);
	small = malloc((size_t)w * h * 4);
	if (!small) {
		image_free(px);
		return -ENOMEM;
	}
	for (uint32_t y = 0; y < h; y++)
		for (uint32_t x = 0; x < w; x++)
			average(px, (uint64_t)x * px->width / w,
				(uint64_t)(x + 1) * px->width / w,
				(uint64_t)y * px->height / h,
				(uint64_t)(y + 1) * px->height / h,
				small + ((size_t)y * w + x) * 4);
	image_free(px);
	*px = (struct pixels) { .width = w, .height = h, .rgba = small };
	return 0;
}

/* The row of an interlaced GIF that comes nth. */
static int interlaced_row(int n, int height)
{
	static const struct { int first, step; } pass[] = {
		{ 0, 8 }, { 4, 8 }, { 2, 4 }, { 1, 2 },
	};

	for (int i = 0; i < 4; i++) {
		int rows = height > pass[i].first ?
			(height - pass[i].first - 1) / pass[i].step + 1 : 0;

		if (n < rows)
			return pass[i].first + n * pass[i].step;
		n -= rows;
	}
	return 0;
}

int gif_compose(struct image *im, const struct gif_frame *f)
{
	struct pixels *px = &im->pixels;

	if (!f->colors)
		return image_fail(im, -EINVAL, "GIF: no colour table");
	px->width = f->screen_width;
	px->height = f->screen_height;
	px->rgba = calloc(px->width, (size_t)px->height * 4);
	if (!px->rgba)
		return image_fail(im, -ENOMEM, "out of memory");
	for (int n = 0; n < f->height; n++) {
		int64_t y = (int64_t)f->top +
			(f->interlaced ? interlaced_row(n, f->height) : n);
		const uint8_t *p = f->index + (size_t)n * f->width;

		if (y < 0 || y >= px->height)
			continue;
		for (int i = 0; i < f->width; i++) {
			int64_t x = (int64_t)f->left + i;
			size_t at = (size_t)y * px->width + x;
			uint8_t *to = px->rgba + at * 4;

			if (x < 0 || x >= px->width || p[i] >= f->colors ||
			    p[i] == f->transparent)
				continue;
			memcpy(to, f->color[p[i]], 3);
			to[3] = 255;
		}
	}
	return 0;
}
