/*
 * The gate: a call passes when there is a rule for it, the context grants it,
 * and ring 3 itself reaches what its pointer points at. Memory of an sthread
 * is at its own place in the process, so the pointers pass as they are. A
 * reader for whom there is nothing yet waits without its thread.
 */
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define PAGE 4096ul
#define SIZE	(-1)
#define STRING	(-2)

/* One memory argument at most. */
static const struct rule {
	short nr;
	char mode;		/* FD_*: of the descriptor in argument 0 */
	char listed;		/* sc_sys_add() is needed */
	char ptr;		/* its argument, -1: none */
	char len;		/* its length's argument, SIZE or STRING */
	short size;
	char out;		/* the kernel writes there */
	char zero;		/* this argument, an address, must be NULL */
} rules[] = {
	{ SYS_open, 0, 1, 0, STRING, 0, 0, -1 },
	{ SYS_close, FD_R | FD_W, 1, -1, -1, 0, 0, -1 },
	{ SYS_read, FD_R, 0, 1, 2, 0, 1, -1 },
	{ SYS_write, FD_W, 0, 1, 2, 0, 0, -1 },
	{ SYS_pread64, FD_R, 0, 1, 2, 0, 1, -1 },
	{ SYS_pwrite64, FD_W, 0, 1, 2, 0, 0, -1 },
	{ SYS_recvfrom, FD_R, 0, 1, 2, 0, 1, 4 },
	{ SYS_sendto, FD_W, 0, 1, 2, 0, 0, 4 },
	{ SYS_fstat, FD_R | FD_W, 0, 1, -1, sizeof(struct stat), 1, -1 },
	{ SYS_lseek, FD_R | FD_W, 0, -1, -1, 0, 0, -1 },
	{ SYS_getpid, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_gettid, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_getppid, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_getuid, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_geteuid, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_getgid, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_getegid, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_sched_yield, 0, 1, -1, -1, 0, 0, -1 },
	{ SYS_getrandom, 0, 1, 0, 1, 0, 1, -1 },
	{ SYS_clock_gettime, 0, 1, 1, -1, sizeof(struct timespec), 1, -1 },
	{ SYS_nanosleep, 0, 1, 0, -1, sizeof(struct timespec), 0, 1 },
};

static const struct rule *rule_of(long nr)
{
	unsigned int i;

	for (i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].nr == nr)
			return &rules[i];
	return NULL;
}

/* ---- contexts ---- */

void sc_init(sc_t *sc)
{
	memset(sc, 0, sizeof(*sc));
}

int sc_mem_add(sc_t *sc, tag_t tag, int prot)
{
	if (!tag || (prot != PROT_READ && prot != (PROT_READ | PROT_WRITE)))
		return -EINVAL;
	if (sc->mems == SC_MEMS)
		return -ENOSPC;
	sc->mem[sc->mems].tag = tag;
	sc->mem[sc->mems++].prot = prot;
	return 0;
}

int sc_fd_add(sc_t *sc, int fd, int mode)
{
	if (fd < 0 || !(mode & (FD_R | FD_W)) ||
	    mode & ~(FD_R | FD_W | FD_OWN))
		return -EINVAL;
	if (sc->fds == SC_FDS)
		return -ENOSPC;
	sc->fd[sc->fds].fd = fd;
	sc->fd[sc->fds++].mode = mode;
	return 0;
}

int sc_sys_add(sc_t *sc, int nr)
{
	const struct rule *r = rule_of(nr);

	if (!r || !r->listed)
		return -ENOTSUP;
	sc->call[nr / 64] |= 1ul << nr % 64;
	return 0;
}

/* ---- calls ---- */

bool wedge_reaches(ptent_t *root, uint64_t addr, uint64_t len, bool write)
{
	uint64_t va = addr & ~(PAGE - 1);
	ptent_t *pte, e;

	if (!len)
		return true;
	if (addr + len - 1 < addr)
		return false;
	for (; va <= addr + len - 1; va += PAGE) {
		if (dune_vm_lookup(root, (void *)va, CREATE_NONE, &pte))
			return false;
		e = __atomic_load_n(pte, __ATOMIC_RELAXED);
		if (!(e & PTE_P) || !dune_pte_user(e) ||
		    (write && !(e & PTE_W)))
			return false;
	}
	return true;
}

