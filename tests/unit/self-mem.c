/*
 * Dune mode's memory without a VM: entries follow the process's mappings,
 * by the calls that change them and behind our back. touch() is the guest's
 * side of it. The calls one by one: self-memcalls.c. Random: self-storm.c.
 */
#include "tests/unit/fake-smem.h"

#include <errno.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE	DUNE_LARGE_SIZE

static void entries_of_a_span(void **state)
{
	const uint64_t rw = DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_A | DUNE_PTE_D |
			    DUNE_PTE_NX;
	uint64_t super;
	int native;

	(void)state;
	for (native = 0; native < 2; native++) {
		begin(native);
		super = native ? 0 : DUNE_PTE_U | DUNE_PTE_SUPER;
		map(BASE, P, R | W);
		map(BASE + P, P, R);
		map(BASE + 2 * P, P, PROT_NONE);
		map(BASE + 3 * P, P, R | X);
		map(BASE + 4 * P, P, R | W | X);
		assert_int_equal(leaf(BASE), 0);
		assert_int_equal(dune_smem_fill(&m, BASE + 4 * P),
				 DUNE_FAULT_OK);
		assert_int_equal(leaf(BASE), BASE | rw | super);
		assert_int_equal(leaf(BASE + P), (BASE + P) | (rw & ~DUNE_PTE_W)
				 | super);
		assert_int_equal(leaf(BASE + 2 * P), 0);
		assert_int_equal(leaf(BASE + 3 * P), (BASE + 3 * P) | super |
				 (rw & ~(DUNE_PTE_W | DUNE_PTE_NX)));
		assert_int_equal(leaf(BASE + 4 * P), (BASE + 4 * P) | super |
				 (rw & ~DUNE_PTE_NX));
		assert_int_equal(leaf(BASE + 5 * P), 0);
		/* nothing there is said once, and not asked again */
		assert_int_equal(touch(BASE + 5 * P, READ), DUNE_FAULT_MAPERR);
		assert_int_equal(touch(8, READ), DUNE_FAULT_MAPERR);
		assert_true(has_table(0));
		call(SYS_munmap, BASE, 5 * P, 0, 0, 0, 0);
		end();
	}
}

static void where_the_user_half_ends(void **state)
{
	const dune_gva_t last = 0x7fffffffe000ul;

	(void)state;
	begin(true);
	assert_int_equal(touch(last, READ), DUNE_FAULT_MAPERR);
	assert_int_equal(dune_smem_fill(&m, last + P), DUNE_FAULT_OK);
	assert_int_equal(dune_smem_fill(&m, 1ul << 47), DUNE_FAULT_MAPERR);
	assert_int_equal(dune_smem_fill(&m, ~0ul), DUNE_FAULT_MAPERR);
	assert_int_equal(dune_smem_fault(&m, ~0ul, WRITE), DUNE_FAULT_MAPERR);
	map(last, P, R | W);
	assert_int_equal(touch(last, WRITE), DUNE_FAULT_OK);
	call(SYS_munmap, last, P, 0, 0, 0, 0);
	assert_int_equal(leaf(last), 0);
	end();
}

static void large_leaves(void **state)
{
	const dune_gva_t va = BASE + LARGE;

	(void)state;
	begin(true);
	map(va - P, 3 * LARGE, R | W);
	assert_int_equal(touch(va + 5 * P, WRITE), DUNE_FAULT_OK);
	assert_true(leaf(va) & DUNE_PTE_PS);
	assert_false(has_table(va - P));
	assert_int_equal(touch(va - P, WRITE), DUNE_FAULT_OK);
	assert_true(has_table(va - P));
	/* as a whole it stays */
	assert_int_equal(call(SYS_mprotect, va - P, LARGE + P, R, 0, 0, 0), 0);
	assert_int_equal(leaf(va) & (DUNE_PTE_PS | DUNE_PTE_W), DUNE_PTE_PS);
	assert_int_equal(touch(va, WRITE), DUNE_FAULT_ACCERR);
	assert_int_equal(call(SYS_mprotect, va - P, LARGE + P, R | W, 0, 0,
			      0), 0);
	assert_int_equal(touch(va, WRITE), DUNE_FAULT_OK);
	assert_true(leaf(va) & DUNE_PTE_PS);
	/* in part it goes, and comes back as a table */
	assert_int_equal(call(SYS_mprotect, va + P, P, R, 0, 0, 0), 0);
	assert_int_equal(leaf(va), 0);
	assert_int_equal(touch(va, WRITE), DUNE_FAULT_OK);
	assert_int_equal(touch(va + P, WRITE), DUNE_FAULT_ACCERR);
	assert_int_equal(touch(va + P, READ), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_munmap, va - P, 3 * LARGE, 0, 0, 0, 0), 0);
	assert_int_equal(touch(va, READ), DUNE_FAULT_MAPERR);
	assert_int_equal(touch(va + P, READ), DUNE_FAULT_MAPERR);
	end();
}

