/*
 * The address space without a VM: the answers and effects of the memory
 * calls. Page faults: mm-fault.c; random calls: mm-native.c.
 */
#include "tests/unit/fake-vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

/* ASan's shadow memory lies in the low part of the arena. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define LOWEST	0x200000000000ul
#else
#define LOWEST	0ul
#endif

static void mmap_errors(void **state)
{
	int fd = memfd_create("f", MFD_CLOEXEC), p[2];

	(void)state;
	begin(0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(map(0, 0, R, ANON), -EINVAL);
	assert_int_equal(map(BASE + 1, P, R, ANON | MAP_FIXED), -EINVAL);
	assert_int_equal(map(0, P, R, ANON | MAP_FIXED), -EPERM);
	assert_int_equal(map(0xf000, P, R, ANON | MAP_FIXED), -EPERM);
	assert_int_equal(map(DUNE_ARENA_HI, P, R, ANON | MAP_FIXED), -ENOMEM);
	assert_int_equal(map(DUNE_ARENA_HI - P, 2 * P, R, ANON | MAP_FIXED),
			 -ENOMEM);
	assert_int_equal(map(-P, P, R, ANON | MAP_FIXED), -ENOMEM);
	assert_int_equal(map(0, ~0ul, R, ANON), -ENOMEM);
	assert_int_equal(map(0, DUNE_ARENA_HI, R, ANON), -ENOMEM);
	assert_int_equal(map(0, P, R, MAP_ANONYMOUS), -EINVAL);
	assert_int_equal(map(0, P, R, MAP_ANONYMOUS | MAP_SHARED_VALIDATE),
			 -EINVAL);
	assert_int_equal(dune_mm_mmap(&mm, 0, P, R, MAP_PRIVATE, -1, 0),
			 -EBADF);
	assert_int_equal(dune_mm_mmap(&mm, 0, P, R, MAP_PRIVATE, fd, 1),
			 -EINVAL);
	assert_int_equal(dune_mm_mmap(&mm, 0, P, R, MAP_PRIVATE, fd, -P),
			 -EOVERFLOW);
	assert_int_equal(dune_mm_mmap(&mm, 0, P, R, MAP_PRIVATE, p[0], 0),
			 -ENODEV);
	assert_int_equal(map(BASE, P, R, ANON | MAP_FIXED), BASE);
	assert_int_equal(map(BASE, P, R, ANON | MAP_FIXED_NOREPLACE),
			 -EEXIST);
	assert_int_equal(mm.regions.n, 1);
	close(fd);
	close(p[0]);
	close(p[1]);
}

static void noexec_mount(void **state)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	(void)state;
	begin(0);
	/* procfs is mounted noexec where anyone cares; and has no mmap */
	if (fd >= 0)
		assert_true(dune_mm_mmap(&mm, 0, P, R | X, MAP_PRIVATE, fd,
					 0) < 0);
	close(fd);
	fd = memfd_create("f", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, P), 0);
	assert_int_equal(dune_mm_mmap(&mm, BASE, P, R, MAP_PRIVATE, fd, 0),
			 BASE);
	dune_region_flags(&mm.regions, BASE, P, DUNE_R_NOEXEC, 0);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R | X), -EACCES);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R | W), 0);
	close(fd);
}

static void where_mappings_go(void **state)
{
	long a, b;

	(void)state;
	begin(0);
	mm.mmap_top = BASE;
	assert_int_equal(map(0, P, R, ANON), BASE - P);
	assert_int_equal(map(0, P, R, ANON), BASE - 2 * P);
	/* hints: honoured, rounded, refused when taken or out of range */
	assert_int_equal(map(BASE + 0x123, P, R, ANON), BASE);
	assert_int_equal(map(BASE, P, R, ANON), BASE - 3 * P);
	assert_int_equal(map(DUNE_ARENA_HI, P, R, ANON), BASE - 4 * P);
	assert_int_equal(map(0x1000, P, R, ANON), DUNE_ARENA_LO);
	assert_int_equal(map(0, DUNE_LARGE_SIZE, R, ANON) % DUNE_LARGE_SIZE,
			 0);
	if (!LOWEST) {
		a = map(0, P, R, ANON | MAP_32BIT);
		assert_true(a >= 0x40000000 && a + P <= 0x80000000);
		b = map(0, P, R, ANON | MAP_32BIT);
		assert_int_equal(b, a - P);
	}
	/* nothing left below the top: above it */
	mm.mmap_top = DUNE_ARENA_LO + P;
	assert_true(map(0, P, R, ANON) > (long)BASE);
}

