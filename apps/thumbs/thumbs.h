/* dune-thumbs: what its files share. */
#ifndef THUMBS_H
#define THUMBS_H

#include <stddef.h>
#include <stdint.h>
#include "dune/sandbox.h"

/* Larger images are refused before memory is taken for them. */
#define MAX_PIXELS	(32u << 20)
#define MAX_FILE	(256u << 20)

/* Rows without gaps, four bytes a pixel: red, green, blue, alpha. */
struct pixels {
	uint32_t width, height;
	uint8_t *rgba;			/* of malloc(), if it is not lent */
	/*
	 * The worker's, until its next image; a sandbox sees them as well, and
	 * they may change at any time.
	 */
	int lent;
};

enum format { FORMAT_PNG, FORMAT_JPEG, FORMAT_GIF, FORMAT_WEBP, FORMATS };

/* One image on its way. */
struct image {
	const uint8_t *data;
	size_t size;
	enum format format;
	struct pixels pixels;
	char error[200];		/* why it failed, for a person */
};

/* Fails an image: its reason, and what to return. */
int image_fail(struct image *im, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* 0, or fails it as too large or empty. */
int image_check_size(struct image *im, uint64_t width, uint64_t height);
/* Not cleared, for free(); in large pages where it is large. NULL: none. */
void *image_memory(size_t size);
/* Frees pixels, or lets go of those that are lent. */
void image_free(struct pixels *px);
/* Finds the format by the first bytes. */
int image_sniff(struct image *im);
/*
 * Scales down to at most side x side; side 0 leaves it as it is. Then px is
 * this process's own, and not when it fails.
 */
int image_scale(struct pixels *px, uint32_t side);

/* The first frame of a GIF, before its colours are looked up. */
struct gif_frame {
	uint32_t screen_width, screen_height;
	int left, top, width, height;
	int interlaced;
	int transparent;		/* an index; -1: none */
	unsigned int colors;		/* 0: no table */
	uint8_t color[256][3];
	uint8_t *index;			/* width x height, in file order */
};

int gif_compose(struct image *im, const struct gif_frame *frame);

/* ---- decoders: in this process, and in a sandbox ---- */

int native_decode(struct image *im);

struct pool;
struct worker;

struct box_limits {
	uint64_t wall_ns;	/* of a call into a decoder */
	uint64_t memory;
	unsigned int images;	/* after so many a sandbox is reset; 0: 1 */
};

/*
 * Sandboxes with all decoders loaded, one a worker: those that the directory
 * decoders has (NULL: none) come from there; no spaces, colons in its name.
 * NULL: dune_errmsg().
 */
struct pool *pool_create(unsigned int workers, const struct box_limits *limits,
			 const char *decoders);
void pool_destroy(struct pool *pool);
struct worker *pool_worker(struct pool *pool, unsigned int n);
/*
 * Decodes in a sandbox that no image before was in, or with limits.images only
 * good ones: who trusts them alike saves the reset, and has the pixels lent.
 */
int box_decode(struct worker *w, struct image *im);

#endif