static void ring0_area_is_left_alone(void **state)
{
	const dune_gva_t at = DUNE_RING0_GVA;
	void *host = mmap((void *)at, DUNE_RING0_SIZE, R | W,
			  ANON | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	(void)state;
	assert_ptr_equal(host, at);
	begin(true);
	assert_null(dune_region_find(&m.regions, at));
	assert_int_equal(dune_pt_map(&vm.pt, at + P, 0x123000, DUNE_PTE_W), 0);
	assert_int_equal(dune_smem_fill(&m, at + LARGE), DUNE_FAULT_MAPERR);
	assert_int_equal(dune_smem_fault(&m, at, READ), DUNE_FAULT_ACCERR);
	assert_int_equal(call(SYS_munmap, at, P, 0, 0, 0, 0), -EPERM);
	assert_int_equal(call(SYS_munmap, at - P, 2 * P, 0, 0, 0, 0), -EPERM);
	assert_int_equal(call(SYS_mprotect, at + LARGE, P, R, 0, 0, 0),
			 -EPERM);
	assert_int_equal(call(SYS_mremap, at, P, P, MREMAP_MAYMOVE, 0, 0),
			 -EPERM);
	assert_int_equal(call(SYS_madvise, at, P, MADV_DONTNEED, 0, 0, 0),
			 -EPERM);
	assert_int_equal(call(SYS_mmap, at, P, R, ANON | MAP_FIXED, -1, 0),
			 -EPERM);
	/* beside it all is as ever */
	map(at - P, P, R);
	map(at + DUNE_RING0_SIZE, P, R);
	assert_int_equal(touch(at - P, READ), DUNE_FAULT_OK);
	assert_int_equal(touch(at + DUNE_RING0_SIZE, READ), DUNE_FAULT_OK);
	munmap((void *)(at - P), P);
	assert_int_equal(dune_smem_efault(&m), 0);
	assert_int_equal(leaf(at - P), 0);
	assert_int_equal(leaf(at + P), 0x123000 | DUNE_PTE_P | DUNE_PTE_W);
	call(SYS_munmap, at + DUNE_RING0_SIZE, P, 0, 0, 0, 0);
	end();
	munmap(host, DUNE_RING0_SIZE);
}

/* What the host refuses changes nothing, and is refused in the same words. */
static void errors_are_the_hosts(void **state)
{
	static const struct {
		long nr;
		uint64_t arg[4];
	} bad[] = {
		{ SYS_munmap, { BASE + 1, P } },
		{ SYS_munmap, { BASE, 0 } },
		{ SYS_munmap, { BASE, -1ul } },
		{ SYS_munmap, { 1ul << 47, P } },
		{ SYS_mprotect, { BASE + 1, P, R } },
		{ SYS_mprotect, { BASE, P, 0x100 } },
		{ SYS_mprotect, { BASE, -1ul, R } },
		{ SYS_mprotect, { BASE, -P, R } },
		{ SYS_mprotect, { BASE + 9 * P, P, R } },
		{ SYS_mmap, { BASE, 0, R, ANON } },
		{ SYS_mmap, { BASE + 1, P, R, ANON | MAP_FIXED } },
		{ SYS_mmap, { BASE, P, R, MAP_FIXED } },
		{ SYS_mmap, { BASE, P, R, ANON | MAP_FIXED_NOREPLACE } },
		{ SYS_mremap, { BASE, P, 0, 0 } },
		{ SYS_mremap, { BASE, P, P, 0x100 } },
		{ SYS_mremap, { BASE + 9 * P, P, 2 * P, MREMAP_MAYMOVE } },
		{ SYS_mremap, { BASE, 9 * P, 10 * P, MREMAP_MAYMOVE } },
		{ SYS_mremap, { BASE, P, 2 * P, 0 } },
		{ SYS_madvise, { BASE + 1, P, MADV_DONTNEED } },
		{ SYS_madvise, { BASE, P, 9999 } },
		{ SYS_shmat, { -1ul, BASE } },
		{ SYS_shmdt, { BASE } },
		{ SYS_remap_file_pages, { BASE, P } },
	};
	unsigned int i;

	(void)state;
	begin(true);
	map(BASE, 2 * P, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	for (i = 0; i < DUNE_ARRAY_SIZE(bad); i++) {
		const uint64_t *a = bad[i].arg;
		long want = dune_raw6(bad[i].nr, a[0], a[1], a[2], a[3], -1,
				      0);
		long got = call(bad[i].nr, a[0], a[1], a[2], a[3], -1, 0);

		if (want != got || want >= 0)
			fail_msg("%u: host %ld, we %ld", i, want, got);
		assert_true(leaf(BASE) & DUNE_PTE_W);
		assert_true(leaf(BASE + P) & DUNE_PTE_W);
	}
	/* what is done before the error is true as well */
	assert_int_equal(call(SYS_mprotect, BASE + P, 2 * P, R, 0, 0, 0),
			 -ENOMEM);
	assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_ACCERR);
	call(SYS_munmap, BASE, 2 * P, 0, 0, 0, 0);
	end();
}

static void behind_our_back(void **state)
{
	(void)state;
	begin(true);
	map(BASE, P, R);
	assert_int_equal(touch(BASE, READ), DUNE_FAULT_OK);
	mmap((void *)(BASE + P), 2 * P, R | W, ANON | MAP_FIXED, -1, 0);
	assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_OK);
	mprotect((void *)BASE, P, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	mprotect((void *)(BASE + P), P, R);
	assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_ACCERR);
	munmap((void *)(BASE + P), 2 * P);
	assert_int_equal(touch(BASE + 2 * P, WRITE), DUNE_FAULT_MAPERR);
	assert_int_equal(leaf(BASE + P), 0);
	/* and of a span that nobody has asked for */
	mmap((void *)(BASE + 2 * LARGE), P, R, ANON | MAP_FIXED, -1, 0);
	assert_int_equal(dune_smem_fill(&m, BASE + 2 * LARGE), DUNE_FAULT_OK);
	assert_true(leaf(BASE + 2 * LARGE) & DUNE_PTE_P);
	munmap((void *)(BASE + 2 * LARGE), P);
	call(SYS_munmap, BASE, P, 0, 0, 0, 0);
	end();
}

