/*
 * Memory of the host's that sandboxes map. A buffer to be read only is sealed
 * once the host has its mapping: from then on nobody can get a writable
 * one, whatever descriptors they hold.
 */
#include "libdune/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kern/err.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct dune_buffer {
	struct dune_engine *engine;
	struct dune_buffer *next;
	unsigned int refs;		/* the host's, and sandboxes' */
	enum dune_share how;
	int fd;
	void *pages;
	size_t size;
	bool adopted;
};

static void put(struct dune_buffer *b)
{
	if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(b);
}

static struct dune_buffer *get(struct dune_buffer *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

/* The mapping is there: closes the door behind it. */
static int seal(const struct dune_buffer *b)
{
	int seals = F_SEAL_SEAL;

	if (b->how == DUNE_SHARE_READ)
		seals |= F_SEAL_FUTURE_WRITE;
	if (fcntl(b->fd, F_ADD_SEALS, seals))
		return dune_err(-ENOSYS, "buffer: %s; Linux 5.1 or later is "
				"needed", strerror(errno));
	return 0;
}

static int fill(int fd, const char *p, size_t size)
{
	ssize_t n;

	while (size) {
		n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return dune_err(-ENOMEM, "buffer: no room in shared "
					"memory");
		p += n;
		size -= n;
	}
	return 0;
}

static int create(struct dune_engine *e, void *at, size_t size,
		  enum dune_share how, struct dune_buffer **out)
{
	struct dune_buffer *b;
	int r = 0;

	*out = NULL;
	if (!size || (how != DUNE_SHARE_READ && how != DUNE_SHARE_WRITE))
		return dune_err(-EINVAL, "buffer: no size, or unknown rights");
	b = calloc(1, sizeof(*b));
	if (!b)
		return dune_err(-ENOMEM, "buffer: out of memory");
	b->engine = e;
	b->refs = 1;
	b->how = how;
	b->size = PAGE_UP(size);
	b->adopted = at;
	b->fd = dune_memfd("dune-buffer", b->size, 0);
	if (b->fd < 0)
		r = b->fd;
	else if (at)
		r = fill(b->fd, at, b->size);
	if (!r) {
		b->pages = mmap(at, b->size, PROT_READ | PROT_WRITE,
				MAP_SHARED | (at ? MAP_FIXED : 0), b->fd, 0);
		r = b->pages == MAP_FAILED ?
			dune_err(-ENOMEM, "buffer: %s", strerror(errno)) :
			seal(b);
	}
	if (r) {
		if (b->pages && b->pages != MAP_FAILED && !at)
			munmap(b->pages, b->size);
		if (b->fd >= 0)
			close(b->fd);
		free(b);
		return r;
	}
	pthread_mutex_lock(&e->lock);
	b->next = e->buffers;
	e->buffers = b;
	pthread_mutex_unlock(&e->lock);
	*out = b;
	return 0;
}

int dune_buffer_create(struct dune_engine *e, size_t size, enum dune_share how,
		       struct dune_buffer **out)
{
	return create(e, NULL, size, how, out);
}

int dune_buffer_adopt(struct dune_engine *e, void *pages, size_t size,
		      enum dune_share how, struct dune_buffer **out)
{
	*out = NULL;
	if (!pages || (uintptr_t)pages % 4096 || size % 4096)
		return dune_err(-EINVAL, "buffer: %p, %zu bytes: not whole "
				"pages", pages, size);
	return create(e, pages, size, how, out);
}

/* A private copy in the place of what was shared. */
static void give_back(struct dune_buffer *b)
{
	void *copy = mmap(NULL, b->size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return;		/* it stays as it is: shared, but there */
	memcpy(copy, b->pages, b->size);
	if (mremap(copy, b->size, b->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		   b->pages) == MAP_FAILED)
		munmap(copy, b->size);
}

void dune_buffer_destroy(struct dune_buffer *b)
{
	struct dune_buffer **p;

	if (!b)
		return;
	pthread_mutex_lock(&b->engine->lock);
	for (p = &b->engine->buffers; *p && *p != b; p = &(*p)->next)
		;
	if (*p)
		*p = b->next;
	pthread_mutex_unlock(&b->engine->lock);
	if (b->adopted)
		give_back(b);
	else
		munmap(b->pages, b->size);
	close(b->fd);
	b->fd = -1;
	put(b);
}

void *dune_buffer_pointer(const struct dune_buffer *b)
{
	return b->pages;
}

size_t dune_buffer_size(const struct dune_buffer *b)
{
	return b->size;
}

/* ---- in a sandbox ---- */

static struct dune_sharing **find(struct dune_sandbox *s,
				  const struct dune_buffer *buf)
{
	struct dune_sharing **p;

	for (p = &s->shares; *p && (*p)->buf != buf; p = &(*p)->next)
		;
	return p;
}

static int map(struct dune_sandbox *s, int lane, struct dune_buffer *b,
	       uint64_t at)
{
	uint64_t in[3] = { at, b->size, b->how == DUNE_SHARE_WRITE ?
			   PROT_READ | PROT_WRITE : PROT_READ }, out[2];
	int r;

	if (dune_box_dead(s->box))
		return dune_err(-ESTALE, "sandbox: dead; dune_sandbox_reset() "
				"brings it back");
	r = dune_box_send(s->box, &b->fd, 1);
	if (!r)
		r = dune_lane_op(s, lane, DUNE_OP_SHARE, in, out);
	if (!r && out[0])
		r = dune_err(-ENOMEM, "buffer: the sandbox cannot map it; "
			     "raise the option memory");
	return r;
}

int dune_sandbox_share(struct dune_sandbox *s, struct dune_buffer *b,
		       dune_addr *addr)
{
	struct dune_sharing *n = calloc(1, sizeof(*n));
	int lane, r = 0;

	addr->v = 0;
	if (!n)
		return dune_err(-ENOMEM, "buffer: out of memory");
	lane = dune_lane_take(s);
	pthread_mutex_lock(&s->lock);
	if (*find(s, b))
		r = dune_err(-EEXIST, "buffer: is shared already");
	else if (b->size > DUNE_CH_SHARES_END - s->share_next)
		r = dune_err(-ENOMEM, "buffer: no addresses left for it");
	n->at = s->share_next;
	/* a page between them that nobody has */
	if (!r)
		s->share_next += b->size + 4096;
	pthread_mutex_unlock(&s->lock);
	if (!r)
		r = map(s, lane, b, n->at);
	dune_lane_give(s, lane);
	if (r) {
		free(n);
		return r;
	}
	n->buf = get(b);
	n->size = b->size;
	addr->v = n->at;
	pthread_mutex_lock(&s->lock);
	n->next = s->shares;
	s->shares = n;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int dune_sandbox_unshare(struct dune_sandbox *s, struct dune_buffer *b)
{
	uint64_t in[3] = { 0 }, out[2];
	struct dune_sharing **p, *n;
	int lane, r;

	pthread_mutex_lock(&s->lock);
	p = find(s, b);
	n = *p;
	if (n)
		*p = n->next;
	pthread_mutex_unlock(&s->lock);
	if (!n)
		return dune_err(-ENOENT, "buffer: is not shared");
	in[0] = n->at;
	in[1] = n->size;
	put(b);
	free(n);
	lane = dune_lane_take(s);
	r = dune_lane_op(s, lane, DUNE_OP_UNSHARE, in, out);
	dune_lane_give(s, lane);
	return r;
}

void dune_shares_drop(struct dune_sandbox *s)
{
	struct dune_sharing *n, *next;

	for (n = s->shares; n; n = next) {
		next = n->next;
		put(n->buf);
		free(n);
	}
	s->shares = NULL;
}
