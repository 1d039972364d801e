/* The machine and its kernel, apart from KVM. */
#include "apps/dune-check/check.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A program and its monitor, in MiB. */
#define MEMORY_MIN 64

#define CPUID_BRAND 0x80000002

static void check_cpu(const struct check *c, struct facts *f,
		      struct result *r)
{
	union {
		unsigned int reg[12];
		char text[49];
	} brand = { { 0 } };
	const char *name = brand.text;
	unsigned int i, *b;

	(void)c;
	(void)f;
	for (i = 0; i < 3; i++) {
		b = &brand.reg[4 * i];
		__get_cpuid(CPUID_BRAND + i, &b[0], &b[1], &b[2], &b[3]);
	}
	name += strspn(name, " ");
	found(r, OK, "x86-64, %s, %ld online", *name ? name : "no name",
	      sysconf(_SC_NPROCESSORS_ONLN));
}

static void check_kernel(const struct check *c, struct facts *f,
			 struct result *r)
{
	struct utsname u;

	(void)c;
	(void)f;
	uname(&u);
	found(r, OK, "%s %s", u.sysname, u.release);
}

/* The calls that a kernel may be too old for. */
static void check_calls(const struct check *c, struct facts *f,
			struct result *r)
{
	static const struct {
		const char *name, *since;
		long nr, a0, a1, a2, a3;
	} calls[] = {
		{ "memfd_create", "3.17", SYS_memfd_create, (long)"check",
		  MFD_CLOEXEC, 0, 0 },
		{ "pidfd_open", "5.3", SYS_pidfd_open, 0, 0, 0, 0 },
		{ "faccessat2", "5.8", SYS_faccessat2, AT_FDCWD, (long)"/",
		  0, 0 },
		{ "close_range", "5.9", SYS_close_range, ~0u, ~0u, 0, 0 },
	};
	unsigned int i;
	long ret;

	(void)c;
	(void)f;
	for (i = 0; i < DUNE_ARRAY_SIZE(calls); i++) {
		ret = syscall(calls[i].nr, calls[i].nr == SYS_pidfd_open ?
			      getpid() : calls[i].a0, calls[i].a1, calls[i].a2,
			      calls[i].a3);
		if (ret < 0) {
			found(r, MISSING, "%s: %s", calls[i].name,
			      strerror(errno));
			mend(r, "use Linux %s or newer; in a container, allow "
			     "the call in its seccomp profile",
			     calls[i].since);
			return;
		}
		if (ret > 2)
			close(ret);
	}
	found(r, OK, "pidfd_open, faccessat2, close_range, memfd_create");
}

static void check_proc(const struct check *c, struct facts *f,
		       struct result *r)
{
	(void)c;
	(void)f;
	if (!access("/proc/self/maps", R_OK)) {
		found(r, OK, "mounted");
		return;
	}
	found(r, MISSING, "/proc/self/maps: %s", strerror(errno));
	mend(r, "mount -t proc proc /proc");
}

/* The program gets 80 TiB of this process's addresses, all but none used. */
static void check_addresses(const struct check *c, struct facts *f,
			    struct result *r)
{
	uint64_t len = DUNE_ARENA_HI - DUNE_ARENA_LO;
	unsigned long tib = DUNE_ARENA_HI >> 40;
	void *want = (void *)DUNE_ARENA_LO, *p;
	struct rlimit rl;

	(void)c;
	(void)f;
	p = mmap(want, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != MAP_FAILED)
		munmap(p, len);
	if (p == want) {
		found(r, OK, "%lu TiB from 0x%lx are free", tib,
		      DUNE_ARENA_LO);
		return;
	}
	found(r, MISSING, "%lu TiB from 0x%lx cannot be had: %s", tib,
	      DUNE_ARENA_LO, strerror(p == MAP_FAILED ? errno : EEXIST));
	getrlimit(RLIMIT_AS, &rl);
	if (rl.rlim_cur != RLIM_INFINITY)
		mend(r, "ulimit -v unlimited");
	else
		mend(r, "sysctl vm.mmap_min_addr=65536, and no LD_PRELOAD or "
		     "sanitizer in dune-run");
}

/* In MiB; 0 when /proc does not say. */
static unsigned long available(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %lu", &kib) == 1)
			break;
	fclose(file);
	return kib >> 10;
}

static void check_memory(const struct check *c, struct facts *f,
			 struct result *r)
{
	unsigned long mib = available();

	(void)c;
	(void)f;
	found(r, mib >= MEMORY_MIN ? OK : MISSING, "%lu MiB available", mib);
	if (mib < MEMORY_MIN)
		mend(r, "free some memory: a small program needs %d MiB",
		     MEMORY_MIN);
}

const struct check machine_checks[] = {
	{ .name = "CPU", .run = check_cpu, .needed = true },
	{ .name = "kernel", .run = check_kernel, .needed = true },
	{ .name = "system calls", .run = check_calls, .needed = true },
	{ .name = "/proc", .run = check_proc, .needed = true },
	{ .name = "address space", .run = check_addresses, .needed = true },
	{ .name = "memory", .run = check_memory, .needed = true },
	{ 0 },
};