static void the_programs_wish(void **state)
{
	uint64_t *e;

	(void)state;
	begin(false);
	map(BASE, 4 * P, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	e = entry(BASE);
	e[0] &= ~DUNE_PTE_W;
	e[1] = 0;
	e[2] = (BASE + 7 * P) | DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_NX |
	       1ul << 55;
	e[3] = (e[3] & ~(DUNE_PTE_W | DUNE_PTE_D)) | PTE_COW;
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_ACCERR);
	assert_int_equal(touch(BASE, READ), DUNE_FAULT_OK);
	assert_int_equal(touch(BASE + P, READ), DUNE_FAULT_MAPERR);
	assert_int_equal(touch(BASE + P, READ), DUNE_FAULT_MAPERR);
	/* mprotect: what is present stays where it is */
	assert_int_equal(call(SYS_mprotect, BASE, 4 * P, R, 0, 0, 0), 0);
	assert_int_equal(e[2], (BASE + 7 * P) | DUNE_PTE_P | DUNE_PTE_NX |
			 1ul << 55);
	assert_int_equal(call(SYS_mprotect, BASE, 4 * P, R | W, 0, 0, 0), 0);
	assert_true(e[0] & DUNE_PTE_W);
	assert_int_equal(e[1] & DUNE_PTE_ADDR, BASE + P);
	assert_int_equal(e[2], (BASE + 7 * P) | DUNE_PTE_P | DUNE_PTE_W |
			 DUNE_PTE_NX | 1ul << 55);
	assert_int_equal(e[3] & (DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_D |
				 PTE_COW), DUNE_PTE_P | PTE_COW);
	/* what snapshots share: COW is its W */
	e[1] = (e[1] & ~DUNE_PTE_W) | DUNE_PTE_SNAP | PTE_COW;
	assert_int_equal(call(SYS_mprotect, BASE, 4 * P, R, 0, 0, 0), 0);
	assert_int_equal(e[1] & (DUNE_PTE_P | DUNE_PTE_W | PTE_COW),
			 DUNE_PTE_P);
	assert_int_equal(call(SYS_mprotect, BASE, 4 * P, R | W, 0, 0, 0), 0);
	assert_int_equal(e[1] & (DUNE_PTE_P | DUNE_PTE_W | PTE_COW),
			 DUNE_PTE_P | PTE_COW);
	/* a new mapping: nothing of it is left */
	map(BASE, 4 * P, R | W);
	assert_int_equal(e[2] & DUNE_PTE_ADDR, BASE + 2 * P);
	assert_true(e[3] & DUNE_PTE_W);
	assert_false(e[3] & PTE_COW);
	/* a fault without a reason does not go on for ever */
	assert_int_equal(dune_smem_fault(&m, BASE, WRITE | USER),
			 DUNE_FAULT_OK);
	e[0] &= ~(DUNE_PTE_U | DUNE_PTE_SUPER);
	assert_int_equal(dune_smem_fault(&m, BASE, WRITE | USER),
			 DUNE_FAULT_ACCERR);
	while (dune_smem_fault(&m, BASE, WRITE) == DUNE_FAULT_OK)
		;
	assert_int_equal(dune_smem_fault(&m, BASE, WRITE),
			 DUNE_FAULT_ACCERR);
	assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_OK);
	call(SYS_munmap, BASE, 4 * P, 0, 0, 0, 0);
	end();
}

