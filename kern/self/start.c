/* The process's VM, its threads' memory, and entering Dune mode. */
#include <asm/prctl.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "dune/trap.h"
#include "kern/err.h"
#include "kern/policy/policy.h"
#include "kern/self/fds.h"
#include "kern/self/self.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"
#include "kern/vm/ring0.h"

struct dune_self dune_self = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_FMASK	0xc0000084
#define RFLAGS_START	0x202ul

extern const char dune_guest_syscall[];
extern const char dune_self_entered[];
long dune_self_switch(struct dune_sthread *t, void *top,
		      void (*start)(struct dune_sthread *, dune_gva_t));

static const struct dune_policy all_allowed;

/* The program may read and write its page tables: they are memory of its. */
static uint64_t table_flags(const struct dune_vm *vm)
{
	return DUNE_PTE_W | DUNE_PTE_A | DUNE_PTE_D | DUNE_PTE_NX |
	       (vm->kind.native_ring0 ? 0 : DUNE_PTE_U | DUNE_PTE_SUPER);
}

static int map_tables(struct dune_vm *vm)
{
	const uint64_t flags = table_flags(vm);
	size_t at;
	int r = 0;

	for (at = DUNE_RING0_TABLES; !r && at < DUNE_RING0_BLOCKS;
	     at += DUNE_LARGE_SIZE)
		r = dune_pt_map_large(&vm->pt, DUNE_RING0_GVA + at, at, flags);
	return r;
}

/*
 * The trap dispatcher resolves the faults of everything else, so its own code
 * and data must be there first, and stay: the image this function is in.
 */
static int fill_image(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t us = (uintptr_t)fill_image;
	const ElfW(Phdr) *p = info->dlpi_phdr;
	uintptr_t at, end;
	bool ours = false;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++)
		ours |= p[i].p_type == PT_LOAD &&
			us - info->dlpi_addr - p[i].p_vaddr < p[i].p_memsz;
	for (i = 0; ours && i < info->dlpi_phnum; i++) {
		if (p[i].p_type != PT_LOAD)
			continue;
		at = (info->dlpi_addr + p[i].p_vaddr) & DUNE_LARGE_MASK;
		end = info->dlpi_addr + p[i].p_vaddr + p[i].p_memsz;
		for (; at < end; at += DUNE_LARGE_SIZE)
			dune_smem_fill(arg, at);
		if (!dune_self.image)
			dune_self.image = info->dlpi_addr + p[i].p_vaddr;
		dune_self.image_len = end - dune_self.image;
	}
	return ours;
}

static int make_vm(void)
{
	struct dune_kvm_kind kind;
	const int floor = dune_fds_floor();
	int r;

	dune_self.kvm_fd = dune_kvm_open();
	if (dune_self.kvm_fd < 0)
		return dune_self.kvm_fd;
	dune_self.vm.fd_floor = floor;
	dune_self.kvm_fd = dune_vm_take_fd(&dune_self.vm, dune_self.kvm_fd);
	if (dune_self.kvm_fd < 0)
		return dune_err(-EMFILE, "no descriptor left for /dev/kvm: "
				"raise ulimit -n");
	r = dune_kvm_probe(dune_self.kvm_fd, &kind, true);
	dune_kvm_probe_end();
	if (!r)
		r = dune_vm_create(&dune_self.vm, dune_self.kvm_fd, floor,
				   &kind, (void *)DUNE_RING0_GVA);
	if (!r)
		r = map_tables(&dune_self.vm);
	if (!r)
		r = dune_smem_init(&dune_self.mem, &dune_self.vm);
	if (!r && dune_self.open_memory)
		dune_self.mem.super = DUNE_PTE_U;
	if (r) {
		dune_vm_destroy(&dune_self.vm);
		close(dune_self.kvm_fd);
		return r;
	}
	dl_iterate_phdr(fill_image, &dune_self.mem);
	return 0;
}

int dune_self_alias(void)
{
	struct dune_vm *vm = &dune_self.vm;
	int r;

	dune_smem_lock(&dune_self.mem);
	r = dune_vm_alias(vm, table_flags(vm));
	dune_smem_unlock(&dune_self.mem);
	return r;
}

/*
 * From now on the dispositions are ours to mirror. Handlers that there are
 * stay the program's; threads outside Dune mode run them natively.
 */
static int take_signals(void)
{
	struct dune_proc *p = &dune_self.proc;
	int sig;

	pthread_mutex_init(&p->lock, NULL);
	p->policy = &all_allowed;
	for (sig = 1; sig <= DUNE_NSIG; sig++) {
		if (DUNE_SIG_KERNEL & DUNE_SIGBIT(sig))
			continue;
		if (dune_host_syscall(SYS_rt_sigaction, sig, 0,
				      (long)&p->action[sig], 8, 0, 0))
			return dune_err(-EIO, "rt_sigaction");
		dune_signal_mirror(sig, &p->action[sig]);
	}
	return 0;
}

