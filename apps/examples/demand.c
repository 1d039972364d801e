/*
 * A page-fault handler of the program's own: an array of a GiB whose pages are
 * computed when they are touched, of which no more than RESIDENT exist at a
 * time.
 */
#include <dune.h>
#include <dune/pgtable.h>
#include <dune/trap.h>
#include <stdio.h>
#include <sys/mman.h>

#define SIZE		(1ul << 30)
#define PAGE		4096ul
#define WORDS		(PAGE / sizeof(uint64_t))
#define RESIDENT	16

static uint64_t *squares;	/* squares[i] is i * i */
static void *resident[RESIDENT];
static unsigned int filled;

static void fill(uint64_t *page, uint64_t first)
{
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		page[i] = (first + i) * (first + i);
}

static enum dune_trap_action on_fault(struct dune_tf *tf, unsigned int vector,
				      uint64_t addr, void *arg)
{
	uint64_t off = addr - (uint64_t)squares;
	void **slot = &resident[filled % RESIDENT];
	struct page *pg;
	int r;

	(void)vector, (void)arg;
	if (off >= SIZE || tf->err & DUNE_PF_WRITE)
		return DUNE_TRAP_PASS;	/* SIGSEGV */
	if (*slot)
		dune_vm_unmap(pgroot, *slot, PAGE);	/* frees the page */
	*slot = (void *)(addr & ~(PAGE - 1));
	pg = dune_page_alloc();
	if (!pg)
		return DUNE_TRAP_PASS;
	fill(dune_page_va(pg), off / PAGE * WORDS);
	r = dune_vm_insert_page(pgroot, *slot, pg, PERM_R);
	dune_page_put(pg);		/* the entry has a reference */
	filled++;
	return r ? DUNE_TRAP_PASS : DUNE_TRAP_RESUME;
}

int main(void)
{
	struct dune_page_counts before, after;
	uint64_t i, x = 1, n = SIZE / sizeof(*squares);

	if (dune_enter()) {
		fprintf(stderr, "demand: %s\n", dune_errmsg());
		return 1;
	}
	/* addresses only: nobody else gets them */
	squares = mmap(NULL, SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	dune_trap_set(DUNE_VEC_PF, 0, on_fault, NULL);
	dune_page_counts(&before);
	for (i = 0; i < 100; i++) {
		x = (x * 6364136223846793005ul + 1442695040888963407ul);
		if (squares[x % n] != (x % n) * (x % n)) {
			printf("squares[%lu] is wrong\n", x % n);
			return 1;
		}
	}
	dune_page_counts(&after);
	printf("100 elements read, %u pages computed, %lu there\n", filled,
	       after.used - before.used);
	return filled < 90 || after.used - before.used != RESIDENT;
}
