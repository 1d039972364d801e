/* Virtual CPUs: making them, entering the guest, reading why it left. */
#include "kern/vm/vm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/mm/uaccess.h"
#include "kern/vm/mailbox.h"
#include "kern/vm/ring0.h"

/* rflags ring 3 may have: all but IOPL, VM, VIF, VIP; bit 1 and IF always. */
#define RFLAGS_USER	0x244dd5ul
#define RFLAGS_ALWAYS	0x202ul

#define INT3		0xcc
#define INT		0xcd	/* and a vector */

#define PF_RESERVED	(1u << 3)	/* page fault error code */

static int set_cpuid(struct dune_vcpu *c)
{
	const struct dune_kvm_kind *kind = &c->vm->kind;
	union dune_cpuid id;

	memset(&id.head, 0, sizeof(id.head));
	id.head.nent = kind->cpuids;
	memcpy(id.head.entries, kind->cpuid,
	       kind->cpuids * sizeof(kind->cpuid[0]));
	if (ioctl(c->fd, KVM_SET_CPUID2, &id) < 0)
		return dune_err(-errno, "KVM refused the CPUID table: %s",
				strerror(errno));
	return 0;
}

/* The guest's TSC is the host's, where KVM lets us say so. */
static void share_tsc(struct dune_vcpu *c)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	/* Failure shows in the probe: then there is no vDSO. */
	ioctl(c->fd, KVM_SET_DEVICE_ATTR, &attr);
}

static int set_registers(struct dune_vcpu *c)
{
	union {
		struct kvm_msrs head;
		char room[sizeof(struct kvm_msrs) +
			  DUNE_RING0_MSRS * sizeof(struct kvm_msr_entry)];
	} msrs;
	struct kvm_sregs *sregs = &c->run->s.regs.sregs;
	int n;

	if (ioctl(c->fd, KVM_GET_SREGS, sregs) < 0)
		return dune_err(-errno, "KVM_GET_SREGS: %s", strerror(errno));
	dune_ring0_sregs(c->vm, c->block, sregs);
	if (ioctl(c->fd, KVM_SET_SREGS, sregs) < 0)
		return dune_err(-errno, "KVM refused the system registers: %s",
				strerror(errno));
	memset(&msrs, 0, sizeof(msrs));
	n = dune_ring0_msrs(msrs.head.entries);
	msrs.head.nmsrs = n;
	if (ioctl(c->fd, KVM_SET_MSRS, &msrs) != n)
		return dune_err(-EIO, "KVM refused the system call MSRs");
	if (c->vm->kind.xcr0) {
		struct kvm_xcrs xcrs = {
			.nr_xcrs = 1,
			.xcrs[0].value = c->vm->kind.xcr0,
		};

		if (ioctl(c->fd, KVM_SET_XCRS, &xcrs) < 0)
			return dune_err(-errno, "KVM refused XCR0 %#lx: %s",
					c->vm->kind.xcr0, strerror(errno));
	}
	c->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return 0;
}

static int make_vcpu(struct dune_vm *vm, struct dune_vcpu *c)
{
	int r = dune_ring0_block(vm, &c->block);

	if (r)
		return r;
	c->vm = vm;
	c->id = vm->vcpus;
	c->fd = ioctl(vm->fd, KVM_CREATE_VCPU, c->id);
	if (c->fd < 0)
		return dune_err(-EAGAIN, "KVM cannot make vCPU %u: %s", c->id,
				strerror(errno));
	c->fd = dune_vm_take_fd(vm, c->fd);
	if (c->fd < 0)
		return dune_err(-EAGAIN, "no descriptor left for a vCPU: "
				"raise ulimit -n");
	vm->vcpus++;
	vm->run_size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	c->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      c->fd, 0);
	if (c->run == MAP_FAILED) {
		close(c->fd);
		return dune_err(-ENOMEM, "no memory for a vCPU");
	}
	r = set_cpuid(c);
	if (!r) {
		share_tsc(c);
		r = set_registers(c);
	}
	if (r) {
		munmap(c->run, vm->run_size);
		close(c->fd);
	}
	return r;
}

/* As a new thread finds it, but for the FPU state: no kick pending. */
static void reset(struct dune_vcpu *c)
{
	memset(&c->u, 0, sizeof(c->u));
	c->fs_base = c->gs_base = 0;
	c->edited = true;
	c->user_mode = true;
	c->last = DUNE_EXIT_INTR;
	c->run->immediate_exit = 0;
	dune_mailbox_reset(c);
}

