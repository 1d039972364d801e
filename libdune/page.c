/*
 * Physical memory: where the host put what, and the page pool.
 *
 * The pool is in the range all roots share, at host addresses of its own, 64
 * MiB at a time, each a window of guest physical space: so a page has one
 * address in every root and one struct page, at the start of its chunk.
 * Lock-free: pages are dropped by host code as well.
 */
#include "libdune/vm.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define CHUNK		DUNE_WINDOW_SIZE
#define CHUNK_PAGES	(CHUNK / DUNE_PAGE_SIZE)
#define HEAD_PAGES	(CHUNK_PAGES * sizeof(struct page) / DUNE_PAGE_SIZE)
#define MAX_CHUNKS	(DUNE_VM_POOL_SIZE / CHUNK)

/* ---- addresses ---- */

uint64_t dune_vm_back_page(uint64_t va)
{
	struct dune_vms *s = dune_vms;
	uint64_t n = va >> DUNE_WINDOW_SHIFT, gpa;
	uint32_t w;

	if (n >= DUNE_VM_WINDOWS)
		return 0;
	w = __atomic_load_n(&s->window[n], __ATOMIC_RELAXED);
	if (!w) {
		if (s->ops.back(va & ~(DUNE_WINDOW_SIZE - 1), &gpa))
			return 0;
		w = (gpa >> DUNE_WINDOW_SHIFT) + 1;
		if (w > DUNE_VM_RWINDOWS)
			return 0;
		__atomic_store_n(&s->rwindow[w - 1], n + 1, __ATOMIC_RELAXED);
		__atomic_store_n(&s->window[n], w, __ATOMIC_RELAXED);
	}
	return ((uint64_t)(w - 1) << DUNE_WINDOW_SHIFT) +
	       (va & (DUNE_WINDOW_SIZE - 1));
}

/*
 * Only of windows that have been asked for: an identity entry the host side
 * made says nothing here until somebody asks for its address.
 */
uint64_t dune_pa_to_va(uint64_t pa)
{
	uint64_t w = pa >> DUNE_WINDOW_SHIFT;
	uint32_t n;

	if (w >= DUNE_VM_RWINDOWS)
		return 0;
	n = __atomic_load_n(&dune_vms->rwindow[w], __ATOMIC_RELAXED);
	return n ? ((uint64_t)(n - 1) << DUNE_WINDOW_SHIFT) +
		   (pa & (DUNE_WINDOW_SIZE - 1)) : 0;
}

physaddr_t dune_va_to_pa(const void *ptr)
{
	uint64_t off;

	if (!dune_vm_inside())
		return 0;
	off = (const char *)ptr - dune_vms->area;
	return off < dune_vms->area_size ? off :
	       dune_vm_back_page((uint64_t)ptr);
}

/* ---- pages and their numbers in the pool ---- */

static struct page *page_of(uint64_t number)
{
	uint64_t chunk = dune_vms->pool + number / CHUNK_PAGES * CHUNK;

	return (struct page *)chunk + number % CHUNK_PAGES;
}

static uint64_t number_of(const struct page *pg)
{
	uint64_t off = (uint64_t)pg - dune_vms->pool;

	return off / CHUNK * CHUNK_PAGES + off % CHUNK / sizeof(*pg);
}

void *dune_page_va(const struct page *pg)
{
	return (void *)(dune_vms->pool + number_of(pg) * DUNE_PAGE_SIZE);
}

physaddr_t dune_page2pa(const struct page *pg)
{
	return dune_vm_back_page((uint64_t)dune_page_va(pg));
}

struct page *dune_pa2page(physaddr_t pa)
{
	uint64_t off, number;

	if (!dune_vms || !pa)
		return NULL;
	off = dune_pa_to_va(pa) - dune_vms->pool;
	number = off / DUNE_PAGE_SIZE;
	if (off >= DUNE_VM_POOL_SIZE || number % CHUNK_PAGES < HEAD_PAGES)
		return NULL;
	return page_of(number);
}

bool dune_page_isfrompool(physaddr_t pa)
{
	return dune_pa2page(pa);
}

/* ---- the pool ---- */

