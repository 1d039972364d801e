/*
 * The files of /proc that a sandbox may read, and nothing else of it: Landlock
 * keeps monitors from opening any, for one rule could not tell these from
 * /proc/PID/mem or environ of other processes.
 */
#include "kern/broker/protocol.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kern/types.h"

/* In /proc/PID and /proc/PID/task/TID. */
static const char *const process_files[] = {
	"cgroup", "cmdline", "comm", "cpuset", "io", "limits", "loginuid",
	"maps", "mountinfo", "mounts", "oom_score", "oom_score_adj",
	"personality", "sched", "schedstat", "sessionid", "smaps",
	"smaps_rollup", "stat", "statm", "status", "wchan",
};

/* In /proc: what says something of the machine, not of its users. */
static const char *const system_files[] = {
	"cpuinfo", "devices", "filesystems", "loadavg", "meminfo", "stat",
	"swaps", "uptime", "version", "vmstat", "pressure/cpu",
	"pressure/io", "pressure/memory",
	"sys/fs/file-max", "sys/fs/inotify/max_user_instances",
	"sys/fs/inotify/max_user_watches", "sys/fs/nr_open",
	"sys/fs/pipe-max-size",
	"sys/kernel/cap_last_cap", "sys/kernel/hostname",
	"sys/kernel/ngroups_max", "sys/kernel/osrelease",
	"sys/kernel/ostype", "sys/kernel/pid_max",
	"sys/kernel/random/boot_id", "sys/kernel/random/uuid",
	"sys/kernel/randomize_va_space", "sys/kernel/threads-max",
	"sys/kernel/version",
	"sys/net/core/somaxconn", "sys/net/ipv4/ip_local_port_range",
	"sys/vm/max_map_count", "sys/vm/mmap_min_addr",
	"sys/vm/overcommit_memory", "sys/vm/overcommit_ratio",
};

/* In /proc/PID/net and /proc/net, which is the same: only with --net. */
static const char *const net_files[] = {
	"dev", "if_inet6", "ipv6_route", "route", "snmp", "sockstat",
	"tcp", "tcp6", "udp", "udp6", "unix",
};

static bool among(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* Skips "NUMBER/"; NULL when there is none. */
static const char *skip_number(const char *s, int *value)
{
	char *end;
	long n = isdigit((unsigned char)*s) ? strtol(s, &end, 10) : 0;

	if (n <= 0 || n > INT_MAX || *end != '/')
		return NULL;
	*value = n;
	return end + 1;
}

static bool process_file(const char *name, bool net)
{
	int tid;

	if (strncmp(name, "task/", 5) == 0) {
		name = skip_number(name + 5, &tid);
		if (!name)
			return false;
	}
	if (net && strncmp(name, "net/", 4) == 0)
		return among(name + 4, net_files, DUNE_ARRAY_SIZE(net_files));
	return among(name, process_files, DUNE_ARRAY_SIZE(process_files));
}

static int open_proc(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

static int open_of(struct dune_members *m, int pid, const char *rest, bool net)
{
	char path[160];
	int fd;

	if (!process_file(rest, net))
		return -ENOENT;
	if (!dune_members_find(m, pid))
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, rest);
	fd = open_proc(path);
	/* still alive: it was this process's, not that of its pid's heir */
	if (fd >= 0 && !dune_members_find(m, pid)) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

int dune_broker_open(struct dune_members *m, pid_t asker, const char *name,
		     bool net)
{
	const char *rest;
	char path[160];
	int pid;

	if (strncmp(name, "self/", 5) == 0)
		return open_of(m, asker, name + 5, net);
	if (strncmp(name, "net/", 4) == 0)
		return open_of(m, asker, name, net);
	rest = skip_number(name, &pid);
	if (rest)
		return open_of(m, pid, rest, net);
	if (!among(name, system_files, DUNE_ARRAY_SIZE(system_files)))
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%s", name);
	return open_proc(path);
}
