/*
 * The table of rewritten sites.
 *
 * A site is changed while threads may run it. What is in one aligned word
 * changes at once: they run the old code or the new one. Where the five bytes
 * lie in two, it is changed only while there is a single thread, which waits
 * for the answer to its call.
 */
#include <string.h>

#include "kern/gate/match.h"
#include "kern/gate/sites.h"
#include "kern/mm/code.h"
#include "kern/mm/uaccess.h"
#include "kern/sys/stats.h"
#include "kern/task/task.h"

#define SITES		512
#define AREAS		8
#define AREA_SIZE	(64ul << 10)
#define SLOTS		(AREA_SIZE / DUNE_TRAMPOLINE)
/* An area this far away at most. */
#define AREA_REACH	(1ul << 30)

#define INT3		0xcc
/* So often told of before a site is looked at. */
#define WORTH_IT	8
/* Sites whose calls are counted at a time. */
#define COUNTED		64
/* So many strays, which cost an exit each, are too many. */
#define STRAYS		200

struct site {
	dune_gva_t at, trampoline;
	uint8_t moved;
	uint8_t before[DUNE_SITE_PATCH], patch[DUNE_SITE_PATCH];
	uint32_t strays;
};

static struct sites {
	/* under mm->lock; entries do not change once they are counted in n */
	struct site v[SITES];
	unsigned int n;
	struct {
		dune_gva_t at;
		uint64_t used[SLOTS / 64];
	} area[AREAS];
	unsigned int areas;
	bool entry;		/* the VM has what trampolines jump to */
	/* a hint: the proxy and threads may disturb each other */
	struct {
		dune_gva_t back;
		uint32_t calls;
	} count[COUNTED];
} sites;

static unsigned int known(void)
{
	return __atomic_load_n(&sites.n, __ATOMIC_ACQUIRE);
}

static struct site *site_at(dune_gva_t at)
{
	for (unsigned int i = 0; i < known(); i++)
		if (sites.v[i].at == at)
			return &sites.v[i];
	return NULL;
}

static dune_gva_t slot_in(unsigned int a, dune_gva_t at)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t *used = &sites.area[a].used[i / 64];
		dune_gva_t slot = sites.area[a].at + i * DUNE_TRAMPOLINE;

		if (!(*used & 1ul << i % 64) && dune_site_reaches(at, slot)) {
			*used |= 1ul << i % 64;
			return slot;
		}
	}
	return 0;
}

/* A place for the trampoline of a site; 0: none. Not given back. */
static dune_gva_t take_slot(struct dune_mm *mm, dune_gva_t at)
{
	dune_gva_t slot;
	unsigned int a;

	for (a = 0; a < sites.areas; a++) {
		slot = slot_in(a, at);
		if (slot)
			return slot;
	}
	if (a == AREAS)
		return 0;
	sites.area[a].at = dune_mm_code_area(mm, at, AREA_SIZE, AREA_REACH);
	if (!sites.area[a].at)
		return 0;
	sites.areas++;
	return slot_in(a, at);
}

/* May the bytes at `at` change now? */
static bool at_once(const struct dune_task *t, dune_gva_t at)
{
	return at % sizeof(uint64_t) + DUNE_SITE_PATCH <= sizeof(uint64_t) ||
	       __atomic_load_n(&t->proc->threads, __ATOMIC_ACQUIRE) == 1;
}

static bool rewrite(struct dune_task *t, dune_gva_t at)
{
	uint8_t code[DUNE_SITE_LOOK], trampoline[DUNE_TRAMPOLINE];
	struct site *s = &sites.v[sites.n];
	struct dune_mm *mm = t->mm;
	uint64_t len;

	if (sites.n == SITES || site_at(at))
		return false;
	len = dune_mm_code(mm, at, sizeof(code));
	if (!len || dune_copy_in(code, at, len))
		return false;
	memset(s, 0, sizeof(*s));
	s->at = at;
	s->moved = dune_site_match(code, len, at);
	if (!s->moved || !at_once(t, at))
		return false;
	if (!sites.entry && dune_vm_sites(mm->vm))
		return false;
	sites.entry = true;
	s->trampoline = take_slot(mm, at);
	if (!s->trampoline)
		return false;
	memcpy(s->before, code, sizeof(s->before));
	dune_site_patch(s->patch, at, s->trampoline);
	dune_site_trampoline(trampoline, s->trampoline, at, code, s->moved,
			     DUNE_SITES_GVA);
	if (dune_mm_code_write(mm, s->trampoline, trampoline,
			       sizeof(trampoline)))
		return false;
	/* first: as soon as it is there, a thread may run into it */
	__atomic_store_n(&sites.n, sites.n + 1, __ATOMIC_RELEASE);
	return !dune_mm_code_write(mm, at, s->patch, sizeof(s->patch));
}

