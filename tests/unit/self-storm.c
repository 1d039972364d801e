/*
 * Dune mode's memory under random calls, next to the host's own for the same
 * calls in another window: equal answers; a touch comes to the same; every
 * entry that is there says what /proc/self/maps says. Then calls, touches and
 * the program's own edits of entries from several threads at once.
 */
#include "tests/unit/fake-smem.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include "kern/self/maps.h"

#define NATIVE	0x310000000000ul
#define PAGES	2048ul			/* four spans */
#define LEN	(PAGES * P)
#define FILE_PAGES 1000ul
#define ROUNDS	2500

static unsigned int seed = 1;

static unsigned int below(unsigned int n)
{
	return rand_r(&seed) / 7u % n;
}

static int file[2];			/* one for each window */

struct op {
	long nr;
	uint64_t at, len, a, b, c;	/* at and c: in the window */
	bool anonymous;
};

static long run(const struct op *o, bool ours)
{
	dune_gva_t window = ours ? BASE : NATIVE;
	uint64_t arg[6] = { window + o->at, o->len, o->a, o->b };
	long ret;

	if (o->nr == SYS_mmap) {
		arg[4] = o->anonymous ? -1 : file[ours];
		arg[5] = o->anonymous ? 0 : o->c % (FILE_PAGES * P);
	} else {
		arg[4] = window + o->c;
	}
	ret = ours ? dune_smem_call(&m, o->nr, arg) :
		     dune_raw6(o->nr, arg[0], arg[1], arg[2], arg[3], arg[4],
			       arg[5]);
	return ret > 0 ? ret - (long)window : ret;
}

/* Some pages at most, or a good part of the window. */
static uint64_t some_pages(uint64_t from)
{
	uint64_t n = 1 + (below(3) ? below(6) : below(PAGES));

	return (n > PAGES - from ? PAGES - from : n) * P;
}

static int some_prot(void)
{
	static const int prots[] = { 0, R, R | W, R | W, R | W, R | X,
				     R | W | X };

	return prots[below(DUNE_ARRAY_SIZE(prots))];
}

static struct op some_op(void)
{
	static const int advice[] = { MADV_DONTNEED, MADV_FREE, MADV_NORMAL,
				      MADV_REMOVE, MADV_WILLNEED };
	uint64_t at = below(PAGES), to = below(PAGES);
	struct op o = { .at = at * P, .len = some_pages(at), .c = to * P };