int dune_vcpu_get(struct dune_vm *vm, struct dune_vcpu **vcpu)
{
	struct dune_vcpu *c;
	int r = 0;

	pthread_mutex_lock(&vm->lock);
	c = vm->free_vcpus;
	if (c) {
		vm->free_vcpus = c->next_free;
		r = c->initial ? 0 : dune_vcpu_set_xsave(c, NULL);
		c->initial = false;
	} else {
		/* not malloc: in Dune mode the program may be inside it */
		c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		r = c != MAP_FAILED ? make_vcpu(vm, c) : -ENOMEM;
		if (r) {
			if (c != MAP_FAILED)
				munmap(c, sizeof(*c));
			goto out;
		}
		c->next_all = vm->all_vcpus;
		vm->all_vcpus = c;
	}
	reset(c);
	*vcpu = c;
out:
	pthread_mutex_unlock(&vm->lock);
	return r;
}

void dune_vcpu_put(struct dune_vcpu *c)
{
	struct dune_vm *vm = c->vm;

	pthread_mutex_lock(&vm->lock);
	c->next_free = vm->free_vcpus;
	vm->free_vcpus = c;
	pthread_mutex_unlock(&vm->lock);
}

int dune_vcpu_restart(struct dune_vcpu *c)
{
	int r = dune_ring0_block(c->vm, &c->block);

	return r ? r : set_registers(c);
}

/* ---- leaving: from KVM's registers to the user register file ---- */

/* A frame that the CPU pushed, seen from the host. */
struct frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

static bool on_trap_stack(const struct dune_vcpu *c, uint64_t rsp, size_t len)
{
	uint64_t lo = DUNE_RING0_GVA + c->block + DUNE_PAGE_SIZE;
	uint64_t hi = DUNE_RING0_GVA + c->block + DUNE_BLOCK_STACK_TOP;

	return rsp >= lo && rsp <= hi - len && !(rsp & 7);
}

/*
 * Takes the user's rip, rflags and rsp from the trap frame at rsp. The stack
 * is guest memory: copied once, then used. False: not a frame from ring 3.
 */
static bool user_from_frame(struct dune_vcpu *c, bool error_code)
{
	uint64_t rsp = c->run->s.regs.regs.rsp;
	struct frame f;
	const char *host;

	if (!on_trap_stack(c, rsp, sizeof(f) + 8 * error_code))
		return false;
	host = c->vm->ring0 + (rsp - DUNE_RING0_GVA);
	if (error_code) {
		memcpy(&c->trap_error, host, sizeof(c->trap_error));
		host += 8;
	} else {
		c->trap_error = 0;
	}
	memcpy(&f, host, sizeof(f));
	if ((f.cs & 3) != 3)
		return false;
	c->u.rip = f.rip;
	c->u.rflags = f.rflags;
	c->u.rsp = f.rsp;
	return true;
}

static bool has_error_code(unsigned int vector)
{
	return (0x60227d00u >> vector) & 1;
}

static void user_from_syscall(struct dune_vcpu *c)
{
	c->u.rip = c->u.rcx;
	c->u.rflags = c->u.r11;
}

static enum dune_exit left_by_port(struct dune_vcpu *c)
{
	const struct kvm_run *run = c->run;
	unsigned int vector = run->io.port - DUNE_PORT_TRAP;
	uint64_t rip = run->s.regs.regs.rip;
	/* KVM leaves rip at the `out` or after it, by how it was handled. */
	uint64_t entry = DUNE_RING0_GVA + DUNE_RING0_SYSCALL;
	uint64_t stub;
	enum dune_exit e;

	if (run->io.port == DUNE_PORT_SYSCALL &&
	    dune_mailbox_found(c, true, &e))
		return e;
	if (run->io.port == DUNE_PORT_SYSCALL && !c->root &&
	    (rip == DUNE_SITES_GVA || rip == DUNE_SITES_GVA + DUNE_OUT_LEN)) {
		c->u.rip = c->u.rcx;
		c->u.r11 = c->u.rflags;
		return DUNE_EXIT_SYSCALL;
	}
	if (run->io.port == DUNE_PORT_SYSCALL) {
		if (rip != entry && rip != entry + DUNE_OUT_LEN) {
			/* ring 3 used the port by itself: as without it */
			c->trap_vector = 13;
			c->trap_error = 0;
			c->u.rip = rip;
			c->edited = true;
			return DUNE_EXIT_TRAP;
		}
		user_from_syscall(c);
		return DUNE_EXIT_SYSCALL;
	}
	stub = DUNE_RING0_GVA + DUNE_RING0_TRAPS +
	       vector * (uint64_t)DUNE_TRAP_STUB;
	if (vector >= DUNE_TRAPS ||
	    (rip != stub && rip != stub + DUNE_OUT_LEN)) {
		dune_err(-EIO, "the guest used I/O port %#x at %#llx",
			 run->io.port, (unsigned long long)rip);
		return DUNE_EXIT_DEAD;
	}
	if (!user_from_frame(c, has_error_code(vector))) {
		dune_err(-EIO, "guest ring 0 itself took trap %u (rsp %#llx)",
			 vector, (unsigned long long)run->s.regs.regs.rsp);
		return DUNE_EXIT_DEAD;
	}
	c->trap_vector = vector;
	c->trap_cr2 = run->s.regs.sregs.cr2;
	/* Our entries set no reserved bit; a software KVM reports them. */
	if (vector == 14)
		c->trap_error &= ~PF_RESERVED;
	return DUNE_EXIT_TRAP;
}

