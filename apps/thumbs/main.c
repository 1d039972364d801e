/*
 * dune-thumbs: a folder of images in, thumbnails and a contact sheet out. The
 * decoders are sandboxed: an image that takes one over has that image's pixels.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <png.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "apps/options.h"
#include "sheet.h"
#include "thumbs.h"

enum { EXIT_IMAGES = 1, EXIT_SETUP = 3 };	/* 2: apps/options.h */

static const char usage[] =
"usage: dune-thumbs [options] IN_DIR OUT_DIR\n"
"Makes OUT_DIR/NAME.png of every PNG, JPEG, GIF and WebP image in IN_DIR, and\n"
"OUT_DIR/index.html. Each image is decoded in a virtual machine of its own.\n"
"  -s, --size N       thumbnails of at most N x N pixels (160); 0: as they are\n"
"  -j, --jobs N       images at once (one a processor)\n"
"  -t, --time MS      time that a decoder may take for a step (20000)\n"
"  -m, --memory MIB   memory that a decoder may use (1024)\n"
"  -r, --reset N      a clean sandbox after every N images (1): images that may\n"
"                     see each other decode faster together\n"
"      --decoders DIR take libraries from DIR where it has them: newer or\n"
"                     patched decoders than the system's\n"
"      --native       decode in this process, without a sandbox: for trusted\n"
"                     images and for comparison\n"
"  -q, --quiet        no progress\n"
"  -h, --help         this;  -V, --version\n"
"Status: 0, or 1 when an image failed, 2 for a wrong usage, 3 when there is no\n"
"sandbox to be had, a folder cannot be read, or the page not be written.\n";

struct task {
	const char *in, *out;
	struct outcome *v;
	size_t n, next, ready;
	uint32_t side;
	int progress;
	pthread_mutex_t lock;
};

/* A thread, with a sandbox or without. */
struct hand {
	struct task *task;
	struct worker *worker;
	pthread_t thread;
};

/* The whole file, for free(). */
static int read_file(const char *path, struct image *im, uint8_t **data)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t done = 0;
	ssize_t n = 1;

	*data = NULL;
	if (fd < 0 || fstat(fd, &st))
		goto fail;
	if (!S_ISREG(st.st_mode) || !st.st_size || st.st_size > MAX_FILE) {
		close(fd);
		return image_fail(im, -EINVAL, st.st_size > MAX_FILE ?
				  "too large a file" : "not a file with data");
	}
	*data = malloc(st.st_size);
	while (*data && done < (size_t)st.st_size && n > 0) {
		n = read(fd, *data + done, st.st_size - done);
		if (n > 0)
			done += n;
	}
	if (!*data || n < 0)
		goto fail;
	close(fd);
	im->data = *data;
	im->size = done;
	return 0;
fail:
	image_fail(im, -EIO, "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -EIO;
}

static int write_thumb(const char *path, struct image *im)
{
	png_image png = {
		.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGBA,
		.width = im->pixels.width, .height = im->pixels.height,
	};

	if (png_image_write_to_file(&png, path, 0, im->pixels.rgba, 0, NULL))
		return 0;
	return image_fail(im, -EIO, "thumbnail: %s", png.message);
}

/* From file to thumbnail. */
static int convert(const struct hand *h, const char *to,
		   struct image *im, struct outcome *o)
{
	int err = image_sniff(im);

	if (!err)
		err = h->worker ? box_decode(h->worker, im) : native_decode(im);
	if (err)
		return err;
	o->width = im->pixels.width;
	o->height = im->pixels.height;
	err = image_scale(&im->pixels, h->task->side);
	if (err)
		return image_fail(im, err, "out of memory");
	o->thumb_width = im->pixels.width;
	o->thumb_height = im->pixels.height;
	return write_thumb(to, im);
}

static void do_file(const struct hand *h, struct outcome *o)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct image im = { 0 };
	uint8_t *data;

	snprintf(from, sizeof(from), "%s/%s", h->task->in, o->name);
	snprintf(to, sizeof(to), "%s/%s.png", h->task->out, o->name);
	o->err = read_file(from, &im, &data);
	if (!o->err)
		o->err = convert(h, to, &im, o);
	memcpy(o->error, im.error, sizeof(o->error));
	free(data);
	free(im.pixels.rgba);
}

