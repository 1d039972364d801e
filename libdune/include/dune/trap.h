/*
 * Traps in Dune mode: exceptions, software interrupts and ring 3's system
 * calls come to handlers of the program's own (SDM vol. 3, chapter 6; the
 * paper, section 3.3).
 */
#ifndef DUNE_TRAP_H
#define DUNE_TRAP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef DUNE_API
#define DUNE_API __attribute__((visibility("default")))
#endif

/*
 * What a trap interrupted. A handler may change all of it, rip included; the
 * thread goes on with what it finds here. The layout is the original libdune's.
 */
struct dune_tf {
	uint64_t rdi, rsi, rdx, rcx, r8, r9;
	uint64_t r10, r11;
	uint64_t rbx, rbp, r12, r13, r14, r15;
	uint64_t rax;
	uint32_t err;		/* the CPU's error code, 0 if it has none */
	uint32_t pad1;
	uint64_t rip;
	uint16_t cs;		/* cs & 3: privilege level, 0 or 3 */
	uint16_t pad2[3];
	uint64_t rflags;
	uint64_t rsp;
	uint16_t ss;
	uint16_t pad3[3];
};

/* Vectors (SDM vol. 3, table 6-1). */
enum {
	DUNE_VEC_DE = 0, DUNE_VEC_DB = 1, DUNE_VEC_NMI = 2, DUNE_VEC_BP = 3,
	DUNE_VEC_OF = 4, DUNE_VEC_BR = 5, DUNE_VEC_UD = 6, DUNE_VEC_NM = 7,
	DUNE_VEC_DF = 8, DUNE_VEC_TS = 10, DUNE_VEC_NP = 11, DUNE_VEC_SS = 12,
	DUNE_VEC_GP = 13, DUNE_VEC_PF = 14, DUNE_VEC_MF = 16,
	DUNE_VEC_AC = 17, DUNE_VEC_XM = 19,
	DUNE_VEC_CALL = 256,	/* a system call from ring 3 */
	DUNE_VEC_MAX = 257,
};

/* Error code of a page fault (SDM vol. 3, 4.7). */
#define DUNE_PF_PRESENT	0x01
#define DUNE_PF_WRITE	0x02
#define DUNE_PF_USER	0x04	/* from ring 3 */
#define DUNE_PF_RSVD	0x08
#define DUNE_PF_FETCH	0x10

/* What a handler answers. */
enum dune_trap_action {
	DUNE_TRAP_RESUME = 0,	/* go on with the frame */
	DUNE_TRAP_PASS = 1,	/* not mine: the next handler, or the signal */
};

/*
 * addr: of a page fault the address (CR2), else 0. Runs in ring 0 on the
 * thread's handler stack (64 KiB), all registers and FPU state of the
 * interrupted code saved, with signals as they were. It may call libc as far as
 * a signal handler may (the interrupted code may be inside it), may fault
 * itself (handlers nest), may longjmp() out, and need not return.
 */
typedef enum dune_trap_action dune_trap_handler(struct dune_tf *tf,
						unsigned int vector,
						uint64_t addr, void *arg);

/* Flags of dune_trap_set(). */
#define DUNE_TRAP_THREAD	1	/* the thread's, before the process's */
/*
 * The handler and all it calls use no FPU, SSE or AVX register (compiled with
 * -mgeneral-regs-only): they are not saved, which makes a trap two to
 * three times cheaper. Takes effect if all handlers of the vector say so.
 */
#define DUNE_TRAP_NOFPU		2

/*
 * Sets the handler of a vector (0 to DUNE_VEC_MAX - 1), NULL removes it.
 * Returns 0, -EINVAL (vector, flags), -EPERM (DUNE_TRAP_THREAD outside Dune
 * mode). Thread-safe; takes effect for traps that come after it returns. May
 * be called from a handler, not from a signal handler.
 *
 * A trap that no handler takes becomes the Linux signal it would have been,
 * with its siginfo; without a handler for that the process dies by it.
 */
DUNE_API int dune_trap_set(unsigned int vector, unsigned int flags,
			   dune_trap_handler *handler, void *arg);

#ifdef __cplusplus
}
#endif

#endif
