/*
 * Copying from and to the guest: the only way monitor code touches guest
 * memory. Arena range check that cannot overflow, then a copy whose faults
 * (unmapped, protection, file too short) end it with -EFAULT, so guest
 * threads may unmap underneath. Async-signal-safe, thread-safe.
 */
#ifndef DUNE_KERN_UACCESS_H
#define DUNE_KERN_UACCESS_H

#include "kern/layout.h"
#include "kern/types.h"

/* Does [addr, addr + len) lie in the arena? len 0 is fine anywhere in it. */
static inline bool dune_access_ok(dune_gva_t addr, uint64_t len)
{
	return addr >= DUNE_ARENA_LO && addr <= DUNE_ARENA_HI &&
	       len <= DUNE_ARENA_HI - addr;
}

/* 0 or -EFAULT; on -EFAULT the destination may be partly written. */
int dune_copy_in(void *dst, dune_gva_t src, size_t len);
int dune_copy_out(dune_gva_t dst, const void *src, size_t len);
int dune_clear_out(dune_gva_t dst, size_t len);

/* An aligned word, at once. 0 or -EFAULT. */
int dune_store_out(dune_gva_t dst, uint64_t value);

/*
 * Touches one byte without changing it, as a read or as a write: makes the
 * host bring the page in. 0 or -EFAULT.
 */
int dune_touch(dune_gva_t addr, bool write);

/*
 * Copies a string with its NUL into dst[size]. Returns its length without the
 * NUL, -EFAULT, or -ENAMETOOLONG when no NUL is found in size bytes.
 */
long dune_copy_string(char *dst, dune_gva_t src, size_t size);

/*
 * The SIGSEGV/SIGBUS handler calls this first: if pc is inside a copy
 * routine, returns the address to continue at, else 0.
 */
uintptr_t dune_uaccess_fixup(uintptr_t pc);

#endif
