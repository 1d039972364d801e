/*
 * The guest's ring 0 image: its memory, selectors and ports. Private to vm/.
 *
 * Offsets in the ring 0 area (host: vm->ring0 + x, guest physical: x, guest
 * virtual: DUNE_RING0_GVA + x):
 *
 *   0x0000  never mapped
 *   0x1000  system call entry (software KVM: readable to ring 3)
 *   0x2000  trap stubs, 16 bytes a vector
 *   0x3000  IDT
 *   0x4000  handed out by pages: vCPU blocks and page tables
 */
#ifndef DUNE_KERN_RING0_H
#define DUNE_KERN_RING0_H

#define DUNE_RING0_SYSCALL	0x1000
#define DUNE_RING0_TRAPS	0x2000
#define DUNE_RING0_IDT		0x3000
#define DUNE_RING0_FREE		0x4000

#define DUNE_TRAP_STUB		16	/* bytes of one trap stub */
#define DUNE_TRAPS		32
#define DUNE_OUT_LEN		2	/* bytes of `out %al, imm8` */

/* Selectors: the values Linux programs see in CS and SS. */
#define DUNE_SEL_KERN_CS	0x10
#define DUNE_SEL_KERN_SS	0x18
#define DUNE_SEL_STAR_USER	0x23
#define DUNE_SEL_USER_SS	0x2b
#define DUNE_SEL_USER_CS	0x33
#define DUNE_SEL_TSS		0x40
#define DUNE_SEL_CPUNODE	0x7b	/* the vDSO's getcpu reads its limit */

#define DUNE_PORT_SYSCALL	0x10
#define DUNE_PORT_TRAP		0x80

#ifndef __ASSEMBLER__

#include "kern/vm/vm.h"

/* A vCPU block: GDT and TSS on one page, the trap stack on the next. */
#define DUNE_BLOCK_GDT		0x000
#define DUNE_BLOCK_TSS		0x100
#define DUNE_BLOCK_STACK_TOP	0x2000
#define DUNE_BLOCK_SIZE		0x2000

#define DUNE_RING0_MSRS		3

/* A mailbox: entry code, and the page it shares with the host. */
#define DUNE_MAILBOX_SIZE	0x2000

/* KVM's CPUID table with room for its entries. */
union dune_cpuid {
	struct kvm_cpuid2 head;
	char room[sizeof(struct kvm_cpuid2) +
		  DUNE_MAX_CPUIDS * sizeof(struct kvm_cpuid_entry2)];
};

/*
 * A descriptor KVM has just made, close-on-exec and moved above fd_floor.
 * Until then other threads may close it or put another in its place: what comes
 * back is only trusted once a KVM ioctl has worked on it. -errno.
 */
int dune_vm_take_fd(const struct dune_vm *vm, int fd);

/* IDT and stubs; the entries that map them. Once a VM. */
int dune_ring0_init(struct dune_vm *vm);
/* A block for one vCPU; its offset in the ring 0 area. vm->lock is held. */
int dune_ring0_block(struct dune_vm *vm, size_t *block);
/* Everything a vCPU needs in its system registers. */
void dune_ring0_sregs(const struct dune_vm *vm, size_t block,
		      struct kvm_sregs *sregs);
/* Ring 3 in the segment registers, fs and gs bases kept. */
void dune_ring0_user_segments(struct kvm_sregs *sregs);
/* The system call MSRs; their number. */
unsigned int dune_ring0_msrs(struct kvm_msr_entry msr[DUNE_RING0_MSRS]);
/* The entries of a mailbox at an offset of the area. */
int dune_ring0_map_mailbox(struct dune_vm *vm, size_t offset);
/*
 * What rewritten sites jump to: the mailbox's code at DUNE_SITES_GVA, in tables
 * whose root is *root and which else are the VM's; it and they need pages.
 */
int dune_ring0_own_root(struct dune_vm *vm, size_t offset, uint64_t **root,
			dune_gpa_t *gpa);
/* LSTAR, for entry code at an offset of the area. */
void dune_ring0_entry_msr(struct kvm_msr_entry *msr, size_t offset);
/* Pages from the area; NULL when it is used up. Thread-safe. */
char *dune_ring0_pages(struct dune_vm *vm, size_t bytes, dune_gpa_t *gpa);

#endif
#endif
