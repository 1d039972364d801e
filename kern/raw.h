/*
 * A system call as such: no errno, no cancellation point, nothing that a
 * program could have put in libc's place.
 */
#ifndef DUNE_KERN_RAW_H
#define DUNE_KERN_RAW_H

/* Returns the kernel's rax. */
static inline long dune_raw6(long nr, long a, long b, long c, long d, long e,
			     long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long dune_raw4(long nr, long a, long b, long c, long d)
{
	return dune_raw6(nr, a, b, c, d, 0, 0);
}

static inline long dune_raw3(long nr, long a, long b, long c)
{
	return dune_raw6(nr, a, b, c, 0, 0, 0);
}

#endif
