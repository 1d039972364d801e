/*
 * A program as they were written for the original libdune: its headers, its
 * names, nothing else. In the style of its tests: dune_test.c, sandbox, bench.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libdune/dune.h"
#include "libdune/cpu-x86.h"

static int divided, faulted, called, signalled, walked, mappings, segments;
static char *mem;

static void divide_by_zero_handler(struct dune_tf *tf)
{
	divided++;
	tf->rip += 2;
}

static void pgflt_handler(uintptr_t addr, uint64_t fec, struct dune_tf *tf)
{
	ptent_t *pte;
	int ret;

	(void)tf;
	assert(addr - (uintptr_t)mem < PGSIZE && (fec & FEC_W));
	ret = dune_vm_lookup(pgroot, (void *)addr, CREATE_NONE, &pte);
	assert(ret == 0);
	*pte |= PTE_P | PTE_W | PTE_A | PTE_D;
	dune_flush_tlb_one(addr);
	faulted++;
}

static void syscall_handler(struct dune_tf *tf)
{
	called++;
	switch (tf->rax) {
	case SYS_getpid:
		dune_passthrough_syscall(tf);
		break;
	case SYS_exit:
		dune_ret_from_user(ARG0(tf));
	default:
		tf->rax = ARG0(tf) + ARG1(tf) + ARG2(tf);
	}
}

static void signal_handler(struct dune_tf *tf)
{
	assert(tf->rip && tf->rsp);
	signalled++;
}

static void plain_handler(int sig)
{
	signalled += sig;
}

static int count_ptes(const void *arg, ptent_t *pte, void *va)
{
	assert(arg == &walked && (*pte & PTE_P) && va);
	walked++;
	return 0;
}

static void count_mappings(const struct dune_procmap_entry *e)
{
	assert(e->begin < e->end && e->path);
	mappings++;
}

static int count_segments(struct dune_elf *elf, Elf64_Phdr *phdr)
{
	assert(elf->hdr.e_machine == EM_X86_64);
	segments += phdr->p_type == PT_LOAD;
	return 0;
}

/* getpid, a call of ours with three arguments, exit(what they gave). */
static const unsigned char user_code[] = {
	0xb8, 39, 0, 0, 0, 0x0f, 0x05,			/* getpid */
	0x48, 0x89, 0xc3,				/* mov %rax, %rbx */
	0xb8, 0xe8, 3, 0, 0,				/* mov $1000, %eax */
	0xbf, 10, 0, 0, 0, 0xbe, 20, 0, 0, 0,		/* 10, 20 */
	0xba, 7, 0, 0, 0, 0x0f, 0x05,			/* 7 */
	0x89, 0xc7,					/* mov %eax, %edi */
	0xb8, 60, 0, 0, 0, 0x0f, 0x05,			/* exit */
};

static void test_user(void)
{
	char *code = dune_mmap(NULL, 2 * PGSIZE, PROT_READ | PROT_WRITE |
			       PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dune_tf tf;
	int ret;

	memset(code, 0, 2 * PGSIZE);
	memcpy(code, user_code, sizeof(user_code));
	ret = dune_vm_mprotect(pgroot, code, 2 * PGSIZE,
			       PERM_R | PERM_W | PERM_X | PERM_U);
	assert(ret == 0);
	memset(&tf, 0, sizeof(tf));
	tf.rip = (unsigned long)code;
	tf.rsp = (unsigned long)code + 2 * PGSIZE - 64;
	tf.rflags = FL_IF;
	dune_set_user_fs(dune_get_user_fs());
	ret = dune_jump_to_user(&tf);
	printf("user returned %d after %d calls\n", ret, called);
	assert(ret == 37 && called == 3);
}

/* As the sandbox of the original does it: all calls pass, but for exit. */
static void sandbox_handler(struct dune_tf *tf)
{
	called++;
	if (tf->rax == SYS_exit_group)
		dune_ret_from_user(ARG0(tf));
	dune_passthrough_syscall(tf);
}

/* dune_init(true): ring 3 sees what the process has mapped. */
static void user_main(void)
{
	char *copy = malloc(100);
	unsigned short cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	strcpy(copy, "ring 3: printf, malloc");
	printf("%s, %s\n", copy, (cs & 3) == 3 ? "privilege level 3" : "?");
	fflush(stdout);
	free(copy);
	_exit(getpid() == *(volatile int *)&signalled ? 1 : 9);
}

static void test_sandbox(void)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	struct dune_tf tf;
	int ret;

	memset(&tf, 0, sizeof(tf));
	tf.rip = (unsigned long)user_main;
	tf.rsp = (unsigned long)stack + sizeof(stack) - 8;
	tf.rflags = FL_IF;
	called = 0;
	dune_register_syscall_handler(sandbox_handler);
	ret = dune_jump_to_user(&tf);
	assert(ret == 9 && called >= 3);
}

#define MAP_ADDR 0x400000000000

static void open_page(uintptr_t addr, uint64_t fec, struct dune_tf *tf)
{
	ptent_t *pte;

	assert(addr == MAP_ADDR && (fec & FEC_U) && (tf->cs & 3));
	dune_vm_lookup(pgroot, (void *)addr, 0, &pte);
	*pte |= PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	faulted++;
}

