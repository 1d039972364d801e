/*
 * Programs that break their own Dune mode: each ends by the signal it would get
 * natively, or by SIGABRT and a line that says why; never in a hang. (What
 * takes the very pages away that tell about a fault spins at the worst, as it
 * does on a bare machine, and a signal ends it.)
 */
#include "test.h"

#include <poll.h>
#include <sys/resource.h>
#include "dune/pgtable.h"
#include "kern/self/percpu.h"

#define UNMAPPED	0x123456000ul
#define NOT_CANONICAL	0x800000000000ul
#define LIMIT_MS	(getenv("DUNE_RIG") ? 60000 : 20000)

static void ud2(void)
{
	__asm__ volatile("ud2");
}

static enum dune_trap_action again(struct dune_tf *tf, unsigned int vector,
				   uint64_t addr, void *arg)
{
	(void)tf, (void)vector, (void)addr, (void)arg;
	ud2();
	return DUNE_TRAP_RESUME;
}

/* ---- handlers ---- */

static void set(unsigned int vector, uint64_t handler)
{
	OK(dune_trap_set(vector, 0, (dune_trap_handler *)handler, NULL));
}

static void handler_not_mapped(void)
{
	set(DUNE_VEC_UD, UNMAPPED);
	ud2();
}

static void handler_not_canonical(void)
{
	set(DUNE_VEC_UD, NOT_CANONICAL);
	ud2();
}

static void handler_is_data(void)
{
	static char data[16];

	set(DUNE_VEC_UD, (uint64_t)data);
	ud2();
}

/* The fault of the bad address comes to the bad address. */
static void fault_handler_not_mapped(void)
{
	set(DUNE_VEC_PF, UNMAPPED);
	*(volatile char *)UNMAPPED;
}

static void handler_traps_again(void)
{
	set(DUNE_VEC_UD, (uint64_t)again);
	ud2();
}

/* ---- the stack ---- */

#define ON_STACK(address) do {						\
	__asm__ volatile("mov %0, %%rsp\n\tpush %%rax" : :		\
			 "r"(address) : "memory");			\
	__builtin_unreachable();					\
} while (0)

static void stack_not_canonical(void)
{
	ON_STACK(NOT_CANONICAL + 64);
}

static void stack_not_mapped(void)
{
	ON_STACK(UNMAPPED);
}

static void on_signal(int sig)
{
	(void)sig;
	_exit(3);
}

/* A signal that has a handler, and nowhere to put its frame. */
static void signal_without_stack(void)
{
	signal(SIGUSR1, on_signal);
	__asm__ volatile("mov %0, %%rsp\n\tsyscall" : :
			 "r"(UNMAPPED), "a"(SYS_kill), "D"(getpid()),
			 "S"(SIGUSR1) : "memory");
}

static void frame_not_canonical(struct dune_tf *tf)
{
	tf->rip = NOT_CANONICAL;
}

static enum dune_trap_action spoil(struct dune_tf *tf, unsigned int vector,
				   uint64_t addr, void *arg)
{
	(void)vector, (void)addr;
	((void (*)(struct dune_tf *))arg)(tf);
	return DUNE_TRAP_RESUME;
}

static void frame_is_spoilt(void)
{
	OK(dune_trap_set(DUNE_VEC_UD, 0, spoil, frame_not_canonical));
	ud2();
}

static uint64_t handler_stack;

static enum dune_trap_action note(struct dune_tf *tf, unsigned int vector,
				  uint64_t addr, void *arg)
{
	(void)vector, (void)addr, (void)arg;
	handler_stack = (uint64_t)__builtin_frame_address(0);
	tf->rip += 2;
	return DUNE_TRAP_RESUME;
}

/* By the entries themselves: the functions refuse. */
static void unmap_page(uint64_t va)
{
	ptent_t *pte;

	CHECK(munmap((void *)(va & -PAGE), PAGE) < 0);
	OK(dune_vm_lookup(pgroot, (void *)va, 0, &pte));
	*pte = 0;
	dune_flush_tlb_one(va);
}

static void handler_stack_unmapped(void)
{
	set(DUNE_VEC_UD, (uint64_t)note);
	ud2();
	unmap_page(handler_stack);
	ud2();
}