static bool wanted(const struct dune_task *t)
{
	/* a vfork's child does not know how many threads there are */
	return t->proc->policy->rewrite != DUNE_REWRITE_OFF &&
	       !t->proc->vfork_child && !t->mm->vm->kind.native_ring0;
}

void dune_site_rewrite(struct dune_task *t, dune_gva_t back)
{
	bool done;

	if (!wanted(t))
		return;
	pthread_mutex_lock(&t->mm->lock);
	done = rewrite(t, back - 2);
	pthread_mutex_unlock(&t->mm->lock);
	if (done)
		__atomic_fetch_add(&t->proc->stats->sites, 1,
				   __ATOMIC_RELAXED);
}

void dune_site_served(struct dune_task *t, dune_gva_t back)
{
	unsigned int i = back * 0x9e3779b97f4a7c15ul >> 58;

	if (sites.count[i].back != back) {
		sites.count[i].back = back;
		sites.count[i].calls = 0;
	}
	if (++sites.count[i].calls == WORTH_IT)
		dune_site_rewrite(t, back);
}

/* ---- threads that are found in other places ---- */

static struct site *site_of(dune_gva_t trampoline)
{
	for (unsigned int i = 0; i < known(); i++)
		if (trampoline - sites.v[i].trampoline < DUNE_TRAMPOLINE)
			return &sites.v[i];
	return NULL;
}

void dune_site_leave(struct dune_task *t)
{
	struct kvm_regs *u = &t->vcpu->u;
	const struct site *s = site_of(u->rip);

	if (!s)
		return;
	u->rip = dune_site_original(s->at, s->moved, u->rip - s->trampoline);
	t->vcpu->edited = true;
}

bool dune_site_step(struct dune_task *t)
{
	struct kvm_regs *u = &t->vcpu->u;
	const struct site *s = site_of(u->rip);

	if (!s || u->rip - s->trampoline >= DUNE_SITE_BACK) {
		dune_site_leave(t);
		return false;
	}
	u->rip = u->rcx = dune_site_original(s->at, s->moved, DUNE_SITE_BACK);
	u->r11 = u->rflags;
	t->vcpu->edited = true;
	return true;
}

static bool still_there(const struct site *s)
{
	uint8_t now[DUNE_SITE_PATCH];

	return !dune_copy_in(now, s->at, sizeof(now)) &&
	       !memcmp(now, s->patch, sizeof(now));
}

/* Too many strays: the program jumps there. The trampoline stays. */
static void undo(struct dune_task *t, const struct site *s)
{
	pthread_mutex_lock(&t->mm->lock);
	if (still_there(s) && at_once(t, s->at))
		dune_mm_code_write(t->mm, s->at, s->before, sizeof(s->before));
	pthread_mutex_unlock(&t->mm->lock);
}

/*
 * Where an int3 was met that is a site's third byte. The trap is reported
 * behind it; by a software KVM, when a signal comes at the same time, also at
 * it, and as a general protection fault.
 */
static struct site *site_hit(uint64_t rip)
{
	struct site *s = site_at(rip - 3);

	return s ? s : site_at(rip - 2);
}

bool dune_site_stray(struct dune_task *t)
{
	struct kvm_regs *u = &t->vcpu->u;
	struct site *s = site_hit(u->rip);
	uint8_t byte;

	if (!s)
		return false;
	if (!still_there(s)) {
		if (dune_copy_in(&byte, s->at + 2, 1) || byte == INT3)
			return false;	/* the program's own */
		/* undone since by another thread: once more */
		u->rip = s->at + 2;
		t->vcpu->edited = true;
		return true;
	}
	t->vcpu->edited = true;
	u->rip = s->trampoline + DUNE_SITE_BACK;
	if (__atomic_add_fetch(&s->strays, 1, __ATOMIC_RELAXED) == STRAYS)
		undo(t, s);
	return true;
}
