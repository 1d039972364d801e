/* Entering and leaving Dune mode, and what guest code asks of ring 0. */
#include "libdune/guest.h"

#include <errno.h>
#include <pthread.h>
#include "kern/err.h"
#include "libdune/attach.h"
#include "libdune/vm.h"

__thread struct dune_percpu *dune_guest_block;

/* What the thread keeps when it leaves, for the next time. */
static __thread struct dune_sthread *mine
	__attribute__((tls_model("initial-exec")));

static pthread_key_t at_thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void thread_ends(void *t)
{
	/* in Dune mode exit(2) does it, see kern/self/clone.c */
	if (dune_guest_block)
		return;
	dune_sthread_free(t);
	mine = NULL;
}

static void child_of_fork(void)
{
	/* a child forked in Dune mode has its VM already */
	if (dune_guest_block) {
		dune_vm_forked();
		return;
	}
	dune_self_forget();
	mine = NULL;
}

static void prepare(void)
{
	dune_self.dispatch = dune_guest_dispatch;
	dune_self.clear_dirty = dune_softdirty_clear;
	dune_self.block_at = (char *)&dune_guest_block -
			     (char *)__builtin_thread_pointer();
	pthread_key_create(&at_thread_end, thread_ends);
	pthread_atfork(NULL, NULL, child_of_fork);
}

static int documented(int err)
{
	switch (err) {
	case -ENOENT: case -EACCES: case -ENOTSUP: case -ENOMEM: case -EAGAIN:
		return err;
	case -ENODEV: case -ENXIO:
		return -ENOENT;
	case -EPERM:
		return -EACCES;
	default:
		return err ? -EIO : 0;
	}
}

int dune_enter(void)
{
	int r;

	if (dune_guest_block)
		return 0;
	pthread_once(&once, prepare);
	r = dune_self_make(dune_attach_tables);
	if (!r && !mine) {
		r = dune_sthread_new(&mine);
		if (!r)
			pthread_setspecific(at_thread_end, mine);
	}
	if (r)
		return documented(r);
	dune_guest_block = mine->pc;
	r = dune_self_enter_thread(mine);
	if (r)
		dune_guest_block = NULL;
	return documented(r);
}

int dune_leave(void)
{
	struct dune_percpu *pc = dune_guest_block;
	long r;

	if (!pc)
		return -EPERM;
	if (!mine) {
		/* made in Dune mode */
		mine = dune_sthread_of(dune_current);
		pthread_setspecific(at_thread_end, mine);
	}
	do
		r = pc->hcall(DUNE_HC_LEAVE, 0, 0, 0);
	while (r == -EINTR);
	return 0;
}

int dune_in_dune_mode(void)
{
	return dune_guest_block != NULL;
}

/* ---- for the rest of the library ---- */

long dune_guest_fill(uint64_t va)
{
	return dune_guest_cpu()->hcall(DUNE_HC_FILL, va, 0, 0);
}

void dune_guest_shootdown(void)
{
	struct dune_percpu *pc = dune_guest_cpu();

	if (__atomic_load_n(&dune_self.active, __ATOMIC_SEQ_CST) < 2)
		return;
	/* what the host side takes away has to be there: see flush_all() */
	*(volatile char *)((uintptr_t)pc + DUNE_PC_IST) = 0;
	pc->hcall(DUNE_HC_FLUSH, 0, 0, 0);
}

int dune_guest_alias(void)
{
	return dune_guest_cpu()->hcall(DUNE_HC_ALIAS, 0, 0, 0);
}

void dune_guest_unwrite(const struct dune_windows *w, uint64_t *list,
			bool calls)
{
	dune_guest_cpu()->hcall(DUNE_HC_UNWRITE, (uintptr_t)w, (uintptr_t)list,
				calls);
}

int dune_guest_back(uint64_t va, uint64_t *gpa)
{
	long r = dune_guest_cpu()->hcall(DUNE_HC_BACK, va, 0, 0);

	if (r < 0)
		return r;
	*gpa = r;
	return 0;
}

void dune_guest_set_cr3(uint64_t cr3)
{
	struct dune_percpu *pc = dune_guest_cpu();

	pc->kern_cr3 = cr3;
	if (dune_guest_native())
		__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
	else
		pc->gate(DUNE_GATE_CR3, cr3);
}

uint64_t dune_guest_cr3(void)
{
	return dune_guest_cpu()->kern_cr3;
}

void dune_guest_invlpg(uint64_t va)
{
	if (dune_guest_native())
		__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
	else
		dune_guest_set_cr3(dune_guest_cr3());
}

/* Signals wait: nobody else can have a thread stand that has the lock. */
void dune_guest_lock_threads(void)
{
	struct dune_percpu *pc = dune_guest_cpu();

	if (pc)
		pc->hold++;
	pthread_mutex_lock(&dune_self.lock);
}

void dune_guest_unlock_threads(void)
{
	struct dune_percpu *pc = dune_guest_cpu();

	pthread_mutex_unlock(&dune_self.lock);
	if (pc && --pc->hold == 0 && pc->kick)
		pc->hcall(DUNE_HC_POLL, 0, 0, 0);
}
