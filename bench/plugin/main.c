/*
 * dune-decode: whole images decoded in this process, in sandboxes, in wasm, and
 * in other processes, by turns; prints bench's lines. Each way has to give the
 * same pixels.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/harness.h"
#include "bench/lib/json.h"
#include "decode.h"
#include "kernel.h"

#define TURNS	15
/* Fewer turns where all of it takes longer than this, but these. */
#define TURNS_NS 30000000000
#define TURNS_MIN 2
/* What is short is done as often as takes about this long. */
#define BATCH_NS 2000000
#define CALLS	100

static struct work {
	const char *row;
	enum format format;
	uint32_t width, height;
	struct image im;
	uint8_t *right;			/* its pixels */
} works[] = {
	{ "decode: PNG (libpng), 1024 x 768", FORMAT_PNG, 1024, 768, { 0 },
	  NULL },
	{ "decode: JPEG (libjpeg-turbo), 1024 x 768", FORMAT_JPEG, 1024, 768,
	  { 0 }, NULL },
	{ "decode: WebP (libwebp), 1024 x 768", FORMAT_WEBP, 1024, 768, { 0 },
	  NULL },
	{ "decode: QOI (70 lines of C), 1024 x 768", FORMAT_QOI, 1024, 768,
	  { 0 }, NULL },
	{ "decode: QOI, 64 x 64", FORMAT_QOI, 64, 64, { 0 }, NULL },
	{ "decode: JPEG, 320 x 240", FORMAT_JPEG, 320, 240, { 0 }, NULL },
	{ "decode: JPEG, 4000 x 3000", FORMAT_JPEG, 4000, 3000, { 0 }, NULL },
	{ "decode: PNG, 4000 x 3000", FORMAT_PNG, 4000, 3000, { 0 }, NULL },
};
#define WORKS (sizeof(works) / sizeof(works[0]))

/* Why nobody of a kind can take part, or NULL. */
static const char *no_wasm, *no_box, *no_reason;

