/* Copying from and to the guest. */
#include "kern/mm/uaccess.h"

#include <errno.h>
#include <string.h>

/* uaccess_copy.S: 0, or nonzero when the memory could not be reached. */
int dune_uaccess_copy(void *dst, const void *src, size_t len);
int dune_uaccess_zero(void *dst, size_t len);
int dune_uaccess_read(const void *p);
int dune_uaccess_write(void *p);
int dune_uaccess_store(void *p, uint64_t value);
extern const char dune_uaccess_start[], dune_uaccess_end[];
extern const char dune_uaccess_failed[];

/* The one place where a guest address becomes a pointer. */
static void *pointer(dune_gva_t addr)
{
	return (void *)(uintptr_t)addr;
}

int dune_copy_in(void *dst, dune_gva_t src, size_t len)
{
	if (!dune_access_ok(src, len) ||
	    dune_uaccess_copy(dst, pointer(src), len))
		return -EFAULT;
	return 0;
}

int dune_copy_out(dune_gva_t dst, const void *src, size_t len)
{
	if (!dune_access_ok(dst, len) ||
	    dune_uaccess_copy(pointer(dst), src, len))
		return -EFAULT;
	return 0;
}

int dune_clear_out(dune_gva_t dst, size_t len)
{
	if (!dune_access_ok(dst, len) || dune_uaccess_zero(pointer(dst), len))
		return -EFAULT;
	return 0;
}

int dune_store_out(dune_gva_t dst, uint64_t value)
{
	if (!dune_access_ok(dst, sizeof(value)) ||
	    dune_uaccess_store(pointer(dst), value))
		return -EFAULT;
	return 0;
}

int dune_touch(dune_gva_t addr, bool write)
{
	if (!dune_access_ok(addr, 1) ||
	    (write ? dune_uaccess_write(pointer(addr)) :
		     dune_uaccess_read(pointer(addr))))
		return -EFAULT;
	return 0;
}

/* A page at a time: what follows the string's page need not be mapped. */
long dune_copy_string(char *dst, dune_gva_t src, size_t size)
{
	size_t done = 0;

	while (done < size) {
		dune_gva_t at = src + done;
		size_t chunk = DUNE_PAGE_SIZE - (at & (DUNE_PAGE_SIZE - 1));
		const char *nul;

		if (chunk > size - done)
			chunk = size - done;
		if (dune_copy_in(dst + done, at, chunk))
			return -EFAULT;
		nul = memchr(dst + done, 0, chunk);
		if (nul)
			return nul - dst;
		done += chunk;
	}
	return -ENAMETOOLONG;
}

uintptr_t dune_uaccess_fixup(uintptr_t pc)
{
	if (pc >= (uintptr_t)dune_uaccess_start &&
	    pc < (uintptr_t)dune_uaccess_end)
		return (uintptr_t)dune_uaccess_failed;
	return 0;
}