/* The program has split a large leaf, or mapped 1 GiB by itself. */
static void the_programs_tables(void **state)
{
	const dune_gva_t giant = BASE + (1ul << 30);
	uint64_t *dir, *t;
	dune_gpa_t gpa;
	unsigned int i;
	bool full;

	(void)state;
	begin(true);
	map(BASE, LARGE, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	dir = dune_entry_dir(&m.tables, BASE, &full);
	t = dune_table_take(&m.tables, &gpa);
	for (i = 0; i < 512; i++)
		t[i] = (*dir & ~DUNE_PTE_PS) + i * P;
	*dir = dune_table_entry(gpa);
	assert_int_equal(call(SYS_mprotect, BASE + P, P, R, 0, 0, 0), 0);
	assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_ACCERR);
	assert_int_equal(touch(BASE + 2 * P, WRITE), DUNE_FAULT_OK);

	dir = dune_entry_dir(&m.tables, giant, &full);
	t = table(&vm, vm.pt.root);
	t = table(&vm, t[giant >> 39] & DUNE_PTE_ADDR);
	t[giant >> 30 & 511] = giant | DUNE_PTE_P | DUNE_PTE_W | DUNE_PTE_PS |
			       DUNE_PTE_NX;
	assert_null(dune_entry_dir(&m.tables, giant, &full));
	assert_false(full);
	assert_int_equal(dune_smem_fill(&m, giant), DUNE_FAULT_OK);
	map(giant + LARGE, P, R);
	assert_int_equal(t[giant >> 30 & 511], 0);
	assert_int_equal(touch(giant + LARGE, READ), DUNE_FAULT_OK);
	call(SYS_munmap, BASE, LARGE, 0, 0, 0, 0);
	call(SYS_munmap, giant + LARGE, P, 0, 0, 0, 0);
	end();
}

