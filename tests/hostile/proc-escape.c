/*
 * /proc and the like lead to other processes, to memory and to the whole file
 * system: nothing of it opens. Argument: an outside process.
 */
#include <dirent.h>
#include "hostile.h"

static const char *const paths[] = {
	"/proc/self/mem", "/proc/thread-self/mem", "/proc/self/pagemap",
	"/proc/self/root/etc/passwd", "/proc/self/cwd/../../../../etc/passwd",
	"/proc/self/map_files", "/proc/self/clear_refs", "/proc/self/syscall",
	"/proc/self/stack", "/proc/self/uid_map",
	"/proc/self/auxv", "/proc/self/ns/mnt", "/proc/self/fd/../mem",
	"/proc/./self/mem", "/proc//self//mem", "/proc/self/../self/mem",
	"/proc/self/task/../mem", "/../proc/self/mem", "/proc/kcore",
	"/proc/kallsyms", "/proc/sysrq-trigger",
	"/proc/sys/kernel/core_pattern",
	"/proc/1/root/etc/passwd", "/proc/1/environ", "/proc/1/cwd",
	"/proc/%d/mem", "/proc/%d/root/etc/passwd", "/proc/%d/environ",
	"/proc/%d/maps", "/proc/%d/fd/0", "/proc/%d/cwd", "/proc/%d/cmdline",
	"/proc/self/fd/1000000", "/dev/mem", "/dev/kmsg", "/dev/kvm",
	"/dev/vda", "/dev/sda", "/sys/kernel/debug", "/sys/module/kvm",
	"/etc/passwd", "/root", "/home", "/tmp", "/var", "/run", "/",
	"/dev/ptmx", "/dev/shm", "/proc/net/tcp",
};

int main(int argc, char **argv)
{
	char path[256], tid[64];
	int out = argc > 1 ? atoi(argv[1]) : 1, fd, n = 0;
	int pids[] = { out, getppid(), 1 };

	snprintf(tid, sizeof(tid), "/proc/self/task/%d/mem", gettid());
	REFUSED(tid, open(tid, O_RDWR));
	snprintf(tid, sizeof(tid), "/proc/%d/mem", getpid());
	REFUSED(tid, open(tid, O_RDONLY));
	for (unsigned int i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		for (int k = 0; k < 3; k++) {
			snprintf(path, sizeof(path), paths[i], pids[k]);
			REFUSED(path, open(path, O_WRONLY));
			REFUSED(path, open(path, O_RDWR));
			/* Its own auxv is no secret. */
			if (strcmp(path, "/proc/self/auxv") != 0)
				REFUSED(path, open(path, O_RDONLY));
			n++;
			if (!strchr(paths[i], '%'))
				break;
		}
	/* By way of a directory descriptor, and by changing into it. */
	fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	if (fd >= 0) {
		REFUSED("mem by openat", openat(fd, "mem", O_RDONLY));
		REFUSED("root by openat", openat(fd, "root/etc/passwd", 0));
		REFUSED("pagemap by openat", openat(fd, "./pagemap", 0));
	}
	fd = open("/proc/self", O_PATH);
	if (fd >= 0)
		REFUSED("mem by O_PATH", openat(fd, "mem", O_RDONLY));
	if (chdir("/proc/self") == 0)
		REFUSED("mem after chdir", open("mem", O_RDONLY));
	contained("%d paths", n);
	return 0;
}