static void refused_fixed_mapping_keeps_the_old_one(void **state)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char c;

	(void)state;
	begin(0);
	assert_int_equal(map(BASE, 4 * P, R | W, ANON | MAP_FIXED), BASE);
	assert_int_equal(dune_copy_out(BASE, "x", 1), 0);
	assert_int_equal(dune_mm_mmap(&mm, BASE, P, R, MAP_PRIVATE | MAP_FIXED,
				      fd, 0), -EACCES);
	assert_int_equal(mm.regions.n, 1);
	assert_int_equal(dune_copy_in(&c, BASE, 1), 0);
	assert_int_equal(c, 'x');
	close(fd);
}

static void munmap_rules(void **state)
{
	(void)state;
	begin(0);
	map(BASE, 4 * P, R, ANON | MAP_FIXED);
	assert_int_equal(dune_mm_munmap(&mm, BASE + 1, P), -EINVAL);
	assert_int_equal(dune_mm_munmap(&mm, BASE, 0), -EINVAL);
	assert_int_equal(dune_mm_munmap(&mm, BASE, ~0ul), -EINVAL);
	assert_int_equal(dune_mm_munmap(&mm, 0x7fffffffe000, P), 0);
	assert_int_equal(dune_mm_munmap(&mm, 0, DUNE_ARENA_LO), 0);
	assert_int_equal(mm.regions.n, 1);
	assert_int_equal(dune_mm_munmap(&mm, LOWEST,
					DUNE_ARENA_HI + P - LOWEST), 0);
	assert_int_equal(mm.regions.n, 0);
	assert_int_equal(dune_touch(BASE, false), -EFAULT);
	/* our guard and this process are still there */
	assert_int_equal(msync((void *)DUNE_ARENA_HI, P, MS_ASYNC), 0);
}

static void huge_empty_range_is_cheap(void **state)
{
	(void)state;
	begin(0);
	assert_int_equal(map(BASE, 16ul << 40, PROT_NONE,
			     ANON | MAP_FIXED | MAP_NORESERVE), BASE);
	assert_int_equal(dune_mm_munmap(&mm, BASE, 16ul << 40), 0);
}

static void exec_alone_makes_kvm_forget(void **state)
{
	(void)state;
	begin(0);
	map(BASE, P, R | X, ANON | MAP_FIXED);
	dune_mm_fault(&mm, BASE, PF_X);
	fake.forgotten = 0;
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R), 0);
	assert_int_equal(fake.forgotten, 1);
	assert_true(entry(BASE) & DUNE_PTE_NX);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R | X), 0);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R | W), 0);
	assert_int_equal(fake.forgotten, 1);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, PROT_NONE), 0);
	assert_int_equal(entry(BASE), 0);
}

static void mprotect_errors(void **state)
{
	int fd = memfd_create("f", MFD_CLOEXEC), ro;
	char path[32];

	(void)state;
	begin(0);
	assert_int_equal(ftruncate(fd, P), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(dune_mm_mmap(&mm, BASE, P, R, MAP_SHARED | MAP_FIXED,
				      ro, 0), BASE);
	dune_mm_fault(&mm, BASE, PF_R);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R | W), -EACCES);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, W | X), -EACCES);
	assert_int_equal(entry(BASE) & DUNE_PTE_W, 0);
	assert_int_equal(dune_mm_mprotect(&mm, BASE + 1, P, R), -EINVAL);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, 0, R), 0);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, -P, R), -ENOMEM);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, 0x100), -EINVAL);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, P, R | PROT_GROWSDOWN),
			 -EINVAL);
	assert_int_equal(dune_mm_mprotect(&mm, BASE, 2 * P, PROT_NONE),
			 -ENOMEM);
	assert_int_equal(mm.regions.v[0].prot, PROT_NONE);
	close(fd);
	close(ro);
}

