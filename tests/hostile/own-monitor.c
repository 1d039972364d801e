/*
 * Where all files may be read, or even written, /proc has the monitor's memory
 * among them: it stays shut, by whatever way one comes there. Arguments: a
 * directory to write in; "all" where the rules allow to write everywhere, for
 * then the mode of any file is ours to ruin.
 */
#include <sys/resource.h>
#include "hostile.h"

static const char *const memory[] = {
	"/proc/self/mem", "/proc/thread-self/mem",
	"/proc/self/root/proc/self/mem", "/proc/self/cwd/../proc/self/mem",
	"/proc/self/root/proc/self/task/../mem", "/proc/self/root/proc/kcore",
};

/* By a directory, a symlink, and as another process of the sandbox. */
static void memory_of(const char *pid, int how)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	fd = open(path, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return;
	REFUSED("mem by its directory", openat(fd, "mem", how));
	snprintf(path, sizeof(path), "task/%s/mem", pid);
	REFUSED("a thread's mem", openat(fd, path, how));
	close(fd);
	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	unlink("link");
	CHECK(symlink(path, "link") == 0);
	REFUSED("mem by a symlink", open("link", how));
	REFUSED("mem by its name", open(path, how));
}

/* A line of maps that tells of more than the program's memory. */
static void addresses_in(const char *path)
{
	static char text[1 << 18];
	unsigned long end;
	int fd = open(path, O_RDONLY);
	long n = 0, got;
	char *p;

	if (fd < 0)
		return;
	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	close(fd);
	text[n] = 0;
	for (p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (sscanf(p, "%*x-%lx", &end) == 1 && end > ARENA_HI)
			ESCAPED("%s: %.60s", path, p);
}

static void addresses_of(const char *pid)
{
	static const char *const files[] = { "maps", "smaps", "smaps_rollup" };
	char path[128];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, files[i]);
		addresses_in(path);
		snprintf(path, sizeof(path), "/proc/%s/task/%s/%s", pid, pid,
			 files[i]);
		addresses_in(path);
	}
}

static bool all;

/* The monitor's pipes and sockets; files are opened as the rules say. */
static void writable(const char *how, int dir, const char *name)
{
	char link[32], to[64] = "";
	int fd;

	if (!all)
		fchmodat(dir, name, 0666, 0);
	fd = openat(dir, name, O_RDWR | O_NONBLOCK);
	if (fd < 0)
		fd = openat(dir, name, O_WRONLY | O_NONBLOCK);
	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, to, sizeof(to) - 1) < 0 || *to != '/')
		ESCAPED("%s is open, by %s: %s", name, how, to);
	close(fd);
}

static void descriptors_of(const char *pid)
{
	char dir[64], name[96];
	struct rlimit ours;
	int fd;

	CHECK(getrlimit(RLIMIT_NOFILE, &ours) == 0);
	snprintf(dir, sizeof(dir), "/proc/%s/fd", pid);
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (rlim_t n = ours.rlim_max; n < ours.rlim_max + 40; n++) {
		snprintf(name, sizeof(name), "%s/%d", dir, (int)n);
		writable("its name", AT_FDCWD, name);
		unlink("link");
		CHECK(symlink(name, "link") == 0);
		writable("a symlink", AT_FDCWD, "link");
		if (fd >= 0)
			writable("its directory", fd,
				 name + strlen(dir) + 1);
	}
	if (fd >= 0)
		close(fd);
}

static void look(const char *pid)
{
	descriptors_of(pid);
	memory_of(pid, O_RDONLY);
	memory_of(pid, O_RDWR);
	addresses_of(pid);
}

int main(int argc, char **argv)
{
	char pid[16];
	pid_t child;

	CHECK(argc > 1 && chdir(argv[1]) == 0);
	all = argc > 2;
	for (unsigned int i = 0; i < sizeof(memory) / sizeof(*memory); i++) {
		REFUSED(memory[i], open(memory[i], O_RDONLY));
		REFUSED(memory[i], open(memory[i], O_RDWR));
	}
	look("self");
	snprintf(pid, sizeof(pid), "%d", getpid());
	look(pid);
	child = fork();
	if (child == 0) {
		look(pid);
		_exit(0);
	}
	if (reap(child) != 0)
		return 1;
	contained("neither its monitor's memory nor where it is");
	return 0;
}