static void stacks_grow(void **state)
{
	struct rlimit rl, small = { 64 << 10, 0 };
	const struct dune_region *r;
	dune_gva_t low;

	(void)state;
	getrlimit(RLIMIT_STACK, &rl);
	small.rlim_max = rl.rlim_max;
	setrlimit(RLIMIT_STACK, &small);
	begin(true);
	call(SYS_mmap, BASE + LARGE, P, R | W, ANON | MAP_FIXED |
	     MAP_GROWSDOWN, -1, 0);
	assert_int_equal(touch(BASE + LARGE, WRITE), DUNE_FAULT_OK);
	low = BASE + LARGE - 3 * P;
	assert_int_equal(touch(low, WRITE), DUNE_FAULT_OK);
	assert_int_equal(touch(low + P, WRITE), DUNE_FAULT_OK);
	/* the next still knows that it grows, and how far */
	assert_int_equal(touch(low - 4 * P, READ), DUNE_FAULT_OK);
	assert_int_equal(touch(low - 20 * P, WRITE), DUNE_FAULT_MAPERR);
	assert_int_equal(touch(low - 20 * P, WRITE), DUNE_FAULT_MAPERR);
	setrlimit(RLIMIT_STACK, &rl);
	assert_int_equal(touch(low - 20 * P, WRITE), DUNE_FAULT_OK);
	call(SYS_munmap, BASE, 2 * LARGE, 0, 0, 0, 0);

	/* the thread's own */
	r = dune_region_find(&m.regions, (uintptr_t)&low);
	assert_true(r && (r->flags & DUNE_R_STACK));
	low = r->start;
	assert_int_equal(touch(low, WRITE), DUNE_FAULT_OK);
	assert_int_equal(touch(low - P, WRITE), DUNE_FAULT_OK);
	end();
}

static void files_that_end_early(void **state)
{
	int fd = memfd_create("f", MFD_CLOEXEC), shared;

	(void)state;
	for (shared = 0; shared < 2; shared++) {
		assert_int_equal(ftruncate(fd, P), 0);
		begin(true);
		call(SYS_mmap, BASE, 4 * P, R | W, MAP_FIXED |
		     (shared ? MAP_SHARED : MAP_PRIVATE), fd, 0);
		assert_int_equal(touch(BASE + 2 * P, READ), DUNE_FAULT_BUS);
		assert_int_equal(touch(BASE + 2 * P, WRITE), DUNE_FAULT_BUS);
		assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
		assert_int_equal(ftruncate(fd, 3 * P), 0);
		assert_int_equal(touch(BASE + 2 * P, WRITE), DUNE_FAULT_OK);
		assert_int_equal(ftruncate(fd, P), 0);
		assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_BUS);
		/* rights of a careful region */
		assert_int_equal(call(SYS_mprotect, BASE, P, R, 0, 0, 0), 0);
		assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_ACCERR);
		assert_int_equal(touch(BASE, READ), DUNE_FAULT_OK);
		assert_int_equal(call(SYS_mprotect, BASE, 4 * P, R | W, 0, 0,
				      0), 0);
		assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
		call(SYS_munmap, BASE, 4 * P, 0, 0, 0, 0);
		assert_int_equal(touch(BASE, READ), DUNE_FAULT_MAPERR);
		end();
	}
	close(fd);
}

/* EFAULT for no reason that can be found: not for ever. */
static void efaults_end(void **state)
{
	int i;

	(void)state;
	begin(true);
	map(BASE, P, R | W);
	for (i = 0; i < 100 && !dune_smem_efault(&m); i++)
		;
	assert_in_range(i, 4, 20);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	assert_int_equal(dune_smem_efault(&m), 0);
	call(SYS_munmap, BASE, P, 0, 0, 0, 0);
	end();
}