static void heap(void **state)
{
	(void)state;
	begin(0);
	mm.brk_start = mm.brk = BASE + 0x10;
	map(BASE + 16 * P, P, R, ANON | MAP_FIXED);
	assert_int_equal(dune_mm_brk(&mm, 0), BASE + 0x10);
	assert_int_equal(dune_mm_brk(&mm, BASE + 3 * P), BASE + 3 * P);
	assert_int_equal(dune_region_find(&mm.regions, BASE + P)->flags &
			 DUNE_R_HEAP, DUNE_R_HEAP);
	assert_null(dune_region_find(&mm.regions, BASE));
	assert_int_equal(dune_copy_out(BASE + 2 * P, "x", 1), 0);
	assert_int_equal(dune_mm_brk(&mm, BASE + 3 * P + 1),
			 BASE + 3 * P + 1);
	assert_int_equal(dune_mm_brk(&mm, BASE + P + 5), BASE + P + 5);
	assert_int_equal(dune_touch(BASE + 2 * P, false), -EFAULT);
	assert_int_equal(dune_mm_brk(&mm, BASE + 17 * P), BASE + P + 5);
	assert_int_equal(dune_mm_brk(&mm, ~0ul), BASE + P + 5);
	assert_int_equal(dune_mm_brk(&mm, BASE), BASE + P + 5);
}

static void memory_limit(void **state)
{
	(void)state;
	begin(16 * P);
	assert_int_equal(map(0, 17 * P, R | W, ANON), -ENOMEM);
	assert_true(map(0, 170 * P, R, ANON) > 0);
	assert_int_equal(map(BASE, 10 * P, R | W, ANON | MAP_FIXED), BASE);
	assert_int_equal(map(0, 7 * P, R | W, ANON), -ENOMEM);
	assert_int_equal(map(BASE, 16 * P, R | W, ANON | MAP_FIXED), BASE);
	assert_int_equal(map(0, P, R | W, MAP_SHARED | MAP_ANONYMOUS),
			 -ENOMEM);
	assert_int_equal(dune_mm_mremap(&mm, BASE, 16 * P, 17 * P,
					MREMAP_MAYMOVE, 0), -ENOMEM);
	assert_int_equal(map(BASE + 32 * P, P, R, ANON | MAP_FIXED),
			 BASE + 32 * P);
	assert_int_equal(dune_mm_mprotect(&mm, BASE + 32 * P, P, R | W),
			 -ENOMEM);
	mm.brk_start = mm.brk = BASE + 40 * P;
	assert_int_equal(dune_mm_brk(&mm, BASE + 41 * P), BASE + 40 * P);
	assert_int_equal(dune_mm_munmap(&mm, BASE, P), 0);
	assert_int_equal(dune_mm_mprotect(&mm, BASE + 32 * P, P, R | W), 0);
}

