/*
 * A guest address space. Every change of it goes through here: region tree,
 * guest entries and host mapping change together under mm->lock.
 *
 * All calls take what the guest asked for, unchecked: bad values get the errno
 * Linux would give. Thread-safe.
 */
#ifndef DUNE_KERN_MM_H
#define DUNE_KERN_MM_H

#include <pthread.h>
#include "kern/mm/region.h"
#include "kern/vm/pagetable.h"
#include "kern/vm/vm.h"

struct dune_mm {
	pthread_mutex_t lock;
	struct dune_vm *vm;
	struct dune_regions regions;
	dune_gva_t brk_start, brk;	/* brk: exact, not page aligned */
	dune_gva_t mmap_top;		/* holes are searched below */
	dune_gva_t stack_top, stack_low;
	dune_gva_t arg_start, arg_end, env_start, env_end;
	dune_gva_t vdso;		/* 0: none */
	uint64_t vvar_size;		/* see dune_mm_map_vdso() */
	uint64_t limit;			/* --mem in bytes, 0: none */
	/* what the program has set itself, ~0: nothing; without the lock */
	uint64_t rlimit;		/* like `limit`, at once */
	uint64_t rlimit_stack;		/* by the loader */
	uint64_t faults;		/* guest page faults served */
	/*
	 * Of a process that was made of a file, for reports: what was mapped
	 * from where when it was saved, as in /proc/PID/maps. Untrusted. NULL
	 * for all others.
	 */
	const char *came_from;
	/* inside mm/ */
	bool forget;			/* a change needs dune_vm_forget() */
	uint64_t changes;		/* that took something away */
	uint64_t efault_changes;	/* `changes` at the last EFAULT */
	unsigned int efaults;		/* since then */
	/* memory that is filled from one end: where it goes on, and by how
	 * much it did the last time */
	dune_gva_t run_end;
	uint64_t run;
};

/*
 * vm must be created; its tables become the mm's to edit, and a PROT_NONE
 * guard follows the arena. -ENOTSUP when the arena is not free.
 */
int dune_mm_init(struct dune_mm *mm, struct dune_vm *vm, uint64_t limit);

/* The system calls. Return what Linux returns in rax (-errno on error). */
long dune_mm_mmap(struct dune_mm *mm, dune_gva_t addr, uint64_t len,
		  int prot, int flags, int fd, uint64_t off);
long dune_mm_munmap(struct dune_mm *mm, dune_gva_t addr, uint64_t len);
long dune_mm_mprotect(struct dune_mm *mm, dune_gva_t addr, uint64_t len,
		      int prot);
long dune_mm_mremap(struct dune_mm *mm, dune_gva_t old, uint64_t old_len,
		    uint64_t new_len, int flags, dune_gva_t new_addr);
long dune_mm_madvise(struct dune_mm *mm, dune_gva_t addr, uint64_t len,
		     int advice);
long dune_mm_brk(struct dune_mm *mm, dune_gva_t addr);
/* System V shared memory: shmat maps at an arena address. */
long dune_mm_shmat(struct dune_mm *mm, int id, dune_gva_t addr, int flags);
long dune_mm_shmdt(struct dune_mm *mm, dune_gva_t addr);

/* What a page fault comes to. */
enum dune_fault {
	DUNE_FAULT_OK,		/* mapped now: run on */
	DUNE_FAULT_MAPERR,	/* SIGSEGV, SEGV_MAPERR */
	DUNE_FAULT_ACCERR,	/* SIGSEGV, SEGV_ACCERR */
	DUNE_FAULT_BUS,		/* SIGBUS, BUS_ADRERR */
	DUNE_FAULT_OOM,		/* no guest physical space, table pages */
};

/* error: the #PF error code (SDM vol. 3, 4.7). */
enum dune_fault dune_mm_fault(struct dune_mm *mm, dune_gva_t addr,
			      uint32_t error);

/*
 * KVM_RUN said EFAULT: the guest touched a page that an entry maps and the
 * host does not. Mostly it met the middle of another thread's munmap: 0, run
 * on. If a file region's end cannot be read, the file ends early: the
 * region is made "careful" and loses its entries, so that the next touch is
 * a guest page fault. -EFAULT when all that has not helped.
 */
int dune_mm_careful(struct dune_mm *mm);

/*
 * In a forked child after dune_vm_rebuild(): a new lock, and DONTFORK regions
 * dropped. The parent holds mm->lock over fork(2), so that tree, tables and
 * host mappings agree in the child.
 */
int dune_mm_forked(struct dune_mm *mm);

/*
 * Maps a copy of the host's vDSO and its vvar pages; 0 in vdso if unusable.
 * Reads /proc/self/maps unless mm->vvar_size is set: who is confined and
 * may not, is told by who could (it is a constant of the running kernel).
 */
int dune_mm_map_vdso(struct dune_mm *mm);
/*
 * In a forked child, before dune_vm_rebuild(): the new VM gets the vvar pages
 * when the clock is read.
 */
void dune_mm_drop_vvar(struct dune_mm *mm);
/* Bytes of the host's vvar pages; 0 when there are none or none are seen. */
uint64_t dune_vvar_size(void);

#endif