	if (!below(4))
		o.at &= DUNE_LARGE_MASK;
	switch (below(10)) {
	case 0: case 1: case 2: case 3:
		o.nr = SYS_mmap;
		o.a = some_prot();
		o.anonymous = below(4);
		o.b = (below(4) ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED |
		      (below(8) ? 0 : MAP_FIXED_NOREPLACE) |
		      (o.anonymous ? MAP_ANONYMOUS | MAP_NORESERVE : 0);
		break;
	case 4:
		o.nr = SYS_munmap;
		break;
	case 5: case 6: case 7:
		o.nr = SYS_mprotect;
		o.a = some_prot();
		break;
	case 8:
		o.nr = SYS_madvise;
		o.a = advice[below(DUNE_ARRAY_SIZE(advice))];
		break;
	default:
		o.nr = SYS_mremap;
		o.a = some_pages(to);
		o.b = MREMAP_MAYMOVE | MREMAP_FIXED;
		if (below(2)) {		/* shrinks, or grows if it may */
			o.b = 0;
			o.a = below(2) ? (o.len / 2 & DUNE_PAGE_MASK) :
					 o.len + P;
			if (o.at + o.a > LEN)
				o.a = P;
		}
	}
	return o;
}

static bool truth_of(const struct dune_region *r, uint64_t e, dune_gva_t va)
{
	if (!r || !r->prot)
		return e == 0;
	if (e == DUNE_PTE_HOST)		/* the file may end early */
		return true;
	if (!(e & DUNE_PTE_P) || (e & DUNE_PTE_ADDR) != va)
		return false;
	return (!(e & DUNE_PTE_W) || r->prot & W) &&
	       !(e & DUNE_PTE_NX) == !!(r->prot & X);
}

/* Do all entries that there are agree with the mappings? */
static void agree(unsigned int round, dune_gva_t lo, dune_gva_t hi)
{
	static struct dune_regions now;
	static char buf[P];
	dune_gva_t va;

	now.n = now.committed = 0;
	assert_int_equal(dune_maps_read(&now, buf, sizeof(buf)), 0);
	for (va = lo; va < hi; va += P) {
		const struct dune_region *r = dune_region_find(&now, va);
		int level;
		uint64_t e = *dune_entry_find(&vm.pt, va, &level, NULL);

		if (level && !e)
			continue;
		if (level == 1)
			e = (e & ~DUNE_PTE_PS) + (va & ~DUNE_LARGE_MASK);
		if (!truth_of(r, e, va))
			fail_msg("round %u, %#lx: prot %x, entry %#lx", round,
				 va, r ? r->prot : ~0u, e);
	}
}

static int prot_at(dune_gva_t va)
{
	const struct dune_region *r = dune_region_find(&m.regions, va);

	return r ? (int)r->prot : -1;
}

static void compare_touch(unsigned int round)
{
	static const int errors[] = { READ, WRITE, EXEC };
	uint64_t at = below(PAGES) * P;
	uint32_t error = errors[below(3)];
	enum dune_fault f = touch(BASE + at, error);
	int prot = prot_at(BASE + at), need = error & WRITE ? W :
					      error & EXEC ? X : ~0;
	bool host = !dune_touch(NATIVE + at, error & WRITE);

	if (f == DUNE_FAULT_OK && host && prot & need)
		return;
	if (f == DUNE_FAULT_MAPERR && !host && prot < 0)
		return;
	if (f == DUNE_FAULT_ACCERR && prot >= 0 && !(prot & need))
		return;
	if (f == DUNE_FAULT_BUS && !host && prot & need)
		return;
	fail_msg("round %u, page %lu, error %x: %d, host %d, prot %d", round,
		 at / P, error, f, host, prot);
}

static void random_calls(void **state)
{
	unsigned int i, k;

	(void)state;
	for (i = 0; i < 2; i++) {
		file[i] = memfd_create("f", MFD_CLOEXEC);
		assert_int_equal(ftruncate(file[i], FILE_PAGES * P), 0);
	}
	begin(true);
	for (i = 0; i < ROUNDS; i++) {
		struct op o = some_op();
		long native = run(&o, false), ours = run(&o, true);

		if (native != ours)
			fail_msg("round %u: call %ld at %#lx, %#lx, %lx, %lx, "
				 "%#lx: host %ld, we %ld", i, o.nr, o.at,
				 o.len, o.a, o.b, o.c, native, ours);
		if (!below(50))
			for (k = 0; k < 2; k++)
				assert_int_equal(ftruncate(file[k], i * 37 %
							   FILE_PAGES * P), 0);
		for (k = below(6); k; k--)
			compare_touch(i);
		if (i % 4 == 0)
			agree(i, BASE, BASE + LEN);
	}
	munmap((void *)BASE, LEN);
	munmap((void *)NATIVE, LEN);
	end();
}

/* ---- at once ---- */

#define THREADS	4
#define SHARE	(PAGES / THREADS * P)	/* one span each */
#define SHARED	(BASE + LEN)		/* of all */

static volatile bool stop;

/* Maps and unmaps its own part, and knows what must come of touching it. */
static void *mapper(void *arg)
{
	unsigned int i, n = (uintptr_t)arg, bad = 0, s = n;
	dune_gva_t va = BASE + n * SHARE;
	const uint64_t len = 64 * P;

	for (i = 0; i < 300; i++) {
		dune_gva_t at = va + rand_r(&s) / 7 % 400 * P;
		int prot = i % 3 ? R | W : R;
		const uint64_t map_arg[6] = { at, len, prot,
					      ANON | MAP_FIXED, -1 };
		const uint64_t arg2[6] = { at, len, R };

		bad += dune_smem_call(&m, SYS_mmap, map_arg) != (long)at;
		bad += touch(at + P, READ) != DUNE_FAULT_OK;
		bad += touch(at + 2 * P, WRITE) !=
		       (prot & W ? DUNE_FAULT_OK : DUNE_FAULT_ACCERR);
		bad += dune_smem_call(&m, SYS_mprotect, arg2) != 0;
		bad += touch(at + 2 * P, WRITE) != DUNE_FAULT_ACCERR;
		bad += touch(at + 3 * P, READ) != DUNE_FAULT_OK;
		bad += dune_smem_call(&m, SYS_munmap, arg2) != 0;
		bad += touch(at + 2 * P, READ) != DUNE_FAULT_MAPERR;
	}
	return (void *)(uintptr_t)bad;
}

/* Does to the shared part what nobody has to agree with. */
static void *changer(void *arg)
{
	const uint64_t map_arg[6] = { SHARED, DUNE_LARGE_SIZE, R | W,
				      ANON | MAP_FIXED, -1 };
	const uint64_t protect_arg[6] = { SHARED + 8 * P, 64 * P, R };
	int i;

	(void)arg;
	for (i = 0; i < 300; i++) {
		dune_smem_call(&m, SYS_mmap, map_arg);
		dune_smem_fill(&m, SHARED);
		dune_smem_call(&m, SYS_mprotect, protect_arg);
		dune_smem_fill(&m, SHARED);
		if (i % 2)
			munmap((void *)SHARED, DUNE_LARGE_SIZE);
		dune_smem_efault(&m);
	}
	stop = true;
	return NULL;
}

/* A guest thread that edits entries, as libdune does: without a lock. */
static void *editor(void *arg)
{
	unsigned int s = 5;
	int level;

	while (!stop) {
		uint64_t *e, old;

		e = dune_entry_find(&vm.pt, SHARED + rand_r(&s) % 512 * P,
				    &level, NULL);
		old = dune_entry_load(e);
		if (!level)
			dune_entry_swap(e, old, s & 1 ? 0 :
					old & ~DUNE_PTE_W);
	}
	return arg;
}

static void threads(void **state)
{
	pthread_t t[THREADS + 2];
	void *bad;
	uintptr_t i;

	(void)state;
	begin(true);
	for (i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, mapper, (void *)i);
	pthread_create(&t[i++], NULL, changer, NULL);
	pthread_create(&t[i], NULL, editor, NULL);
	for (i = 0; i < THREADS + 2; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	dune_smem_efault(&m);
	agree(0, BASE, BASE + LEN);
	munmap((void *)BASE, LEN + DUNE_LARGE_SIZE);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
