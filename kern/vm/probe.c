/*
 * Which kind of KVM is this? Asked of KVM itself and of a few instructions
 * run in a VM, never of names.
 */
#include "kern/vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>
#include "kern/err.h"
#include "kern/vm/ring0.h"

#define CR4_PAE		(1ul << 5)
#define CR4_OSFXSR	(1ul << 9)
#define CR4_OSXMMEXCPT	(1ul << 10)
#define CR4_FSGSBASE	(1ul << 16)
#define CR4_OSXSAVE	(1ul << 18)
#define CR3_PWT		(1ul << 3)

/*
 * State components a guest gets: x87, SSE, AVX, AVX-512. Not MPX (gone), PKRU
 * (pkey calls are refused) and AMX (a permission of the host process).
 */
#define XCR0_GUEST	0xe7ul

const char *dune_kvm_kind_name(const struct dune_kvm_kind *kind)
{
	if (!kind->native_ring0)
		return "software KVM (ring 0 emulated, shadow paging)";
	if (!kind->host_pte_edits)
		return "hardware KVM (ring 0 native, shadow paging)";
	return "hardware KVM (ring 0 native, nested paging)";
}

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM" },
	{ KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	{ KVM_CAP_XSAVE, "KVM_CAP_XSAVE" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
};

int dune_kvm_open(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	unsigned int i;
	int err = errno;

	if (fd < 0 && (err == EACCES || err == EPERM))
		return dune_err(-EACCES, "/dev/kvm: permission denied; join "
				"its group (usermod -aG kvm USER): dune-check "
				"says more");
	if (fd < 0)
		return dune_err(-err, "/dev/kvm: %s; load kvm_amd or "
				"kvm_intel, or turn on virtualization: "
				"dune-check says more", strerror(err));
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		close(fd);
		return dune_err(-ENOTSUP, "/dev/kvm: not KVM's API version "
				"%d; dune-check says more", KVM_API_VERSION);
	}
	for (i = 0; i < DUNE_ARRAY_SIZE(needed); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) > 0)
			continue;
		close(fd);
		return dune_err(-ENOTSUP, "/dev/kvm: this kernel's KVM has no "
				"%s; use Linux 5.10 or newer",
				needed[i].name);
	}
	return fd;
}

static struct kvm_cpuid_entry2 *leaf(struct dune_kvm_kind *kind,
				     uint32_t function, uint32_t index)
{
	unsigned int i;

	for (i = 0; i < kind->cpuids; i++)
		if (kind->cpuid[i].function == function &&
		    kind->cpuid[i].index == index)
			return &kind->cpuid[i];
	return NULL;
}

/* Asks KVM for its CPUID table and takes out what a program must not see. */
static int ask_cpuid(int kvm_fd, struct dune_kvm_kind *kind)
{
	union dune_cpuid id;
	struct kvm_cpuid_entry2 *e;

	memset(&id.head, 0, sizeof(id.head));
	id.head.nent = DUNE_MAX_CPUIDS;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &id) < 0)
		return dune_err(-errno, "KVM_GET_SUPPORTED_CPUID: %s",
				strerror(errno));
	kind->cpuids = id.head.nent;
	memcpy(kind->cpuid, id.head.entries,
	       id.head.nent * sizeof(id.head.entries[0]));

	kind->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	e = leaf(kind, 1, 0);
	if (e) {
		e->ecx &= ~(1u << 3 | 1u << 5);		/* MONITOR, VMX */
		if (e->ecx & 1u << 26)			/* XSAVE */
			kind->cr4 |= CR4_OSXSAVE;
	}
	e = leaf(kind, 7, 0);
	if (e) {
		e->ecx &= ~(1u << 3 | 1u << 4 | 1u << 7); /* PKU, SHSTK */
		e->edx &= ~(7u << 22 | 1u << 20);	/* AMX, IBT */
		e->edx &= ~(1u << 24 | 1u << 25);
		if (e->ebx & 1u)
			kind->cr4 |= CR4_FSGSBASE;
	}
	e = leaf(kind, 0x80000001, 0);
	if (e)
		e->ecx &= ~(1u << 2);			/* SVM */
	e = leaf(kind, 13, 0);
	if (e) {
		e->eax &= XCR0_GUEST;
		kind->xcr0 = e->eax;
	}
	e = leaf(kind, 0x80000008, 0);
	kind->gpa_bits = 36;
	if (e)
		kind->gpa_bits = (e->eax >> 16 & 0xff) ? (e->eax >> 16 & 0xff)
						       : (e->eax & 0xff);
	if (kind->gpa_bits > 46)
		kind->gpa_bits = 46;
	return 0;
}

static int ask_limits(int kvm_fd, struct dune_kvm_kind *kind)
{
	int size = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	int max = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	kind->xsave_size = size > (int)sizeof(struct kvm_xsave) ?
			   size : (int)sizeof(struct kvm_xsave);
	if (kind->xsave_size > 8192)
		return dune_err(-ENOTSUP, "KVM's XSAVE area is %u bytes, more "
				"than the 8192 handled here",
				kind->xsave_size);
	kind->max_vcpus = max > 0 ? max : 4;
	return 0;
}

int dune_kvm_ask(int kvm_fd, struct dune_kvm_kind *kind)
{
	int r;

	memset(kind, 0, sizeof(*kind));
	r = ask_cpuid(kvm_fd, kind);
	return r ? r : ask_limits(kvm_fd, kind);
}

/*
 * ---- the probe guest: ring 3 code, one exit a step. Its two pages, code and
 * data, are in the ring 0 area, which every VM has ----
 */

