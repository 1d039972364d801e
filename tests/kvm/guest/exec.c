/*
 * execve: arguments, environment, close-on-exec, pid, mask, pending and ignored
 * signals are kept or reset as Linux does; errors leave the caller as it was;
 * scripts; execveat.
 */
#include "guest.h"

static char self[PATH_MAX];

static void put(const char *name, const char *text, int mode)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(fchmod(fd, mode) == 0);
	close(fd);
}

/* What the second image finds. */
static int second(int argc, char **argv)
{
	struct sigaction sa;
	sigset_t set;

	for (int i = 1; i < argc; i++)
		say("[%s]", argv[i]);
	say(" env %s\n", getenv("KEY") ? getenv("KEY") : "none");
	say("fd 50 %s, fd 51 %s\n", fcntl(50, F_GETFD) < 0 ? "closed" : "open",
	    fcntl(51, F_GETFD) < 0 ? "closed" : "open");
	sigaction(SIGUSR1, NULL, &sa);
	say("USR1 %s\n", sa.sa_handler == SIG_IGN ? "ignored" : "not ignored");
	sigaction(SIGSEGV, NULL, &sa);
	say("SEGV %s\n", sa.sa_handler == SIG_IGN ? "ignored" : "not ignored");
	sigaction(SIGUSR2, NULL, &sa);
	say("USR2 %s\n", sa.sa_handler == SIG_DFL ? "default" : "not default");
	sigprocmask(SIG_SETMASK, NULL, &set);
	say("TERM %s\n", sigismember(&set, SIGTERM) ? "blocked" : "open");
	sigpending(&set);
	say("TERM %s\n", sigismember(&set, SIGTERM) ? "pending" : "lost");
	say("pid %s\n", getenv("PID") && atoi(getenv("PID")) == getpid() ?
	    "kept" : "new");
	return 17;
}

static void nop(int sig)
{
	(void)sig;
}

static void child(void)
{
	char pid[32], *env[] = { "KEY=value", pid, NULL };
	char *args[] = { "other name", "second", "", "two words", NULL };
	sigset_t set;

	snprintf(pid, sizeof(pid), "PID=%d", getpid());
	CHECK(dup2(1, 50) == 50);
	CHECK(dup3(1, 51, O_CLOEXEC) == 51);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGSEGV, SIG_IGN);
	signal(SIGUSR2, nop);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGTERM);
	execve(self, args, env);
	_exit(errno);
}

static void script(void)
{
	execl("./script", "script", "arg", NULL);
	_exit(errno);
}

static void by_fd(void)
{
	char *args[] = { "x", "short", NULL }, *env[] = { NULL };
	int fd = open(self, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	syscall(SYS_execveat, fd, "", args, env, AT_EMPTY_PATH);
	_exit(errno);
}

int main(int argc, char **argv)
{
	char text[PATH_MAX + 32];

	if (argc > 1 && strcmp(argv[1], "second") == 0)
		return second(argc, argv);
	if (argc > 1 && strcmp(argv[1], "short") == 0) {
		say("%d arguments\n", argc);
		return argc;
	}
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	enter_dir(argc, argv);
	say("%s\n", how(in_child(child)));

	snprintf(text, sizeof(text), "#! %s short\nnonsense\n", self);
	put("script", text, 0755);
	put("noexec", text, 0644);
	put("junk", "neither ELF nor script", 0755);
	put("lost", "#!/does/not/exist\n", 0755);
	say("script: %s\n", how(in_child(script)));
	say("execveat: %s\n", how(in_child(by_fd)));

	FAILS(ENOENT, execl("./missing", "x", NULL));
	FAILS(ENOENT, execl("./lost", "x", NULL));
	FAILS(EACCES, execl("./noexec", "x", NULL));
	FAILS(EACCES, execl(".", "x", NULL));
	FAILS(ENOEXEC, execl("./junk", "x", NULL));
	FAILS(ENOTDIR, execl("./junk/x", "x", NULL));
	FAILS(EFAULT, syscall(SYS_execve, 16, argv, NULL));
	FAILS(EFAULT, syscall(SYS_execve, self, 16, NULL));
	say("errors right, still here\n");
	return 0;
}