bool dune_vcpu_exception_waits(const struct dune_vcpu *c)
{
	struct kvm_vcpu_events ev;
	uint8_t before[2];

	if (!c->vm->kind.native_ring0 &&
	    memcmp(&c->u, &c->entered, sizeof(c->u)) &&
	    !dune_copy_in(before, c->u.rip - sizeof(before), sizeof(before)) &&
	    (before[1] == INT3 || (before[0] == INT && before[1] == 3)))
		return true;
	return !ioctl(c->fd, KVM_GET_VCPU_EVENTS, &ev) &&
	       (ev.exception.injected || ev.exception.pending);
}

/*
 * Interrupted in the middle of a stub? Before its `out` the guest must go on
 * to leave by itself (user_mode false); after it, the user's registers are
 * already what the stub would load, so it is as good as in ring 3.
 */
static enum dune_exit left_by_signal(struct dune_vcpu *c)
{
	uint64_t off = c->u.rip - DUNE_RING0_GVA;
	bool ring3 = (c->run->s.regs.sregs.cs.selector & 3) == 3;
	enum dune_exit e;

	if (dune_mailbox_found(c, false, &e))
		return e;
	c->user_mode = true;
	if (!c->root && c->u.rip == DUNE_SITES_GVA) {
		c->user_mode = false;
	} else if (off >= DUNE_RING0_SYSCALL &&
	    off < DUNE_RING0_SYSCALL + DUNE_PAGE_SIZE) {
		if (off < DUNE_RING0_SYSCALL + DUNE_OUT_LEN) {
			c->user_mode = false;
		} else if (!ring3 || !c->vm->kind.native_ring0) {
			user_from_syscall(c);
			c->edited = true;
		}
	} else if (!ring3 && off >= DUNE_RING0_TRAPS &&
		   off < DUNE_RING0_IDT) {
		unsigned int in = off % DUNE_TRAP_STUB;
		unsigned int vector = (off - DUNE_RING0_TRAPS) /
				      DUNE_TRAP_STUB;
		bool code = has_error_code(vector);

		/* out (2), [add $8,%rsp (4)], iretq */
		if (in < DUNE_OUT_LEN ||
		    !user_from_frame(c, code && in < DUNE_OUT_LEN + 4))
			c->user_mode = false;
		else
			c->edited = true;
	} else {
		c->user_mode = !dune_vcpu_exception_waits(c);
	}
	return DUNE_EXIT_INTR;
}

static enum dune_exit left(struct dune_vcpu *c)
{
	const struct kvm_run *run = c->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.direction == KVM_EXIT_IO_OUT)
			return left_by_port(c);
		/* Only ring 0 gets here; ring 3's `in` is a #GP. */
		dune_err(-EIO, "the guest read I/O port %#x", run->io.port);
		return DUNE_EXIT_DEAD;
	case KVM_EXIT_INTR:
		return left_by_signal(c);
	case KVM_EXIT_HLT:
		dune_err(-EIO, "guest ring 0 halted at %#llx",
			 (unsigned long long)c->u.rip);
		return DUNE_EXIT_DEAD;
	case KVM_EXIT_MMIO:
		dune_err(-EIO, "the guest's tables point at %#llx, where no "
			 "memory is (rip %#llx)",
			 (unsigned long long)run->mmio.phys_addr,
			 (unsigned long long)c->u.rip);
		return DUNE_EXIT_DEAD;
	case KVM_EXIT_SHUTDOWN:
		dune_err(-EIO, "the guest's CPU shut down (triple fault) at "
			 "%#llx", (unsigned long long)c->u.rip);
		return DUNE_EXIT_DEAD;
	case KVM_EXIT_FAIL_ENTRY:
		dune_err(-EIO, "the CPU refused to enter the guest (reason "
			 "%#llx)", (unsigned long long)
			 run->fail_entry.hardware_entry_failure_reason);
		return DUNE_EXIT_DEAD;
	case KVM_EXIT_INTERNAL_ERROR:
		dune_err(-EIO, "KVM could not go on with the guest at %#llx "
			 "(internal error %u)", (unsigned long long)c->u.rip,
			 run->internal.suberror);
		return DUNE_EXIT_DEAD;
	default:
		dune_err(-EIO, "unexpected KVM exit %u at %#llx",
			 run->exit_reason, (unsigned long long)c->u.rip);
		return DUNE_EXIT_DEAD;
	}
}

