/*
 * Privilege levels in Dune mode: running code in ring 3 under the program's own
 * ring 0 (the paper, section 3.2). The names are the original libdune's.
 *
 * Code in ring 3 sees the pages of the tables in use that have the user bit
 * (dune/pgtable.h, PERM_U), and nothing else. Its system calls come to the
 * handler of DUNE_VEC_CALL, its faults to those of their vectors, on the
 * thread's handler stack; the frame's cs & 3 is 3. The host kernel sees
 * neither unless a handler passes them on.
 *
 * All functions here are for threads in Dune mode; none is for signal
 * handlers.
 */
#ifndef DUNE_RING3_H
#define DUNE_RING3_H

#include "dune/trap.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Enters ring 3 with the registers of tf (rip, rsp, rflags, general registers;
 * cs and ss are set, tf itself is not kept) and the FS base of
 * dune_set_user_fs().
 * Returns what a handler gives to dune_ret_from_user(); calls nest.
 * -EPERM outside Dune mode; -ENOTSUP on a software KVM whose CPU has no
 * FSGSBASE.
 */
DUNE_API int dune_jump_to_user(struct dune_tf *tf);

/* Ends the innermost dune_jump_to_user(). From a handler of its trap. */
DUNE_API void dune_ret_from_user(int ret) __attribute__((noreturn));

/* Goes where tf says, in the ring its cs says. From ring 0. */
DUNE_API void dune_pop_trap_frame(struct dune_tf *tf)
	__attribute__((noreturn));

/*
 * Makes the system call in tf (rax, rdi, rsi, rdx, r10, r8, r9) on the host,
 * as the program, and puts its result into tf->rax. Pointers mean what they
 * mean in the process: check them, and what they point at, first. The caller
 * decides which calls it passes on: clone, execve, sigreturn and
 * the mmap family do to this process what they say.
 */
DUNE_API void dune_passthrough_syscall(struct dune_tf *tf);

/* Arguments of a system call in a frame. */
#define ARG0(tf)	((tf)->rdi)
#define ARG1(tf)	((tf)->rsi)
#define ARG2(tf)	((tf)->rdx)
#define ARG3(tf)	((tf)->r10)
#define ARG4(tf)	((tf)->r8)
#define ARG5(tf)	((tf)->r9)

/* FS base (the TLS register) of ring 3; at first it is the thread's own. */
DUNE_API unsigned long dune_get_user_fs(void);
DUNE_API void dune_set_user_fs(unsigned long fs_base);

#ifdef __cplusplus
}
#endif

#endif
