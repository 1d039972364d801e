/*
 * Glue: a shared object of ours, with whole.c, that is loaded into the sandbox
 * beside the libraries, so that what is called for each row, or before another
 * call, needs not leave it. It is as untrusted as they are: what it does, they
 * could do.
 */
#include <png.h>
#include "in-box.h"
#include "whole.h"

void in_box_png_row(png_structp png, png_bytep row, png_uint_32 y, int pass);
int in_box_jpeg(struct in_box_job *job);
int in_box_webp(struct in_box_job *job);

void in_box_png_row(png_structp png, png_bytep row, png_uint_32 y, int pass)
{
	const struct in_box_rows *to = png_get_progressive_ptr(png);

	(void)pass;
	if (row && y < to->height)
		png_progressive_combine_row(png, (png_bytep)to->pixels +
					    y * to->stride, row);
}

static uint8_t *room(struct whole *w)
{
	struct in_box_job *job = w->ctx;

	job->width = w->width;
	job->height = w->height;
	return (uint64_t)w->width * w->height <= job->room / 4 ?
		(uint8_t *)job->pixels : NULL;
}

static int decode(struct in_box_job *job, int (*whole)(struct whole *w))
{
	struct whole w = {
		.data = (const uint8_t *)job->file, .size = job->size,
		.room = room, .ctx = job, .error = job->error,
	};

	return whole(&w);
}

int in_box_jpeg(struct in_box_job *job)
{
	return decode(job, whole_jpeg);
}

int in_box_webp(struct in_box_job *job)
{
	return decode(job, whole_webp);
}
