/*
 * The virtual machine: KVM file descriptors, slots, the ring 0 area, vCPUs.
 *
 * Knows nothing of Linux programs. All calls return 0 or a negative errno and
 * leave a message (err.h). Thread safety is stated at each call.
 */
#ifndef DUNE_KERN_VM_H
#define DUNE_KERN_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include "kern/layout.h"
#include "kern/types.h"
#include "kern/vm/pagetable.h"

#define DUNE_MAX_CPUIDS 128

/* What probe code in a throw-away vCPU found out about this KVM. */
struct dune_kvm_kind {
	bool native_ring0;	/* `syscall` raises the CPU to ring 0 */
	bool host_pte_edits;	/* nested paging: host edits of PTEs count */
	bool fsgsbase;		/* CR4.FSGSBASE usable by ring 3 */
	bool tsc_matches;	/* guest rdtsc == host rdtsc: vDSO is usable */
	unsigned int gpa_bits;	/* usable guest physical address bits */
	unsigned int xsave_size;/* bytes of KVM_GET_XSAVE2 */
	uint64_t xcr0;		/* state components of the guest */
	uint64_t cr4;		/* what every vCPU gets */
	unsigned int max_vcpus;
	/* what the guest sees; asking KVM costs 0.3 ms, so it is kept */
	unsigned int cpuids;
	struct kvm_cpuid_entry2 cpuid[DUNE_MAX_CPUIDS];
};

/* "hardware (native ring 0, nested paging)" or the like; static storage. */
const char *dune_kvm_kind_name(const struct dune_kvm_kind *kind);

/*
 * Opens /dev/kvm and checks the API version and the capabilities we need.
 * Returns the descriptor (close-on-exec). -ENOENT, -EACCES, -ENODEV,
 * -ENOTSUP with a message that says how to mend it.
 */
int dune_kvm_open(void);

/*
 * The part of the answer that needs no guest: CPUID and limits. The rest stays
 * zero. 0.3 ms where CPUID traps; keep the result over fork and exec.
 */
int dune_kvm_ask(int kvm_fd, struct dune_kvm_kind *kind);

/*
 * Asks, and runs the probe guest in a throw-away VM. About 2 ms.
 * all: also host_pte_edits, which Dune mode and people want. Once at a time in
 * a process; dune_kvm_probe_end() afterwards, also on failure: closing a VM
 * takes a while, which a caller in a hurry can put off.
 */
int dune_kvm_probe(int kvm_fd, struct dune_kvm_kind *kind, bool all);
void dune_kvm_probe_end(void);

enum dune_exit {
	DUNE_EXIT_SYSCALL,	/* u holds the caller's registers */
	DUNE_EXIT_TRAP,		/* trap_vector, trap_error, trap_cr2, u */
	DUNE_EXIT_INTR,		/* kicked by a signal; u valid if user_mode */
	DUNE_EXIT_EFAULT,	/* KVM could not reach a host page; u valid */
	DUNE_EXIT_DEAD,		/* anything else; dune_errmsg() says what */
};

struct dune_vm;
struct dune_mailbox;		/* mailbox.h */

/* One virtual CPU; used by one host thread at a time. */
struct dune_vcpu {
	struct dune_vm *vm;
	struct kvm_run *run;
	int fd;
	unsigned int id;
	struct dune_vcpu *next_free, *next_all;
	size_t block;		/* its GDT, TSS and stack in the ring 0 area */
	/*
	 * The user register file, valid after every exit in user_mode (and
	 * after SYSCALL and TRAP, where rip, rflags, rsp are the user's).
	 * Handlers edit it and set `edited` (not needed for rax alone after
	 * a system call); fs_base and gs_base likewise with edited.
	 */
	struct kvm_regs u;
	uint64_t fs_base, gs_base;
	bool edited;
	bool user_mode;
	uint8_t trap_vector;
	uint32_t trap_error;
	uint64_t trap_cr2;
	/* how the guest last left, to know how to go back */
	enum dune_exit last;
	uint64_t exits;		/* number of KVM_RUN returns */
	struct kvm_regs entered;	/* of the latest entry in user_mode */
	bool initial;		/* free, and its FPU state was never used */
	/* mailbox.h; NULL: none, and its entry code is the VM's */
	struct dune_mailbox *box;
	size_t entry;		/* its entry code in the ring 0 area */
	uint64_t *root;		/* its own root of the tables; NULL: the VM's */
	uint32_t box_owner;	/* whose the vCPU's calls are now */
	bool box_served;	/* by a proxy, which may take its calls */
	uint32_t box_spins;	/* how long a posted call waits */
	uint32_t box_late;	/* calls nobody took in that time */
};