static void guards(void **state)
{
	const int install = 102, undo = 103;

	(void)state;
	begin(true);
	map(BASE, 4 * P, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	/* since Linux 6.13 */
	if (!call(SYS_madvise, BASE + P, P, install, 0, 0, 0)) {
		assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_MAPERR);
		assert_int_equal(touch(BASE + 2 * P, WRITE), DUNE_FAULT_OK);
		assert_int_equal(call(SYS_madvise, BASE + P, P, undo, 0, 0,
				      0), 0);
		assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_OK);
	}
	call(SYS_munmap, BASE, 4 * P, 0, 0, 0, 0);
	end();
}

static void vvar_pages(void **state)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);

	(void)state;
	begin(true);
	if (!m.vvar)
		skip();
	assert_int_equal(fake.vvar, m.vvar_size);
	assert_int_equal(m.vvar + m.vvar_size, vdso);
	assert_int_equal(dune_smem_fill(&m, m.vvar), DUNE_FAULT_OK);
	assert_int_equal(leaf(m.vvar), 0x7000000 | DUNE_PTE_P | DUNE_PTE_A |
			 DUNE_PTE_D | DUNE_PTE_NX);
	assert_int_equal(dune_smem_fill(&m, vdso), DUNE_FAULT_OK);
	assert_int_equal(leaf(vdso), vdso | DUNE_PTE_P | DUNE_PTE_A |
			 DUNE_PTE_D);
	end();
}

static int child(void)
{
	dune_smem_forked(&m);
	if (touch(BASE + P, READ) != DUNE_FAULT_MAPERR)
		return 1;
	if (touch(BASE, WRITE) != DUNE_FAULT_OK)
		return 2;
	if (call(SYS_mprotect, BASE, P, R, 0, 0, 0) ||
	    touch(BASE, WRITE) != DUNE_FAULT_ACCERR)
		return 3;
	return 0;
}

static void fork_goes_on(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	begin(true);
	map(BASE, 2 * P, R | W);
	assert_int_equal(touch(BASE, WRITE), DUNE_FAULT_OK);
	assert_int_equal(call(SYS_madvise, BASE + P, P, MADV_DONTFORK, 0, 0,
			      0), 0);
	dune_smem_lock(&m);
	pid = fork();
	if (!pid)
		_exit(child());
	dune_smem_unlock(&m);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(touch(BASE + P, WRITE), DUNE_FAULT_OK);
	call(SYS_munmap, BASE, 2 * P, 0, 0, 0, 0);
	end();
}

static void errno_is_the_programs(void **state)
{
	(void)state;
	begin(true);
	errno = 1234;
	assert_int_equal(call(SYS_munmap, BASE + 1, P, 0, 0, 0, 0), -EINVAL);
	map(BASE, P, R);
	touch(BASE, WRITE);
	touch(BASE + P, WRITE);
	dune_smem_efault(&m);
	assert_int_equal(errno, 1234);
	call(SYS_munmap, BASE, P, 0, 0, 0, 0);
	end();
}

static void no_more_tables(void **state)
{
	(void)state;
	begin(true);
	map(BASE, P, R);
	fake.used = TABLES;
	assert_int_equal(dune_smem_fill(&m, BASE), DUNE_FAULT_OOM);
	assert_int_equal(dune_smem_fault(&m, BASE, READ), DUNE_FAULT_OOM);
	fake.used = 1;
	assert_int_equal(touch(BASE, READ), DUNE_FAULT_OK);
	call(SYS_munmap, BASE, P, 0, 0, 0, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_of_a_span),
		cmocka_unit_test(where_the_user_half_ends),
		cmocka_unit_test(large_leaves),
		cmocka_unit_test(ring0_area_is_left_alone),
		cmocka_unit_test(errors_are_the_hosts),
		cmocka_unit_test(behind_our_back),
		cmocka_unit_test(the_programs_wish),
		cmocka_unit_test(the_programs_tables),
		cmocka_unit_test(stacks_grow),
		cmocka_unit_test(files_that_end_early),
		cmocka_unit_test(efaults_end),
		cmocka_unit_test(guards),
		cmocka_unit_test(vvar_pages),
		cmocka_unit_test(fork_goes_on),
		cmocka_unit_test(errno_is_the_programs),
		cmocka_unit_test(no_more_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
