/* Between in-box.c, which runs in the sandbox, and the host. */
#ifndef THUMBS_IN_BOX_H
#define THUMBS_IN_BOX_H

#include <stdint.h>
#include "whole.h"

/* Where libpng's rows go. */
struct in_box_rows {
	uint64_t pixels;		/* an address in the sandbox */
	uint64_t stride, height;
};

/*
 * A file to decode, in the transfer heap. When the room is too small for its
 * size, nothing is decoded, and there is no error text.
 */
struct in_box_job {
	uint64_t file, size;
	uint64_t pixels, room;		/* room: in bytes */
	/* from there; 0 if there is no header */
	uint32_t width, height;
	char error[WHOLE_TEXT];
};

#endif
