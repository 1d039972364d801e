/*
 * The monitor writes its guest into a pipe: registers, signals, regions, and
 * the pages that are not zero. The host (saved.c) checks and stores what comes.
 */
#include "libdune/sandbox/frozen.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "kern/broker/broker.h"
#include "kern/mm/uaccess.h"
#include "libdune/sandbox/channel.h"

#define BATCH 32			/* pages written at once */

_Static_assert(sizeof(struct kvm_regs) ==
	       sizeof(((struct dune_image_process *)0)->reg), "registers");
_Static_assert(sizeof(struct dune_sigaction) ==
	       sizeof(struct dune_image_action), "signals");
_Static_assert(DUNE_NSIG == DUNE_IMAGE_SIGNALS, "signals");

/* ---- what the CPU can ---- */

/* Where Intel's SDM and AMD's APM keep instruction sets. */
static const struct {
	uint32_t leaf, sub, reg, mask;	/* reg: 0 is eax */
} features[DUNE_IMAGE_FEATURES] = {
	{ 1, 0, 2, ~0u }, { 1, 0, 3, ~0u },
	{ 7, 0, 1, ~0u }, { 7, 0, 2, ~0u },
	/* the rest of this one is about MSRs and repairs */
	{ 7, 0, 3, 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 14 | 1 << 22 |
		   1 << 23 | 1 << 24 | 1 << 25 },
	{ 13, 1, 0, ~0u },
	{ 0x80000001, 0, 2, ~0u }, { 0x80000001, 0, 3, ~0u },
};

void dune_cpu_features(const struct dune_kvm_kind *kind,
		       uint32_t v[DUNE_IMAGE_FEATURES])
{
	unsigned int i, k;

	for (i = 0; i < DUNE_IMAGE_FEATURES; i++) {
		uint32_t r[4] = { 0 };

		/* a software KVM's guest asks the CPU itself */
		if (!kind->native_ring0)
			__get_cpuid_count(features[i].leaf, features[i].sub,
					  &r[0], &r[1], &r[2], &r[3]);
		for (k = 0; kind->native_ring0 && k < kind->cpuids; k++) {
			const struct kvm_cpuid_entry2 *e = &kind->cpuid[k];

			if (e->function == features[i].leaf &&
			    e->index == features[i].sub)
				memcpy(r, &e->eax, sizeof(r));
		}
		v[i] = r[features[i].reg] & features[i].mask;
	}
}

/* ---- names, for reports ---- */

static char names[DUNE_IMAGE_NAMES];

/*
 * The lines of /proc/self/maps that tell which file is at a guest address; and
 * what the process has of that kind already. How many bytes, with NULs at the
 * end: a multiple of 8.
 */
static size_t get_names(const struct dune_task *t)
{
	const char *line, *end, *more = t->mm->came_from;
	long n = dune_broker_proc(t->proc->broker, "self/maps", names,
				  sizeof(names) - 8);
	size_t kept = 0;

	names[n > 0 ? n : 0] = '\0';
	for (line = names; (end = strchr(line, '\n')); line = end + 1) {
		if (strtoul(line, NULL, 16) >= GUEST_HI ||
		    !memchr(line, '/', end - line))
			continue;
		memmove(names + kept, line, end + 1 - line);
		kept += end + 1 - line;
	}
	if (more && strlen(more) < sizeof(names) - 8 - kept) {
		memcpy(names + kept, more, strlen(more));
		kept += strlen(more);
	}
	memset(names + kept, 0, 8);
	return (kept + 8) & ~7ul;
}

/* ---- registers, signals, cursors ---- */

