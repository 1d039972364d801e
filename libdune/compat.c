/*
 * The original libdune's entry, handlers and utilities, over today's interface.
 * Contracts: libdune/dune.h.
 */
#include "libdune/dune.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "kern/err.h"
#include "kern/raw.h"
#include "libdune/guest.h"

/* ---- entering ---- */

int dune_init(bool map_full)
{
	if (dune_self.made && dune_self.open_memory != map_full)
		return dune_err(-EBUSY, "dune_init: the process has entered "
				"Dune mode before, with its pages %s to ring 3",
				map_full ? "closed" : "open");
	dune_self.open_memory = map_full;
	return 0;
}

int dune_init_and_enter(void)
{
	int r = dune_init(true);

	return r ? r : dune_enter();
}

/* ---- traps ---- */

static enum dune_trap_action call_intr(struct dune_tf *tf,
				       unsigned int vector, uint64_t addr,
				       void *arg)
{
	(void)vector, (void)addr;
	((dune_intr_cb)(uintptr_t)arg)(tf);
	return DUNE_TRAP_RESUME;
}

static enum dune_trap_action call_pgflt(struct dune_tf *tf,
					unsigned int vector, uint64_t addr,
					void *arg)
{
	(void)vector;
	((dune_pgflt_cb)(uintptr_t)arg)(addr, tf->err, tf);
	return DUNE_TRAP_RESUME;
}

int dune_register_intr_handler(int vec, dune_intr_cb cb)
{
	if (vec < 0 || vec >= DUNE_VECTORS)
		return dune_err(-EINVAL, "dune_register_intr_handler: "
				"vector %d", vec);
	return dune_trap_set(vec, 0, cb ? call_intr : NULL,
			     (void *)(uintptr_t)cb);
}

void dune_register_pgflt_handler(dune_pgflt_cb cb)
{
	dune_trap_set(DUNE_VEC_PF, 0, cb ? call_pgflt : NULL,
		      (void *)(uintptr_t)cb);
}

void dune_register_syscall_handler(dune_syscall_cb cb)
{
	dune_trap_set(DUNE_VEC_CALL, 0, cb ? call_intr : NULL,
		      (void *)(uintptr_t)cb);
}

/* ---- signals ---- */

static dune_intr_cb on_signal[NSIG];

/* Registers in both, by where they are in struct dune_tf. */
static const struct {
	unsigned char greg, off;
} regs[] = {
#define PAIR(g, f) { REG_##g, offsetof(struct dune_tf, f) }
	PAIR(RDI, rdi), PAIR(RSI, rsi), PAIR(RDX, rdx), PAIR(RCX, rcx),
	PAIR(R8, r8), PAIR(R9, r9), PAIR(R10, r10), PAIR(R11, r11),
	PAIR(RBX, rbx), PAIR(RBP, rbp), PAIR(R12, r12), PAIR(R13, r13),
	PAIR(R14, r14), PAIR(R15, r15), PAIR(RAX, rax), PAIR(RIP, rip),
	PAIR(EFL, rflags), PAIR(RSP, rsp),
#undef PAIR
};

static void signal_as_trap(int sig, siginfo_t *info, void *ctx)
{
	greg_t *g = ((ucontext_t *)ctx)->uc_mcontext.gregs;
	struct dune_tf tf;
	unsigned int i;

	(void)info;
	memset(&tf, 0, sizeof(tf));
	for (i = 0; i < DUNE_ARRAY_SIZE(regs); i++)
		memcpy((char *)&tf + regs[i].off, &g[regs[i].greg], 8);
	tf.err = g[REG_ERR];
	tf.cs = GD_KT;
	tf.ss = GD_KD;
	on_signal[sig](&tf);
	for (i = 0; i < DUNE_ARRAY_SIZE(regs); i++)
		memcpy(&g[regs[i].greg], (char *)&tf + regs[i].off, 8);
}