/* Up to its NUL. */
static bool reaches_string(ptent_t *root, uint64_t addr)
{
	uint64_t end = addr;

	do {
		if (!(end & (PAGE - 1)) || end == addr)
			if (!wedge_reaches(root, end, 1, false))
				return false;
	} while (*(const volatile char *)end++ && end - addr < PAGE);
	return end - addr < PAGE;
}

static bool granted(const sc_t *sc, const struct rule *r, uint64_t fd)
{
	unsigned int i;

	if (r->listed && !(sc->call[r->nr / 64] >> r->nr % 64 & 1))
		return false;
	/* the kernel looks at 32 bits of it */
	for (i = 0; r->mode && i < sc->fds; i++)
		if (sc->fd[i].fd == (int)fd && sc->fd[i].mode & r->mode)
			return true;
	return !r->mode;
}

static bool pointer_is_good(ptent_t *root, const struct rule *r,
			    const uint64_t arg[6])
{
	if (r->ptr < 0)
		return true;
	if (r->len == STRING)
		return reaches_string(root, arg[(int)r->ptr]);
	return wedge_reaches(root, arg[(int)r->ptr], r->len == SIZE ?
			     (uint64_t)r->size : arg[(int)r->len], r->out);
}

/* What it has opened is its own, until it ends. */
static void opened(sc_t *sc, struct dune_tf *tf)
{
	static const char modes[4] = { FD_R, FD_W, FD_R | FD_W, 0 };
	struct dune_tf undo = { .rax = SYS_close, .rdi = tf->rax };

	if ((long)tf->rax < 0)
		return;
	if (sc_fd_add(sc, tf->rax, modes[ARG1(tf) & O_ACCMODE] | FD_OWN)) {
		dune_passthrough_syscall(&undo);
		tf->rax = -EMFILE;
	}
}

static void closed(sc_t *sc, int fd)
{
	unsigned int i;

	for (i = 0; i < sc->fds; i++)
		if (sc->fd[i].fd == fd)
			sc->fd[i--] = sc->fd[--sc->fds];
}

void wedge_close_own(sc_t *sc)
{
	struct dune_tf tf;
	unsigned int i;

	for (i = 0; i < sc->fds; i++) {
		tf = (struct dune_tf){ .rax = SYS_close, .rdi = sc->fd[i].fd };
		if (sc->fd[i].mode & FD_OWN)
			dune_passthrough_syscall(&tf);
	}
}

static bool would_wait(const struct rule *r, int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct dune_tf tf = { .rax = SYS_poll, .rdi = (uint64_t)&p, .rsi = 1 };

	if (r->mode != FD_R || r->nr == SYS_pread64)
		return false;
	dune_passthrough_syscall(&tf);
	return tf.rax == 0;
}

/* openat(2), as the C library has it, is open(2). */
static struct dune_tf plain(const struct dune_tf *tf)
{
	struct dune_tf c = *tf;

	if (c.rax == SYS_openat && (int)c.rdi == AT_FDCWD) {
		c.rax = SYS_open;
		c.rdi = tf->rsi;
		c.rsi = tf->rdx;
		c.rdx = tf->r10;
	}
	return c;
}

bool wedge_gate(ptent_t *root, sc_t *sc, struct dune_tf *tf)
{
	struct dune_tf c = plain(tf);
	const uint64_t arg[6] = { ARG0(&c), ARG1(&c), ARG2(&c), ARG3(&c),
				  ARG4(&c), ARG5(&c) };
	const struct rule *r = rule_of(c.rax);

	if (!r || !granted(sc, r, arg[0]) ||
	    (r->zero >= 0 && arg[(int)r->zero])) {
		c.rax = -EPERM;
	} else if (!pointer_is_good(root, r, arg)) {
		c.rax = -EFAULT;
	} else if (would_wait(r, arg[0])) {
		return false;
	} else {
		dune_passthrough_syscall(&c);
		if (r->nr == SYS_open)
			opened(sc, &c);
		else if (r->nr == SYS_close)
			closed(sc, arg[0]);
	}
	tf->rax = c.rax;
	return true;
}
