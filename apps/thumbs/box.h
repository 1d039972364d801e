/* A decoder's sandbox, for the files with the decoders. */
#ifndef THUMBS_BOX_H
#define THUMBS_BOX_H

#include "thumbs.h"

/* The object with functions of our own in there, after those of the formats. */
#define BOX_GLUE	FORMATS
#define BOX_OBJECTS	(FORMATS + 1)
extern const char box_glue_start[], box_glue_end[];

/*
 * The functions that are called, of the libraries and of the C library behind
 * them: F(format, name, result, arguments...), and V(...) for those without
 * result. From this table come the typed wrappers and their places in struct
 * worker.
 */
#define P dune_addr
#define BOX_FUNCTIONS(F, V) \
	F(FORMAT_PNG, aligned_alloc, P, size_t, size_t) \
	V(FORMAT_PNG, free, P) \
	F(FORMAT_PNG, png_create_read_struct, P, P, P, P, P) \
	F(FORMAT_PNG, png_create_info_struct, P, P) \
	V(FORMAT_PNG, png_set_progressive_read_fn, P, P, P, P, P) \
	V(FORMAT_PNG, png_process_data, P, P, P, size_t) \
	F(FORMAT_PNG, png_get_image_width, uint32_t, P, P) \
	F(FORMAT_PNG, png_get_image_height, uint32_t, P, P) \
	V(FORMAT_PNG, png_set_expand, P) \
	V(FORMAT_PNG, png_set_strip_16, P) \
	V(FORMAT_PNG, png_set_gray_to_rgb, P) \
	V(FORMAT_PNG, png_set_add_alpha, P, uint32_t, int) \
	F(FORMAT_PNG, png_set_interlace_handling, int, P) \
	V(FORMAT_PNG, png_read_update_info, P, P) \
	F(FORMAT_PNG, png_get_rowbytes, size_t, P, P) \
	V(FORMAT_PNG, png_progressive_combine_row, P, P, P) \
	V(FORMAT_PNG, png_destroy_read_struct, P, P, P) \
	V(BOX_GLUE, in_box_png_row, P, P, uint32_t, int) \
	F(BOX_GLUE, in_box_jpeg, int, P) \
	F(BOX_GLUE, in_box_webp, int, P) \
	F(FORMAT_GIF, DGifOpen, P, P, P, P) \
	F(FORMAT_GIF, DGifGetRecordType, int, P, P) \
	F(FORMAT_GIF, DGifGetExtension, int, P, P, P) \
	F(FORMAT_GIF, DGifGetExtensionNext, int, P, P) \
	F(FORMAT_GIF, DGifGetImageDesc, int, P) \
	F(FORMAT_GIF, DGifGetLine, int, P, P, int) \
	F(FORMAT_GIF, GifErrorString, P, int) \
	F(FORMAT_GIF, DGifCloseFile, int, P, P)

#define BOX_WRAP(format, name, ...) DUNE_PLUGIN_CALL(box_##name, __VA_ARGS__)
#define BOX_WRAP_VOID(format, name, ...) \
	DUNE_PLUGIN_VOID(box_##name, __VA_ARGS__)
BOX_FUNCTIONS(BOX_WRAP, BOX_WRAP_VOID)

#define BOX_NUMBER(format, name, ...) F_##name,
enum { BOX_FUNCTIONS(BOX_NUMBER, BOX_NUMBER) F_COUNT };
#undef P

/* The host's functions that libraries call, and their addresses in there. */
#define BOX_CALLBACKS(C) \
	C(png_error) C(png_warning) C(png_info) C(png_row) C(png_end) \
	C(gif_read)
#define BOX_CALLBACK(name) extern const struct dune_callback *const box_##name;
BOX_CALLBACKS(BOX_CALLBACK)
#define BOX_CALLBACK_NUMBER(name) C_##name,
enum { BOX_CALLBACKS(BOX_CALLBACK_NUMBER) C_COUNT };

/*
 * Memory of the sandbox's own: the file; pixels, or what becomes pixels. And
 * memory for pixels that the host sees as well.
 */
enum { ROOM_IN, ROOM_OUT, ROOM_SHARED, ROOMS };

struct worker {
	struct dune_sandbox *box;
	struct dune_function f[F_COUNT];
	dune_addr callback[C_COUNT];
	/* of the image that is being decoded */
	struct image *im;
	dune_addr in;			/* the file */
	dune_addr out;			/* the pixels */
	dune_addr state;		/* the library's, or what leads to it */
	size_t pos;			/* what a read callback has given */
	int done;
	dune_addr heap[4];		/* what box_alloc() gave */
	unsigned int heaps;
	/* what box_memory() gave; good until the reset */
	struct { dune_addr at; size_t size; } room[ROOMS];
	int pixels;			/* the room they go to */
	struct dune_engine *engine;
	struct dune_buffer *shared;	/* what is in ROOM_SHARED */
	unsigned int images;		/* since the reset, which is due */
	unsigned int most;		/* after so many */
};

/* CALL(w, name, &result, arguments...) */
#define CALL(w, name, ...) box_##name(&(w)->f[F_##name], __VA_ARGS__)

/* Memory for the image, of the transfer heap; four times. */
int box_alloc(struct worker *w, size_t size, dune_addr *addr);
/* A room, in large pages where it is large. What is in it is left there. */
int box_memory(struct worker *w, int room, size_t size, dune_addr *addr);
/* Takes room for the pixels of an image of this size. */
int box_room(struct worker *w, uint64_t width, uint64_t height);
/* Whose image this thread decodes: for callbacks. */
struct worker *box_current(void);
/* The image's error is this text of the plugin's. Always an error. */
int box_says(struct worker *w, const char *who, dune_addr text);

/*
 * Decoders. A good image leaves what its library holds to the next image's
 * reset, or to these when there is none.
 */
int box_png(struct worker *w);
int box_png_close(struct worker *w);
int box_jpeg(struct worker *w);
int box_gif(struct worker *w);
int box_gif_close(struct worker *w);
int box_webp(struct worker *w);

#endif
