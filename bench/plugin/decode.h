/* dune-decode: whole images decoded by who may not touch the host. */
#ifndef BENCH_PLUGIN_DECODE_H
#define BENCH_PLUGIN_DECODE_H

#include "apps/thumbs/thumbs.h"

/* Beside the formats of dune-thumbs: the kernel's. */
#define FORMAT_QOI	FORMATS

/*
 * No file here is larger, and no image, but those that only native and
 * decode_box...() get.
 */
#define FILE_BYTES	(4u << 20)
#define PIXEL_BYTES	(4u << 20)

/*
 * Makes a picture of this size and encodes it: data, size, format of *im; 0, or
 * a negative errno.
 */
int make_image(struct image *im, enum format format, uint32_t width,
	       uint32_t height);

/*
 * Ways to decode. Each leaves pixels, for image_free(), or fails with a
 * negative errno. They are this process's own, but those of decode_box().
 */
int decode_native(struct image *im);	/* a call */
int decode_futex(struct image *im);	/* a process: shared memory */
int decode_pipe(struct image *im);	/* a process: two pipes */
int decode_wrapped(struct image *im);	/* that in bubblewrap */
int decode_fork(struct image *im);	/* a process an image */
int decode_box(struct image *im);	/* a sandbox for all of a kind */
int decode_box_reset(struct image *im);	/* reset after each */
int decode_wasm(struct image *im);	/* QOI only */

/* Memory for the pixels of a QOI file, whose header is checked. */
int qoi_room(struct image *im);

/* Starts and ends the processes of the ways above. */
int processes_start(void);
void processes_end(void);
/* What main() is when it is the process in bubblewrap. */
void processes_answer(void);

/*
 * Sets up both sandboxes; library: the kernel as a shared object. NULL, or why
 * there are none.
 */
const char *boxes_start(const char *library);
void boxes_end(void);
int box_add(int a, int b);

/* NULL, or why there is no wasm. */
const char *wasm_start(void);
int wasm_add(int a, int b);

#endif
