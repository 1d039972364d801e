/*
 * Faults as signals with the right si_code and si_addr: SIGSEGV for what is not
 * mapped, read-only, not executable or non-canonical; SIGFPE, SIGILL,
 * SIGTRAP, SIGBUS. The handler goes on elsewhere by changing rip.
 */
#include <fenv.h>
#include <ucontext.h>
#include "guest.h"

static volatile int sig_, code_;
static void *volatile addr_;
static volatile long err_, trap_;
extern char resume[];

static void handler(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;

	sig_ = sig;
	code_ = si->si_code;
	addr_ = si->si_addr;
	err_ = uc->uc_mcontext.gregs[REG_ERR];
	trap_ = uc->uc_mcontext.gregs[REG_TRAPNO];
	uc->uc_mcontext.gregs[REG_RIP] = uc->uc_mcontext.gregs[REG_R15];
	uc->uc_mcontext.gregs[REG_RSP] = uc->uc_mcontext.gregs[REG_R14];
}

/* Runs one instruction; the handler continues behind it. */
#define TRY(insn, ...) do {						\
	sig_ = 0;							\
	__asm__ volatile("lea 1f(%%rip), %%r15\n\tmov %%rsp, %%r14\n\t"	\
			 insn "\n1:" : : __VA_ARGS__ : "r14", "r15",	\
			 "rax", "rdx", "rcx", "memory", "cc");		\
} while (0)

static void show(const char *what, void *addr)
{
	/* Bit 0, page present: how much is mapped when is the kernel's own. */
	say("%s: signal %d code %d addr %s trap %ld err %#lx\n", what, sig_,
	    code_, addr_ == addr ? "right" : addr_ ? "other" : "null", trap_,
	    err_ & ~1);
}

static char *file_page(void)
{
	int fd = memfd_create("short", 0);
	char *p;

	CHECK(fd >= 0 && ftruncate(fd, 100) == 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	close(fd);
	return p;
}

int main(void)
{
	char *ro = map(PAGE, PROT_READ), *none = map(PAGE, PROT_NONE);
	char *rw = map(2 * PAGE, PROT_READ | PROT_WRITE), *file = file_page();
	unsigned int mx = 0x1f80 & ~0x0200;	/* divide by zero unmasked */
	int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };

	for (int i = 0; i < 5; i++)
		handle(fatal[i], handler, 0);
	rw[0] = (char)0xc3;
	munmap(rw + PAGE, PAGE);

	TRY("movb $1, (%0)", "b"(16l));
	show("null page write", (void *)16);
	TRY("mov (%0), %%al", "b"(rw + PAGE));
	show("unmapped read", rw + PAGE);
	TRY("movb $1, (%0)", "b"(ro));
	show("read-only write", ro);
	TRY("mov 5(%0), %%al", "b"(none));
	show("PROT_NONE read", none + 5);
	TRY("call *%0", "b"(rw));
	show("no-exec call", rw);
	TRY("jmp *%0", "b"(32l));
	show("null jump", (void *)32);
	TRY("mov (%0), %%al", "b"(0x800000000000ul));
	show("non-canonical", NULL);
	TRY("mov (%0), %%al", "b"(0xffff800000000000ul));
	show("kernel half", (void *)0xffff800000000000ul);
	TRY("xor %%edx, %%edx\n\tmov $1, %%eax\n\txor %%ecx, %%ecx\n\t"
	    "div %%ecx", "b"(0l));
	say("divide: signal %d code %d trap %ld\n", sig_, code_, trap_);
	TRY("movl $0, -4(%%rsp)\n\tldmxcsr %0\n\tcvtsi2ss -4(%%rsp), %%xmm0\n\t"
	    "mov $1, %%eax\n\tcvtsi2ss %%eax, %%xmm1\n\tdivss %%xmm0, %%xmm1",
	    "m"(mx), "b"(0l));
	say("sse divide: signal %d code %d trap %ld\n", sig_, code_, trap_);
	TRY("ud2", "b"(0l));
	say("ud2: signal %d code %d trap %ld\n", sig_, code_, trap_);
	TRY("int3", "b"(0l));
	say("int3: signal %d code %d trap %ld\n", sig_, code_, trap_);
	TRY("hlt", "b"(0l));
	say("hlt: signal %d code %d\n", sig_, code_);
	TRY("movb $1, (%0)", "b"(file + 50));
	say("file inside: signal %d\n", sig_);
	TRY("movb $1, (%0)", "b"(file + PAGE + 7));
	show("file past end", file + PAGE + 7);
	TRY("mov (%0), %%al", "b"(file + PAGE + 8));
	show("file past end, read", file + PAGE + 8);
	TRY("mov (%0), %%al", "b"(rw));
	say("fine: signal %d\n", sig_);

	/* The same in children with no handler. */
	for (int i = 0; i < 5; i++)
		signal(fatal[i], SIG_DFL);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (i == 0)
				*(volatile char *)ro = 1;
			else if (i == 1)
				__asm__ volatile("ud2");
			else
				*(volatile char *)(file + PAGE) = 1;
			_exit(0);
		}
		say("unhandled: signal %d\n", WTERMSIG(reap(pid)));
	}
	/* Blocked or ignored: a fault kills all the same. */
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			sigset_t set;

			handle(SIGSEGV, handler, 0);
			sigemptyset(&set);
			sigaddset(&set, SIGSEGV);
			if (i == 0)
				sigprocmask(SIG_BLOCK, &set, NULL);
			else
				signal(SIGSEGV, SIG_IGN);
			*(volatile char *)ro = 1;
			_exit(0);
		}
		say("%s: signal %d\n", i ? "ignored" : "blocked",
		    WTERMSIG(reap(pid)));
	}
	return 0;
}
