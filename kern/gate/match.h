/*
 * Rewriting one system call site: what may be rewritten, and into what. Pure.
 *
 * `syscall` has two bytes, a jump to anywhere has five: the instruction behind
 * it must go, too. So a site becomes
 *
 *	at:	jmp  trampoline		its third byte is int3: whoever comes
 *	at + 2:	(int3)			to the instruction that was there traps
 *
 * and the trampoline, one for each site, is
 *
 *		lea  back(%rip), %rcx	as syscall leaves it, but for where
 *		movabs $entry, %r11
 *		jmp  *%r11
 *	back:	the instruction from at + 2
 *		jmp  behind it
 *
 * Boundaries are proven by execution: a system call was made here, so there is
 * a `syscall` at `at`, and an instruction at at + 2 to which it returns. That
 * one must mean the same elsewhere and must not fault: registers alone. A jump
 * to it (its `syscall` is skipped), and the return of a signal handler, meet
 * the int3 and are sent on by the monitor. Or it is a `ret` with padding behind
 * it.
 */
#ifndef DUNE_KERN_GATE_MATCH_H
#define DUNE_KERN_GATE_MATCH_H

#include "kern/types.h"

/* Bytes from the `syscall` on that decide. */
#define DUNE_SITE_LOOK	20
#define DUNE_SITE_PATCH	5
/* Where in a trampoline is `back`, and how long all of it can be. */
#define DUNE_SITE_BACK	20
#define DUNE_TRAMPOLINE	64

/*
 * May the site at `at`, of which len bytes (at least the `syscall`) are given,
 * be rewritten? The length of the instruction that moves, 0: no.
 */
unsigned int dune_site_match(const uint8_t *code, size_t len, dune_gva_t at);

/* Can a patched site jump there, with the int3 where it has to be? */
bool dune_site_reaches(dune_gva_t at, dune_gva_t trampoline);

void dune_site_patch(uint8_t patch[DUNE_SITE_PATCH], dune_gva_t at,
		     dune_gva_t trampoline);

/* The trampoline of a site whose moved instruction has `moved` bytes. */
void dune_site_trampoline(uint8_t out[DUNE_TRAMPOLINE], dune_gva_t trampoline,
			  dune_gva_t at, const uint8_t *code,
			  unsigned int moved, uint64_t entry);

/*
 * The address in the program's own code that stands for an offset in its
 * trampoline: the same registers but rcx and r11, the same to be done.
 */
dune_gva_t dune_site_original(dune_gva_t at, unsigned int moved,
			      unsigned int offset);

#endif
