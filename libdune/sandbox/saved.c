/*
 * A snapshot into a file: image.h has the format. The template's monitor writes
 * its part into a pipe (save.c), and what comes is checked as any file's is.
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/mm/region.h"

#define CHUNK		(256 * 1024)
/* A template that says nothing for so long never will. */
#define PATIENCE_MS	60000

uint64_t dune_saved_build(void)
{
	uint64_t sum = dune_image_sum(0, dune_monitor_start,
				      dune_monitor_end - dune_monitor_start);

	return dune_image_sum(sum, dune_runner_start,
			      dune_runner_end - dune_runner_start);
}

/* ---- writing ---- */

struct writer {
	int fd;
	uint64_t at, sum;
	int err;			/* the first; then nothing is written */
	char buf[CHUNK];
};

/* A multiple of 8 bytes. */
static void put(struct writer *w, const void *p, size_t size)
{
	ssize_t n;

	w->sum = dune_image_sum(w->sum, p, size);
	while (size && !w->err) {
		n = pwrite(w->fd, p, size, w->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			w->err = n < 0 ? errno : ENOSPC;
			break;
		}
		p = (const char *)p + n;
		size -= n;
		w->at += n;
	}
}

static void put_host(struct writer *w, const struct dune_sandbox *s,
		     struct dune_image_head *head)
{
	const struct dune_snapshot *n = s->snapshot;
	struct dune_heap *heap = &n->template->heap;
	size_t pieces = dune_heap_list(heap, NULL, 0);
	struct dune_image_host h = {
		.share_next = n->share_next, .heap = heap->size,
		.objects = n->objects, .callbacks = n->stubs,
		.loads = n->loads, .pieces = pieces,
	};
	struct dune_image_callback c;
	uint64_t *piece = calloc(pieces, sizeof(*piece));
	uint64_t from = w->at;
	unsigned int i;

	if (!piece) {
		w->err = ENOMEM;
		return;
	}
	/* nobody allocates in a template's */
	dune_heap_list(heap, piece, pieces);
	put(w, &h, sizeof(h));
	put(w, n->handle, n->objects * sizeof(*n->handle));
	for (i = 0; i < n->stubs; i++) {
		memset(&c, 0, sizeof(c));
		strncpy(c.name, s->callback[i].name, sizeof(c.name) - 1);
		c.handle = n->stub_handle[i];
		c.type = s->callback[i].c.type;
		c.args = s->callback[i].c.args;
		memcpy(c.arg, s->callback[i].c.arg, sizeof(c.arg));
		put(w, &c, sizeof(c));
	}
	put(w, piece, pieces * sizeof(*piece));
	free(piece);
	head->host = w->at - from;
}

static bool is_zero(const char *page)
{
	static const char zero[4096];

	return !memcmp(page, zero, sizeof(zero));
}

/* The guest may write there meanwhile: each page is copied once. */
static void put_heap(struct writer *w, const struct dune_box *t)
{
	const char *heap = (const char *)t->ch + DUNE_CH_HEAP;
	struct dune_image_run run = { 0, 4096 };

	for (; run.at < t->heap.high; run.at += 4096) {
		memcpy(w->buf, heap + run.at, 4096);
		if (is_zero(w->buf))
			continue;
		put(w, &run, sizeof(run));
		put(w, w->buf, 4096);
	}
	run.at = run.len = 0;
	put(w, &run, sizeof(run));
}

/* ---- what the template's monitor says ---- */

struct source {
	int fd;
	uint64_t left;			/* bytes that it may still say */
};