/* A page of the thread's block, which holds the handler stack too. */
static void without_page(uint64_t offset)
{
	set(DUNE_VEC_UD, (uint64_t)note);
	ud2();
	unmap_page((handler_stack & -(uint64_t)DUNE_PC_SIZE) + offset);
	ud2();
}

static void block_unmapped(void)
{
	without_page(0);
}

static void stubs_unmapped(void)
{
	without_page(DUNE_PC_STUBS);
}

static void idt_unmapped(void)
{
	without_page(DUNE_PC_IDT);
}

static void ist_unmapped(void)
{
	without_page(DUNE_PC_IST_TOP - PAGE);
}

/* ---- tables ---- */

static void table_pointer(const char *lidt, uint64_t base)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) d = { 0xfff, base };

	if (lidt)
		__asm__ volatile("lidt %0" : : "m"(d));
	else
		__asm__ volatile("lgdt %0" : : "m"(d));
}

static void idt_not_mapped(void)
{
	table_pointer("lidt", UNMAPPED);
	ud2();
}

static void idt_of_garbage(void)
{
	static char garbage[4096];

	memset(garbage, 0xa5, sizeof(garbage));
	table_pointer("lidt", (uint64_t)garbage);
	ud2();
}

static void gdt_of_garbage(void)
{
	static char garbage[4096];

	memset(garbage, 0xa5, sizeof(garbage));
	table_pointer(NULL, (uint64_t)garbage);
	set(DUNE_VEC_UD, (uint64_t)note);
	ud2();
}

/* ---- CR3 ---- */

static void cr3(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
	*(volatile char *)UNMAPPED;
}

/* A page of zeros, of the program's own. */
static void cr3_maps_nothing(void)
{
	struct page *pg = dune_page_alloc();

	CHECK(pg);
	cr3(dune_page2pa(pg));
}

static void cr3_leads_nowhere(void)
{
	cr3(1ul << 38);
}

static void cr3_has_reserved_bits(void)
{
	cr3(~0ul << 52);
}

/* ---- page tables ---- */

static void entry_leads_nowhere(void)
{
	char *p = map(PAGE, PROT_READ | PROT_WRITE);
	ptent_t *pte;

	*p = 1;
	OK(dune_vm_lookup(pgroot, p, 0, &pte));
	*pte = (*pte & ~0x000ffffffffff000ul) | 1ul << 35;
	dune_flush_tlb();
	*(volatile char *)p;
}

static void entry_has_reserved_bits(void)
{
	char *p = map(PAGE, PROT_READ | PROT_WRITE);
	ptent_t *pte;

	*p = 1;
	OK(dune_vm_lookup(pgroot, p, 0, &pte));
	*pte |= 1ul << 51;
	dune_flush_tlb();
	*(volatile char *)p;
}

/* A page of its own: without the library's code nothing can be reported. */
static void unmaps_its_own_code(void)
{
	char *code = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);

	*code = '\xc3';
	((void (*)(void))code)();
	dune_vm_unmap(pgroot, code, PAGE);
	((void (*)(void))code)();
}

/* ---- where there is nothing to execute ---- */

static void jump(uint64_t to)
{
	((void (*)(void))to)();
}

static void jump_to_unmapped(void)
{
	jump(UNMAPPED);
}

static void jump_to_data(void)
{
	jump((uint64_t)map(PAGE, PROT_READ | PROT_WRITE));
}

static void jump_not_canonical(void)
{
	jump(NOT_CANONICAL);
}

static void jump_to_kernel(void)
{
	jump(~0ul << 23);
}

/* ---- all of them ---- */

#define SAME	1	/* natively as well */
#define SPINS	2	/* may spin as a bare machine does, until a signal */
#define NONE	4	/* an emulated ring 0 may do without */

