/* KVM's own statistics of this process's vCPUs (KVM_GET_STATS_FD). */
#include "bench/mode/mode.h"

#include <dirent.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int64_t read_stat(int fd, const char *name)
{
	struct kvm_stats_header head;
	struct kvm_stats_desc *d;
	int64_t ret = -ENOENT;
	uint64_t value;
	size_t size;
	char *all;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return -EIO;
	size = sizeof(*d) + head.name_size;
	all = malloc(size * head.num_desc);
	if (!all || pread(fd, all, size * head.num_desc, head.desc_offset) !=
			    (ssize_t)(size * head.num_desc))
		head.num_desc = 0;
	for (uint32_t i = 0; i < head.num_desc; i++) {
		d = (struct kvm_stats_desc *)(all + i * size);
		if (strcmp(d->name, name))
			continue;
		ret = -EIO;
		if (pread(fd, &value, sizeof(value),
			  head.data_offset + d->offset) == sizeof(value))
			ret = value;
	}
	free(all);
	return ret;
}

static int64_t of_vcpu(int vcpu, const char *name)
{
	int fd = ioctl(vcpu, KVM_GET_STATS_FD, NULL);
	int64_t ret;

	if (fd < 0)
		return -errno;
	ret = read_stat(fd, name);
	close(fd);
	return ret;
}

int64_t mode_kvm_stat(const char *name)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t sum = 0, one = 0;
	struct dirent *d;
	char target[64];

	if (!dir)
		return -errno;
	while (one >= 0 && (d = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, target,
				       sizeof(target) - 1);

		target[n > 0 ? n : 0] = 0;
		if (strncmp(target, "anon_inode:kvm-vcpu", 19))
			continue;
		one = of_vcpu(atoi(d->d_name), name);
		sum += one;
	}
	closedir(dir);
	return one < 0 ? one : sum;
}
