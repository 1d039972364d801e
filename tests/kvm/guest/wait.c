/*
 * wait4 and waitid: exits, deaths by default action, core flag aside, stops and
 * continues, WNOHANG, WNOWAIT, process groups, rusage.
 */
#include <sys/resource.h>
#include "guest.h"

static int mortal[] = { SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT,
	SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM,
	SIGTERM, SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO,
	SIGPWR, SIGSYS, 34, 64 };

int main(void)
{
	struct rlimit none = { 0, 0 };
	struct rusage ru;
	siginfo_t si;
	pid_t pid;
	int st;

	setrlimit(RLIMIT_CORE, &none);
	for (unsigned int i = 0; i < sizeof(mortal) / sizeof(int); i++) {
		pid = fork();
		if (pid == 0) {
			/* whoever started us may have ignored it */
			signal(mortal[i], SIG_DFL);
			raise(mortal[i]);
			_exit(0);
		}
		st = reap(pid);
		CHECK(WIFSIGNALED(st) && WTERMSIG(st) == mortal[i]);
	}
	say("deaths right\n");
	pid = fork();
	if (pid == 0) {
		raise(SIGCHLD);
		raise(SIGURG);
		raise(SIGWINCH);
		raise(SIGCONT);
		_exit(1);
	}
	say("ignored by default: %s\n", how(reap(pid)));

	pid = fork();
	if (pid == 0) {
		raise(SIGSTOP);
		msleep(100);	/* so that the continuing is seen */
		_exit(4);
	}
	CHECK(waitpid(pid, &st, WUNTRACED) == pid);
	say("%s\n", how(st));
	CHECK(waitpid(pid, &st, WNOHANG) == 0);
	kill(pid, SIGCONT);
	CHECK(waitpid(pid, &st, WCONTINUED) == pid && WIFCONTINUED(st));
	CHECK(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0);
	say("waitid: code %d status %d signo %d\n", si.si_code, si.si_status,
	    si.si_signo);
	CHECK(wait4(pid, &st, 0, &ru) == pid);
	say("%s, rusage %s\n", how(st), ru.ru_maxrss > 0 ? "filled" : "empty");

	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		raise(SIGTSTP);
		for (;;)
			pause();
	}
	CHECK(waitpid(pid, &st, WUNTRACED) == pid);
	CHECK(getpgid(pid) == pid);
	kill(-pid, SIGTERM);
	kill(-pid, SIGCONT);
	CHECK(waitpid(-pid, &st, 0) == pid);
	say("group: %s\n", how(st));

	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	CHECK(waitid(P_PID, pid, &si, WEXITED | WNOHANG) == 0);
	kill(pid, SIGKILL);
	CHECK(waitid(P_PID, pid, &si, WEXITED) == 0);
	CHECK(si.si_code == CLD_KILLED && si.si_status == SIGKILL &&
	      si.si_pid == pid);
	FAILS(ECHILD, wait(&st));
	say("killed\n");

	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid == 0)
		_exit(0);
	FAILS(ECHILD, waitpid(pid, &st, 0));
	say("ignored SIGCHLD: no zombie\n");
	return 0;
}