/* One more chunk, the n-th. Whoever else wants it waits. */
static int grow(uint32_t n)
{
	struct dune_vms *s = dune_vms;
	uint64_t at = s->pool + n * CHUNK;
	int r = -ENOMEM;
	long got;

	if (n >= MAX_CHUNKS)
		return -ENOMEM;
	s->ops.hold(true);
	got = dune_raw_call(SYS_mmap, at, CHUNK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			    MAP_FIXED_NOREPLACE, -1, 0);
	if (got == (long)at) {
		if (dune_vm_back_page(at)) {
			__atomic_store_n(&s->chunks, n + 1, __ATOMIC_RELEASE);
			r = 0;
		} else {
			dune_raw_call(SYS_munmap, at, CHUNK, 0, 0, 0, 0);
		}
	} else if (got == -EEXIST) {
		r = -EAGAIN;
	} else if (got >= 0) {		/* a kernel without NOREPLACE */
		dune_raw_call(SYS_munmap, got, CHUNK, 0, 0, 0, 0);
	}
	s->ops.hold(false);
	return r;
}

/* Makes the chunk of page number i be there; others may be making it. */
static int grow_to(uint64_t i)
{
	uint32_t n = i / CHUNK_PAGES;
	unsigned int tries;
	int r = 0;

	for (tries = 0; tries < 1000; tries++) {
		if (__atomic_load_n(&dune_vms->chunks, __ATOMIC_ACQUIRE) > n)
			return 0;
		r = grow(n);
		if (r != -EAGAIN)
			return r;
		dune_raw_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	}
	return -ENOMEM;			/* something else is mapped there */
}

static struct page *pop(struct dune_vms *s)
{
	uint64_t head = __atomic_load_n(&s->free_pages, __ATOMIC_ACQUIRE);
	struct page *pg;
	uint64_t next;

	do {
		if (!(uint32_t)head)
			return NULL;
		pg = page_of((uint32_t)head - 1);
		next = (uint32_t)(uint64_t)pg->link.sle_next |
		       ((head >> 32) + 1) << 32;
	} while (!__atomic_compare_exchange_n(&s->free_pages, &head, next,
					      false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return pg;
}

static struct page *fresh(struct dune_vms *s)
{
	uint64_t i = __atomic_load_n(&s->next_page, __ATOMIC_RELAXED), at;

	do {
		at = i;
		if (at % CHUNK_PAGES < HEAD_PAGES)
			at += HEAD_PAGES - at % CHUNK_PAGES;
		if (grow_to(at))
			return NULL;
	} while (!__atomic_compare_exchange_n(&s->next_page, &i, at + 1, false,
					      __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return page_of(at);
}

static struct page *take(struct page *pg)
{
	pg->link.sle_next = NULL;
	pg->ref = 1;
	__atomic_add_fetch(&dune_vms->used_pages, 1, __ATOMIC_RELAXED);
	return pg;
}

/* Whatever was in it; touched, so that using it faults no more. */
struct page *dune_page_new(void)
{
	struct page *pg = pop(dune_vms);

	if (!pg)
		pg = fresh(dune_vms);
	if (!pg)
		return NULL;
	__atomic_fetch_or((char *)dune_page_va(pg), 0, __ATOMIC_RELAXED);
	return take(pg);
}

struct page *dune_page_alloc(void)
{
	struct page *pg;

	if (!dune_vm_inside())
		return NULL;
	pg = pop(dune_vms);
	if (pg)
		dune_clear_page(dune_page_va(pg));
	else
		pg = fresh(dune_vms);	/* zero as mmap gives it */
	return pg ? take(pg) : NULL;
}

struct page *dune_page_get(struct page *pg)
{
	__atomic_add_fetch(&pg->ref, 1, __ATOMIC_RELAXED);
	return pg;
}

void dune_page_free(struct page *pg)
{
	struct dune_vms *s = dune_vms;
	uint64_t head = __atomic_load_n(&s->free_pages, __ATOMIC_RELAXED);
	uint64_t next;

	pg->ref = 0;
	do {
		pg->link.sle_next = (struct page *)(uint64_t)(uint32_t)head;
		next = (number_of(pg) + 1) | ((head >> 32) + 1) << 32;
	} while (!__atomic_compare_exchange_n(&s->free_pages, &head, next,
					      false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	__atomic_sub_fetch(&s->used_pages, 1, __ATOMIC_RELAXED);
}

void dune_page_put(struct page *pg)
{
	if (!__atomic_sub_fetch(&pg->ref, 1, __ATOMIC_ACQ_REL))
		dune_page_free(pg);
}

void dune_page_counts(struct dune_page_counts *counts)
{
	*counts = (struct dune_page_counts){ 0 };
	if (!dune_vms)
		return;
	counts->total = (uint64_t)dune_vms->chunks *
			(CHUNK_PAGES - HEAD_PAGES);
	counts->used = dune_vms->used_pages;
	counts->tables_total = dune_vms->n_tables - dune_vms->first_table;
	counts->tables_used = dune_vms->used_tables;
}