extern const char dune_probe_start[], dune_probe_end[];
extern const char dune_probe_tsc[], dune_probe_load[];

__asm__(
"	.section .rodata\n"
"	.globl dune_probe_start, dune_probe_end, dune_probe_tsc\n"
"	.globl dune_probe_load\n"
"dune_probe_start:\n"
"	rdfsbase %rax\n"
"dune_probe_tsc:\n"
"	rdtsc\n"
"	mov	%edx, %ebx\n"
"	syscall\n"
"dune_probe_load:\n"
"	mov	(%rdi), %rax\n"
"	syscall\n"
"dune_probe_end:\n"
"	.text\n");

static enum dune_exit step(struct dune_vcpu *c, dune_gva_t pages,
			   const char *code)
{
	enum dune_exit e;

	memset(&c->u, 0, sizeof(c->u));
	c->u.rip = pages + (code - dune_probe_start);
	c->u.rdi = pages + DUNE_PAGE_SIZE;
	c->edited = true;
	do
		e = dune_vcpu_run(c);
	while (e == DUNE_EXIT_INTR);
	return e;
}

static int map_probe(struct dune_vm *vm, dune_gva_t *pages)
{
	dune_gpa_t gpa;
	char *host = dune_ring0_pages(vm, 2 * DUNE_PAGE_SIZE, &gpa);

	if (!host)
		return dune_err(-ENOMEM, "the VM's ring 0 area is used up");
	memcpy(host, dune_probe_start, dune_probe_end - dune_probe_start);
	*pages = DUNE_RING0_GVA + gpa;
	return dune_pt_map_range(&vm->pt, *pages, 2 * DUNE_PAGE_SIZE, gpa,
				 DUNE_PTE_U | DUNE_PTE_A | DUNE_PTE_D);
}

/* Does the guest notice an entry that the host takes away? */
static bool notices_edits(struct dune_vm *vm, struct dune_vcpu *c,
			  dune_gva_t pages)
{
	bool split = false;

	if (step(c, pages, dune_probe_load) != DUNE_EXIT_SYSCALL)
		return false;
	dune_pt_unmap(&vm->pt, pages + DUNE_PAGE_SIZE, DUNE_PAGE_SIZE, &split);
	/* a root that differs: whatever is cached is flushed */
	c->run->s.regs.sregs.cr3 ^= CR3_PWT;
	return step(c, pages, dune_probe_load) == DUNE_EXIT_TRAP &&
	       c->trap_vector == 14;
}

static int run_probe(struct dune_vcpu *c, struct dune_kvm_kind *kind,
		     bool all)
{
	uint64_t before, after, seen;
	dune_gva_t pages = 0;
	enum dune_exit e;
	int r;

	r = map_probe(c->vm, &pages);
	if (r)
		return r;
	before = __rdtsc();
	e = step(c, pages, dune_probe_start);
	kind->fsgsbase = e == DUNE_EXIT_SYSCALL;
	if (e == DUNE_EXIT_TRAP)
		e = step(c, pages, dune_probe_tsc);
	if (e != DUNE_EXIT_SYSCALL)
		return dune_err(-ENOTSUP, "a probe guest did not run: %s",
				dune_errmsg());
	after = __rdtsc();
	seen = (uint32_t)c->u.rax | c->u.rbx << 32;
	kind->native_ring0 = (c->run->s.regs.sregs.cs.selector & 3) == 0;
	kind->tsc_matches = before <= seen && seen <= after;
	if (all)
		kind->host_pte_edits = notices_edits(c->vm, c, pages);
	return 0;
}

/*
 * The VM was made for a kind that turned out wrong. Tables under another root
 * are new to every cache; a few pages of the old ones are lost.
 */
static int start_over(struct dune_vm *vm, struct dune_vcpu *c)
{
	int r = dune_pt_init(&vm->pt);

	if (!r)
		r = dune_ring0_init(vm);
	return r ? r : dune_vcpu_restart(c);
}

int dune_vm_first(struct dune_vm *vm, int kvm_fd, int fd_floor,
		  struct dune_kvm_kind *kind)
{
	struct dune_vcpu *c;
	int r = dune_vm_create(vm, kvm_fd, fd_floor, kind, NULL);

	if (!r)
		r = dune_vcpu_get(vm, &c);
	if (!r)
		r = run_probe(c, kind, false);
	if (r)
		return r;
	vm->kind = *kind;
	/*
	 * A new VM is one for a software KVM. There the probe's pages stay
	 * mapped: the program can read a few instructions and zeroes.
	 */
	if (kind->native_ring0)
		r = start_over(vm, c);
	c->initial = true;
	dune_vcpu_put(c);
	return r;
}

/* The throw-away VM, until dune_kvm_probe_end(). */
static struct dune_vm *throw_away;

void dune_kvm_probe_end(void)
{
	if (throw_away)
		dune_vm_destroy(throw_away);
	free(throw_away);
	throw_away = NULL;
}

int dune_kvm_probe(int kvm_fd, struct dune_kvm_kind *kind, bool all)
{
	struct dune_vcpu *c;
	int r = dune_kvm_ask(kvm_fd, kind);

	if (r)
		return r;
	throw_away = malloc(sizeof(*throw_away));
	if (!throw_away)
		return dune_err(-ENOMEM, "no memory for a VM");
	r = dune_vm_create(throw_away, kvm_fd, 0, kind, NULL);
	if (!r)
		r = dune_vcpu_get(throw_away, &c);
	return r ? r : run_probe(c, kind, all);
}
