/*
 * Formats that are decoded by one call where the caller is: in this process, or
 * as glue in a sandbox.
 */
#ifndef THUMBS_WHOLE_H
#define THUMBS_WHOLE_H

#include <stdint.h>

struct whole {
	const uint8_t *data;
	uint64_t size;
	/* known when room() is called: memory for the pixels, or NULL */
	uint32_t width, height;
	uint8_t *(*room)(struct whole *w);
	void *ctx;
	char *error;			/* WHOLE_TEXT bytes: why not, or "" */
};

#define WHOLE_TEXT	200

/* Zero, or not: with *error, if it was not for the want of room. */
int whole_jpeg(struct whole *w);
int whole_webp(struct whole *w);

#endif
