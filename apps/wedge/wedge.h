/*
 * Wedge over libdune: a program in compartments that get no right by default
 * (Bittau et al., NSDI 2008; the Dune paper, section 4.2).
 *
 * An *sthread* runs a function of the program in ring 3, in page tables of its
 * own. It sees the program's code and constants and a stack, and nothing else:
 * no global, no heap, no thread-local variable of the program. What more it
 * may do is in a *security context*: memory by tag, descriptors, system calls.
 * What it does beyond that ends it.
 *
 * An sthread is run by the thread that creates it, until it ends or waits for
 * something to read; it goes on in sthread_join(). Sthreads of several threads
 * run at the same time. Its page tables and stack go back to a pool: of the
 * stack only the pages with a dirty bit are cleaned (where ring 0 is emulated,
 * all), and rights that the next one has as well stay where they are.
 *
 * The original gave each sthread a copy of the globals as they were at the
 * start. Here ring 0 serves an sthread in the sthread's tables, and relies on
 * what it finds.
 *
 * Ring 3 is not interrupted: an sthread that does not end keeps its thread. An
 * interrupt from another thread (dune_apic_send_ipi()) ends it, as any trap.
 *
 * Errors are negative errno values.
 */
#ifndef WEDGE_H
#define WEDGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define TAG_SIZE	(1ul << 20)
#define SC_MEMS		8
#define SC_FDS		16
#define SC_CALLS	512

#define FD_R		1	/* PROT_READ */
#define FD_W		2	/* PROT_WRITE */

typedef struct tag *tag_t;
typedef struct sthread *sthread_t;
typedef void *(*stcb_t)(void *arg);

/* A security context. The caller's; used by sthread_create() only. */
typedef struct {
	unsigned int mems, fds;
	struct {
		tag_t tag;
		int prot;
	} mem[SC_MEMS];
	struct {
		int fd, mode;
	} fd[SC_FDS];
	uint64_t call[SC_CALLS / 64];
} sc_t;

/* No right at all. */
void sc_init(sc_t *sc);
/* prot: PROT_READ, or PROT_READ | PROT_WRITE. -EINVAL, -ENOSPC. */
int sc_mem_add(sc_t *sc, tag_t tag, int prot);
/*
 * mode: FD_R (read, pread64, recvfrom, and fstat, lseek), FD_W (write,
 * pwrite64, sendto, and fstat, lseek). -EINVAL, -ENOSPC.
 */
int sc_fd_add(sc_t *sc, int fd, int mode);
/*
 * A system call that concerns no descriptor, or open, close: what an sthread
 * opens it may use, and is closed when it ends. -ENOTSUP: gate.c has no rule
 * for it.
 */
int sc_sys_add(sc_t *sc, int nr);

/*
 * Memory that sthreads can be given: TAG_SIZE bytes. NULL: no memory. A tag is
 * never freed.
 */
tag_t tag_new(void);
/*
 * Aligned to 16, never freed. NULL: the tag is used up. Also in an sthread
 * that may write the tag; what comes out of a tag that an sthread could write
 * is memory of that tag, and no more can be relied on.
 */
void *smalloc(tag_t tag, size_t size);

/* Enters Dune mode. Once, before the others. Errors as dune_enter()'s. */
int sthread_init(void);
/*
 * Runs fn(arg) with the rights of sc. fn and what it calls must not use
 * globals, malloc or stdio, nor read(2) and its like, which ask a global
 * whether there are threads: use sthread_call(). Thread-local variables begin
 * as 0. For calls into libraries link with -z now, -z relro: then the
 * addresses are constants. Not from an sthread. 0; -ENOMEM; errors of
 * dune_enter().
 */
int sthread_create(sthread_t *st, const sc_t *sc, stcb_t fn, void *arg);
/* The trap that ended st, valid until it is joined; NULL: there was none. */
struct sthread_trap {
	unsigned int vector;
	uint64_t rip, addr;
};
const struct sthread_trap *sthread_trapped(sthread_t st);
/*
 * Runs st to its end, and others of the thread that wait meanwhile. What fn
 * returned is in *ret (may be NULL), and st is gone. -EFAULT: the sthread was
 * ended by a trap. In the thread that created it.
 */
int sthread_join(sthread_t st, void **ret);

/* ---- in an sthread ---- */

void sthread_exit(void *ret) __attribute__((noreturn));
/*
 * A system call without libc: a negative errno, no variable. Where an sthread
 * waits, vector registers are lost, as in any call of a function.
 */
static inline long sthread_call(long nr, long a, long b, long c)
{
	__asm__ volatile("syscall" : "+a"(nr) : "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2",
			   "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
			   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15");
	return nr;
}

#endif
