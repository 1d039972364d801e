/*
 * The monitor makes a process of a saved one. It is behind its walls already,
 * and the file is anybody's: each piece is copied, checked, and goes in by the
 * calls that check what guests ask for.
 */
#include "libdune/sandbox/frozen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/task/signal.h"

/* Of a region's flags, what its mapping does not bring by itself. */
#define KEPT (DUNE_R_STACK | DUNE_R_HEAP)

static int truncated(void)
{
	return dune_err(-EINVAL, "saved sandbox: it ends early, or cannot be "
			"read; save it again");
}

static int get(struct dune_saved *s, void *p, size_t size)
{
	ssize_t n;

	while (size) {
		n = pread(s->fd, p, size, s->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return truncated();
		p = (char *)p + n;
		size -= n;
		s->at += n;
	}
	return 0;
}

/* ---- is this the same kind of machine? ---- */

static int check_cpu(const struct dune_kvm_kind *kind,
		     const struct dune_image_process *p)
{
	uint32_t have[DUNE_IMAGE_FEATURES];
	unsigned int i;

	dune_cpu_features(kind, have);
	for (i = 0; i < DUNE_IMAGE_FEATURES; i++)
		if (p->feature[i] & ~have[i])
			return dune_err(-ENOTSUP, "saved sandbox: its CPU had "
					"what this one has not (word %u, bits "
					"%#x); save it again here", i,
					p->feature[i] & ~have[i]);
	if (p->xcr0 & ~kind->xcr0)
		return dune_err(-ENOTSUP, "saved sandbox: its CPU had vector "
				"registers that this one has not (%#llx); save "
				"it again here",
				(unsigned long long)(p->xcr0 & ~kind->xcr0));
	return 0;
}

static int other_kernel(void)
{
	return dune_err(-ENOTSUP, "saved sandbox: from another kernel, whose "
			"vDSO differs; save it again here");
}

/* The address space is empty: the first place below the top is the one. */
static int place_vdso(struct dune_mm *mm, const struct dune_image_process *p)
{
	int r;

	if (!p->vdso)
		return 0;
	mm->mmap_top = p->vdso_end;
	r = dune_mm_map_vdso(mm);
	return r ? r : mm->vdso == p->vdso ? 0 : other_kernel();
}

static int same_pages(struct dune_saved *s, const struct dune_image_run *run)
{
	uint8_t page[DUNE_PAGE_SIZE], have[DUNE_PAGE_SIZE];
	uint64_t i;
	int r = 0;

	for (i = 0; !r && i < run->len; i += sizeof(page)) {
		r = get(s, page, sizeof(page));
		/* the vvar pages are in the tree alone */
		if (!r && (dune_copy_in(have, run->at + i, sizeof(have)) ||
			   memcmp(page, have, sizeof(page))))
			r = other_kernel();
	}
	return r;
}

/* ---- names, for reports ---- */

static int get_names(struct dune_saved *s, struct dune_mm *mm, uint64_t size)
{
	char *text = calloc(size + 1, 1);

	if (!text)
		return dune_err(-ENOMEM, "restore: out of memory");
	mm->came_from = text;
	return get(s, text, size);
}

/* ---- memory ---- */

static int no_room(const struct dune_image_region *r, long err)
{
	return dune_err(err, "saved sandbox: no room for %llu KiB at %#llx; "
			"raise the option memory",
			(unsigned long long)(r->end - r->start) >> 10,
			(unsigned long long)r->start);
}

static int map(struct dune_mm *mm, const struct dune_image_region *r)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	long at;

	if (r->flags & DUNE_R_GROWSDOWN)
		flags |= MAP_GROWSDOWN;
	/* where it had no huge pages before, it gets none */
	if (!(r->flags & DUNE_R_HUGE) && r->end - r->start >= DUNE_LARGE_SIZE)
		flags |= MAP_STACK;
	at = dune_mm_mmap(mm, r->start, r->end - r->start, r->prot, flags, -1,
			  0);
	if (at < 0)
		return no_room(r, at);
	pthread_mutex_lock(&mm->lock);
	at = dune_region_flags(&mm->regions, r->start, r->end - r->start,
			       r->flags & KEPT, 0);
	pthread_mutex_unlock(&mm->lock);
	return at ? no_room(r, at) : 0;
}

/* One that came with the vDSO has to be what it was. */
static int is_vdso(struct dune_mm *mm, const struct dune_image_region *r)
{
	const struct dune_region *have = dune_region_find(&mm->regions,
							  r->start);

	return have && have->flags & DUNE_R_VDSO && have->start == r->start &&
	       have->end == r->end && have->prot == r->prot ? 0 :
	       other_kernel();
}

