/* Page tables of one's own: rights, dirty bits, address spaces, snapshots. */
#include "bench/mode/mode.h"

#include <string.h>
#include <sys/mman.h>

#define WRITTEN_PAGES 16384
#define SCANNED (1ul << 30)
#define SNAPSHOT (64ul << 20)

char *mode_map(size_t size)
{
	char *p = bench_map(size, 0);
	int err;

	if (!p)
		return NULL;
	memset(p, 1, size);
	err = dune_vm_fill(pgroot, p, size);
	/* libdune may have made large ones. */
	if (!err)
		err = dune_vm_split(pgroot, p, size);
	errno = -err;
	return err ? NULL : p;
}

/* As mprotect in bench/micro/mem.c: every other call takes away. */
static int64_t run_mprotect(unsigned long n)
{
	static char *p;
	int64_t t;
	int err;

	if (!p)
		p = mode_map(64 * PAGE);
	if (!p)
		return -errno;
	t = bench_now();
	for (unsigned long i = 0; i < n; i++) {
		err = dune_vm_mprotect(pgroot, p + (i / 2 & 63) * PAGE, PAGE,
				       i & 1 ? PERM_R | PERM_W : PERM_R);
		if (err)
			return err;
	}
	return bench_now() - t;
}

/* Which pages were written? The processor notes it in their entries. */
static int64_t run_uffdasync(unsigned long n)
{
	const size_t size = WRITTEN_PAGES * PAGE;
	static char *p;
	int64_t t;
	long got;

	if (!p)
		p = mode_map(size);
	if (!p)
		return -ENOMEM;
	got = dune_vm_scan(pgroot, p, size, DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR,
			   NULL);
	if (got < 0)
		return got;
	t = bench_now();
	for (unsigned long i = 0; i < n; i++)
		((volatile char *)p)[i * PAGE] = 2;
	return bench_now() - t;
}

static int64_t scan(unsigned long n, size_t every)
{
	static uint64_t bitmap[SCANNED / PAGE / 64];
	static char *p;
	int64_t ns = 0, t;

	if (!p) {
		p = mode_map(SCANNED);
		if (!p)
			return -ENOMEM;
		dune_vm_scan(pgroot, p, SCANNED,
			     DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR, NULL);
	}
	while (n--) {
		long got, want = 0;

		for (size_t i = 0; every && i < SCANNED / PAGE; i += every) {
			((volatile char *)p)[i * PAGE] = 2;
			want++;
		}
		t = bench_now();
		got = dune_vm_scan(pgroot, p, SCANNED,
				   DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR, bitmap);
		ns += bench_now() - t;
		if (got != want)
			return got < 0 ? got : -EIO;
	}
	return ns;
}

static int64_t run_scan0(unsigned long n)
{
	return scan(n, 0);
}

static int64_t run_scan1(unsigned long n)
{
	return scan(n, 100);
}

static int64_t run_scan10(unsigned long n)
{
	return scan(n, 10);
}

/* To another address space and back, a load from memory in each. */
static int64_t run_switch(unsigned long n)
{
	static ptent_t *roots[2];
	static volatile char word;
	uint64_t keep = 0;
	int64_t t;
	int err = 0;

	for (int i = 0; i < 2; i++)
		if (!roots[i])
			roots[i] = dune_root_new(DUNE_ROOT_FOLLOW);
	if (!roots[0] || !roots[1])
		return -errno;
	t = bench_now();
	for (unsigned long i = 0; i < n && !err; i++) {
		for (int k = 0; k < 2 && !err; k++) {
			err = dune_root_switch(roots[k], (k + 1) | keep);
			(void)word;
		}
		keep = CR3_NOFLUSH;
	}
	t = bench_now() - t;
	dune_root_switch(pgroot, 0);
	return err ? err : t;
}

/* What fork(2) is used for by those who want a snapshot. */
static int64_t run_snapshot(unsigned long n)
{
	static char *p;
	int64_t t;

	if (!p)
		p = mode_map(SNAPSHOT);
	if (!p)
		return -errno;
	t = bench_now();
	while (n--) {
		ptent_t *root = dune_vm_clone(pgroot);

		if (!root)
			return -ENOMEM;
		dune_vm_free(root);
	}
	return bench_now() - t;
}

const struct bench_case mode_memory[] = {
	{ "mprotect", "new rights for one page in the page table",
	  run_mprotect, 0 },
	{ "uffdasync", "a first write that the dirty bit records",
	  run_uffdasync, WRITTEN_PAGES },
	{ "scan0", "finding the written pages of 1 GiB: none", run_scan0, 0 },
	{ "scan1", "finding the written pages of 1 GiB: 1 in 100", run_scan1,
	  0 },
	{ "scan10", "finding the written pages of 1 GiB: 1 in 10", run_scan10,
	  0 },
	{ "switch", "to another page table root and back", run_switch, 0 },
	{ "snapshot", "dune_vm_clone() with 64 MiB, freed again",
	  run_snapshot, 0 },
	{ 0 },
};
