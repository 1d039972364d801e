/*
 * Page tables on the machine at hand: larger pages and their splitting,
 * accessed and dirty bits, direct edits with every kind of flush, flushes
 * across threads, PCIDs, snapshots, switching roots, a table that maps itself.
 */
#include "test.h"

#include <cpuid.h>
#include <sched.h>
#include <setjmp.h>
#include "dune/pgtable.h"

#define LARGE		(2ul << 20)
#define GIGA		(1ul << 30)
#define FREE_VA		0x300000000000ul	/* nothing of the process's */

static struct dune_caps caps = { .size = sizeof(caps) };

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
	return *seed >> 33;
}

static ptent_t *entry(const volatile void *va)
{
	ptent_t *pte;

	OK(dune_vm_lookup(dune_root_current(), (void *)va, 0, &pte));
	return pte;
}

static volatile uint64_t *page_with(uint64_t value)
{
	volatile uint64_t *p = map(PAGE, PROT_READ | PROT_WRITE);

	*p = value;
	return p;
}

/* ---- faults, told by a handler that steps over them ---- */

static struct {
	bool expected;
	int n;
	uint64_t addr;
} fault;
static sigjmp_buf back;

static enum dune_trap_action on_fault(struct dune_tf *tf, unsigned int vector,
				      uint64_t addr, void *arg)
{
	(void)vector, (void)arg;
	if (!fault.expected) {
		say("FAILED: rip %#lx, %#lx, error %#x, entry %#lx\n", tf->rip,
		    addr, tf->err, *entry((void *)addr));
		_exit(1);
	}
	fault.n++;
	fault.addr = addr;
	siglongjmp(back, 1);
}

#define FAULTS(access) do {						\
	fault.n = 0;							\
	fault.expected = true;						\
	if (!sigsetjmp(back, 0))					\
		access;							\
	fault.expected = false;						\
	CHECK(fault.n == 1);						\
} while (0)

/* ---- 2 MiB and 1 GiB ---- */

static char *large_map(size_t n)
{
	char *p = map((n + 1) * LARGE, PROT_READ | PROT_WRITE);

	p = (char *)(((uint64_t)p + LARGE - 1) & -LARGE);
	*(volatile char *)p = 1;
	return p;
}

static void two_megabytes(void)
{
	char *p = large_map(2);
	volatile uint64_t *word = (volatile uint64_t *)(p + 5 * PAGE);

	CHECK(*entry(p) & PTE_PS);
	*word = 5;
	word[512] = 6;
	OK(dune_vm_mprotect(pgroot, (void *)word, PAGE, PERM_R));
	CHECK(!(*entry(p) & PTE_PS));
	CHECK(word[0] == 5 && word[512] == 6);
	word[512] = 7;
	p[LARGE] = 1;
	FAULTS(*word = 8);
	CHECK(fault.addr == (uint64_t)word);
	OK(dune_vm_mprotect(pgroot, (void *)word, PAGE, PERM_R | PERM_W));
	*word = 8;
	CHECK(word[0] == 8 && word[512] == 7);
	/* by itself; and mapped as one again */
	CHECK(*entry(p + LARGE) & PTE_PS);
	OK(dune_vm_split(pgroot, p + LARGE, LARGE));
	CHECK(!(*entry(p + LARGE) & PTE_PS) && p[LARGE] == 1);
	OK(dune_vm_map_phys(pgroot, p, LARGE, (void *)dune_va_to_pa(p),
			    PERM_R | PERM_W | PERM_BIG));
	CHECK(*entry(p) & PTE_PS && word[0] == 8 && word[512] == 7);
}

