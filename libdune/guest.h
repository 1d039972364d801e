/*
 * Inside libdune: code that runs in Dune mode, as part of the program.
 *
 * dune_guest_cpu() is the calling thread's block; the calls below it are what
 * the page-table code and others ask of the host side or of ring 0.
 */
#ifndef DUNE_LIB_GUEST_H
#define DUNE_LIB_GUEST_H

#include "dune.h"
#include "dune/trap.h"
#include "kern/self/percpu.h"
#include "kern/self/self.h"
#include "kern/types.h"

struct dune_handler {
	dune_trap_handler *fn;
	void *arg;
	unsigned int flags;
};

/* The guest side's part of struct dune_percpu. */
struct dune_guest {
	bool declined;			/* the trap becomes a signal */
	struct dune_handler *own;	/* DUNE_VEC_MAX of them, or NULL */
	struct dune_vcpu_state *state;	/* emulated registers, or NULL */
	struct dune_ring3 *ring3;	/* innermost dune_user_run(), or NULL */
	struct dune_tf *ipi;		/* frame of the IPI served, or NULL */
	bool ipi_waits;			/* one, for room on the stack */
	uint64_t pending[DUNE_VECTORS / 64];	/* IPIs: a bit a vector */
	uint32_t stop_sent;		/* gcstop.c: the last it was told */
	const struct dune_stopped *stopped;	/* while it stands */
};

/* The thread's block in Dune mode, else NULL. */
extern __thread struct dune_percpu *dune_guest_block
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * On a handler stack the block is found by the stack: in a page fault any page
 * may be missing, one of TLS, too.
 */
static inline struct dune_percpu *dune_guest_cpu(void)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);

	if (here - (DUNE_RING0_GVA + DUNE_RING0_BLOCKS) <
	    DUNE_RING0_SIZE - DUNE_RING0_BLOCKS)
		return (struct dune_percpu *)(here & -(uint64_t)DUNE_PC_SIZE);
	return dune_guest_block;
}

static inline struct dune_guest *dune_guest_of(struct dune_percpu *pc)
{
	return (struct dune_guest *)pc->guest;
}

_Static_assert(sizeof(struct dune_guest) <=
	       sizeof(((struct dune_percpu *)0)->guest), "room");

/* Is ring 0 real here, or does the program run deprivileged? */
static inline bool dune_guest_native(void)
{
	return dune_self.vm.kind.native_ring0;
}

/* Asks the host side to make the main root's entries around va. 0 or -errno. */
long dune_guest_fill(uint64_t va);
/* Makes all other threads' processors forget what they have cached. */
void dune_guest_shootdown(void);
/* dune_vm_alias() and dune_vm_unwrite(), for a KVM that shadows tables. */
int dune_guest_alias(void);
void dune_guest_unwrite(const struct dune_windows *w, uint64_t *list,
			bool calls);
/* Guest physical address of va; makes its window if need be. 0, -ENOMEM. */
int dune_guest_back(uint64_t va, uint64_t *gpa);
/* This processor: loads CR3 (real value), forgets one page. */
void dune_guest_set_cr3(uint64_t cr3);
void dune_guest_invlpg(uint64_t va);
/* What CR3 holds: a real value. */
uint64_t dune_guest_cr3(void);

/* dune_self.lock, for the list of threads. Also outside Dune mode. */
void dune_guest_lock_threads(void);
void dune_guest_unlock_threads(void);

/* softdirty.c: what dune_self.clear_dirty is set to. */
void dune_softdirty_clear(struct dune_tf *tf, struct dune_percpu *pc);

/* compat-apic.c: the handlers of tf have returned, and an IPI is or waits. */
void dune_apic_done(struct dune_percpu *pc, const struct dune_tf *tf);

/* trap.c: would anybody take a trap of that vector? */
bool dune_trap_wanted(const struct dune_percpu *pc, unsigned int vector);
/* What dune_percpu.dispatch is set to. */
uint64_t dune_guest_dispatch(struct dune_tf *tf, uint64_t vector,
			     uint64_t cr2, uint64_t from_user,
			     struct dune_percpu *pc);

#endif