struct dune_vm {
	int kvm_fd;
	int fd;
	int fd_floor;
	struct dune_kvm_kind kind;
	pthread_mutex_t lock;		/* everything below */
	char *ring0;			/* host address of the ring 0 area */
	size_t ring0_used;		/* bytes handed out, page aligned */
	size_t ring0_end;		/* of what is handed out there */
	size_t ring0_first;		/* bytes in its first slot */
	bool ring0_rest;		/* there is one for the rest */
	size_t tables_used;		/* page tables' own part; 0: none */
	struct dune_pt pt;		/* the tables; arena part: the mm's */
	/* windows in order of use, by window number (gva >> shift) */
	uint32_t *window;
	unsigned int windows, max_windows;
	/* hash of window number -> index + 1, open addressing */
	uint32_t *window_hash;
	bool alias;			/* dune_vm_alias() */
	bool exact_log;			/* it can be told of pages */
	struct dune_windows logged;	/* dune_vm_unwrite() */
	void *vvar_host;		/* NULL: none */
	size_t vvar_size;
	unsigned int vcpus;		/* ever made */
	size_t run_size;		/* bytes of a struct kvm_run */
	struct dune_vcpu *free_vcpus, *all_vcpus;
};

/*
 * Makes the VM with its ring 0 area (GDT, IDT, stubs). kvm_fd stays the
 * caller's and must outlive the VM. The VM's own descriptors get numbers from
 * fd_floor on, out of the way of what shares the process (0: any). ring0_at:
 * the host address of the ring 0 area, which must be free; NULL: anywhere.
 * With ring0_at the guest may reach its tables: they lie together, from offset
 * DUNE_RING0_TABLES to the area's end.
 */
int dune_vm_create(struct dune_vm *vm, int kvm_fd, int fd_floor,
		   const struct dune_kvm_kind *kind, void *ring0_at);
/*
 * The same for who has only asked: runs the probe guest in the new VM, whose
 * kind is then known and goes to *kind, all but host_pte_edits. Leaves a vCPU
 * in the pool.
 */
int dune_vm_first(struct dune_vm *vm, int kvm_fd, int fd_floor,
		  struct dune_kvm_kind *kind);
/*
 * In a forked child: closes the inherited descriptors and makes a new VM
 * with the same ring 0 area, windows and guest physical layout. Old vCPUs
 * are gone. Single-threaded.
 */
int dune_vm_rebuild(struct dune_vm *vm);

/* Closes and frees everything; no vCPU may be running. */
void dune_vm_destroy(struct dune_vm *vm);

/*
 * Guest physical address of the arena page at va; makes the window and its
 * slot when there is none. Thread-safe. -ENOMEM when guest physical
 * space or slots are used up.
 */
int dune_vm_back(struct dune_vm *vm, dune_gva_t va, dune_gpa_t *gpa);

/* The guest will use the ring 0 area up to `end`: it has slots as far. */
int dune_vm_ring0_reach(struct dune_vm *vm, size_t end);
/*
 * A zeroed page in the ring 0 area for a page table: its host address, and
 * its guest physical address in *gpa. NULL when the area is full. Thread-safe.
 */