static void *work(void *arg)
{
	struct hand *h = arg;
	struct task *t = h->task;

	pthread_mutex_lock(&t->lock);
	while (t->next < t->n) {
		struct outcome *o = &t->v[t->next++];

		pthread_mutex_unlock(&t->lock);
		do_file(h, o);
		pthread_mutex_lock(&t->lock);
		t->ready++;
		if (t->progress)
			fprintf(stderr, "\r%zu of %zu images", t->ready, t->n);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* All files, by as many threads. */
static int run(struct task *t, struct pool *pool, unsigned int jobs)
{
	struct hand *h = calloc(jobs, sizeof(*h));
	unsigned int started = 0;

	if (!h)
		return -ENOMEM;
	for (; started < jobs; started++) {
		h[started].task = t;
		h[started].worker = pool ? pool_worker(pool, started) : NULL;
		if (pthread_create(&h[started].thread, NULL, work,
				   &h[started]))
			break;
	}
	for (unsigned int i = 0; i < started; i++)
		pthread_join(h[i].thread, NULL);
	free(h);
	if (t->progress && t->n)
		fputc('\n', stderr);
	return started ? 0 : -EAGAIN;
}

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The files to do, sorted. */
static int list(struct task *t)
{
	struct dirent **names;
	int n = scandir(t->in, &names, not_hidden, alphasort);

	if (n < 0)
		return -errno;
	t->v = calloc(n + 1, sizeof(*t->v));
	if (!t->v)
		return -ENOMEM;
	for (int i = 0; i < n; i++)
		if (names[i]->d_type != DT_DIR)
			t->v[t->n++].name = strdup(names[i]->d_name);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return 0;
}

/* Names the images that failed; returns the status. */
static int report(const struct task *t)
{
	char path[PATH_MAX];
	int err, status = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (!t->v[i].err)
			continue;
		fprintf(stderr, "%s: %s\n", t->v[i].name, t->v[i].error);
		status = EXIT_IMAGES;
	}
	snprintf(path, sizeof(path), "%s/index.html", t->out);
	err = sheet_write(path, t->v, t->n);
	if (err) {
		app_say("%s: %s", path, strerror(-err));
		return EXIT_SETUP;
	}
	return status;
}

/* A folder whose name can be in a policy and in a search path. */
static const char *folder(const char *name)
{
	static char path[PATH_MAX];
	struct stat st;

	if (!realpath(name, path) || stat(path, &st)) {
		app_say("%s: %s", name, strerror(errno));
		exit(EXIT_SETUP);
	}
	if (!S_ISDIR(st.st_mode)) {
		app_say("%s: %s", name, strerror(ENOTDIR));
		exit(EXIT_SETUP);
	}
	if (strpbrk(path, " \t\r\n:;")) {
		app_say("%s: a name without spaces, colons and semicolons is "
			"wanted", path);
		exit(EXIT_SETUP);
	}
	return path;
}

/* Or finds it there, to be written to. */
static int make_folder(const char *name)
{
	char path[PATH_MAX];

	if (mkdir(name, 0777) && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/.", name);
	return access(path, W_OK | X_OK) ? -errno : 0;
}

/* Sandboxes as needed, all files, the page: the status. */
static int thumbs(struct task *t, int native, unsigned long jobs,
		  const struct box_limits *limits, const char *decoders)
{
	struct pool *pool = NULL;
	int err = list(t);

	if (err) {
		app_say("%s: %s", t->in, strerror(-err));
		return EXIT_SETUP;
	}
	err = make_folder(t->out);
	if (err) {
		app_say("%s: %s", t->out, strerror(-err));
		return EXIT_SETUP;
	}
	if (jobs > t->n)
		jobs = t->n ? t->n : 1;
	if (!native) {
		pool = pool_create(jobs, limits, decoders);
		if (!pool) {
			app_say("%s", dune_errmsg());
			return EXIT_SETUP;
		}
	}
	err = run(t, pool, jobs);
	if (pool)
		pool_destroy(pool);
	if (err) {
		app_say("threads: %s", strerror(-err));
		return EXIT_SETUP;
	}
	return report(t);
}

int main(int argc, char **argv)
{
	unsigned long side = 160, ms = 20000, mib = 1024, reset = 1;
	unsigned long jobs = sysconf(_SC_NPROCESSORS_ONLN);
	int native = 0, quiet = 0, status, operand;
	const char *decoders = NULL;
	const struct app_option options[] = {
		{ "size", 's', .number = &side },
		{ "jobs", 'j', .number = &jobs, .least = 1 },
		{ "time", 't', .number = &ms, .least = 1 },
		{ "memory", 'm', .number = &mib, .least = 1 },
		{ "reset", 'r', .number = &reset, .least = 1 },
		{ "decoders", .text = &decoders },
		{ "native", .flag = &native },
		{ "quiet", 'q', .flag = &quiet },
		{ 0 }
	};
	struct task t = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct box_limits limits;

	operand = app_options(argc, argv, options, usage, 2, 2);
	t.in = argv[operand];
	t.out = argv[operand + 1];
	t.side = side;
	t.progress = isatty(2) && !quiet;
	limits.wall_ns = ms * 1000000;
	limits.memory = mib << 20;
	limits.images = reset < UINT_MAX ? reset : UINT_MAX;
	if (decoders)
		decoders = folder(decoders);
	status = thumbs(&t, native, jobs, &limits, decoders);
	for (size_t i = 0; i < t.n; i++)
		free((char *)t.v[i].name);
	free(t.v);
	return status;
}