static int get(struct source *s, void *p, size_t size)
{
	struct pollfd poll_fd = { .fd = s->fd, .events = POLLIN };
	ssize_t n = 0;

	if (size > s->left)
		return dune_err(-EPROTO, "save: the sandbox is larger than it "
				"can be");
	s->left -= size;
	while (size) {
		n = poll(&poll_fd, 1, PATIENCE_MS);
		if (n > 0)
			n = read(s->fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return dune_err(-EPROTO, "save: the sandbox's process "
					"ended or stopped");
		p = (char *)p + n;
		size -= n;
	}
	return 0;
}

/* As they come: size bytes, a multiple of 8. */
static int copy(struct source *s, struct writer *w, uint64_t size)
{
	uint64_t n;
	int r;

	for (; size; size -= n) {
		n = size < CHUNK ? size : CHUNK;
		r = get(s, w->buf, n);
		if (r)
			return r;
		put(w, w->buf, n);
	}
	return 0;
}

static int copy_runs(struct source *s, struct writer *w,
		     const struct dune_image_region *region)
{
	uint64_t from = region->start;
	struct dune_image_run run;
	int r;

	for (;;) {
		r = get(s, &run, sizeof(run));
		if (r)
			return r;
		r = dune_image_check_run(&run, &from, region->end);
		if (r < 0)
			return r;
		put(w, &run, sizeof(run));
		if (!r)
			return 0;
		r = copy(s, w, run.len);
		if (r)
			return r;
	}
}

/* What a plugin holds that does not go into a file. */
struct held {
	bool memory;			/* that others see */
	unsigned int files;
};

static int copy_process(struct source *s, struct writer *w, struct held *held)
{
	struct dune_image_region region;
	struct dune_image_process p;
	uint64_t from = 0;
	int r = get(s, &p, sizeof(p));

	if (!r)
		r = dune_image_check_process(&p);
	put(w, &p, sizeof(p));
	if (!r)
		r = copy(s, w, p.names);
	held->files = p.files;
	while (!r) {
		r = get(s, &region, sizeof(region));
		if (r)
			break;
		r = dune_image_check_region(&region, &from);
		if (r < 0)
			break;
		put(w, &region, sizeof(region));
		if (!r)
			return 0;
		held->memory |= !!(region.flags & DUNE_R_SHARED);
		r = copy_runs(s, w, &region);
	}
	return r;
}

/* ---- saving ---- */

int dune_saved_check(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return dune_err(-EINVAL, "saved sandbox: descriptor %d is no "
				"regular file", fd);
	return 0;
}

/* Has the template say it. */
static int put_process(struct dune_box *t, struct writer *w, uint64_t memory)
{
	struct source src = { .left = memory + DUNE_SAVED_UNCOUNTED };
	struct held held = { false };
	int fd[2], r;

	if (pipe2(fd, O_CLOEXEC))
		return dune_err(-errno, "pipe: %s; raise ulimit -n if it is "
				"low", strerror(errno));
	src.fd = fd[0];
	r = dune_box_send(t, &fd[1], 1);
	close(fd[1]);
	if (!r) {
		r = copy_process(&src, w, &held);
		/* not as a monitor does it: the plugin has a hand in this */
		if (r) {
			dune_box_kill(t, DUNE_CAUSE_PROTOCOL);
			r = -EPROTO;
		}
	}
	close(fd[0]);
	if (!r && held.files)
		r = dune_err(-EBUSY, "save: the plugin has %u open files; "
			     "close them before the snapshot", held.files);
	if (!r && held.memory)
		r = dune_err(-EBUSY, "save: the plugin has memory shared with "
			     "others; dune_sandbox_unshare() it before the "
			     "snapshot");
	return r;
}

/* The host's part and the heap first, the head last. */
static int write_all(struct dune_sandbox *s, struct writer *w)
{
	struct dune_box *t = s->snapshot->template;
	struct dune_image_head head = {
		.version = DUNE_IMAGE_VERSION, .head = sizeof(head),
		.build = dune_saved_build(),
	};
	int r;

	memcpy(head.magic, DUNE_IMAGE_MAGIC, sizeof(head.magic));
	w->at = sizeof(head);
	put_host(w, s, &head);
	put_heap(w, t);
	head.process = w->at;
	r = put_process(t, w, s->o.memory);
	if (r)
		return r;
	head.size = w->at;
	head.sum = dune_image_sum(w->sum, &head, sizeof(head));
	w->at = 0;
	put(w, &head, sizeof(head));
	return w->err ? dune_err(-w->err, "save: %s", strerror(w->err)) : 0;
}

static int save(struct dune_sandbox *s, int fd)
{
	struct dune_snapshot *n = s->snapshot;
	struct writer *w;
	int r;

	if (!n)
		return dune_err(-EINVAL, "save: no snapshot yet");
	if (dune_box_dead(n->template))
		return dune_err(-ESTALE, "save: the snapshot's process is "
				"dead");
	if (n->objects > DUNE_IMAGE_OBJECTS)
		return dune_err(-E2BIG, "save: more than %d objects",
				DUNE_IMAGE_OBJECTS);
	r = dune_saved_check(fd);
	if (r)
		return r;
	if (ftruncate(fd, 0))
		return dune_err(-errno, "save: %s; open the file for writing",
				strerror(errno));
	w = calloc(1, sizeof(*w));
	if (!w)
		return dune_err(-ENOMEM, "save: out of memory");
	w->fd = fd;
	r = write_all(s, w);
	free(w);
	return r;
}

int dune_sandbox_save(struct dune_sandbox *s, int fd)
{
	int r = dune_sandbox_stop(s);

	if (r)
		return r;
	r = save(s, fd);
	dune_sandbox_go(s);
	return r;
}
