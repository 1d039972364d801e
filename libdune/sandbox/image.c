/* What a file with a snapshot must look like to be used. Pure. */
#include "libdune/sandbox/image.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "dune/sandbox.h"
#include "kern/err.h"
#include "libdune/sandbox/channel.h"
#include "libdune/sandbox/heap.h"

#define PAGE 4096ul
#define USER_END 0x7ffffffff000ul

_Static_assert(sizeof(struct dune_image_head) % 8 == 0, "sum");
_Static_assert(sizeof(struct dune_image_host) % 8 == 0, "sum");
_Static_assert(sizeof(struct dune_image_callback) % 8 == 0, "sum");
_Static_assert(sizeof(struct dune_image_process) % 8 == 0, "sum");
_Static_assert(sizeof(struct dune_image_region) % 8 == 0, "sum");

/* FNV-1a of words: for a given word each step is a bijection. */
uint64_t dune_image_sum(uint64_t sum, const void *p, size_t size)
{
	const char *at = p;
	uint64_t word;
	size_t i;

	for (i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, at + i, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3ul;
		sum ^= sum >> 32;
	}
	return sum;
}

static int damaged(const char *what)
{
	return dune_err(-EINVAL, "saved sandbox: damaged (%s); save it again",
			what);
}

int dune_image_check_head(const struct dune_image_head *h, uint64_t file_size,
			  uint64_t build)
{
	if (memcmp(h->magic, DUNE_IMAGE_MAGIC, sizeof(h->magic)))
		return dune_err(-EINVAL, "saved sandbox: this file is none");
	if (h->version != DUNE_IMAGE_VERSION || h->head != sizeof(*h))
		return dune_err(-EINVAL, "saved sandbox: format %u, and this "
				"library reads %u; save it again with this one",
				h->version, DUNE_IMAGE_VERSION);
	if (h->build != build)
		return dune_err(-EINVAL, "saved sandbox: by another build of "
				"libdune; save it again with this one");
	if (h->size != file_size)
		return dune_err(-EINVAL, "saved sandbox: %llu bytes of %llu "
				"are there; save it again",
				(unsigned long long)file_size,
				(unsigned long long)h->size);
	if (h->zero || h->host % 8 ||
	    h->host < sizeof(struct dune_image_host) ||
	    h->host > DUNE_IMAGE_HOST_MAX || h->process % 8 ||
	    h->size < sizeof(*h) + h->host || h->process > h->size ||
	    h->process < sizeof(*h) + h->host)
		return damaged("head");
	return 0;
}

static bool callback_ok(const struct dune_image_callback *c)
{
	uint32_t i;

	if (!c->name[0] || !memchr(c->name, '\0', sizeof(c->name)) ||
	    c->args > DUNE_ARGS_MAX || c->type > DUNE_FLOAT)
		return false;
	for (i = 0; i < c->args; i++)
		if (c->arg[i] == DUNE_VOID || c->arg[i] > DUNE_FLOAT)
			return false;
	return true;
}

/* They fill the heap without a gap. */
static bool pieces_ok(const uint64_t *piece, uint32_t n, uint64_t heap)
{
	uint64_t left = heap, size;
	uint32_t i;

	for (i = 0; i < n; i++) {
		size = piece[i] & ~DUNE_HEAP_USED;
		if (!size || size % 16 || size > left)
			return false;
		left -= size;
	}
	return !left;
}

int dune_image_check_host(const void *part, uint64_t size,
			  struct dune_image_parts *parts)
{
	const struct dune_image_host *h = part;
	uint64_t need = sizeof(*h);
	uint32_t i;

	if (size < need)
		return damaged("size of a part");
	/* 32 bits times less than a thousand: none overflows */
	need += 8ul * h->objects + 8ul * h->pieces +
		sizeof(struct dune_image_callback) * (uint64_t)h->callbacks;
	if (need != size || h->objects > DUNE_IMAGE_OBJECTS ||
	    h->callbacks > DUNE_IMAGE_CALLBACKS)
		return damaged("size of a part");
	if (h->share_next < DUNE_CH_SHARES ||
	    h->share_next > DUNE_CH_SHARES_END || h->share_next % PAGE ||
	    h->heap % PAGE || !h->heap ||
	    h->heap > DUNE_CH_SHARES - DUNE_CH_BASE - (1ul << 20))
		return damaged("addresses");
	parts->handle = (const uint64_t *)(h + 1);
	parts->callback = (const void *)(parts->handle + h->objects);
	parts->piece = (const void *)(parts->callback + h->callbacks);
	for (i = 0; i < h->callbacks; i++)
		if (!callback_ok(&parts->callback[i]))
			return damaged("callbacks");
	if (!pieces_ok(parts->piece, h->pieces, h->heap))
		return damaged("transfer heap");
	return 0;
}

static bool in_guest(uint64_t addr)
{
	return addr >= GUEST_LO && addr < GUEST_HI;
}

#define REG_RSP 6
#define REG_RIP 16

int dune_image_check_process(const struct dune_image_process *p)
{
	if (!in_guest(p->reg[REG_RIP]) || !in_guest(p->reg[REG_RSP]) ||
	    p->fs_base >= USER_END || p->gs_base >= USER_END)
		return damaged("registers");
	if (!in_guest(p->brk_start) || !in_guest(p->brk) ||
	    p->brk < p->brk_start ||
	    !in_guest(p->mmap_top) || p->mmap_top % PAGE ||
	    p->stack_top >= GUEST_HI || p->stack_low > p->stack_top)
		return damaged("addresses");
	if (p->vdso && (!in_guest(p->vdso) || p->vdso % PAGE ||
			!in_guest(p->vdso_end) || p->vdso_end % PAGE ||
			p->vdso_end <= p->vdso))
		return damaged("vDSO");
	if (p->names % 8 || p->names > DUNE_IMAGE_NAMES)
		return damaged("names");
	return 0;
}

int dune_image_check_region(const struct dune_image_region *r, uint64_t *from)
{
	if (!r->start && !r->end && !r->prot && !r->flags)
		return 0;
	if (r->start % PAGE || r->end % PAGE || r->start >= r->end ||
	    r->start < GUEST_LO || r->start < *from || r->end > GUEST_HI ||
	    r->prot & ~7u)
		return damaged("regions");
	*from = r->end;
	return 1;
}

int dune_image_check_run(const struct dune_image_run *r, uint64_t *from,
			 uint64_t end)
{
	if (!r->len)
		return r->at ? damaged("pages") : 0;
	if (r->at % PAGE || r->len % PAGE || r->at < *from || r->at >= end ||
	    r->len > end - r->at)
		return damaged("pages");
	*from = r->at + r->len;
	return 1;
}
