/*
 * Programs that are only a descriptor: a memfd without a name, one that is
 * close-on-exec, a plain file; and what is not a program.
 */
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

int main(int argc, char **argv)
{
	char buf[65536];
	int self, mem;
	ssize_t n;

	if (argc > 1) {
		say("running: %s\n", argv[1]);
		return 7;
	}
	self = open("/proc/self/exe", O_RDONLY);
	mem = memfd_create("program", MFD_CLOEXEC);
	CHECK(self >= 0 && mem >= 0);
	while ((n = read(self, buf, sizeof(buf))) > 0)
		CHECK(write(mem, buf, n) == n);
	from(mem, "memfd", "exit 7");
	from(self, "file", "exit 7");
	from(open("/", O_RDONLY | O_DIRECTORY | O_PATH), "directory",
	     "exit 13");
	mem = memfd_create("empty", 0);
	from(mem, "empty", "exit 8");
	from(999, "closed", "exit 9");
	return 0;
}