/* A view of the first gigabyte of guest physical space. */
static void a_gigabyte(void)
{
	volatile uint64_t *p = page_with(77);
	uint64_t pa = dune_va_to_pa((void *)p);
	char *view = (char *)FREE_VA;
	int r = dune_vm_map_phys(pgroot, view, GIGA, 0, PERM_R | PERM_W |
				 PERM_BIG_1GB);

	if (!caps.pages_1g) {
		CHECK(r == -EINVAL);
		return;
	}
	OK(r);
	CHECK(pa && pa < GIGA);
	CHECK(*(volatile uint64_t *)(view + pa) == 77);
	*(volatile uint64_t *)(view + pa) = 78;
	CHECK(*p == 78);
	OK(dune_vm_split(pgroot, view + pa, 1));
	CHECK(*(volatile uint64_t *)(view + pa) == 78);
	dune_vm_unmap(pgroot, view + pa, PAGE);
	FAULTS(*(volatile uint64_t *)(view + pa) = 1);
	dune_vm_unmap(pgroot, view, GIGA);
	FAULTS(*(volatile uint64_t *)(view + pa + LARGE) = 1);
	CHECK(*p == 78);
}

/* ---- accessed and dirty ---- */

static void accessed_and_dirty(void)
{
	enum { N = 16 };
	const int all = DUNE_SCAN_ACCESSED | DUNE_SCAN_DIRTY;
	char *p = map(N * PAGE, PROT_READ | PROT_WRITE);
	uint64_t bits, read = 0, written = 0, seed = 3;
	int i, round;

	memset(p, 1, N * PAGE);
	for (round = 0; round < 20; round++) {
		CHECK(dune_vm_scan(pgroot, p, N * PAGE, all | DUNE_SCAN_CLEAR,
				   NULL) >= 0);
		read = next(&seed) & 0xffff;
		written = next(&seed) & 0xffff;
		for (i = 0; i < N; i++) {
			if (written >> i & 1)
				p[i * PAGE + 8] = i;
			if (read >> i & 1)
				*(volatile char *)(p + i * PAGE);
		}
		CHECK(dune_vm_scan(pgroot, p, N * PAGE, DUNE_SCAN_DIRTY,
				   &bits) >= 0);
		CHECK(bits == written);
		CHECK(dune_vm_scan(pgroot, p, N * PAGE, DUNE_SCAN_ACCESSED,
				   &bits) >= 0);
		CHECK(bits == (read | written));
	}
	CHECK(munmap(p, N * PAGE) == 0);
}

/* ---- direct edits ---- */

static void by_invlpg(const volatile void *va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static void by_cr3(const volatile void *va)
{
	uint64_t cr3;

	(void)va;
	__asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=&r"(cr3) : :
			 "memory");
}

static void by_one(const volatile void *va)
{
	dune_flush_tlb_one((uintptr_t)va);
}

static void by_own(const volatile void *va)
{
	(void)va;
	dune_flush_tlb();
}

static void by_all(const volatile void *va)
{
	(void)va;
	dune_flush_tlb_all();
}

static void by_load(const volatile void *va)
{
	(void)va;
	OK(dune_load_cr3((uint64_t)dune_root_current()));
}

static void invpcid(uint64_t type, const volatile void *va)
{
	struct {
		uint64_t pcid;
		const volatile void *va;
	} d = { 0, va };

	__asm__ volatile("invpcid %0, %1" : : "m"(d), "r"(type) : "memory");
}

static void by_invpcid_address(const volatile void *va)
{
	invpcid(0, va);
}

static void by_invpcid_context(const volatile void *va)
{
	invpcid(1, va);
}

static void by_invpcid_all(const volatile void *va)
{
	invpcid(2, va);
}

static void by_invpcid_no_global(const volatile void *va)
{
	invpcid(3, va);
}

static void (*const flush[])(const volatile void *va) = {
	by_invlpg, by_cr3, by_one, by_own, by_all, by_load,
	by_invpcid_address, by_invpcid_context, by_invpcid_all,
	by_invpcid_no_global,
};

static bool has_invpcid(void)
{
	unsigned int a, b = 0, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 10 & 1;
}