/* Only the kernel is compiled to wasm; large images are for a few. */
static const struct way {
	const char *who;
	int (*decode)(struct image *im);
	bool only_qoi, large;
	const char **missing;
} ways[] = {
	{ "native", decode_native, false, true, &no_reason },
	{ "sandbox", decode_box, false, true, &no_box },
	{ "sandbox, reset after each", decode_box_reset, false, true,
	  &no_box },
	{ "wasm2c", decode_wasm, true, false, &no_wasm },
	{ "process, futex", decode_futex, false, false, &no_reason },
	{ "process, pipe", decode_pipe, false, false, &no_reason },
	{ "bubblewrap, pipe", decode_wrapped, false, false, &no_reason },
	{ "fork", decode_fork, false, false, &no_reason },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static int direct_add(int a, int b)
{
	return kernel_add(a, b) != a + b;
}

static const struct {
	const char *who;
	int (*add)(int a, int b);
	const char **missing;
} adders[] = {
	{ "direct", direct_add, &no_reason },
	{ "sandbox", box_add, &no_box },
	{ "wasm2c", wasm_add, &no_wasm },
};
#define ADDERS (sizeof(adders) / sizeof(adders[0]))

struct result {
	double ns[TURNS];
	char failed[200];
};

static struct result decoded[WORKS][WAYS], added[ADDERS];

static void fail(struct result *r, const char *why)
{
	snprintf(r->failed, sizeof(r->failed), "%s", why);
}

static size_t pixel_bytes(const struct pixels *px)
{
	return (size_t)px->width * px->height * 4;
}

/* Decodes once: the time that it took. */
static int64_t once(struct work *w, const struct way *way, struct result *r)
{
	struct image im = w->im;
	int64_t began = bench_now(), took;
	int err = way->decode(&im);

	took = bench_now() - began;
	if (err == -EPIPE)
		fail(r, "the other process is not there; is its program "
		     "installed?");
	else if (err)
		fail(r, im.error[0] ? im.error : strerror(-err));
	else if (im.pixels.width != w->width ||
		 im.pixels.height != w->height ||
		 (w->right && memcmp(im.pixels.rgba, w->right,
				     pixel_bytes(&im.pixels))))
		fail(r, "other pixels");
	if (!err && !w->right)
		w->right = im.pixels.rgba;	/* the native one */
	else
		image_free(&im.pixels);
	return took;
}

static bool takes_part(const struct work *w, const struct way *way)
{
	if ((size_t)w->width * w->height * 4 > PIXEL_BYTES && !way->large)
		return false;
	return w->format == FORMAT_QOI || !way->only_qoi;
}

static void turn_decode(struct work *w, const struct way *way,
			struct result *r, int n)
{
	int64_t sum = 0;
	int done = 0;

	if (!takes_part(w, way))
		return;
	while (sum < BATCH_NS && !r->failed[0]) {
		sum += once(w, way, r);
		done++;
	}
	r->ns[n] = (double)sum / done;
}

static void turn_add(size_t a, struct result *r, int n)
{
	int64_t began, took = 0;
	int done = 0;

	/* wakes up who sleeps */
	if (!r->failed[0] && adders[a].add(0, n))
		fail(r, dune_errmsg());
	began = bench_now();
	while (took < BATCH_NS && !r->failed[0]) {
		for (int i = 0; i < CALLS && !r->failed[0]; i++)
			if (adders[a].add(i, n))
				fail(r, dune_errmsg());
		done += CALLS;
		took = bench_now() - began;
	}
	r->ns[n] = (double)took / done;
}

/* Everybody once; the n-th samples. */
static void turn(int n)
{
	for (size_t i = 0; i < WORKS; i++)
		for (size_t k = 0; k < WAYS; k++)
			turn_decode(&works[i], &ways[k], &decoded[i][k], n);
	for (size_t i = 0; i < ADDERS; i++)
		turn_add(i, &added[i], n);
}

static void say_what_is_missing(void)
{
	for (size_t i = 0; i < ADDERS; i++)
		if (*adders[i].missing)
			fail(&added[i], *adders[i].missing);
	for (size_t k = 0; k < WAYS; k++)
		for (size_t i = 0; *ways[k].missing && i < WORKS; i++)
			fail(&decoded[i][k], *ways[k].missing);
}

static void print(const char *row, const char *who, const struct result *r,
		  int turns)
{
	const struct bench_id id = { "plugin", row, who, "ns" };

	bench_json_line(stdout, &id, r->ns, turns,
			r->failed[0] ? r->failed : NULL);
}

static int set_up(const char *self)
{
	const char *slash = strrchr(self, '/');
	char name[4096], library[PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < WORKS && !err; i++)
		err = make_image(&works[i].im, works[i].format,
				 works[i].width, works[i].height);
	if (!err)
		err = processes_start();
	if (err)
		return err;
	no_wasm = wasm_start();
	snprintf(name, sizeof(name), "%.*s/kernel.so",
		 slash ? (int)(slash - self) : 1, slash ? self : ".");
	no_box = realpath(name, library) ? boxes_start(library) :
		 "kernel.so is not beside this program";
	return 0;
}

int main(int argc, char **argv)
{
	int64_t began;
	int n, err;

	if (argc > 1 && !strcmp(argv[1], "--answer"))
		processes_answer();
	err = set_up(argv[0]);
	if (err) {
		fprintf(stderr, "dune-decode: %s\n", strerror(-err));
		return 1;
	}
	say_what_is_missing();
	began = bench_now();
	/* one that does not count, for caches and sleepers */
	turn(0);
	for (n = 0; n < TURNS && (n < TURNS_MIN || bench_now() - began <
				  TURNS_NS); n++)
		turn(n);
	for (size_t i = 0; i < WORKS; i++)
		for (size_t k = 0; k < WAYS; k++)
			if (takes_part(&works[i], &ways[k]))
				print(works[i].row, ways[k].who,
				      &decoded[i][k], n);
	for (size_t i = 0; i < ADDERS; i++)
		print("call of a function that adds", adders[i].who,
		      &added[i], n);
	boxes_end();
	processes_end();
	return 0;
}