int dune_self_make(int (*attach)(void))
{
	int r = 0;

	pthread_mutex_lock(&dune_self.lock);
	if (!dune_self.made) {
		r = make_vm();
		if (!r)
			r = attach();
		if (!r)
			r = take_signals();
		dune_self.made = !r;
	}
	pthread_mutex_unlock(&dune_self.lock);
	return r;
}

void dune_self_forget(void)
{
	if (!dune_self.made)
		return;
	dune_vm_destroy(&dune_self.vm);
	close(dune_self.kvm_fd);
	memset(&dune_self.vm, 0, sizeof(dune_self.vm));
	dune_smem_destroy(&dune_self.mem);
	dune_self.threads = NULL;
	dune_self.active = 0;
	dune_self.free_blocks = NULL;
	dune_self.blocks = 0;
	dune_self.made = false;
	pthread_mutex_init(&dune_self.lock, NULL);
}

int dune_sthread_registers(struct dune_sthread *t, dune_gpa_t root)
{
	struct dune_vcpu *c = t->task.vcpu;
	struct kvm_sregs *s = &c->run->s.regs.sregs;
	union {
		struct kvm_msrs head;
		char room[sizeof(struct kvm_msrs) +
			  3 * sizeof(struct kvm_msr_entry)];
	} m;

	dune_block_sregs(c->vm, t->pc, root, s);
	if (ioctl(c->fd, KVM_SET_SREGS, s) < 0)
		return dune_err(-EIO, "KVM refused the system registers: %s",
				strerror(errno));
	memset(&m, 0, sizeof(m));
	m.head.nmsrs = 3;
	m.head.entries[0].index = MSR_STAR;
	m.head.entries[0].data = (uint64_t)DUNE_SEL_STAR_USER << 48 |
				 (uint64_t)DUNE_SEL_KERN_CS << 32;
	m.head.entries[1].index = MSR_LSTAR;
	m.head.entries[1].data = dune_block_label(t->pc, dune_guest_syscall);
	m.head.entries[2].index = MSR_FMASK;
	m.head.entries[2].data = DUNE_FMASK;
	if (ioctl(c->fd, KVM_SET_MSRS, &m) != 3)
		return dune_err(-EIO, "KVM refused the system call MSRs");
	c->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return 0;
}

static int take_block(struct dune_percpu **pc)
{
	int r = 0;

	pthread_mutex_lock(&dune_self.lock);
	*pc = dune_self.free_blocks;
	if (*pc)
		dune_self.free_blocks = *(struct dune_percpu **)*pc;
	else
		r = dune_block_make(&dune_self.vm, dune_self.blocks, pc);
	if (!r && *pc == dune_block_at(&dune_self.vm, dune_self.blocks))
		dune_self.blocks++;
	pthread_mutex_unlock(&dune_self.lock);
	return r;
}

/* One mapping: guard, host stack, this structure, native frame and fpstate. */
#define STHREAD_FRAME	1024
#define STHREAD_XSAVE	2048
#define STHREAD_TOP	DUNE_HOST_STACK
#define STHREAD_SIZE	(DUNE_HOST_STACK + 4 * DUNE_PAGE_SIZE)

