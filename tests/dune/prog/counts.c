/*
 * What Dune mode is for: traps, changes of page tables, switches of the address
 * space and ring 3 cost no exit to the host side, and a forwarded system
 * call, or a batch of them, costs one.
 *
 * KVM's own statistics count: fpu_reload is how often KVM_RUN returned.
 */
#include "test.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include "dune/gc.h"
#include "dune/pgtable.h"
#include "dune/ring3.h"
#include "dune/syscall.h"

#define PAGE	4096ul
#define PAGES	50

static int stats = -1;
static off_t returns;	/* where the count is in stats */
static char *area, *code;
static int moves;

/* The statistics of this thread's vCPU, the only one. False: there are none. */
static int open_stats(void)
{
	struct kvm_stats_header head;
	char desc[256], path[64];
	struct kvm_stats_desc *d = (void *)desc;
	size_t size;

	for (int i = 0; i < 2000 && stats < 0; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
		if (readlink(path, desc, sizeof(desc)) > 19 &&
		    !strncmp(desc, "anon_inode:kvm-vcpu", 19))
			stats = ioctl(i, KVM_GET_STATS_FD, 0);
	}
	if (stats < 0)
		return 0;
	CHECK(pread(stats, &head, sizeof(head), 0) == sizeof(head));
	size = sizeof(*d) + head.name_size;
	CHECK(size <= sizeof(desc));
	for (unsigned int i = 0; i < head.num_desc; i++) {
		CHECK(pread(stats, desc, size, head.desc_offset + i * size) ==
		      (ssize_t)size);
		if (!strcmp(d->name, "fpu_reload"))
			returns = head.data_offset + d->offset;
	}
	return returns > 0;
}

/* Itself a forwarded call. */
static long exits_so_far(void)
{
	uint64_t n;

	CHECK(pread(stats, &n, sizeof(n), returns) == sizeof(n));
	return n;
}

/* Of op(0) to op(PAGES - 1), at best: a stray signal makes one more. */
static long exits(void (*op)(int))
{
	long before, reading, n, best = -1;

	for (int round = 0; round < 4; round++) {
		before = exits_so_far();
		reading = exits_so_far() - before;
		for (int i = 0; i < PAGES; i++)
			op(i);
		n = exits_so_far() - before - 2 * reading;
		if (best < 0 || n < best)
			best = n;
	}
	return best;
}

static void at_most(long most, const char *what, void (*op)(int))
{
	long n = exits(op);

	say("%s: %ld exits in %d\n", what, n, PAGES);
	CHECK(n >= 0 && n <= most);
}

static void no_exit(const char *what, void (*op)(int))
{
	at_most(0, what, op);
}

static enum dune_trap_action on_trap(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	ptent_t *e;

	(void)arg;
	if (vector == DUNE_VEC_UD)
		tf->rip += 2;
	if (vector != DUNE_VEC_PF)
		return DUNE_TRAP_RESUME;
	if (addr - (uintptr_t)area >= PAGES * PAGE ||
	    dune_vm_lookup(pgroot, (void *)addr, CREATE_NONE, &e))
		return DUNE_TRAP_PASS;
	*e |= PTE_P | PTE_W;
	return DUNE_TRAP_RESUME;
}

static void breakpoint(int i)
{
	(void)i;
	__asm__ volatile("int3");
}

static void undefined(int i)
{
	(void)i;
	__asm__ volatile("ud2");
}

static void store(int i)
{
	*(volatile char *)(area + i * PAGE) = i;
}

static void page_fault(int i)
{
	ptent_t *e;

	CHECK(dune_vm_lookup(pgroot, area + i * PAGE, CREATE_NONE, &e) == 0);
	*e &= ~PTE_P;
	dune_flush_tlb_one((uintptr_t)area + i * PAGE);
	store(i);
	CHECK(*e & PTE_P);
}

static void protect(int i)
{
	char *p = area + i * PAGE;

	CHECK(dune_vm_mprotect(pgroot, p, PAGE, PERM_NONE) == 0);
	CHECK(dune_vm_mprotect(pgroot, p, PAGE, PERM_R) == 0);
	store(i);
	CHECK(dune_vm_mprotect(pgroot, p, PAGE, PERM_R | PERM_W) == 0);
}

static void appel2(int i)
{
	(void)i;
	CHECK(dune_vm_mprotect(pgroot, area, PAGES * PAGE, PERM_NONE) == 0);
	for (int k = 0; k < PAGES; k++)
		store(k * 17 % PAGES);
}

static void dirty(int i)
{
	long n = dune_vm_scan(pgroot, area, PAGES * PAGE, DUNE_SCAN_DIRTY |
			      DUNE_SCAN_CLEAR, NULL);

	CHECK(n == (i ? 1 : PAGES));
	store(i);
	if (i == PAGES - 1)	/* the next round begins with all */
		for (int k = 0; k < PAGES; k++)
			store(k);
}

