/*
 * A sandbox from a file: the host's part is checked and taken over, the
 * process's is made by a new monitor, behind its walls (restore.c).
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/err.h"

#define CHUNK		(256 * 1024)

/* ---- reading ---- */

struct image {
	int fd;
	struct dune_image_head head;
	struct dune_image_host *host;	/* with what follows it */
	struct dune_image_parts parts;
	uint64_t heap;			/* where it begins */
};

static int read_at(int fd, void *p, size_t size, uint64_t at)
{
	ssize_t n;

	while (size) {
		n = pread(fd, p, size, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return dune_err(-EINVAL, "saved sandbox: it ends "
					"early, or cannot be read; save it "
					"again");
		p = (char *)p + n;
		size -= n;
		at += n;
	}
	return 0;
}

/* Of the copies that are used, and of the rest as it is now. */
static int check_sum(const struct image *im)
{
	struct dune_image_head head = im->head;
	uint64_t at = im->heap, n, sum;
	char *buf = malloc(CHUNK);
	int r = 0;

	if (!buf)
		return dune_err(-ENOMEM, "restore: out of memory");
	sum = dune_image_sum(0, im->host, head.host);
	for (; !r && at < head.size; at += n) {
		n = head.size - at < CHUNK ? head.size - at : CHUNK;
		r = read_at(im->fd, buf, n, at);
		sum = dune_image_sum(sum, buf, n);
	}
	free(buf);
	head.sum = 0;
	if (!r && dune_image_sum(sum, &head, sizeof(head)) != im->head.sum)
		r = dune_err(-EINVAL, "saved sandbox: damaged (checksum); save "
			     "it again");
	return r;
}

/* Before anybody reads all of it: what is more could not be used. */
static int check_size(const struct image *im,
		      const struct dune_sandbox_options *o)
{
	uint64_t most = o->memory + o->heap + DUNE_SAVED_UNCOUNTED;

	if (most < DUNE_SAVED_UNCOUNTED || im->head.size <= most)
		return 0;
	return dune_err(-ENOMEM, "saved sandbox: %llu MiB; raise the options "
			"memory and heap",
			(unsigned long long)im->head.size >> 20);
}

static int read_image(struct image *im, const struct dune_sandbox_options *o)
{
	struct stat st;
	int r = dune_saved_check(im->fd);

	if (r)
		return r;
	fstat(im->fd, &st);
	r = read_at(im->fd, &im->head, sizeof(im->head), 0);
	if (!r)
		r = dune_image_check_head(&im->head, st.st_size,
					  dune_saved_build());
	if (!r)
		r = check_size(im, o);
	if (r)
		return r;
	im->host = malloc(im->head.host);
	if (!im->host)
		return dune_err(-ENOMEM, "restore: out of memory");
	im->heap = sizeof(im->head) + im->head.host;
	r = read_at(im->fd, im->host, im->head.host, sizeof(im->head));
	if (!r)
		r = check_sum(im);
	if (!r)
		r = dune_image_check_host(im->host, im->head.host, &im->parts);
	if (!r && im->host->heap > o->heap)
		r = dune_err(-ENOMEM, "saved sandbox: a transfer heap of %llu "
			     "bytes; raise the option heap",
			     (unsigned long long)im->host->heap);
	return r;
}

/* ---- restoring ---- */

static int take_callbacks(struct dune_sandbox *s, const struct image *im)
{
	uint32_t i;

	for (i = 0; i < im->host->callbacks; i++) {
		const struct dune_image_callback *from = &im->parts.callback[i];
		struct dune_host_callback *to = &s->callback[i];

		to->name = strdup(from->name);
		if (!to->name)
			return dune_err(-ENOMEM, "restore: out of memory");
		to->c.fn = dune_callback_missing;
		to->c.type = from->type;
		to->c.args = from->args;
		memcpy(to->c.arg, from->arg, sizeof(to->c.arg));
		to->handle = from->handle;
		s->callbacks++;
	}
	s->stubs = s->callbacks;
	s->loads = im->host->loads;
	s->share_next = im->host->share_next;
	return 0;
}

static int take_heap(struct dune_box *t, const struct image *im)
{
	char *heap = (char *)t->ch + DUNE_CH_HEAP;
	uint64_t at = im->heap, from = 0;
	struct dune_image_run run;
	int r;

	if (dune_heap_unlist(&t->heap, im->parts.piece, im->host->pieces))
		return dune_err(-ENOMEM, "restore: out of memory");
	for (;;) {
		r = read_at(im->fd, &run, sizeof(run), at);
		if (!r)
			r = dune_image_check_run(&run, &from, im->host->heap);
		if (r <= 0)
			return r;
		at += sizeof(run);
		r = read_at(im->fd, heap + run.at, run.len, at);
		if (r)
			return r;
		at += run.len;
	}
}

static int take_objects(struct dune_sandbox *s, struct dune_snapshot *n,
			const struct image *im)
{
	uint32_t i;
	int r = 0;

	n->objects = im->host->objects;
	n->handle = calloc(n->objects + 1, sizeof(*n->handle));
	if (!n->handle)
		return dune_err(-ENOMEM, "restore: out of memory");
	memcpy(n->handle, im->parts.handle, n->objects * sizeof(*n->handle));
	for (i = 0; !r && i < n->objects; i++)
		r = dune_object_add(s, n->handle[i], NULL);
	n->refs = 1;
	n->share_next = s->share_next;
	n->stubs = s->stubs;
	n->loads = s->loads;
	for (i = 0; i < n->stubs; i++)
		n->stub_handle[i] = s->callback[i].handle;
	return r;
}

/* The template, what the host knows of it, and a fork of it to be used. */
static int restore(struct dune_sandbox *s, const struct image *im)
{
	const struct dune_saved_at saved = { im->fd, im->head.process };
	struct dune_snapshot *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return dune_err(-ENOMEM, "restore: out of memory");
	s->o.heap = im->host->heap;
	r = take_callbacks(s, im);
	if (!r)
		r = take_objects(s, n, im);
	if (!r)
		r = dune_box_start(s, &saved, &n->template);
	if (!r) {
		r = take_heap(n->template, im);
		if (!r)
			r = dune_snapshot_adopt(s, n);
		if (r)
			dune_engine_do(s->engine, dune_box_free_job,
				       n->template);
	}
	if (r) {
		free(n->handle);
		free(n);
	}
	return r;
}

int dune_sandbox_restore(struct dune_engine *e, int fd,
			 const struct dune_sandbox_options *options,
			 struct dune_sandbox **out)
{
	struct image im = { .fd = fd };
	struct dune_sandbox *s;
	int r;

	*out = NULL;
	r = dune_sandbox_prepare(e, options, &s);
	if (r)
		return r;
	r = read_image(&im, &s->o);
	if (!r)
		r = restore(s, &im);
	if (r)
		dune_sandbox_destroy(s);
	else
		*out = s;
	free(im.host);
	return r;
}
