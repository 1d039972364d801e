/*
 * Programs that are only a descriptor: a memfd without a name, one that is
 * close-on-exec, a plain file, a script; and what is not a program.
 */
#include <sys/auxv.h>
#include <sys/syscall.h>
#include "guest.h"

static void from(int fd, char *what, const char *want)
{
	char *const argv[] = { "fexec", what, NULL }, *const envp[] = { NULL };
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		_exit(errno);
	}
	say("%s: %s, as %s\n", what, how(reap(pid)), want);
}

/* Its interpreter, this program, is told where to read it. */
static int script(void)
{
	char path[4096], line[4200];
	int fd = memfd_create("script", 0), len;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	CHECK(fd >= 0 && n > 0 && dup2(fd, 50) == 50);
	close(fd);
	len = snprintf(line, sizeof(line), "#!%.*s\n", (int)n, path);
	CHECK(write(50, line, len) == len && fchmod(50, 0700) == 0);
	return 50;
}

int main(int argc, char **argv)
{
	char buf[65536];
	int self, mem;
	ssize_t n;

	if (argc > 1) {
		say("running: %s, named %s\n", argv[1],
		    (char *)getauxval(AT_EXECFN));
		return 7;
	}
	self = open("/proc/self/exe", O_RDONLY);
	mem = memfd_create("program", MFD_CLOEXEC);
	/* the numbers are names: not what was open when we were started */
	CHECK(dup2(self, 48) == 48 && dup3(mem, 49, O_CLOEXEC) == 49);
	close(self);
	close(mem);
	self = 48;
	mem = 49;
	while ((n = read(self, buf, sizeof(buf))) > 0)
		CHECK(write(mem, buf, n) == n);
	from(mem, "memfd", "exit 7");
	from(self, "file", "exit 7");
	from(script(), "script", "exit 7");
	from(open("/", O_RDONLY | O_DIRECTORY | O_PATH), "directory",
	     "exit 13");
	mem = memfd_create("empty", 0);
	from(mem, "empty", "exit 8");
	from(999, "closed", "exit 9");
	return 0;
}
