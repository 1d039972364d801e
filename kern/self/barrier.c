/* System calls into memory that the program keeps faults for. */
#include "kern/self/barrier.h"

#include "dune/trap.h"
#include "kern/self/outbuf.h"

#define SYSCALL_INSN	2	/* bytes */
#define RED_ZONE	128

extern const char dune_guest_on_handler_stack[];

struct dune_barriers dune_barriers;

/* The first page that the guest could not touch like that; 0: none. */
struct hit {
	uint64_t va;
	uint32_t error;
};

/*
 * Only what an entry forbids: what is not there yet comes by itself, and where
 * nothing is mapped the kernel says so.
 */
static bool forbidden(uint64_t va, bool write, uint32_t *error)
{
	uint64_t rights, e;
	int level;

	e = dune_entry_load(dune_entry_find(dune_self.mem.tables.pt, va,
					    &level, &rights));
	if (!(e & DUNE_PTE_P)) {
		*error = write ? DUNE_PF_WRITE : 0;
		return level == 0 && e & DUNE_PTE_ADDR;
	}
	*error = DUNE_PF_PRESENT | DUNE_PF_WRITE;
	return write && !(rights & DUNE_PTE_W);
}

static void look(void *ctx, uint64_t va, uint64_t len, bool write)
{
	struct hit *h = ctx;
	uint64_t at = va, end = va + len < va ? -1ul : va + len;
	struct dune_barrier *b;
	uint64_t stop;

	while (!h->va && at < end) {
		b = dune_barrier_at(at);
		stop = (at | ~DUNE_PAGE_MASK) + 1;
		if (b && forbidden(at, write, &h->error))
			h->va = at;
		/* far from any range, whole buffers are not gone through */
		if (!b && len > DUNE_LARGE_SIZE)
			stop = (at | (DUNE_LARGE_SIZE - 1)) + 1;
		at = stop;
	}
}

/* The thread takes a page fault at the call's instruction. */
static void inject(struct dune_sthread *t, const struct hit *h)
{
	struct dune_vcpu *c = t->task.vcpu;
	bool native = c->vm->kind.native_ring0;
	const struct dune_percpu *pc = t->pc;
	uint64_t top = pc->hstack_lo + pc->hstack_size;
	/* as the stubs find it: vector, error code, the CPU's frame */
	uint64_t words[] = {
		DUNE_VEC_PF, h->error, c->u.rip - SYSCALL_INSN,
		native ? DUNE_SELF_KERN_CS : DUNE_SELF_USER_CS, c->u.rflags,
		c->u.rsp, native ? DUNE_SELF_KERN_SS : DUNE_SELF_USER_SS,
	};

	if (c->u.rsp - pc->hstack_lo < pc->hstack_size)
		top = c->u.rsp - RED_ZONE;
	top = (top & ~15ul) - sizeof(words);
	__builtin_memcpy((void *)(uintptr_t)top, words, sizeof(words));
	t->pc->cr2 = h->va;
	c->u.rsp = top;
	c->u.rip = dune_block_label(pc, dune_guest_on_handler_stack);
	c->edited = true;
}

bool dune_barrier_hit(struct dune_sthread *t, const struct dune_call *c)
{
	struct hit h = { 0 };

	dune_buffers_each(c->nr, c->arg, look, &h);
	if (h.va)
		inject(t, &h);
	return h.va;
}