static void remap_chooses_and_moves(void **state)
{
	long at;
	char c;

	(void)state;
	begin(0);
	map(BASE, 2 * P, R | W, ANON | MAP_FIXED);
	map(BASE + 4 * P, P, R | W, ANON | MAP_FIXED);
	dune_copy_out(BASE + P, "x", 1);
	dune_mm_fault(&mm, BASE, PF_W);
	assert_int_equal(dune_mm_mremap(&mm, BASE, 2 * P, 4 * P, 0, 0), BASE);
	assert_int_equal(dune_mm_mremap(&mm, BASE, 4 * P, 5 * P, 0, 0),
			 -ENOMEM);
	at = dune_mm_mremap(&mm, BASE, 4 * P, 5 * P, MREMAP_MAYMOVE, 0);
	assert_true(at > 0 && at != (long)BASE);
	assert_int_equal(dune_copy_in(&c, at + P, 1), 0);
	assert_int_equal(c, 'x');
	assert_int_equal(entry(BASE), 0);
	assert_null(dune_region_find(&mm.regions, BASE));
	/* emptied, but still there */
	assert_int_equal(dune_mm_mremap(&mm, at, 5 * P, 5 * P, MREMAP_MAYMOVE |
					4 /* DONTUNMAP */, 0) > 0, 1);
	assert_int_equal(dune_copy_in(&c, at + P, 1), 0);
	assert_int_equal(c, 0);
	assert_int_equal(dune_mm_mremap(&mm, DUNE_ARENA_HI, P, P, 0, 0),
			 -EFAULT);
	assert_int_equal(dune_mm_mremap(&mm, BASE + 4 * P, P, P,
					MREMAP_MAYMOVE | MREMAP_FIXED,
					DUNE_ARENA_HI), -EINVAL);
}

static void advice(void **state)
{
	(void)state;
	begin(0);
	map(BASE, 4 * P, R | W, ANON | MAP_FIXED);
	dune_copy_out(BASE, "x", 1);
	assert_int_equal(dune_mm_madvise(&mm, BASE, P, MADV_DONTNEED), 0);
	assert_int_equal(dune_mm_madvise(&mm, BASE, 5 * P, MADV_DONTNEED),
			 -ENOMEM);
	assert_int_equal(dune_mm_madvise(&mm, BASE + 1, P, MADV_DONTNEED),
			 -EINVAL);
	assert_int_equal(dune_mm_madvise(&mm, BASE, P, 102), -EINVAL);
	assert_int_equal(dune_mm_madvise(&mm, BASE, P, MADV_HWPOISON),
			 -EPERM);
	/* the monitor's own memory is none of the program's business */
	assert_int_equal(dune_mm_madvise(&mm, (uintptr_t)&mm & ~(P - 1), P,
					 MADV_DONTNEED), -ENOMEM);
	assert_ptr_equal(mm.vm, &vm);
	assert_int_equal(dune_mm_madvise(&mm, BASE + P, P, MADV_DONTFORK), 0);
	assert_int_equal(mm.regions.n, 3);
	assert_int_equal(dune_mm_madvise(&mm, BASE + P, P, MADV_DOFORK), 0);
	assert_int_equal(mm.regions.n, 1);
}