int dune_register_signal_handler(int signum, dune_intr_cb cb)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_RESTART };

	if (signum < 1 || signum >= NSIG || !cb)
		return dune_err(-EINVAL, "dune_register_signal_handler: "
				"signal %d", signum);
	sigemptyset(&act.sa_mask);
	act.sa_sigaction = signal_as_trap;
	__atomic_store_n(&on_signal[signum], cb, __ATOMIC_RELEASE);
	return sigaction(signum, &act, NULL) ? -errno : 0;
}

sighandler_t dune_signal(int sig, sighandler_t cb)
{
	return signal(sig, cb);
}

/* ---- output ---- */

int dune_printf(const char *fmt, ...)
{
	char buf[1024];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	if (len < 0)
		return -EINVAL;
	if ((size_t)len >= sizeof(buf))
		len = sizeof(buf) - 1;
	return dune_raw3(SYS_write, STDOUT_FILENO, (long)buf, len);
}

void dune_die(void)
{
	for (;;)
		dune_raw3(SYS_exit_group, 1, 0, 0);
}

void *dune_mmap(void *addr, size_t length, int prot, int flags, int fd,
		off_t offset)
{
	return mmap(addr, length, prot, flags, fd, offset);
}

void dune_page_stats(void)
{
	struct dune_page_counts c;

	dune_page_counts(&c);
	dune_printf("dune: pages: %lu in use, %lu free, %lu in all; "
		    "tables: %lu of %lu\n", c.used, c.total - c.used, c.total,
		    c.tables_used, c.tables_total);
}

/* What is not there is not read: a copy by the kernel, which says so. */
static size_t peek(uint64_t from, void *to, size_t len)
{
	struct { void *base; size_t len; } local = { to, len },
					   remote = { (void *)from, len };
	long n = dune_raw6(SYS_process_vm_readv,
			   dune_raw3(SYS_getpid, 0, 0, 0), (long)&local, 1,
			   (long)&remote, 1, 0);

	return n < 0 ? 0 : n;
}

static void dump_code(uint64_t rip)
{
	uint8_t code[16];
	char line[3 * sizeof(code) + 1] = "";
	size_t i, n = peek(rip, code, sizeof(code));

	for (i = 0; i < n; i++)
		snprintf(line + 3 * i, 4, " %02x", code[i]);
	dune_printf("dune: code%s\n", n ? line : ": cannot be read");
}

static void dump_stack(uint64_t rsp)
{
	uint64_t word[8];
	size_t i, n = peek(rsp, word, sizeof(word)) / sizeof(*word);

	for (i = 0; i < n; i++)
		dune_printf("dune: rsp+%-3zu %#018lx\n", i * sizeof(*word),
			    word[i]);
	if (!n)
		dune_printf("dune: stack: cannot be read\n");
}

void dune_dump_trap_frame(struct dune_tf *tf)
{
	dune_printf("dune: rip %#018lx  cs %#06x  ss %#06x  ring %d\n",
		    tf->rip, tf->cs, tf->ss, tf->cs & 3);
	dune_printf("dune: err %#010x  rflags %#010lx\n", tf->err, tf->rflags);
	dune_printf("dune: rax %#018lx  rcx %#018lx\n", tf->rax, tf->rcx);
	dune_printf("dune: rdx %#018lx  rbx %#018lx\n", tf->rdx, tf->rbx);
	dune_printf("dune: rsp %#018lx  rbp %#018lx\n", tf->rsp, tf->rbp);
	dune_printf("dune: rsi %#018lx  rdi %#018lx\n", tf->rsi, tf->rdi);
	dune_printf("dune: r8  %#018lx  r9  %#018lx\n", tf->r8, tf->r9);
	dune_printf("dune: r10 %#018lx  r11 %#018lx\n", tf->r10, tf->r11);
	dune_printf("dune: r12 %#018lx  r13 %#018lx\n", tf->r12, tf->r13);
	dune_printf("dune: r14 %#018lx  r15 %#018lx\n", tf->r14, tf->r15);
	dump_code(tf->rip);
	dump_stack(tf->rsp);
}
