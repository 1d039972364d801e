/*
 * Traps in Dune mode: from the stubs to the program's handlers. Compiled
 * without FPU registers: they may not have been saved (DUNE_TRAP_NOFPU).
 */
#include "libdune/guest.h"

#include <errno.h>
#include <stdlib.h>
#include "kern/err.h"
#include "libdune/privileged.h"
#include "libdune/vm.h"

#define VEC_PF	DUNE_VEC_PF

static struct dune_handler process[DUNE_VEC_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool call(const struct dune_handler *table, struct dune_tf *tf,
		 unsigned int vector, uint64_t addr)
{
	/* fn last when set, first when removed: see dune_trap_set() */
	dune_trap_handler *fn = table ?
		__atomic_load_n(&table[vector].fn, __ATOMIC_ACQUIRE) : NULL;

	return fn && fn(tf, vector, addr, table[vector].arg) ==
		     DUNE_TRAP_RESUME;
}

static uint64_t resume(const struct dune_tf *tf)
{
	return tf->cs & 3 ? DUNE_RET_USER : DUNE_RET_RESUME;
}

/* Where ring 0 is emulated both rings have ring 3's selectors. */
static void show_ring(struct dune_tf *tf, bool user)
{
	if (dune_guest_native())
		return;
	tf->cs = user ? DUNE_SELF_VUSER_CS : DUNE_SELF_KERN_CS;
	tf->ss = user ? DUNE_SELF_VUSER_SS : DUNE_SELF_KERN_SS;
	if (!user)
		tf->err &= ~(uint32_t)DUNE_PF_USER;
}

static void hide_ring(struct dune_tf *tf)
{
	if (dune_guest_native())
		return;
	/* bits 0 and 1 stay: they say which ring */
	tf->cs = DUNE_SELF_USER_CS;
	tf->ss = DUNE_SELF_USER_SS;
}

/*
 * What only a software KVM's traps need: the system call of ring 3 comes as a
 * page fault (its entry is a page ring 3 does not see), and what is privileged
 * is emulated. True: resume.
 */
static bool soft_trap(struct dune_percpu *pc, struct dune_tf *tf,
		      unsigned int *vector, uint64_t *addr)
{
	if ((tf->cs & 3) && *vector == VEC_PF && tf->rip == *addr &&
	    tf->rip == pc->entry) {
		tf->rip = tf->rcx;
		tf->rflags = tf->r11;
		tf->err = 0;
		*vector = DUNE_VEC_CALL;
		*addr = 0;
	} else if (dune_privileged(pc, tf, vector, addr) == 0) {
		return true;
	}
	return dune_own_idt(pc, tf, *vector, *addr) == 0;
}

/*
 * Signals are held but while the program's handlers run: who looks at the
 * interrupted stack, as collectors do, must find the program's, not ours.
 */
static uint64_t dispatch(struct dune_tf *tf, unsigned int vector,
			 uint64_t addr, struct dune_percpu *pc)
{
	struct dune_guest *g = dune_guest_of(pc);
	bool taken;

	if (vector == VEC_PF &&
	    !(tf->cs & 3 && tf->rip == addr && addr == pc->entry) &&
	    dune_vm_fault(addr, &tf->err, tf->cs & 3) == 0)
		return resume(tf);
	if (!(pc->flags & DUNE_PCF_NATIVE) &&
	    soft_trap(pc, tf, &vector, &addr))
		return resume(tf);
	g->declined = false;
	pc->hold--;
	taken = call(g->own, tf, vector, addr) ||
		call(process, tf, vector, addr);
	pc->hold++;
	if (taken && !g->declined)
		return resume(tf);
	if (vector == DUNE_VEC_CALL) {
		tf->rax = -ENOSYS;
		return resume(tf);
	}
	return DUNE_RET_FAULT;
}

uint64_t dune_guest_dispatch(struct dune_tf *tf, uint64_t vector,
			     uint64_t cr2, uint64_t from_user,
			     struct dune_percpu *pc)
{
	uint64_t ret;

	show_ring(tf, from_user);
	ret = dispatch(tf, vector, vector == VEC_PF ? cr2 : 0, pc);
	if (dune_guest_of(pc)->ipi || dune_guest_of(pc)->ipi_waits)
		dune_apic_done(pc, tf);
	if (ret != DUNE_RET_FAULT)
		hide_ring(tf);
	return ret;
}

/* ---- registration ---- */

bool dune_trap_wanted(const struct dune_percpu *pc, unsigned int vector)
{
	const struct dune_guest *g = (const void *)pc->guest;

	return process[vector].fn || (g->own && g->own[vector].fn);
}

static void set_nofpu(struct dune_percpu *pc, unsigned int vector, bool yes)
{
	uint64_t bit = 1ul << (vector & 63);

	if (yes)
		__atomic_fetch_or(&pc->nofpu[vector >> 6], bit,
				  __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&pc->nofpu[vector >> 6], ~bit,
				   __ATOMIC_SEQ_CST);
}

/* These may be privileged instructions, which the emulator looks at first. */
#define EMULATED	(1u << 6 | 1u << 11 | 1u << 12 | 1u << 13)

static bool may_skip_fpu(unsigned int vector)
{
	return dune_guest_native() || vector >= 32 ||
	       !(EMULATED >> vector & 1);
}

static bool says_nofpu(const struct dune_handler *table, unsigned int vector)
{
	return !table || !table[vector].fn ||
	       (table[vector].flags & DUNE_TRAP_NOFPU);
}

/* Every thread's bit of a vector, after a change of its handlers. */
static void update_nofpu(unsigned int vector)
{
	struct dune_sthread *t;

	dune_guest_lock_threads();
	for (t = dune_self.threads; t; t = t->next) {
		const struct dune_handler *own = dune_guest_of(t->pc)->own;
		bool any = process[vector].fn || (own && own[vector].fn);

		set_nofpu(t->pc, vector, any && may_skip_fpu(vector) &&
			  says_nofpu(process, vector) &&
			  says_nofpu(own, vector));
	}
	dune_guest_unlock_threads();
}

static struct dune_handler *own_table(void)
{
	struct dune_percpu *pc = dune_in_dune_mode() ? dune_guest_cpu() : NULL;
	struct dune_guest *g;

	if (!pc)
		return NULL;
	g = dune_guest_of(pc);
	if (!g->own)
		g->own = calloc(DUNE_VEC_MAX, sizeof(*g->own));
	return g->own;
}

int dune_trap_set(unsigned int vector, unsigned int flags,
		  dune_trap_handler *handler, void *arg)
{
	struct dune_handler *table = process;

	if (vector >= DUNE_VEC_MAX ||
	    (flags & ~(unsigned int)(DUNE_TRAP_THREAD | DUNE_TRAP_NOFPU)))
		return dune_err(-EINVAL, "dune_trap_set: vector %u, flags %#x",
				vector, flags);
	if (flags & DUNE_TRAP_THREAD)
		table = own_table();
	if (!table)
		return dune_err(-EPERM, "dune_trap_set: a thread's own handler "
				"can be set in Dune mode only");
	pthread_mutex_lock(&lock);
	__atomic_store_n(&table[vector].fn, NULL, __ATOMIC_SEQ_CST);
	update_nofpu(vector);
	table[vector].arg = arg;
	table[vector].flags = flags;
	__atomic_store_n(&table[vector].fn, handler, __ATOMIC_RELEASE);
	update_nofpu(vector);
	pthread_mutex_unlock(&lock);
	return 0;
}