static const struct {
	const char *name;
	void (*run)(void);
	int sig;		/* SIGABRT: and a line; 0: or a fault's */
	const char *line;	/* of which this is a part */
	unsigned int flags;
} ends[] = {
#define END(f, ...) { #f, f, __VA_ARGS__ }
	END(handler_not_mapped, SIGSEGV, NULL, 0),
	END(handler_not_canonical, SIGSEGV, NULL, 0),
	END(handler_is_data, SIGSEGV, NULL, 0),
	END(fault_handler_not_mapped, SIGABRT, "handler stack", 0),
	END(handler_traps_again, SIGABRT, "handler stack", 0),
	END(stack_not_canonical, 0, NULL, SAME),
	END(stack_not_mapped, SIGSEGV, NULL, SAME),
	END(signal_without_stack, SIGSEGV, NULL, SAME),
	END(frame_is_spoilt, SIGSEGV, NULL, 0),
	END(handler_stack_unmapped, SIGABRT, "trap entry", 0),
	END(block_unmapped, SIGABRT, "trap entry", SPINS),
	END(stubs_unmapped, 0, NULL, SPINS),
	END(idt_unmapped, SIGABRT, "triple fault", 0),
	END(ist_unmapped, SIGABRT, "triple fault", 0),
	END(idt_not_mapped, 0, "triple fault", 0),
	END(idt_of_garbage, 0, "triple fault", 0),
	END(gdt_of_garbage, 0, "triple fault", NONE),
	END(cr3_maps_nothing, 0, "triple fault", 0),
	END(cr3_leads_nowhere, 0, NULL, SPINS),
	END(cr3_has_reserved_bits, 0, NULL, 0),
	END(entry_leads_nowhere, SIGABRT, "no memory is", 0),
	END(entry_has_reserved_bits, SIGSEGV, NULL, 0),
	END(unmaps_its_own_code, SIGSEGV, NULL, 0),
	END(jump_to_unmapped, SIGSEGV, NULL, SAME),
	END(jump_to_data, SIGSEGV, NULL, SAME),
	END(jump_not_canonical, SIGSEGV, NULL, SAME),
	END(jump_to_kernel, SIGSEGV, NULL, SAME),
};

#define N_ENDS	(sizeof(ends) / sizeof(ends[0]))

/* The signal that it ends by, and what it says; SIGKILL: it hangs. */
static int run(unsigned int i, bool dune, char *text, size_t size)
{
	const bool spins = ends[i].flags & SPINS;
	struct pollfd p = { .events = POLLIN };
	size_t n = 0;
	ssize_t got = 1;
	int fd[2], status, limit = spins ? 300 : LIMIT_MS;
	pid_t pid;

	CHECK(pipe(fd) == 0);
	pid = fork();
	if (!pid) {
		dup2(fd[1], 2);
		if (dune)
			OK(dune_enter());
		ends[i].run();
		_exit(0);
	}
	close(fd[1]);
	p.fd = fd[0];
	while (got > 0) {
		if (poll(&p, 1, limit) == 1) {
			got = read(fd[0], text + n, size - 1 - n);
			n += got > 0 ? got : 0;
		} else {
			kill(pid, limit == LIMIT_MS ? SIGKILL : SIGTERM);
			limit = LIMIT_MS;
		}
	}
	text[n] = '\0';
	close(fd[0]);
	status = reap(pid);
	CHECK(WIFSIGNALED(status) || (ends[i].flags & NONE && !status));
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL;
}

static bool good(unsigned int i, int sig, const char *text)
{
	const char *line = strstr(text, "dune: Dune mode cannot go on: ");

	if (!sig)
		return !*text;
	if (sig == SIGTERM)
		return ends[i].flags & SPINS && !*text;
	if (ends[i].sig && sig != ends[i].sig)
		return false;
	if (sig != SIGABRT)
		return is_fault(sig) && !*text;
	return line && strchr(line, '\n') == strrchr(text, '\n') &&
	       (!ends[i].line || strstr(line, ends[i].line));
}

static void check(unsigned int i)
{
	char text[1000];
	int natively = 0, sig;

	if (ends[i].flags & SAME)
		natively = run(i, false, text, sizeof(text));
	sig = run(i, true, text, sizeof(text));
	if (!good(i, sig, text) || (natively && sig != natively)) {
		say("FAILED: %s: signal %d%s (natively %d); %s\n",
		    ends[i].name, sig, sig == SIGKILL ? ", it hung" : "",
		    natively, text);
		_exit(1);
	}
}

/* Without arguments all, else those that are named. */
int main(int argc, char **argv)
{
	const struct rlimit no_core = { 0, 0 };
	unsigned int i, n = 0;

	setrlimit(RLIMIT_CORE, &no_core);
	for (i = 0; i < N_ENDS; i++)
		if (argc < 2 || !strcmp(argv[1], ends[i].name)) {
			check(i);
			n++;
		}
	say("%s\n", n ? "bad ends" : "no such end");
	return !n;
}
