/*
 * Glue: a shared object of ours that is loaded into the sandbox beside the
 * libraries, so that what is called for each row needs not leave it. It is as
 * untrusted as they are: what it does, they could do.
 */
#include <png.h>
#include <stdio.h>
#include <jpeglib.h>
#include "in-box.h"

void in_box_png_row(png_structp png, png_bytep row, png_uint_32 y, int pass);
void in_box_jpeg_message(j_common_ptr c, int level);

void in_box_png_row(png_structp png, png_bytep row, png_uint_32 y, int pass)
{
	const struct in_box_rows *to = png_get_progressive_ptr(png);

	(void)pass;
	if (row && y < to->height)
		png_progressive_combine_row(png, (png_bytep)to->pixels +
					    y * to->stride, row);
}

/* A warning that pixels are wrong is an error; the rest is nobody's. */
void in_box_jpeg_message(j_common_ptr c, int level)
{
	if (level < 0)
		c->err->error_exit(c);
}
