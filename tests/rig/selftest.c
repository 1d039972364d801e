/*
 * The smallest program that needs a working /dev/kvm: it tells a rig that
 * is broken from a Dune that is broken. A real mode guest of three
 * instructions, one exit for each of the last two. Prints TAP.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PORT 0x42
#define GPA 0x1000

static const unsigned char code[] = {
	0xb0, 'D',	/* mov $'D', %al */
	0xe6, PORT,	/* out %al, $PORT */
	0xf4,		/* hlt */
};

static int n, failed;

static int check(int ok, const char *what)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++n, what);
	if (!ok) {
		perror("# the last system error, if it was one");
		failed = 1;
	}
	return ok;
}

static int finish(void)
{
	printf("1..%d\n", n);
	return failed;
}

int main(void)
{
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = GPA, .memory_size = 0x1000,
	};
	struct kvm_regs regs = { .rip = GPA, .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int kvm, vm, vcpu, size;
	void *mem;

	setvbuf(stdout, NULL, _IOLBF, 0);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (!check(kvm >= 0, "/dev/kvm opens"))
		return finish();
	check(ioctl(kvm, KVM_GET_API_VERSION, 0) == 12, "its API is 12");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (!check(vm >= 0, "a virtual machine is made"))
		return finish();

	mem = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return check(0, "memory"), finish();
	memcpy(mem, code, sizeof(code));
	slot.userspace_addr = (unsigned long)mem;
	check(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot),
	      "it is given memory");

	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (!check(vcpu >= 0 && size > 0, "it is given a processor"))
		return finish();
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return check(0, "struct kvm_run is mapped"), finish();
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	check(!ioctl(vcpu, KVM_SET_SREGS, &sregs) &&
	      !ioctl(vcpu, KVM_SET_REGS, &regs), "its registers are set");

	check(!ioctl(vcpu, KVM_RUN, 0) && run->exit_reason == KVM_EXIT_IO &&
	      run->io.direction == KVM_EXIT_IO_OUT && run->io.port == PORT &&
	      *((char *)run + run->io.data_offset) == 'D',
	      "out exits with its port and byte");
	check(!ioctl(vcpu, KVM_RUN, 0) && run->exit_reason == KVM_EXIT_HLT,
	      "hlt exits");
	return finish();
}
