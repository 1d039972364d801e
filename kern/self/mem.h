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
 * never freed; entries are changed by compare and exchange only (entry.h), for
 * guest threads edit them at the same time without any lock. While a call
 * changes a mapping its entries say HOST: who touches it meanwhile waits.
 *
 * The host side must not use malloc or stdio, nor leave errno changed: it runs
 * on the program's own thread, stopped at any instruction, malloc's included.
 */
#ifndef DUNE_KERN_SELF_MEM_H
#define DUNE_KERN_SELF_MEM_H

#include <pthread.h>
#include "dune/pgtable.h"	/* DUNE_PTE_HOST and other software bits */
#include "kern/mm/mm.h"		/* enum dune_fault */
#include "kern/mm/region.h"
#include "kern/self/entry.h"
#include "kern/vm/vm.h"

struct dune_smem {
	pthread_mutex_t lock;		/* everything below */
	struct dune_vm *vm;
	struct dune_regions regions;
	uint64_t super;			/* bits of a supervisor page: 0, or
					 * U | SUPER on a software KVM */
	uint64_t stack_room;		/* bytes a stack may grow to */
	/*
	 * Set by the owner after init, may be NULL: what else depends on the
	 * mappings of [va, va + len). Called with the lock held, when the main
	 * root's entries have been edited, and mostly before the host's
	 * mapping is; after it where only that tells what changes. gone:
	 * contents as well as rights. Must not touch the smem.
	 */
	void (*changed)(uint64_t va, uint64_t len, bool gone);
	/* ---- inside mem*.c ---- */
	struct dune_regions fresh;	/* the last, or the next, `regions` */
	struct dune_tables tables;
	dune_gva_t vvar;		/* 0: none */
	uint64_t vvar_size;
	dune_gpa_t vvar_gpa;
	bool exec_implied;		/* personality READ_IMPLIES_EXEC */
	int saved_errno;		/* of who has the lock */
	uint64_t changes;		/* that took something away */
	uint64_t efault_changes;	/* `changes` at the last EFAULT */
	unsigned int efaults;		/* since then */
	dune_gva_t spurious_va;
	unsigned int spurious;		/* faults at it without a cause */
	char text[DUNE_PAGE_SIZE];	/* of /proc/self/maps */
};

/*
 * Reads the mappings and makes the vvar pages reachable (a slot of their own,
 * see dune_vm_vvar()). No entries are made yet. -ENOMEM, -EIO.
 */
int dune_smem_init(struct dune_smem *m, struct dune_vm *vm);
void dune_smem_destroy(struct dune_smem *m);
/*
 * Around fork(2): the parent holds the lock over the call, so that regions and
 * entries are whole in the child. The child calls forked() before anything
 * else here, the parent gives the lock up.
 */
void dune_smem_lock(struct dune_smem *m);
void dune_smem_unlock(struct dune_smem *m);
void dune_smem_forked(struct dune_smem *m);

/*
 * For the guest side's two questions, an empty directory entry and a HOST
 * entry: makes the entries of the span around va in the main root (a 2 MiB
 * leaf where one anonymous mapping covers it). OK also when there is nothing
 * mapped: then an empty table says so. OK means that the question will not
 * come again; with anything else the entry has not changed, and the
 * fault is the handler's, and then dune_smem_fault()'s: MAPERR (the upper half,
 * the ring 0 area, no room for the stack), BUS (the file ends before), OOM.
 */
enum dune_fault dune_smem_fill(struct dune_smem *m, dune_gva_t va);

/*
 * A page fault in the main root that no handler took. OK: resolved (the cache
 * was old, the stack has grown, the file reaches that far), run on. Else which
 * signal. An entry that forbids what the mapping allows is the program's wish:
 * ACCERR, or MAPERR when it is not present.
 */
enum dune_fault dune_smem_fault(struct dune_smem *m, dune_gva_t va,
				uint32_t error);

/*
 * KVM_RUN said EFAULT: some entry points at a host page that is not there. 0:
 * run on; -EFAULT: it goes on like this.
 */
int dune_smem_efault(struct dune_smem *m);

/*
 * The calls that change mappings, by number and raw arguments: mmap, munmap,
 * mprotect, pkey_mprotect, mremap, brk, madvise, shmat, shmdt,
 * remap_file_pages. Runs the call on the host and keeps regions and entries
 * true, also for 2 MiB leaves. Returns the kernel's rax; -EPERM for what
 * would change the ring 0 area.
 *
 * PROT_WRITE or PROT_EXEC gets PROT_READ with it on the host: x86 cannot
 * forbid reading such pages, and KVM cannot reach what the host may not read.
 *
 * mprotect() changes W and NX of entries that are present, and keeps the rest,
 * so a page that the program has mapped elsewhere stays there, and one marked
 * PTE_COW stays read-only; all others make entries anew.
 */
bool dune_smem_is_call(long nr);
long dune_smem_call(struct dune_smem *m, long nr, const uint64_t arg[6]);

#endif