static void fork_drops_what_is_not_for_it(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	begin(0);
	map(BASE, 4 * P, R | W, ANON | MAP_FIXED);
	dune_mm_madvise(&mm, BASE + P, P, MADV_DONTFORK);
	dune_mm_fault(&mm, BASE, PF_W);
	pthread_mutex_lock(&mm.lock);
	pid = fork();
	if (!pid) {
		dune_mm_forked(&mm);
		_exit(dune_mm_fault(&mm, BASE, PF_W) != DUNE_FAULT_OK ||
		      dune_mm_fault(&mm, BASE + P, PF_W) !=
		      DUNE_FAULT_MAPERR || entry(BASE + P) ||
		      dune_touch(BASE + P, false) != -EFAULT);
	}
	pthread_mutex_unlock(&mm.lock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void shared_segments(void **state)
{
	int id = shmget(IPC_PRIVATE, 3 * P, 0600);
	long a, b;

	(void)state;
	if (id < 0)
		skip();
	begin(0);
	a = dune_mm_shmat(&mm, id, 0, 0);
	b = dune_mm_shmat(&mm, id, BASE + 5, SHM_RND | SHM_RDONLY);
	assert_true(a > 0);
	assert_int_equal(b, BASE);
	assert_int_equal(dune_mm_shmat(&mm, id, BASE + P, 0), -EINVAL);
	assert_int_equal(dune_mm_shmat(&mm, id, BASE + 5, 0), -EINVAL);
	assert_int_equal(dune_mm_shmat(&mm, id, 0, SHM_REMAP), -EINVAL);
	assert_int_equal(dune_mm_shmat(&mm, id, BASE, SHM_REMAP), BASE);
	assert_int_equal(dune_mm_shmat(&mm, id, BASE + 3 * P, 0),
			 BASE + 3 * P);
	dune_mm_fault(&mm, BASE, PF_W);
	dune_mm_mprotect(&mm, BASE + P, P, R);
	assert_int_equal(dune_mm_shmdt(&mm, BASE + P), -EINVAL);
	assert_int_equal(dune_mm_shmdt(&mm, BASE), 0);
	assert_int_equal(entry(BASE + 2 * P), 0);
	assert_null(dune_region_find(&mm.regions, BASE + P));
	assert_null(dune_region_find(&mm.regions, BASE + 2 * P));
	assert_non_null(dune_region_find(&mm.regions, BASE + 3 * P));
	assert_int_equal(dune_mm_shmdt(&mm, a), 0);
	shmctl(id, IPC_RMID, NULL);
}

static void vdso(void **state)
{
	char magic[4];

	(void)state;
	begin(0);
	assert_int_equal(dune_mm_map_vdso(&mm), 0);
	assert_int_equal(mm.vdso, 0);	/* the guest's TSC is another */
	vm.kind.tsc_matches = true;
	assert_int_equal(dune_mm_map_vdso(&mm), 0);
	assert_int_equal(mm.vvar_size, dune_vvar_size());
	if (!mm.vdso)
		skip();
	assert_int_equal(dune_copy_in(magic, mm.vdso, 4), 0);
	assert_memory_equal(magic, "\177ELF", 4);
	assert_int_equal(dune_mm_fault(&mm, mm.vdso, PF_X), DUNE_FAULT_OK);
	assert_int_equal(dune_mm_fault(&mm, mm.vdso, PF_W),
			 DUNE_FAULT_ACCERR);
	/* who takes the rights of the code away cannot read it */
	assert_int_equal(dune_mm_mprotect(&mm, mm.vdso, P, PROT_NONE), 0);
	assert_int_equal(dune_mm_fault(&mm, mm.vdso, 0), DUNE_FAULT_ACCERR);
	assert_int_equal(dune_mm_mprotect(&mm, mm.vdso, P, R | X), 0);
	/* the pages behind it come with the first reading */
	assert_int_equal(fake.vvar, 0);
	assert_int_equal(entry(mm.vdso - P), 0);
	assert_int_equal(dune_mm_fault(&mm, mm.vdso - P, PF_W),
			 DUNE_FAULT_ACCERR);
	assert_int_equal(dune_mm_fault(&mm, mm.vdso - P, PF_X),
			 DUNE_FAULT_ACCERR);
	assert_int_equal(dune_mm_fault(&mm, mm.vdso - P, 0), DUNE_FAULT_OK);
	assert_int_equal(fake.vvar, mm.vvar_size);
	assert_int_equal(entry(mm.vdso - mm.vvar_size) & DUNE_PTE_ADDR,
			 0x7000000);
	assert_int_equal(entry(mm.vdso - P) & DUNE_PTE_W, 0);
	/* the program may do without: then its pages are gone for good */
	fake.forgotten = 0;
	assert_int_equal(dune_mm_munmap(&mm, mm.vdso - mm.vvar_size,
					mm.vvar_size), 0);
	assert_int_equal(fake.forgotten, 1);
	assert_int_equal(entry(mm.vdso - P), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, NULL, end)
	const struct CMUnitTest tests[] = {
		T(mmap_errors),
		T(noexec_mount),
		T(where_mappings_go),
		T(refused_fixed_mapping_keeps_the_old_one),
		T(munmap_rules),
		T(huge_empty_range_is_cheap),
		T(exec_alone_makes_kvm_forget),
		T(mprotect_errors),
		T(heap),
		T(memory_limit),
		T(remap_chooses_and_moves),
		T(advice),
		T(fork_drops_what_is_not_for_it),
		T(shared_segments),
		T(vdso),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