static void user_touch(void)
{
	*(volatile char *)MAP_ADDR = 1;
	_exit(*(volatile char *)MAP_ADDR);
}

/* A page of ring 0's, which the handler opens as bench_dune_ring.c did. */
static void test_user_fault(void)
{
	static char stack[4096] __attribute__((aligned(16)));
	struct dune_tf tf;
	int ret;

	ret = dune_vm_map_pages(pgroot, (void *)MAP_ADDR, 1, PERM_R);
	assert(ret == 0);
	dune_register_pgflt_handler(open_page);
	memset(&tf, 0, sizeof(tf));
	tf.rip = (unsigned long)user_touch;
	tf.rsp = (unsigned long)stack + sizeof(stack) - 8;
	faulted = 0;
	ret = dune_jump_to_user(&tf);
	assert(ret == 1 && faulted == 1 && *(char *)MAP_ADDR == 1);
	dune_vm_unmap(pgroot, (void *)MAP_ADDR, 1);
	dune_register_pgflt_handler(pgflt_handler);
}

static void test_pages(void)
{
	struct page *pg = dune_page_alloc();
	ptent_t *root, *pte;
	int ret;

	mem = mmap(NULL, PGSIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mem[0] = 1;
	ret = dune_vm_lookup(pgroot, mem, CREATE_NORMAL, &pte);
	assert(ret == 0 && (*pte & PTE_P));
	assert(PTE_ADDR(*pte) == dune_va_to_pa(mem));
	*pte &= ~(PTE_W | PTE_P);
	dune_flush_tlb_one((unsigned long)mem);
	mem[0] = 2;
	assert(faulted == 1 && mem[0] == 2);

	assert(pg && dune_pa2page(dune_page2pa(pg)) == pg);
	dune_page_get(pg);
	dune_page_put(pg);
	dune_page_put(pg);
	ret = dune_vm_map_phys(pgroot, (void *)0x300000000000, PGSIZE,
			       (void *)dune_va_to_pa(mem), PERM_R | PERM_W);
	assert(ret == 0 && *(char *)0x300000000000 == 2);
	dune_vm_unmap(pgroot, (void *)0x300000000000, PGSIZE);
	ret = dune_vm_map_pages(pgroot, (void *)0x300000000000, 3 * PGSIZE,
				PERM_R | PERM_W);
	assert(ret == 0);
	strcpy((char *)0x300000001000, "pool");
	ret = dune_vm_page_walk(pgroot, (void *)0x300000000000,
				(void *)0x300000002fff, count_ptes, &walked);
	assert(ret == 0 && walked == 3);

	root = dune_vm_clone(pgroot);
	assert(root);
	mem[0] = 3;
	ret = dune_vm_lookup(root, mem, CREATE_NONE, &pte);
	pg = dune_pa2page(PTE_ADDR(*pte));
	assert(ret == 0 && pg && *(char *)dune_page_va(pg) == 2);
	dune_vm_free(root);
	load_cr3((unsigned long)pgroot | CR3_NOFLUSH);
	dune_flush_tlb();
	dune_page_stats();
	printf("page tables\n");
}

static void test_maps_and_elf(const char *self)
{
	struct dune_elf elf;
	int ret;

	dune_procmap_iterate(count_mappings);
	assert(mappings > 5);
	memset(&elf, 0, sizeof(elf));
	ret = dune_elf_open(&elf, self);
	assert(ret == 0);
	ret = dune_elf_iter_ph(&elf, count_segments);
	assert(ret == 0 && segments >= 2);
	dune_elf_close(&elf);
	printf("mappings, segments\n");
}

int main(int argc, char *argv[])
{
	volatile int ret;
	unsigned long ticks = dune_get_ticks();

	(void)argc;
	ret = dune_init_and_enter();
	if (ret) {
		printf("failed to initialize dune\n");
		return ret;
	}
	dune_register_intr_handler(T_DIVIDE, divide_by_zero_handler);
	dune_register_pgflt_handler(pgflt_handler);
	dune_register_syscall_handler(syscall_handler);
	dune_register_signal_handler(SIGUSR1, signal_handler);
	dune_signal(SIGUSR2, plain_handler);

	__asm__ volatile("idivl %%ecx" : : "a"(1), "d"(0), "c"(0) : "cc");
	assert(divided == 1);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	assert(signalled == 1 + SIGUSR2);
	test_pages();
	fflush(stdout);
	test_user();
	fflush(stdout);
	test_sandbox();
	test_user_fault();
	test_maps_and_elf(argv[0]);

	fflush(stdout);
	if (!fork()) {
		assert(dune_enter() == 0);
		__asm__ volatile("idivl %%ecx" : : "a"(1), "d"(0), "c"(0)
				 : "cc");
		_exit(divided == 2 ? 5 : 1);
	}
	wait((int *)&ret);
	assert(WEXITSTATUS(ret) == 5 && dune_get_ticks() > ticks);
	fflush(stdout);
	dune_printf("hello from %s\n", "the past");
	return 0;
}