static int fill(struct dune_saved *s, struct dune_mm *mm,
		const struct dune_image_region *r)
{
	bool vdso = r->flags & DUNE_R_VDSO, opened = r->prot & PROT_WRITE;
	uint64_t from = r->start, len = r->end - r->start;
	struct dune_image_run run;
	int e;

	do {
		e = get(s, &run, sizeof(run));
		if (!e)
			e = dune_image_check_run(&run, &from, r->end);
		if (e <= 0)
			break;
		e = 0;
		if (!vdso && !opened) {
			e = dune_mm_mprotect(mm, r->start, len,
					     PROT_READ | PROT_WRITE);
			if (e)
				return no_room(r, e);
			opened = true;
		}
		e = vdso ? same_pages(s, &run) :
			   get(s, (void *)run.at, run.len);
	} while (!e);
	if (!e && !vdso && opened && !(r->prot & PROT_WRITE))
		e = dune_mm_mprotect(mm, r->start, len, r->prot);
	return e;
}

static int fill_memory(struct dune_saved *s, struct dune_mm *mm)
{
	struct dune_image_region r;
	uint64_t from = 0;
	int e;

	for (;;) {
		e = get(s, &r, sizeof(r));
		if (!e)
			e = dune_image_check_region(&r, &from);
		if (e <= 0)
			return e;
		if (r.flags & DUNE_R_SHARED)
			return dune_err(-EINVAL, "saved sandbox: damaged "
					"(shared memory); save it again");
		e = r.flags & DUNE_R_VDSO ? is_vdso(mm, &r) : map(mm, &r);
		if (!e)
			e = fill(s, mm, &r);
		if (e)
			return e;
	}
}

/* ---- registers, signals, cursors ---- */

static void set_cursors(struct dune_mm *mm, const struct dune_image_process *p)
{
	mm->brk_start = p->brk_start;
	mm->brk = p->brk;
	mm->mmap_top = p->mmap_top;
	mm->stack_top = p->stack_top;
	mm->stack_low = p->stack_low;
}

static void set_signals(struct dune_task *t, const struct dune_image_process *p)
{
	int sig;

	pthread_mutex_lock(&t->proc->lock);
	for (sig = 1; sig <= DUNE_NSIG; sig++) {
		struct dune_sigaction *act = &t->proc->action[sig];

		if (DUNE_SIG_KERNEL & DUNE_SIGBIT(sig))
			continue;
		memcpy(act, &p->action[sig - 1], sizeof(*act));
		act->mask &= ~DUNE_SIG_KERNEL;
		dune_signal_mirror(sig, act);
	}
	pthread_mutex_unlock(&t->proc->lock);
	if (p->alt_size >= DUNE_MINSIGSTKSZ && !(p->alt_flags & SS_DISABLE)) {
		t->altstack.sp = p->alt_sp;
		t->altstack.size = p->alt_size;
		t->altstack.flags = p->alt_flags & DUNE_SS_AUTODISARM;
	}
	dune_signal_setmask(t, p->sigmask & ~DUNE_SIG_KERNEL);
}

/* As rt_sigreturn does it with what a guest has written. */
static int set_registers(struct dune_task *t,
			 const struct dune_image_process *p)
{
	uint8_t area[DUNE_XSAVE_MAX] __attribute__((aligned(64)));
	struct dune_xstate xs = dune_xstate_of(t->vcpu->vm->kind.xcr0);

	memcpy(area, p->fx, DUNE_FXSAVE_SIZE);
	if (t->vcpu->vm->kind.xsave_size > sizeof(area) ||
	    dune_fpstate_open(area, DUNE_FXSAVE_SIZE, sizeof(area), &xs) ||
	    dune_vcpu_set_xsave(t->vcpu, area))
		return dune_err(-EINVAL, "saved sandbox: damaged (vector "
				"registers); save it again");
	memcpy(&t->vcpu->u, p->reg, sizeof(p->reg));
	t->vcpu->u.rax = 1;
	t->vcpu->fs_base = p->fs_base;
	t->vcpu->gs_base = p->gs_base;
	t->vcpu->edited = true;
	return 0;
}

int dune_restore(struct dune_task *t, void *ctx)
{
	struct dune_saved *s = ctx;
	struct dune_image_process p;
	int r = get(s, &p, sizeof(p));

	if (!r)
		r = dune_image_check_process(&p);
	if (!r)
		r = check_cpu(&t->vcpu->vm->kind, &p);
	if (!r)
		r = place_vdso(t->mm, &p);
	if (!r)
		r = get_names(s, t->mm, p.names);
	if (!r)
		r = fill_memory(s, t->mm);
	if (!r)
		r = set_registers(t, &p);
	if (r)
		return r;
	set_cursors(t->mm, &p);
	set_signals(t, &p);
	close(s->fd);
	return 0;
}