void *dune_vm_table_page(struct dune_vm *vm, dune_gpa_t *gpa);
/*
 * The host address of a table; of a page in the area for any gpa: tables are
 * guest memory, and their entries the guest's word.
 */
void *dune_vm_table_host(struct dune_vm *vm, dune_gpa_t gpa);

/*
 * Makes the host's vvar pages readable to the guest: a read-only slot of
 * its own; the entries are the caller's. Once a VM; rebuild repeats it.
 */
int dune_vm_vvar(struct dune_vm *vm, void *host, size_t size, dune_gpa_t *gpa);

/*
 * From now on rewritten sites may jump to DUNE_SITES_GVA on every vCPU; one
 * with a mailbox has its own code there. Once a VM, for a software KVM. The
 * tables' lock is held. -ENOMEM.
 */
int dune_vm_sites(struct dune_vm *vm);

/* Makes KVM drop every cached translation, on all vCPUs. Thread-safe. */
int dune_vm_forget(struct dune_vm *vm);

/*
 * For Dune mode on a KVM that shadows tables, and notices what the guest writes
 * to them: the first pages of the ring 0 area, tables among them, are guest
 * physical memory at DUNE_RING0_ALIAS as well, where KVM knows of no table,
 * and mapped there with flags. Once is enough. The tables' lock is held.
 */
int dune_vm_alias(struct dune_vm *vm, uint64_t flags);

/*
 * For the same: no vCPU writes to a page of these windows before KVM has set
 * the dirty bit of its guest entry, also where that was cleared unnoticed. In
 * the first `listed` windows of guest physical memory that is owed only for
 * pages whose bit in list is set: set after its entry's was cleared, by any
 * thread, and clear when this returns. By
 * KVM's dirty log, which is on for these windows from now on: KVM maps them by
 * 4 KiB then. Thread-safe. On an error dune_vm_forget() does it.
 */
int dune_vm_unwrite(struct dune_vm *vm, const struct dune_windows *w,
		    uint64_t *list, size_t listed);

/* Takes a vCPU from the pool or makes one. Thread-safe. */
int dune_vcpu_get(struct dune_vm *vm, struct dune_vcpu **vcpu);
/* Gives it back: registers and FPU state are reset at the next get. */
void dune_vcpu_put(struct dune_vcpu *vcpu);
/*
 * A new block and system registers as for a new vCPU: the VM has other tables.
 * Before the VM is used: not thread-safe.
 */
int dune_vcpu_restart(struct dune_vcpu *vcpu);

/*
 * Enters the guest in ring 3 with u, fs_base, gs_base and runs it until
 * something needs the host. Async-signal-safe companion: dune_vcpu_kick().
 */
enum dune_exit dune_vcpu_run(struct dune_vcpu *vcpu);

/*
 * Stopped by a signal: has KVM an exception still to deliver? With another rip
 * it would become somebody else's, or be lost. Of an int3's KVM tells nothing
 * on a software KVM, where the instruction is over by then: true wherever the
 * guest is behind one and has moved since `entered`.
 */
bool dune_vcpu_exception_waits(const struct dune_vcpu *vcpu);

/*
 * Makes the current or next dune_vcpu_run() return DUNE_EXIT_INTR at once.
 * From the owning thread's signal handler only. The loop clears it with
 * dune_vcpu_unkick() before it looks for what the handler left.
 */
void dune_vcpu_kick(struct dune_vcpu *vcpu);
void dune_vcpu_unkick(struct dune_vcpu *vcpu);

/*
 * Extended state in the standard (not compacted) XSAVE format,
 * kind.xsave_size bytes, 64-byte aligned. set with NULL: initial state.
 */
int dune_vcpu_get_xsave(struct dune_vcpu *vcpu, void *area);
int dune_vcpu_set_xsave(struct dune_vcpu *vcpu, const void *area);

#endif
