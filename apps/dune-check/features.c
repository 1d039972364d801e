/* What the KVM found here does natively, emulates, or leaves off. */
#include "apps/dune-check/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define XCR0_AVX	(1ul << 2)
#define XCR0_AVX512	(7ul << 5)

static void feature_ring0(const struct check *c, struct facts *f,
			  struct result *r)
{
	(void)c;
	if (!f->probed)
		return;
	if (f->kind.native_ring0)
		found(r, NATIVE, "system calls and traps enter the guest's "
		      "ring 0");
	else
		found(r, EMULATED, "system calls and traps leave from "
		      "ring 3: slower exits, same results");
}

static void feature_paging(const struct check *c, struct facts *f,
			   struct result *r)
{
	(void)c;
	if (!f->probed)
		return;
	if (f->kind.host_pte_edits)
		found(r, NATIVE, "the CPU walks the guest's page tables");
	else
		found(r, EMULATED, "KVM shadows the guest's page tables: "
		      "first touches of memory cost more");
}

static void feature_fsgsbase(const struct check *c, struct facts *f,
			     struct result *r)
{
	(void)c;
	if (!f->probed)
		return;
	if (f->kind.fsgsbase)
		found(r, NATIVE, "wrfsbase and the like work in ring 3");
	else
		found(r, OFF, "programs are told to use arch_prctl(2)");
}

static void feature_vdso(const struct check *c, struct facts *f,
			 struct result *r)
{
	(void)c;
	if (!f->probed)
		return;
	if (f->kind.tsc_matches && getauxval(AT_SYSINFO_EHDR))
		found(r, NATIVE, "clock_gettime(2) costs no exit");
	else
		found(r, OFF, "clock_gettime(2) is a forwarded call: the "
		      "guest's clock counts differently");
}

static void feature_vectors(const struct check *c, struct facts *f,
			    struct result *r)
{
	uint64_t mask = c->arg;

	if (!f->probed)
		return;
	if ((f->kind.xcr0 & mask) == mask)
		found(r, NATIVE, "kept over exits, signals and forks");
	else
		found(r, OFF, "not in this CPU, or not given by KVM");
}

static void feature_physical(const struct check *c, struct facts *f,
			     struct result *r)
{
	uint64_t windows;

	(void)c;
	if (!f->probed)
		return;
	windows = (1ul << f->kind.gpa_bits) / DUNE_WINDOW_SIZE;
	if (windows > DUNE_MAX_WINDOWS)
		windows = DUNE_MAX_WINDOWS;
	found(r, OK, "%u address bits, up to %lu GiB for a program",
	      f->kind.gpa_bits, windows * DUNE_WINDOW_SIZE >> 30);
}

static void feature_vcpus(const struct check *c, struct facts *f,
			  struct result *r)
{
	(void)c;
	if (!f->probed)
		return;
	found(r, OK, "up to %u threads in a process", f->kind.max_vcpus);
}

static void feature_huge(const struct check *c, struct facts *f,
			 struct result *r)
{
	char mode[64] = "";
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled",
			   "re");

	(void)c;
	(void)f;
	if (file) {
		if (!fgets(mode, sizeof(mode), file))
			mode[0] = '\0';
		fclose(file);
	}
	if (mode[0] && !strstr(mode, "[never]")) {
		found(r, OK, "large allocations use pages of 2 MiB");
		return;
	}
	found(r, OFF, "every page of 4 KiB is a fault of its own");
	mend(r, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
}

const struct check feature_checks[] = {
	{ .name = "ring 0", .run = feature_ring0 },
	{ .name = "nested paging", .run = feature_paging },
	{ .name = "FSGSBASE", .run = feature_fsgsbase },
	{ .name = "vDSO time", .run = feature_vdso },
	{ .name = "AVX", .run = feature_vectors, .arg = XCR0_AVX },
	{ .name = "AVX-512", .run = feature_vectors, .arg = XCR0_AVX512 },
	{ .name = "guest memory", .run = feature_physical },
	{ .name = "vCPUs", .run = feature_vcpus },
	{ .name = "large pages", .run = feature_huge },
	{ 0 },
};