int dune_sthread_new(struct dune_sthread **out)
{
	char *mem = mmap(NULL, STHREAD_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dune_sthread *t;
	int r;

	if (mem == MAP_FAILED)
		return dune_err(-ENOMEM, "no memory for a thread's stack");
	mprotect(mem, DUNE_PAGE_SIZE, PROT_NONE);
	t = (struct dune_sthread *)(mem + STHREAD_TOP);
	t->frame = (struct dune_sigframe *)((char *)t + STHREAD_FRAME + 8);
	t->xsave = (uint8_t *)t + STHREAD_XSAVE;
	r = take_block(&t->pc);
	if (r)
		goto fail;
	dune_block_init(&dune_self.vm, t->pc);
	t->pc->dispatch = dune_self.dispatch;
	dune_self.vm.fd_floor = dune_fds_floor();
	r = dune_vcpu_get(&dune_self.vm, &t->task.vcpu);
	if (r)
		goto fail;
	t->task.proc = &dune_self.proc;
	t->task.orig_rax = -1;
	r = dune_sthread_registers(t, dune_self.vm.pt.root);
	if (r)
		goto fail;
	pthread_mutex_lock(&dune_self.lock);
	t->next = dune_self.threads;
	dune_self.threads = t;
	pthread_mutex_unlock(&dune_self.lock);
	*out = t;
	return 0;
fail:
	dune_sthread_free(t);
	return r;
}

static void unlink_thread(struct dune_sthread *t)
{
	struct dune_sthread **p;

	for (p = &dune_self.threads; *p && *p != t; p = &(*p)->next)
		;
	if (*p)
		*p = t->next;
}

void dune_sthread_release(struct dune_sthread *t)
{
	pthread_mutex_lock(&dune_self.lock);
	unlink_thread(t);
	if (t->pc) {
		*(struct dune_percpu **)t->pc = dune_self.free_blocks;
		dune_self.free_blocks = t->pc;
	}
	pthread_mutex_unlock(&dune_self.lock);
	if (t->task.vcpu)
		dune_vcpu_put(t->task.vcpu);
}

void dune_sthread_memory(struct dune_sthread *t, void **addr, size_t *len)
{
	*addr = (char *)t - STHREAD_TOP;
	*len = STHREAD_SIZE;
}

void dune_sthread_free(struct dune_sthread *t)
{
	dune_sthread_release(t);
	munmap((char *)t - STHREAD_TOP, STHREAD_SIZE);
}

/* On the host stack. Signals are blocked. */
static void start(struct dune_sthread *t, dune_gva_t rsp)
{
	struct dune_task *task = &t->task;
	struct dune_vcpu *c = task->vcpu;

	memset(&c->u, 0, sizeof(c->u));
	c->u.rip = (uintptr_t)dune_self_entered;
	c->u.rsp = rsp;
	c->u.rflags = RFLAGS_START;
	c->edited = true;
	dune_signal_open(task);
	dune_self_loop(t);
}

/* The x87 and SSE control words, which a function call keeps. */
static int copy_control(struct dune_vcpu *c)
{
	uint8_t area[8192] __attribute__((aligned(64)));
	uint32_t mxcsr = __builtin_ia32_stmxcsr();
	uint64_t bv = 3;
	uint16_t fcw;

	__asm__("fnstcw %0" : "=m"(fcw));
	if (mxcsr == 0x1f80 && fcw == 0x37f)
		return dune_vcpu_set_xsave(c, NULL);
	memset(area, 0, sizeof(area));
	memcpy(area, &fcw, sizeof(fcw));
	memcpy(area + 24, &mxcsr, sizeof(mxcsr));
	memcpy(area + 512, &bv, sizeof(bv));
	return dune_vcpu_set_xsave(c, area);
}

/* The C library's registration (glibc 2.35 on), see calls.c. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
#define RSEQ_LEN	32
#define RSEQ_SIG	0x53053053ul

static void suspend_rseq(struct dune_sthread *t, uint64_t fs)
{
	struct dune_rseq r = { 0, RSEQ_LEN, RSEQ_SIG };

	if (!&__rseq_offset || !__rseq_size)
		return;
	r.addr = fs + __rseq_offset;
	if (!dune_host_syscall(SYS_rseq, r.addr, r.len, DUNE_RSEQ_UNREGISTER,
			       r.sig, 0, 0))
		t->rseq = r;
}

int dune_self_enter_thread(struct dune_sthread *t)
{
	struct dune_task *task = &t->task;
	struct dune_vcpu *c = task->vcpu;
	const struct dune_sigstack off = { .flags = SS_DISABLE };
	uint64_t all = ~0ul;
	int r = copy_control(c);

	if (r)
		return r;
	dune_host_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all,
			  (long)&task->sigmask, 8, 0, 0);
	dune_host_syscall(SYS_sigaltstack, (long)&off, (long)&task->altstack,
			  0, 0, 0, 0);
	if (task->altstack.flags & SS_DISABLE)
		task->altstack = off;
	dune_host_syscall(SYS_arch_prctl, ARCH_GET_FS, (long)&c->fs_base, 0,
			  0, 0, 0);
	dune_host_syscall(SYS_arch_prctl, ARCH_GET_GS, (long)&c->gs_base, 0,
			  0, 0, 0);
	suspend_rseq(t, c->fs_base);
	/* a stack and TLS that were mapped behind our back */
	dune_smem_fill(&dune_self.mem, c->fs_base);
	dune_smem_fault(&dune_self.mem, c->fs_base, DUNE_PF_WRITE);
	t->pc->kern_fs = t->pc->user_fs = c->fs_base;
	t->pc->in_user = 0;
	task->tid = dune_host_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
	t->pc->tid = task->tid;
	task->slot_full = 0;
	task->held = 0;
	task->temp_mask_set = false;
	dune_vcpu_unkick(c);
	t->active = true;
	__atomic_fetch_add(&dune_self.active, 1, __ATOMIC_SEQ_CST);
	dune_current = task;
	return dune_self_switch(t, t, start);
}
