/*
 * The original libdune's interface (2012-2018), so that programs written for
 * it build and run. New code uses dune.h and the headers of dune/: what is here
 * and not there is a thin wrapper around it, in the shape it once had.
 *
 * What differs from the original:
 *   - A forked child and a new thread are in Dune mode already, and
 *     dune_enter() there succeeds at once.
 *   - A trap that nobody handles becomes the Linux signal it would have been.
 *   - Signals run handlers in Dune mode, on the stack Linux would take.
 *   - `vmcall` is no system call: use `syscall`, which the original's own
 *     ring 0 could not.
 *   - Descriptor tables, the page pool's array and physical addresses are found
 *     by calls, no longer by arithmetic.
 *
 * Errors are negative errno values. C and C++.
 */
#ifndef LIBDUNE_DUNE_H
#define LIBDUNE_DUNE_H

#include <assert.h>
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "../dune.h"
#include "../dune/trap.h"
#include "../dune/ring3.h"
#include "../dune/pgtable.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- entering ---- */

/*
 * Prepares the process, which stays in ordinary mode; the first thread calls
 * it once, before dune_enter(). map_full: what the process has mapped, and
 * will map, is open to ring 3 (all entries have the user bit); false: closed,
 * but for what the program opens itself. Without this call: closed. Errors as
 * dune_enter()'s; -EBUSY: the process is in Dune mode already, and map_full
 * says something else than the first time.
 */
DUNE_API int dune_init(bool map_full);

/* dune_init(true), and the calling thread enters. */
DUNE_API int dune_init_and_enter(void);

/* ---- traps ---- */

typedef void (*dune_intr_cb)(struct dune_tf *tf);
typedef void (*dune_pgflt_cb)(uintptr_t addr, uint64_t fec,
			      struct dune_tf *tf);
typedef void (*dune_syscall_cb)(struct dune_tf *tf);

/*
 * One handler a vector (0-255) for the whole process; NULL takes it away.
 * The handler resolves the trap: the program goes on with the frame it leaves.
 * A page fault goes to the last that was registered of the two kinds.
 * -EINVAL.
 */
DUNE_API int dune_register_intr_handler(int vec, dune_intr_cb cb);
DUNE_API void dune_register_pgflt_handler(dune_pgflt_cb cb);
/* System calls of ring 3. */
DUNE_API void dune_register_syscall_handler(dune_syscall_cb cb);

/*
 * A signal handler that gets what was interrupted as a trap frame, and may
 * change it. It runs as handlers of sigaction(2) do, and calls are restarted.
 * -EINVAL.
 */
DUNE_API int dune_register_signal_handler(int signum, dune_intr_cb cb);

typedef void (*sighandler_t)(int);
/* signal(2). */
DUNE_API sighandler_t dune_signal(int sig, sighandler_t cb);

/* The frame, some of its stack and code to standard output. */
DUNE_API void dune_dump_trap_frame(struct dune_tf *tf);

/* Selectors of a frame: kernel and user, code (T) and data (D). */
#define GD_KT	0x10
#define GD_KD	0x18
#define GD_UD	0x28
#define GD_UT	0x30

/* Error code of a page fault. */
#define FEC_P	DUNE_PF_PRESENT
#define FEC_W	DUNE_PF_WRITE
#define FEC_U	DUNE_PF_USER
#define FEC_RSV	DUNE_PF_RSVD
#define FEC_I	DUNE_PF_FETCH

/* RFLAGS. */
#define FL_CF	0x000001
#define FL_PF	0x000004
#define FL_AF	0x000010
#define FL_ZF	0x000040
#define FL_SF	0x000080
#define FL_TF	0x000100
#define FL_IF	0x000200
#define FL_DF	0x000400
#define FL_OF	0x000800
#define FL_NT	0x004000
#define FL_RF	0x010000
#define FL_AC	0x040000
#define FL_ID	0x200000

/* ---- pages: the rest is in dune/pgtable.h ---- */

SLIST_HEAD(page_head, page);

/* Counts of the pool to standard output; dune_page_counts() returns them. */
DUNE_API void dune_page_stats(void);

#define PGSHIFT		12
#define PGSIZE		(1 << PGSHIFT)
#define PGMASK		(PGSIZE - 1)
#define PGOFF(va)	((uintptr_t)(va) & PGMASK)
#define PGADDR(va)	((uintptr_t)(va) & ~(uintptr_t)PGMASK)
#define PPN(va)		((va) >> PGSHIFT)
#define BIG_PGSHIFT	21
#define BIG_PGSIZE	(1 << BIG_PGSHIFT)
#define BIG_PGMASK	(BIG_PGSIZE - 1)
#define BIG_PGOFF(va)	((uintptr_t)(va) & BIG_PGMASK)
#define BIG_PGADDR(va)	((uintptr_t)(va) & ~(uintptr_t)BIG_PGMASK)
#define NPTBITS		9
#define NPTENTRIES	(1 << NPTBITS)
#define PDXMASK		(NPTENTRIES - 1)
#define PDSHIFT(n)	(12 + NPTBITS * (n))
#define PDX(n, va)	(((uintptr_t)(va) >> PDSHIFT(n)) & PDXMASK)

static inline uintptr_t dune_mmap_addr_to_pa(void *ptr)
{
	return dune_va_to_pa(ptr);
}

static inline uintptr_t dune_stack_addr_to_pa(void *ptr)
{
	return dune_va_to_pa(ptr);
}

