/* /dev/kvm: is it there, may we, and can it do what is needed. */
#include "apps/dune-check/check.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kern/err.h"

#define DEV_KVM "/dev/kvm"

enum vendor { UNKNOWN, INTEL, AMD };

/* CPUID: who made it, has it virtualization, are we in a VM ourselves. */
static bool cpu_virtualizes(enum vendor *vendor, bool *in_vm)
{
	unsigned int a, b = 0, c = 0, d = 0;

	*vendor = UNKNOWN;
	__get_cpuid(0, &a, &b, &c, &d);
	if (b == signature_INTEL_ebx)
		*vendor = INTEL;
	else if (b == signature_AMD_ebx)
		*vendor = AMD;
	c = 0;
	__get_cpuid(1, &a, &b, &c, &d);
	*in_vm = c >> 31;
	if (*vendor == INTEL)
		return c & 1u << 5;		/* VMX */
	c = 0;
	__get_cpuid(0x80000001, &a, &b, &c, &d);
	return c & 1u << 2;			/* SVM */
}

static void mend_absent(struct result *r)
{
	enum vendor vendor;
	bool in_vm;

	if (cpu_virtualizes(&vendor, &in_vm))
		mend(r, "modprobe %s; in a container, pass the device on "
		     "(docker run --device /dev/kvm)",
		     vendor == INTEL ? "kvm_intel" : "kvm_amd");
	else if (in_vm)
		mend(r, "this is a virtual machine without virtualization of "
		     "its own: turn on nested virtualization where it is "
		     "configured, or use make rig");
	else
		mend(r, "turn on virtualization (VT-x, AMD-V, SVM) in the "
		     "firmware, then modprobe %s",
		     vendor == INTEL ? "kvm_intel" : "kvm_amd");
}

static bool in_group(gid_t gid)
{
	gid_t list[1024];
	int n = getgroups(DUNE_ARRAY_SIZE(list), list);

	while (n > 0)
		if (list[--n] == gid)
			return true;
	return getegid() == gid;
}

static void mend_refused(struct result *r)
{
	struct stat st;
	FILE *groups;
	char line[256], name[64] = "kvm";
	unsigned int gid;

	if (stat(DEV_KVM, &st))
		return;
	if (!(st.st_mode & S_IWGRP) || !st.st_gid) {
		mend(r, "sudo chgrp kvm " DEV_KVM " && sudo chmod 660 " DEV_KVM
		     ", and be in the group: sudo usermod -aG kvm $USER");
		return;
	}
	if (in_group(st.st_gid)) {
		mend(r, "your group may open it, but something else refuses: "
		     "look at security modules and the container's devices");
		return;
	}
	/* a static program had better not ask getgrgid() */
	groups = fopen("/etc/group", "re");
	while (groups && fgets(line, sizeof(line), groups))
		if (sscanf(line, "%63[^:]:%*[^:]:%u", name, &gid) == 2 &&
		    gid == st.st_gid)
			break;
	if (groups)
		fclose(groups);
	mend(r, "sudo usermod -aG %s $USER, then log in again", name);
}

static void check_device(const struct check *c, struct facts *f,
			 struct result *r)
{
	(void)c;
	f->kvm_fd = open(DEV_KVM, O_RDWR | O_CLOEXEC);
	if (f->kvm_fd >= 0) {
		found(r, OK, "may be opened");
		return;
	}
	found(r, MISSING, "%s", strerror(errno));
	if (errno == EACCES || errno == EPERM)
		mend_refused(r);
	else
		mend_absent(r);
}

static void check_api(const struct check *c, struct facts *f,
		      struct result *r)
{
	int version;

	(void)c;
	if (f->kvm_fd < 0)
		return;
	version = ioctl(f->kvm_fd, KVM_GET_API_VERSION, 0);
	found(r, version == KVM_API_VERSION ? OK : MISSING, "version %d",
	      version);
	if (version == KVM_API_VERSION)
		return;
	mend(r, "version %d is needed, which Linux has since 2.6.22; if it is "
	     "-1, this is not KVM's file",
	     KVM_API_VERSION);
	/* there is nothing to ask */
	close(f->kvm_fd);
	f->kvm_fd = -1;
}

static void check_cap(const struct check *c, struct facts *f,
		      struct result *r)
{
	if (f->kvm_fd < 0)
		return;
	if (ioctl(f->kvm_fd, KVM_CHECK_EXTENSION, c->arg) > 0) {
		found(r, OK, "%s", c->what);
		return;
	}
	found(r, MISSING, "%s", c->what);
	mend(r, "use Linux 5.13 or newer");
}

/* The one that decides: what dune-run itself does at its start. */
static void check_probe(const struct check *c, struct facts *f,
			struct result *r)
{
	int fd, ret;

	(void)c;
	if (f->kvm_fd < 0)
		return;
	fd = dune_kvm_open();
	ret = fd < 0 ? fd : dune_kvm_probe(fd, &f->kind, true);
	dune_kvm_probe_end();
	if (fd >= 0)
		close(fd);
	f->probed = !ret;
	if (!ret) {
		found(r, OK, "a VM and a vCPU were made and ran code in "
		      "ring 3");
		return;
	}
	found(r, MISSING, "%s", dune_errmsg());
	mend(r, "look at dmesg; other hypervisors may hold the CPU "
	     "(VirtualBox, VMware)");
}

const struct check kvm_checks[] = {
	{ .name = DEV_KVM, .run = check_device, .needed = true },
	{ .name = "KVM API", .run = check_api, .needed = true },
	{ .name = "KVM_CAP_USER_MEMORY", .run = check_cap, .needed = true,
	  .arg = KVM_CAP_USER_MEMORY,
	  .what = "memory of this process in a VM" },
	{ .name = "KVM_CAP_READONLY_MEM", .run = check_cap, .needed = true,
	  .arg = KVM_CAP_READONLY_MEM, .what = "memory only the host writes" },
	{ .name = "KVM_CAP_SYNC_REGS", .run = check_cap, .needed = true,
	  .arg = KVM_CAP_SYNC_REGS, .what = "registers without system calls" },
	{ .name = "KVM_CAP_IMMEDIATE_EXIT", .run = check_cap, .needed = true,
	  .arg = KVM_CAP_IMMEDIATE_EXIT, .what = "signals are never lost" },
	{ .name = "KVM_CAP_XSAVE", .run = check_cap, .needed = true,
	  .arg = KVM_CAP_XSAVE, .what = "vector registers over fork" },
	{ .name = "KVM_CAP_EXT_CPUID", .run = check_cap, .needed = true,
	  .arg = KVM_CAP_EXT_CPUID, .what = "CPU features for the guest" },
	{ .name = "virtual machine", .run = check_probe, .needed = true },
	{ 0 },
};