/* ---- entering: from the user register file to KVM's ---- */

static void enter_anew(struct dune_vcpu *c)
{
	struct kvm_sregs *sregs = &c->run->s.regs.sregs;
	struct kvm_regs *regs = &c->run->s.regs.regs;

	*regs = c->u;
	regs->rflags = (c->u.rflags & RFLAGS_USER) | RFLAGS_ALWAYS;
	dune_ring0_user_segments(sregs);
	sregs->fs.base = c->fs_base;
	sregs->gs.base = c->gs_base;
	c->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

/*
 * A fault where the VM's root has got an entry since a vCPU's own one was made.
 * Entries are never taken back.
 */
static void sync_root(struct dune_vcpu *c)
{
	const uint64_t *from = c->vm->pt.host(c->vm->pt.ctx, c->vm->pt.root);
	unsigned int i = dune_pt_root_slot(c->trap_cr2);

	if (i != dune_pt_root_slot(DUNE_SITES_GVA))
		__atomic_store_n(&c->root[i], __atomic_load_n(&from[i],
				 __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

static void prepare(struct dune_vcpu *c)
{
	struct kvm_regs *regs = &c->run->s.regs.regs;

	if (c->root && c->last == DUNE_EXIT_TRAP)
		sync_root(c);
	if (c->edited) {
		enter_anew(c);
	} else if (c->last == DUNE_EXIT_SYSCALL) {
		regs->rax = c->u.rax;
		/* sysretq takes them; entry code may have used them */
		regs->rcx = c->u.rcx;
		regs->r11 = c->u.r11;
		if (!c->vm->kind.native_ring0) {
			/* still in ring 3: straight back to the caller */
			regs->rip = c->u.rip;
			regs->rflags = (c->u.rflags & RFLAGS_USER) |
				       RFLAGS_ALWAYS;
		}
		c->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	}
	c->edited = false;
}

enum dune_exit dune_vcpu_run(struct dune_vcpu *c)
{
	int r, err;

	prepare(c);
	/* else what waited then is still to come */
	if (c->user_mode)
		c->entered = c->run->s.regs.regs;
	if (c->box)
		dune_mailbox_enter(c);
	r = ioctl(c->fd, KVM_RUN, 0);
	err = r < 0 ? errno : 0;
	if (c->box)
		dune_mailbox_leave(c);
	c->exits++;
	c->run->kvm_dirty_regs = 0;
	c->u = c->run->s.regs.regs;
	c->fs_base = c->run->s.regs.sregs.fs.base;
	c->gs_base = c->run->s.regs.sregs.gs.base;
	c->user_mode = true;
	if (!err) {
		c->last = left(c);
	} else if (err == EINTR || err == EAGAIN) {
		c->last = left_by_signal(c);
	} else if (err == EFAULT) {
		c->last = DUNE_EXIT_EFAULT;
	} else {
		dune_err(-err, "KVM_RUN: %s", strerror(err));
		c->last = DUNE_EXIT_DEAD;
	}
	return c->last;
}

void dune_vcpu_kick(struct dune_vcpu *c)
{
	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

void dune_vcpu_unkick(struct dune_vcpu *c)
{
	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/* ---- extended state ---- */

int dune_vcpu_get_xsave(struct dune_vcpu *c, void *area)
{
	bool big = c->vm->kind.xsave_size > sizeof(struct kvm_xsave);

	if (ioctl(c->fd, big ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area) < 0)
		return dune_err(-errno, "KVM_GET_XSAVE: %s", strerror(errno));
	return 0;
}

int dune_vcpu_set_xsave(struct dune_vcpu *c, const void *area)
{
	/* FCW and MXCSR as after FNINIT and reset; XSTATE_BV 0: initial */
	static const struct {
		uint16_t fcw;
		uint8_t pad[22];
		uint32_t mxcsr;
		uint8_t rest[8192 - 28];
	} initial __attribute__((aligned(64))) = {
		.fcw = 0x37f, .mxcsr = 0x1f80,
	};

	if (ioctl(c->fd, KVM_SET_XSAVE, area ? area : &initial) < 0)
		return dune_err(-errno, "KVM refused the FPU state: %s",
				strerror(errno));
	return 0;
}
