/*
 * The gate: a call passes when there is a rule for it, the context grants it, and
 * ring 3 itself reaches what its pointer points at. Memory of an sthread is at
 * its own place in the process, so the pointers pass as they are.
 */
#include "gate.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define PAGE 4096ul

/* One memory argument at most. */
static const struct rule {
	short nr;
	char mode;		/* FD_*: of the descriptor in argument 0 */
	char listed;		/* sc_sys_add() is needed */
	char ptr;		/* its argument, -1: none */
	char len;		/* its length's argument, -1: size */
	short size;
	char out;		/* the kernel writes there */
	char zero;		/* this argument, an address, must be NULL */
} rules[] = {
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
	if (fd < 0 || !mode || mode & ~(FD_R | FD_W))
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

static bool granted(const sc_t *sc, const struct rule *r, uint64_t fd)
{
	unsigned int i;

	if (r->listed)
		return sc->call[r->nr / 64] >> r->nr % 64 & 1;
	/* the kernel looks at 32 bits of it */
	for (i = 0; i < sc->fds; i++)
		if (sc->fd[i].fd == (int)fd && sc->fd[i].mode & r->mode)
			return true;
	return false;
}

void wedge_gate(ptent_t *root, const sc_t *sc, struct dune_tf *tf)
{
	const uint64_t arg[6] = { ARG0(tf), ARG1(tf), ARG2(tf), ARG3(tf),
				  ARG4(tf), ARG5(tf) };
	const struct rule *r = rule_of(tf->rax);

	if (!r || !granted(sc, r, arg[0]) || (r->zero >= 0 && arg[(int)r->zero]))
		tf->rax = -EPERM;
	else if (r->ptr >= 0 &&
		 !wedge_reaches(root, arg[(int)r->ptr],
				r->len < 0 ? (uint64_t)r->size :
				arg[(int)r->len], r->out))
		tf->rax = -EFAULT;
	else
		dune_passthrough_syscall(tf);
}
