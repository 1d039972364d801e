/* What came of each file, and the page that shows it. */
#ifndef THUMBS_SHEET_H
#define THUMBS_SHEET_H

#include <stddef.h>
#include <stdint.h>

struct outcome {
	const char *name;		/* of the file in IN_DIR */
	uint32_t width, height;		/* of the image */
	uint32_t thumb_width, thumb_height;
	int err;
	char error[200];
};

/* Writes an HTML page; the thumbnails lie beside it as NAME.png. */
int sheet_write(const char *path, const struct outcome *v, size_t n);

#endif