/* ---- interrupts between threads ---- */

/*
 * User-level IPIs. Every thread in Dune mode has a number as long as it is
 * there; it has nothing to do with the processor's own APIC. ~0: not in Dune
 * mode.
 */
DUNE_API uint32_t dune_apic_id(void);

/*
 * The handler of vector (32-255) runs in the thread of that number, as a trap
 * on its handler stack, wherever in the program it is: code of either ring, or
 * a blocking system call, which is restarted as after a signal with
 * SA_RESTART. While such a handler runs, until it returns or calls
 * dune_apic_eoi(), others of the thread wait; the same vector waits once. A
 * vector without a handler is dropped. cli does not keep them away.
 *
 * The thread is told by signal 64 (SIGRTMAX): its handler is the library's
 * from the first call on, and passes on to the program's what is not an
 * interrupt; while the program has it blocked, interrupts wait. 0; -EINVAL:
 * vector; -ESRCH: no such thread in Dune mode; -EAGAIN: the user's limit of
 * queued signals; -EPERM outside Dune mode.
 */
DUNE_API int dune_apic_send_ipi(uint8_t vector, uint32_t dest);
DUNE_API void dune_apic_eoi(void);

/*
 * The number of a thread in Dune mode that ran last on this processor. 0 and
 * *error (may be NULL) true when there is none. Reads /proc: not for handlers.
 */
DUNE_API uint32_t apic_id_for_cpu(uint32_t cpu, bool *error);

/* ---- the process's mappings ---- */

#define PROCMAP_TYPE_UNKNOWN	0
#define PROCMAP_TYPE_FILE	1
#define PROCMAP_TYPE_ANONYMOUS	2
#define PROCMAP_TYPE_HEAP	3
#define PROCMAP_TYPE_STACK	4
#define PROCMAP_TYPE_VSYSCALL	5
#define PROCMAP_TYPE_VDSO	6
#define PROCMAP_TYPE_VVAR	7

struct dune_procmap_entry {
	uintptr_t begin, end;
	uint64_t offset;	/* in the file */
	bool r, w, x;
	bool p;			/* private */
	char *path;		/* "" if it has none; valid during the call */
	int type;		/* PROCMAP_TYPE_* */
};

typedef void (*dune_procmap_cb)(const struct dune_procmap_entry *entry);

/*
 * One call for each line of /proc/self/maps, as they were before the first of
 * them. cb may map and unmap. Nothing is called when the file cannot be read.
 */
DUNE_API void dune_procmap_iterate(dune_procmap_cb cb);
/* All of them to standard output. */
DUNE_API void dune_procmap_dump(void);

/* ---- ELF ---- */

/*
 * A 64-bit x86 ELF file. All headers have been checked to lie inside the file;
 * what they say of it has not. phdr and shdr have hdr.e_phnum and hdr.e_shnum
 * entries, NULL if none.
 */
struct dune_elf {
	int fd;			/* -1: in memory */
	unsigned char *mem;	/* the caller's; NULL: a file */
	int len;		/* of mem */
	Elf64_Ehdr hdr;
	Elf64_Phdr *phdr;
	Elf64_Shdr *shdr;
	char *shdrstr;		/* section names; NULL: none */
	void *priv;		/* the caller's */
};

/* What is not 0 ends the iteration, and is what it returns. */
typedef int (*dune_elf_phcb)(struct dune_elf *elf, Elf64_Phdr *phdr);
typedef int (*dune_elf_shcb)(struct dune_elf *elf, const char *sname,
			     int snum, Elf64_Shdr *shdr);

/*
 * 0, and then dune_elf_close() frees what belongs to it. -ENOEXEC: not such a
 * file, or headers that lie outside it; -ENOMEM; errors of open(2), read(2).
 * elf->priv stays as it is.
 */
DUNE_API int dune_elf_open(struct dune_elf *elf, const char *path);
/* mem must stay until dune_elf_close(). */
DUNE_API int dune_elf_open_mem(struct dune_elf *elf, void *mem, int len);
DUNE_API int dune_elf_close(struct dune_elf *elf);
DUNE_API int dune_elf_iter_ph(struct dune_elf *elf, dune_elf_phcb cb);
/* sname: "" when the section has none. */
DUNE_API int dune_elf_iter_sh(struct dune_elf *elf, dune_elf_shcb cb);
/*
 * Maps the segment at p_vaddr + off, in place of what is mapped there, reads
 * it, and gives it the rights of p_flags. off is a multiple of the page size.
 * 0; -EINVAL: sizes or addresses that do not fit together; -ENOEXEC: it lies
 * outside the file; errors of mmap(2), read(2).
 */
DUNE_API int dune_elf_load_ph(struct dune_elf *elf, Elf64_Phdr *phdr,
			      off_t off);
/* The headers to standard output. */
DUNE_API int dune_elf_dump(struct dune_elf *elf);

/* ---- the rest ---- */

static inline unsigned long dune_get_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (unsigned long)high << 32;
}

/*
 * printf(3) to descriptor 1 without stdio: no buffer, no lock. At most 1023
 * bytes; the number written, or an errno.
 */
DUNE_API int dune_printf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/* Ends the process at once, with status 1: no atexit(3), no flushing. */
DUNE_API void dune_die(void) __attribute__((noreturn));
/* mmap(2). */
DUNE_API void *dune_mmap(void *addr, size_t length, int prot, int flags,
			 int fd, off_t offset);

#ifdef __cplusplus
}
#endif

#endif