/* The same where others may be in system calls that write. */
static void dirty_all(int i)
{
	struct dune_gc_range r = { area, PAGES * PAGE, NULL, 0 };

	store(i);
	CHECK(dune_gc_scan(&r, 1, DUNE_SCAN_DIRTY | DUNE_SCAN_CLEAR) >= 1);
}

static void *reader(void *fd)
{
	char c;

	CHECK(read(*(int *)fd, &c, 1) == 1);
	return NULL;
}

/* Told of a scan: on a software KVM with what takes the right to write. */
static void with_another_inside(int exits_for_each)
{
	pthread_t t;
	int fds[2];

	CHECK(!pipe(fds) && !pthread_create(&t, NULL, reader, fds));
	at_most(exits_for_each * PAGES, "dirty bits, two threads", dirty_all);
	CHECK(write(fds[1], "", 1) == 1 && !pthread_join(t, NULL));
}

static void move(int i)
{
	struct dune_vm_move m = { code + PAGE, code + 2 * PAGE, PAGE };

	(void)i;
	if (moves++ & 1)
		m = (struct dune_vm_move){ m.to, m.from, PAGE };
	CHECK(dune_vm_move(pgroot, &m, 1) == 0);
}

static void switch_root(int i)
{
	static ptent_t *root;

	if (!root)
		root = dune_root_new(DUNE_ROOT_FOLLOW);
	CHECK(root && dune_root_switch(root, 0) == 0);
	store(i);
	CHECK(dune_root_switch(pgroot, 0) == 0);
}

static enum dune_trap_action on_call(struct dune_tf *tf, unsigned int vector,
				     uint64_t addr, void *arg)
{
	(void)vector;
	(void)addr;
	(void)arg;
	if (tf->rax == 1)
		dune_ret_from_user(7);
	tf->rax = 1;
	return DUNE_TRAP_RESUME;
}

/* In a page of its own: a call, and another with what that returned. */
static void ring3(int i)
{
	static const unsigned char program[] = {
		0x31, 0xc0,		/* xor %eax, %eax */
		0x0f, 0x05,		/* syscall */
		0x0f, 0x05,		/* syscall */
		0x0f, 0x0b,		/* ud2 */
	};
	struct dune_tf tf = {
		.rip = (uintptr_t)code, .rsp = (uintptr_t)code + PAGE - 64,
		.rflags = 0x202,
	};

	(void)i;
	memcpy(code, program, sizeof(program));
	CHECK(dune_jump_to_user(&tf) == 7);
}

static void call(int i)
{
	(void)i;
	CHECK(syscall(SYS_getppid) > 0);
}

static void batch(int i)
{
	struct dune_syscall c[64];

	(void)i;
	for (int k = 0; k < 64; k++)
		c[k] = (struct dune_syscall){ .nr = SYS_getppid };
	CHECK(dune_syscall_batch(c, 64, 0) == 64 && c[63].ret > 0);
}

int main(void)
{
	struct dune_caps caps = { .size = sizeof(caps) };

	OK(dune_caps(&caps));
	OK(dune_enter());
	if (!open_stats())
		SKIP("this KVM has no statistics");
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	code = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED && code != MAP_FAILED);
	memset(area, 1, PAGES * PAGE);
	memset(code, 1, 3 * PAGE);
	CHECK(dune_vm_fill(pgroot, area, PAGES * PAGE) == 0);
	CHECK(dune_vm_split(pgroot, area, PAGES * PAGE) == 0);
	CHECK(dune_vm_split(pgroot, code, 3 * PAGE) == 0);
	OK(dune_trap_set(DUNE_VEC_BP, 0, on_trap, NULL));
	OK(dune_trap_set(DUNE_VEC_UD, 0, on_trap, NULL));
	OK(dune_trap_set(DUNE_VEC_PF, 0, on_trap, NULL));
	OK(dune_trap_set(DUNE_VEC_CALL, 0, on_call, NULL));

	no_exit("int3", breakpoint);
	no_exit("ud2", undefined);
	no_exit("a page fault resolved", page_fault);
	no_exit("rights of a page", protect);
	no_exit("rights of all pages, a fault on each", appel2);
	at_most(caps.exits_dirty * PAGES, "dirty bits", dirty);
	with_another_inside(caps.exits_dirty ? 1 : 2);
	no_exit("a page moved", move);
	no_exit("another root and back", switch_root);
	CHECK(dune_vm_mprotect(pgroot, code, PAGE, PERM_R | PERM_W | PERM_X |
			       PERM_U) == 0);
	if (caps.native_ring0 || caps.fsgsbase)
		no_exit("ring 3 and back", ring3);
	at_most(PAGES, "a forwarded call", call);
	at_most(PAGES, "64 calls at once", batch);
	say("done\n");
	return 0;
}
