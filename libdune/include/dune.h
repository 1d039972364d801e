/*
 * libdune: privileged CPU features for ordinary processes, on stock /dev/kvm.
 *
 * dune_caps() tells what the machine at hand can do; dune_enter() goes there.
 * All functions are thread-safe unless they say otherwise; none prints, exits
 * or aborts; none may be called from a signal handler.
 *
 * C and C++. Link with `pkg-config --libs dune`.
 */
#ifndef DUNE_H
#define DUNE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DUNE_API __attribute__((visibility("default")))

/*
 * Errors: functions return 0 or a negative errno value; dune_errmsg() then
 * says more. These mean the same everywhere:
 *
 *   -ENOENT   no /dev/kvm: no virtualization, or no module for it
 *   -EACCES   /dev/kvm may not be opened by this user
 *   -ENOTSUP  this KVM lacks something Dune needs
 *   -ENOMEM   out of memory, or the probe's address is taken
 *   -EINVAL   an argument is out of its range
 *   -EIO      KVM failed in a way it should not
 */

/* What dune_caps() found out, by running probe code in a throw-away VM. */
struct dune_caps {
	uint32_t size;		/* in: sizeof(struct dune_caps) */
	uint32_t native_ring0;	/* 1: `syscall` and traps enter a real ring 0
				 * 0: ring 0 is emulated (software KVM) */
	uint32_t nested_paging;	/* 1: KVM sees entries that the host edits */
	uint32_t fsgsbase;	/* 1: ring 3 may use rdfsbase and friends */
	uint32_t guest_tsc;	/* 1: the guest's rdtsc is the host's */
	uint32_t gpa_bits;	/* guest physical address bits, 36-46 */
	uint32_t max_vcpus;	/* threads of one VM */
	uint32_t reserved;
	uint64_t xcr0;		/* state components of the guest (SDM vol. 1,
				 * 13.3): bit 2 AVX, bits 5-7 AVX-512 */
	uint32_t pcid;		/* 1: ring 0 has PCIDs: nested paging */
	uint32_t pages_1g;	/* 1: tables may have 1 GiB pages */
	/*
	 * Dune mode: exits to the host side that one operation costs. Where
	 * an exit is not needed but ring 0 is emulated, emulated_* says how
	 * many instructions of it are, at about half a microsecond each.
	 */
	uint32_t exits_call;	/* a system call that is forwarded */
	uint32_t exits_trap;	/* a trap that a handler resolves */
	uint32_t exits_edit;	/* an entry changed, this thread's flush */
	uint32_t exits_flush;	/* a flush while other threads are inside */
	uint32_t exits_root;	/* switching roots */
	uint32_t exits_ring3;	/* to ring 3, and a system call back */
	uint32_t exits_privileged;	/* mov to CR, rdmsr, cli ... */
	uint32_t emulated_trap, emulated_flush, emulated_ring3;
	uint32_t exits_dirty;	/* a scan that clears dirty bits, with no other
				 * thread inside. 1: then a page's first write
				 * after it is a fault inside KVM, too */
};

/*
 * Fills caps, whose size field the caller has set: fields beyond it are not
 * written, so a program built against an older header goes on working.
 * Takes about 3 ms; nothing is kept. Uses addresses 0x200000-0x202000 for
 * that time: -ENOMEM if something is mapped there.
 */
DUNE_API int dune_caps(struct dune_caps *caps);

/* "hardware KVM (...)" or "software KVM (...)"; static, never NULL. */
DUNE_API const char *dune_caps_kind(const struct dune_caps *caps);

/*
 * The last failure of this thread in one line: the object, the cause, the way
 * out. "" if there was none. Valid until the thread's next call.
 */
DUNE_API const char *dune_errmsg(void);

/* The library's version, "major.minor.patch"; static. */
DUNE_API const char *dune_version(void);

/*
 * Dune mode: the calling thread goes on in guest mode, in the same place, on
 * the same stack, and now in ring 0 of its process's own virtual machine. libc,
 * files, sockets and threads work as before. Threads that are made in Dune mode
 * start in it; a forked child stays in it, in a virtual machine of its own;
 * execve(2) leaves it, and so does the child of vfork(2) or posix_spawn(3).
 *
 * 0 also when the thread is in Dune mode already. -ENOENT, -EACCES, -ENOTSUP,
 * -ENOMEM, -EAGAIN (out of vCPUs), -EIO. The first call of a process takes
 * milliseconds. Thread-safe; not for signal handlers.
 */
DUNE_API int dune_enter(void);

/*
 * The calling thread goes on in ordinary mode. -EPERM when it is not in Dune
 * mode. Page tables and handlers stay for the threads that are, and for
 * the next dune_enter(). Must not be called from a trap handler or with tables
 * in use whose pages are not the process's own (dune/pgtable.h).
 */
DUNE_API int dune_leave(void);

/* 1 if the calling thread is in Dune mode, else 0. Async-signal-safe. */
DUNE_API int dune_in_dune_mode(void);

#ifdef __cplusplus
}
#endif

#endif