/* Two pages that change places, again and again. */
static void direct_edits(void)
{
	volatile uint64_t *p = page_with(1), *q = page_with(2);
	const int n = has_invpcid() ? 10 : 6;
	ptent_t *pe = entry(p), *qe = entry(q), e;
	int i;

	for (i = 0; i < 10 * n; i++) {
		CHECK(*p == (i % 2 ? 2 : 1) && *q == (i % 2 ? 1 : 2));
		e = *pe;
		__atomic_store_n(pe, *qe, __ATOMIC_SEQ_CST);
		__atomic_store_n(qe, e, __ATOMIC_SEQ_CST);
		flush[i % n](p);
		flush[i % n](q);
	}
	/* rights that go, rights that come */
	*pe &= ~PTE_W;
	dune_flush_tlb_one((uintptr_t)p);
	FAULTS(*p = 9);
	*pe |= PTE_W;
	dune_flush_tlb_one((uintptr_t)p);
	*p = 1;
	*pe &= ~PTE_P;
	dune_flush_tlb_one((uintptr_t)p);
	FAULTS(*p = 9);
	*pe |= PTE_P;		/* needs no flush */
	CHECK(*p == 1);
}

/* ---- flushes across threads ---- */

#define READERS 3

static volatile uint64_t *shared;
static int question, answers;
static uint64_t answer[READERS];

static void *reader(void *arg)
{
	int asked = 0, now, spins = 0;

	OK(dune_enter());
	for (;;) {
		*shared;		/* keeps the translation warm */
		now = __atomic_load_n(&question, __ATOMIC_SEQ_CST);
		if (now < 0)
			return NULL;
		if (now == asked) {
			if (++spins % 64 == 0)
				sched_yield();
			continue;
		}
		asked = now;
		answer[(long)arg] = *shared;
		__atomic_fetch_add(&answers, 1, __ATOMIC_SEQ_CST);
	}
}

static void ask(uint64_t expected)
{
	int i;

	answers = 0;
	__atomic_fetch_add(&question, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&answers, __ATOMIC_SEQ_CST) < READERS)
		sched_yield();
	for (i = 0; i < READERS; i++)
		CHECK(answer[i] == expected);
}

