/*
 * Dune mode's memory: the process's own mappings as guest memory. Host side.
 *
 * The host kernel's mappings are the truth; `regions` caches them (from
 * /proc/self/maps, and from the calls that go through here). Threads that
 * are not in Dune mode change mappings behind our back: what the cache
 * says is checked again (`resync`) before anything becomes a signal.
 *
 * Guest virtual = host virtual. Guest entries are made 2 MiB at a time:
 *
 *   an empty directory entry    nobody has asked for this span yet: the guest
 *   (PDE, PDPTE, PML4E == 0)    side asks dune_smem_fill()
 *   a page table, or a 2 MiB    says all there is to say about the span. An
 *   leaf                        empty or changed entry in it is the program's
 *                               wish, and its fault handler's business
 *   not present, DUNE_PTE_HOST  ask again: the stack may grow there, a file
 *                               may end there
 *
 * So a program may edit entries as it likes, and what libc maps and unmaps
 * meanwhile is kept true in the spans that exist. Tables of the main root are
 * never freed; entries are changed by single atomic stores or exchanges only, for
 * guest threads edit them at the same time without any lock.
 *
 * The host side must not use malloc or stdio, nor leave errno changed: it runs
 * on the program's own thread, stopped at any instruction, malloc's included.
 */
#ifndef DUNE_KERN_SELF_MEM_H
#define DUNE_KERN_SELF_MEM_H

#include <pthread.h>
#include "kern/mm/mm.h"		/* enum dune_fault */
#include "kern/mm/region.h"
#include "kern/vm/vm.h"

/*
 * Software bits. COW and those above bit 51 are libdune's and the program's; SUPER:
 * on a software KVM, where the program itself runs in ring 3, a
 * supervisor page has U set and this too, and is left out of ring 3's view.
 */
#define DUNE_PTE_COW	(1ul << 9)
#define DUNE_PTE_HOST	(1ul << 10)	/* not present: ask the host side */
#define DUNE_PTE_SUPER	(1ul << 11)

struct dune_smem {
	pthread_mutex_t lock;
	struct dune_vm *vm;
	struct dune_regions regions;
	uint64_t super;			/* bits of a supervisor page: 0, or
					 * U | SUPER on a software KVM */
	dune_gva_t stack_end;		/* of the first thread's stack */
	uint64_t stack_room;		/* bytes it may grow to */
	unsigned int efaults;
};

/*
 * Reads the mappings and makes the vvar pages reachable (a slot of their own,
 * see dune_vm_vvar()). No entries are made yet. -ENOMEM, -EIO.
 */
int dune_smem_init(struct dune_smem *m, struct dune_vm *vm);
void dune_smem_destroy(struct dune_smem *m);
/* In a forked child: the lock is new; the mappings are the parent's. */
void dune_smem_forked(struct dune_smem *m);

/*
 * Makes the entries of the span around va in the main root (2 MiB leaf where one
 * mapping covers the span and the host may back it by one). OK also when
 * there is nothing to map: then an empty table says so. BUS, OOM.
 */
enum dune_fault dune_smem_fill(struct dune_smem *m, dune_gva_t va);

/*
 * A page fault that no handler took. OK: resolved (the cache was old, the
 * stack has grown, the file reaches that far), run on. Else which signal.
 */
enum dune_fault dune_smem_fault(struct dune_smem *m, dune_gva_t va,
				uint32_t error);

/* KVM_RUN said EFAULT: some entry points at a host page that is not there. 0: run on; -EFAULT: it goes on like this. */
int dune_smem_efault(struct dune_smem *m);

/*
 * The calls that change mappings, by number and raw arguments: mmap, munmap,
 * mprotect, pkey_mprotect, mremap, brk, madvise, shmat, shmdt,
 * remap_file_pages. Runs the call on the host and keeps regions and entries
 * true, also for 2 MiB leaves. Returns the kernel's rax.
 */
bool dune_smem_is_call(long nr);
long dune_smem_call(struct dune_smem *m, long nr, const uint64_t arg[6]);

#endif
