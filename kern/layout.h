/*
 * Where everything is.
 *
 *   guest virtual                         what                   host virtual
 *   0x000000010000 .. 0x500000000000      the arena: all that    the same
 *                                         the program maps
 *     0x000000400000                        programs at fixed addresses
 *     0x155555554000 +random                PIE programs, then brk
 *     ... .. DUNE_STACK_TOP - 1 GiB -random mmap area, top down
 *     DUNE_STACK_TOP -random                vDSO; below it the first
 *                                           thread's stack, downwards
 *   0x500000000000 .. 0x500000001000      guard, never mapped    guard
 *   0x501000000000 .. 0x501004000000      ring 0 area            anywhere
 *   0x502000000000 ..                     vvar pages             anywhere
 *   0x508000000000 .. 0x508000002000      the vCPU's own entry   anywhere
 *                                         code and mailbox: where
 *                                         rewritten sites jump
 *   above 0x550000000000                  nothing                the monitor
 *
 *   guest physical
 *   0 .. 64 MiB                           ring 0 area
 *   64 MiB * n                            windows, in order of first use
 */
#ifndef DUNE_KERN_LAYOUT_H
#define DUNE_KERN_LAYOUT_H

#ifndef DUNE_SELF
#define DUNE_ARENA_LO		0x000000010000ul
#define DUNE_ARENA_HI		0x500000000000ul
#else	/* Dune mode: the guest is the process itself, all of it */
#define DUNE_ARENA_LO		0x000000001000ul
#define DUNE_ARENA_HI		0x7ffffffff000ul
#endif
#define DUNE_EXE_BASE		0x155555554000ul
#define DUNE_STACK_TOP		0x4ffffffff000ul

#define DUNE_RING0_GVA		0x501000000000ul
#ifndef DUNE_SELF
#define DUNE_RING0_SIZE		DUNE_WINDOW_SIZE
#define DUNE_RING0_ALIAS	DUNE_RING0_SIZE
#else
#define DUNE_RING0_SIZE		(6 * DUNE_WINDOW_SIZE)
#define DUNE_RING0_ALIAS	(4 * DUNE_WINDOW_SIZE)
#endif
/*
 * Its parts in Dune mode, each from here on: the main root's tables (vm.h),
 * tables and data of libdune's own, threads' blocks (self/percpu.h), and from
 * DUNE_RING0_ALIAS on all before the blocks once more (dune_vm_alias()).
 */
#define DUNE_RING0_TABLES	(16ul << 20)
#define DUNE_RING0_OWN		(64ul << 20)
#define DUNE_RING0_BLOCKS	(128ul << 20)
#define DUNE_VVAR_GVA		0x502000000000ul

/* Alone in its entry of the root: other pages for each vCPU (ring0.h). */
#define DUNE_SITES_GVA		0x508000000000ul

#define DUNE_WINDOW_SHIFT	26
#define DUNE_WINDOW_SIZE	(1ul << DUNE_WINDOW_SHIFT)
#define DUNE_MAX_WINDOWS	16384

#endif