/* Beyond 0, 1, 2, the runner's socket, and the pipe. */
static unsigned int open_files(const struct dune_task *t)
{
	unsigned int n = 0;
	int fd;

	for (fd = 3; fd < t->proc->fd_base; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n > 2 ? n - 2 : 0;
}

static int describe(struct dune_task *t, struct dune_image_process *p)
{
	uint8_t area[DUNE_XSAVE_MAX] __attribute__((aligned(64)));
	const struct dune_mm *mm = t->mm;
	const struct dune_region *r;

	memset(p, 0, sizeof(*p));
	if (t->vcpu->vm->kind.xsave_size > sizeof(area) ||
	    dune_vcpu_get_xsave(t->vcpu, area))
		return -EIO;
	/* all that a system call keeps, by the ABI of C */
	memcpy(p->fx, area, sizeof(p->fx));
	memcpy(p->reg, &t->vcpu->u, sizeof(p->reg));
	p->fs_base = t->vcpu->fs_base;
	p->gs_base = t->vcpu->gs_base;
	p->sigmask = t->sigmask;
	memcpy(p->action, t->proc->action + 1, sizeof(p->action));
	p->alt_sp = t->altstack.sp;
	p->alt_flags = (uint32_t)t->altstack.flags;
	p->alt_size = t->altstack.size;
	p->brk_start = mm->brk_start;
	p->brk = mm->brk;
	p->mmap_top = mm->mmap_top;
	p->stack_top = mm->stack_top;
	p->stack_low = mm->stack_low;
	r = mm->vdso ? dune_region_find(&t->mm->regions, mm->vdso) : NULL;
	if (r) {
		p->vdso = mm->vdso;
		p->vdso_end = r->end;
	}
	p->files = open_files(t);
	p->xcr0 = t->vcpu->vm->kind.xcr0;
	dune_cpu_features(&t->vcpu->vm->kind, p->feature);
	return 0;
}

/* ---- the stream ---- */

static int put(int fd, const void *p, size_t size)
{
	ssize_t n;

	while (size) {
		n = write(fd, p, size);
		if (n < 0 && errno != EINTR)
			return -errno;
		p = (const char *)p + (n > 0 ? n : 0);
		size -= n > 0 ? n : 0;
	}
	return 0;
}

static int put_run(int fd, uint64_t at, const void *pages, uint64_t len)
{
	const struct dune_image_run run = { at, len };
	int r = put(fd, &run, sizeof(run));

	return r ? r : put(fd, pages, len);
}

static bool is_zero(const uint64_t *page)
{
	uint64_t any = 0;
	size_t i;

	for (i = 0; i < DUNE_PAGE_SIZE / sizeof(*page) && !any; i += 8)
		any = page[i] | page[i + 1] | page[i + 2] | page[i + 3] |
		      page[i + 4] | page[i + 5] | page[i + 6] | page[i + 7];
	return !any;
}

/* What cannot be read (past a file's end) is left out like zeroes. */
static int put_pages(int fd, dune_gva_t at, dune_gva_t end)
{
	static uint64_t buf[BATCH][DUNE_PAGE_SIZE / 8];
	unsigned int n = 0;
	int r = 0;

	for (; !r && at < end; at += DUNE_PAGE_SIZE) {
		bool skip = dune_copy_in(buf[n], at, DUNE_PAGE_SIZE) ||
			    is_zero(buf[n]);

		n += !skip;
		if (n && (skip || n == BATCH || at + DUNE_PAGE_SIZE == end)) {
			/* the run ends before this page, or with it */
			dune_gva_t stop = at + (skip ? 0 : DUNE_PAGE_SIZE);

			r = put_run(fd, stop - n * DUNE_PAGE_SIZE, buf,
				    n * DUNE_PAGE_SIZE);
			n = 0;
		}
	}
	return r ? r : put_run(fd, 0, NULL, 0);
}

/* Shared ones are told and have no pages; the channel is the host's. */
static int put_region(int fd, const struct dune_region *r)
{
	const struct dune_image_region out = {
		r->start, r->end, r->prot, r->flags,
	};
	bool hidden = !r->prot && !(r->flags & (DUNE_R_VDSO | DUNE_R_SHARED));
	void *host = (void *)(uintptr_t)r->start;
	size_t len = r->end - r->start;
	dune_gva_t end = r->end;
	int e;

	e = put(fd, &out, sizeof(out));
	if (e)
		return e;
	if (r->flags & DUNE_R_SHARED || (r->flags & DUNE_R_VDSO && !r->prot))
		end = r->start;
	if (hidden && mprotect(host, len, PROT_READ))
		return -errno;
	e = put_pages(fd, r->start, end);
	if (hidden && mprotect(host, len, PROT_NONE))
		return -errno;
	return e;
}

static int put_memory(int fd, struct dune_mm *mm)
{
	const struct dune_image_region last = { 0 };
	size_t i;
	int e = 0;

	for (i = 0; !e && i < mm->regions.n; i++)
		if (mm->regions.v[i].start != DUNE_CH_BASE)
			e = put_region(fd, &mm->regions.v[i]);
	return e ? e : put(fd, &last, sizeof(last));
}

long dune_save(struct dune_task *t, struct dune_call *c)
{
	struct dune_image_process p;
	int fd = (int)c->arg[0], r;
	size_t size;

	if (fd < 0 || fd >= t->proc->fd_base)
		return -EBADF;
	if (t->proc->threads != 1)
		return -EBUSY;
	size = get_names(t);
	pthread_mutex_lock(&t->mm->lock);
	r = describe(t, &p);
	p.names = size;
	if (!r)
		r = put(fd, &p, sizeof(p));
	if (!r)
		r = put(fd, names, size);
	if (!r)
		r = put_memory(fd, t->mm);
	pthread_mutex_unlock(&t->mm->lock);
	return r;
}
