/*
 * How a process in Dune mode ends: with its status, by its signal, which says
 * why, with the program's registers for a debugger or a core dump to find.
 */
#include "test.h"

#include <sys/ptrace.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/user.h>

#define MARK	0x1234567890abcdeful

static void null_write(void)
{
	__asm__ volatile("mov %0, %%r12\n\tmovl $1, 0x18"
			 : : "r"(MARK) : "r12", "memory");
}

static void undefined(void)
{
	__asm__ volatile("mov %0, %%r12\n\tud2" : : "r"(MARK) : "r12");
}

static void divides(void)
{
	__asm__ volatile("mov %0, %%r12\n\txor %%edx, %%edx\n\t"
			 "xor %%ecx, %%ecx\n\tdiv %%ecx"
			 : : "r"(MARK) : "r12", "rax", "rcx", "rdx");
}

static void breakpoint(void)
{
	__asm__ volatile("mov %0, %%r12\n\tint3" : : "r"(MARK) : "r12");
}

static void aborts(void)
{
	abort();
}

static void kills(void)
{
	kill(getpid(), SIGTERM);
}

static void blocked(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	null_write();
}

static void ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	null_write();
}

/* No stack to deliver the handler's frame to. */
static void on_segv(int sig)
{
	_exit(sig);
}

static void no_stack(void)
{
	signal(SIGSEGV, on_segv);
	__asm__ volatile("xor %esp, %esp\n\tpush %rax");
}

static void *fault_of_thread(void *arg)
{
	null_write();
	return arg;
}

static void in_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, fault_of_thread, NULL);
	pthread_join(t, NULL);
}

static void exits(void)
{
	_exit(41);
}

static void *exits_all(void *arg)
{
	exit(42);
	return arg;
}

static void exit_in_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, exits_all, NULL);
	pause();
}

/* The main thread ends first; the process with its last thread, by status 0. */
static void *ends_later(void *arg)
{
	msleep(20);
	return arg;
}

static void main_first(void)
{
	pthread_t t;

	pthread_create(&t, NULL, ends_later, NULL);
	pthread_exit(NULL);
}

static const struct end {
	const char *name;
	void (*f)(void);
	int sig, code;
	void *addr;
	bool marked;		/* registers are looked at */
	int status;
} ends[] = {
	{ "null", null_write, SIGSEGV, SEGV_MAPERR, (void *)0x18, true, 0 },
	{ "ud2", undefined, SIGILL, ILL_ILLOPN, NULL, true, 0 },
	{ "div", divides, SIGFPE, FPE_INTDIV, NULL, true, 0 },
	{ "int3", breakpoint, SIGTRAP, SI_KERNEL, NULL, true, 0 },
	{ "abort", aborts, SIGABRT, SI_TKILL, NULL, false, 0 },
	{ "kill", kills, SIGTERM, SI_USER, NULL, false, 0 },
	{ "blocked", blocked, SIGSEGV, SEGV_MAPERR, (void *)0x18, true, 0 },
	{ "ignored", ignored, SIGSEGV, SEGV_MAPERR, (void *)0x18, true, 0 },
	{ "no stack", no_stack, SIGSEGV, 0, NULL, false, 0 },
	{ "thread", in_thread, SIGSEGV, SEGV_MAPERR, (void *)0x18, true, 0 },
	{ "exit", exits, 0, 0, NULL, false, 41 },
	{ "exit in thread", exit_in_thread, 0, 0, NULL, false, 42 },
	{ "main first", main_first, 0, 0, NULL, false, 0 },
};

static pid_t start(const struct end *e)
{
	static const struct rlimit none;
	pid_t pid = fork();

	if (pid)
		return pid;
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	OK(dune_enter());
	raise(SIGSTOP);		/* until the parent has looked */
	e->f();
	_exit(99);
}

/* As natively: reaped without a debugger. */
static void plain(const struct end *e)
{
	pid_t pid = start(e);
	int status;

	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(kill(pid, SIGCONT) == 0);
	status = reap(pid);
	if (e->sig ? !WIFSIGNALED(status) || WTERMSIG(status) != e->sig :
		     !WIFEXITED(status) || WEXITSTATUS(status) != e->status) {
		say("FAILED %s: %s\n", e->name, how(status));
		_exit(1);
	}
}

static void look(const struct end *e, pid_t tid)
{
	struct user_regs_struct u;
	siginfo_t info;

	CHECK(ptrace(PTRACE_GETSIGINFO, tid, 0, &info) == 0);
	CHECK(ptrace(PTRACE_GETREGS, tid, 0, &u) == 0);
	if (e->code && (info.si_code != e->code ||
			(e->addr && info.si_addr != e->addr))) {
		say("FAILED %s: code %d, address %p\n", e->name, info.si_code,
		    info.si_addr);
		_exit(1);
	}
	if (e->marked && u.r12 != MARK) {
		say("FAILED %s: r12 %#llx, rip %#llx\n", e->name, u.r12,
		    u.rip);
		_exit(1);
	}
}

/* With a debugger: it sees the signal, once, and the registers. */
static void traced(const struct end *e)
{
	pid_t pid = start(e), tid;
	int status, seen = 0, sig;

	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACECLONE) == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		CHECK(tid > 0);
		if (!WIFSTOPPED(status)) {
			if (tid == pid)
				break;
			continue;
		}
		sig = WSTOPSIG(status);
		if (sig == e->sig && !(status >> 16)) {
			seen++;
			look(e, tid);
		} else if (status >> 16) {
			sig = 0;
		}
		CHECK(ptrace(PTRACE_CONT, tid, 0, sig) == 0 || errno == ESRCH);
	}
	CHECK(e->sig ? WIFSIGNALED(status) && WTERMSIG(status) == e->sig :
		       WIFEXITED(status) && WEXITSTATUS(status) == e->status);
	CHECK(seen == !!e->sig);
}

/*
 * A debugger that keeps the signal for itself, as for its breakpoints: the
 * thread goes on, natively, and may enter again.
 */
static void goes_on(void)
{
	CHECK(dune_in_dune_mode());
	breakpoint();
	CHECK(!dune_in_dune_mode());
	CHECK(dune_leave() == -EPERM);
	OK(dune_enter());
	OK(dune_leave());
	_exit(43);
}

static void swallowed(void)
{
	static const struct end e = { .f = goes_on };
	pid_t pid = start(&e);
	int status, seen = 0;

	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		seen += WSTOPSIG(status) == SIGTRAP && !(status >> 16);
		CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	}
	CHECK(seen == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 43);
}

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		/* each makes a VM of its own */
		if (!times(1, ends[i].marked))
			continue;
		if (times(1, 0))
			plain(&ends[i]);
		traced(&ends[i]);
		say("%s\n", ends[i].name);
	}
	swallowed();
	say("ends\n");
	return 0;
}