static void other_threads(void)
{
	volatile uint64_t *p = page_with(100), *q = page_with(200);
	const void *pa[] = { (void *)dune_va_to_pa((void *)p),
			     (void *)dune_va_to_pa((void *)q) };
	pthread_t t[READERS];
	ptent_t *e;
	long i;

	shared = p;
	for (i = 0; i < READERS; i++)
		CHECK(pthread_create(&t[i], NULL, reader, (void *)i) == 0);
	ask(100);
	for (i = 1; i <= times(40, 3); i++) {
		if (i % 2) {
			OK(dune_vm_map_phys(pgroot, (void *)p, PAGE,
					    (void *)pa[i & 1],
					    PERM_R | PERM_W));
		} else {
			e = entry(p);
			*e = PTE_FLAGS(*e) | (uint64_t)pa[i & 1];
			dune_flush_tlb_all();
		}
		ask(i & 1 ? 200 : 100);
	}
	__atomic_store_n(&question, -1, __ATOMIC_SEQ_CST);
	for (i = 0; i < READERS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

/* ---- roots ---- */

#define ROOTS 4

/* The same address is another page in each; with and without flushes. */
static void switching(void)
{
	volatile uint64_t *p = page_with(0);
	ptent_t *root[ROOTS];
	uint64_t seed = 11, keep;
	int i, r;

	for (r = 1; r < ROOTS; r++) {
		root[r] = dune_root_new(DUNE_ROOT_FOLLOW);
		CHECK(root[r]);
		OK(dune_vm_map_pages(root[r], (void *)p, PAGE,
				     PERM_R | PERM_W));
	}
	root[0] = pgroot;
	for (r = 0; r < ROOTS; r++) {
		OK(dune_root_switch(root[r], r));
		CHECK(dune_root_current() == root[r]);
		*p = r;
	}
	for (i = 0; i < times(2000, 500); i++) {
		r = next(&seed) % ROOTS;
		keep = next(&seed) & 1 ? CR3_NOFLUSH : 0;
		OK(dune_root_switch(root[r], r | keep));
		CHECK(*p == (uint64_t)r);
	}
	CHECK(dune_root_switch(NULL, 0) == -EINVAL);
	CHECK(dune_load_cr3((uint64_t)p) == -EINVAL);
	OK(dune_root_switch(pgroot, 0));
	for (r = 1; r < ROOTS; r++)
		dune_vm_free(root[r]);
	CHECK(*p == 0);
}

/*
 * On a stack that both roots share: a private one would be another after each
 * switch.
 */
static void *snapshots(void *arg)
{
	enum { N = 64 };
	volatile uint64_t *p = map(N * PAGE, PROT_READ | PROT_WRITE);
	uint64_t seed = 5, live[N], old[N];
	ptent_t *clone;
	int i, k;

	(void)arg;
	OK(dune_enter());
	for (i = 0; i < N; i++)
		p[i * 512] = old[i] = live[i] = i;
	clone = dune_vm_clone(pgroot);
	CHECK(clone);
	for (i = 0; i < 200; i++) {
		k = next(&seed) % N;
		OK(dune_root_switch(i & 1 ? clone : pgroot, 0));
		CHECK(p[k * 512] == (i & 1 ? old : live)[k]);
		p[k * 512] = (i & 1 ? old : live)[k] = 1000 + i;
	}
	OK(dune_root_switch(pgroot, 0));
	for (i = 0; i < N; i++)
		CHECK(p[i * 512] == live[i]);
	dune_vm_free(clone);
	p[0] = 1;
	CHECK(munmap((void *)p, N * PAGE) == 0);
	return NULL;
}

static void on_shared_stack(void *(*f)(void *))
{
	const size_t len = 64 * PAGE;
	void *stack = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t t;

	CHECK(stack != MAP_FAILED);
	pthread_attr_init(&attr);
	CHECK(pthread_attr_setstack(&attr, stack, len) == 0);
	CHECK(pthread_create(&t, &attr, f, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
}

/* What CR3 is while root is current. */
static uint64_t cr3_of(ptent_t *root)
{
	uint64_t cr3;

	CHECK(dune_root_current() == root);
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return cr3;
}

/* The tables seen through themselves; freed as others are, once. */
static void maps_itself(void)
{
	const unsigned int slot = 300;
	struct dune_page_counts before, after;
	ptent_t *root, *self, *one, *two;
	volatile uint64_t *p = page_with(4);

	dune_page_counts(&before);
	root = dune_root_new(DUNE_ROOT_FOLLOW);
	CHECK(root);
	OK(dune_vm_map_pages(root, (void *)p, PAGE, PERM_R | PERM_W));
	OK(dune_root_switch(root, 0));
	*p = 5;
	root[slot] = PTE_ADDR(cr3_of(root)) | PTE_P | PTE_W | PTE_A | PTE_D |
		     (root[0] & (PTE_U | DUNE_PTE_SUPER));
	dune_flush_tlb();
	self = (ptent_t *)(~0ul << 48 | (uint64_t)slot << 39 |
			   (uint64_t)slot << 30 | (uint64_t)slot << 21 |
			   (uint64_t)slot << 12);
	CHECK(self[slot] == root[slot]);
	CHECK(*p == 5);
	OK(dune_root_switch(pgroot, 0));
	CHECK(*p == 4);
	dune_vm_free(root);
	dune_page_counts(&after);
	CHECK(after.tables_used == before.tables_used);
	CHECK(after.used == before.used);
	one = dune_root_new(0);
	two = dune_root_new(0);
	CHECK(one && two && one != two);
	dune_vm_free(one);
	dune_vm_free(two);
}

int main(void)
{
	OK(dune_caps(&caps));
	OK(dune_enter());
	OK(dune_trap_set(DUNE_VEC_PF, 0, on_fault, NULL));
	two_megabytes();
	say("2 MiB\n");
	a_gigabyte();
	say("1 GiB\n");
	accessed_and_dirty();
	say("accessed and dirty\n");
	direct_edits();
	say("direct edits\n");
	other_threads();
	say("other threads\n");
	switching();
	say("roots\n");
	on_shared_stack(snapshots);
	say("snapshots\n");
	maps_itself();
	OK(dune_leave());
	say("page tables\n");
	return 0;
}
