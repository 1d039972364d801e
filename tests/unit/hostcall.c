/*
 * System calls made for the guest while signals arrive: none is lost, none
 * is made twice, and none sleeps with a signal in the slot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "kern/mm/uaccess.h"
#include "kern/task/hostcall.h"
#include "kern/task/signal.h"

#define GUEST_HANDLER	0x401000	/* any number but 0 and 1 */
#define NOWHERE		0x123000	/* in the arena, not mapped */
#define ALL_BUT_FAULTS	(~(DUNE_SIG_FAULTS | DUNE_SIG_KERNEL))

static struct dune_proc proc;
static struct dune_task task;
static struct dune_vcpu vcpu;
static struct kvm_run run;

static uint64_t host_mask(void)
{
	uint64_t mask = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
	return mask;
}

/* As the guest's rt_sigaction would. */
static void set_action(int sig, uint64_t handler, uint64_t flags)
{
	proc.action[sig] = (struct dune_sigaction){
		.handler = handler, .flags = flags | DUNE_SA_RESTORER,
	};
	dune_signal_mirror(sig, &proc.action[sig]);
}

/* As the loop would: the slot is emptied, the mask opens again. */
static int take(void)
{
	int sig;

	assert_true(task.slot_full);
	sig = task.slot.si_signo;
	task.slot_full = 0;
	run.immediate_exit = 0;
	dune_signal_open(&task);
	return sig;
}

typedef void body(void);

/*
 * Runs a test's body as the guest's thread of a fresh process. Not a cmocka
 * setup: that comes before cmocka's own handlers for SIGSEGV and SIGBUS.
 */
static void in_task(void **state)
{
	const struct itimerval off = { { 0, 0 }, { 0, 0 } };
	const uint64_t none = 0;
	int sig;

	/* a full slot at the last test's end has left a full mask */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	memset(&proc, 0, sizeof(proc));
	memset(&task, 0, sizeof(task));
	pthread_mutex_init(&proc.lock, NULL);
	vcpu.run = &run;
	task.vcpu = &vcpu;
	task.proc = &proc;
	assert_int_equal(dune_signal_init(&task), 0);
	dune_current = &task;

	((body *)*state)();

	setitimer(ITIMER_REAL, &off, NULL);
	/* one more may be pending behind a full slot: ignoring drops it */
	set_action(SIGALRM, (uintptr_t)SIG_IGN, 0);
	for (sig = 1; sig <= DUNE_NSIG; sig++)
		set_action(sig, (uintptr_t)SIG_DFL, 0);
	dune_current = NULL;
}

static void test_without_task(void)
{
	dune_current = NULL;
	assert_int_equal(dune_host_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
			 getpid());
	assert_int_equal(dune_host_syscall(SYS_close, -1, 0, 0, 0, 0, 0),
			 -EBADF);
	dune_current = &task;
}

static void test_six_arguments(void)
{
	char *p;

	p = (char *)dune_host_syscall(SYS_mmap, 0, 4096,
				      PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_in_range((uintptr_t)p, 4096, 0x7fffffffffff);
	*p = 1;
	assert_int_equal(dune_host_syscall(SYS_munmap, (long)p, 4096, 0, 0, 0,
					   0), 0);
	/* the sixth: an offset that is no multiple of the page size */
	assert_int_equal(dune_host_syscall(SYS_mmap, 0, 4096, PROT_READ,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1,
					   1), -EINVAL);
}

static void test_full_slot_stops_the_call(void)
{
	int fd[2];
	char c;

	assert_return_code(pipe(fd), errno);
	task.slot_full = 1;
	assert_int_equal(dune_host_syscall(SYS_write, fd[1], (long)"x", 1, 0,
					   0, 0), -DUNE_ERESTART);
	task.slot_full = 0;
	close(fd[1]);
	assert_int_equal(read(fd[0], &c, 1), 0);
	close(fd[0]);
}

/* Where the handler finds the thread decides: every address around the call. */
static void test_every_address(void)
{
	uintptr_t start = (uintptr_t)dune_hostcall_start;
	uintptr_t insn = (uintptr_t)dune_hostcall_insn, rip;
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_USER };

	assert_true(start < insn);
	for (rip = start - 64; rip < insn + 64; rip++) {
		uintptr_t want = rip >= start && rip <= insn ?
				 (uintptr_t)dune_hostcall_abort : rip;
		ucontext_t uc;
		uint64_t mask;

		memset(&uc, 0, sizeof(uc));
		uc.uc_mcontext.gregs[REG_RIP] = rip;
		dune_host_handler(SIGUSR1, &info, &uc);
		assert_int_equal(uc.uc_mcontext.gregs[REG_RIP], want);
		assert_int_equal(task.slot_full, 1);
		assert_int_equal(run.immediate_exit, 1);
		memcpy(&mask, &uc.uc_sigmask, sizeof(mask));
		assert_int_equal(mask, ~DUNE_SIG_FAULTS);
		task.slot_full = run.immediate_exit = 0;
	}
}

static void test_masks(void)
{
	set_action(SIGUSR1, GUEST_HANDLER, 0);
	set_action(SIGUSR2, GUEST_HANDLER, 0);
	errno = 1234;
	raise(SIGUSR1);
	assert_int_equal(errno, 1234);
	assert_int_equal(task.slot_full, 1);
	assert_int_equal(host_mask(), ALL_BUT_FAULTS);
	raise(SIGUSR2);			/* waits in the host's queue */
	assert_int_equal(task.slot.si_signo, SIGUSR1);
	assert_int_equal(take(), SIGUSR1);
	assert_int_equal(take(), SIGUSR2);
	assert_int_equal(host_mask(), 0);

	/* a mask is not changed under a full slot */
	raise(SIGUSR1);
	assert_int_equal(dune_signal_try_mask(&task, 0), -DUNE_ERESTART);
	assert_int_equal(host_mask(), ALL_BUT_FAULTS);
	take();

	dune_signal_setmask(&task, ~0ull);
	assert_int_equal(host_mask(), ALL_BUT_FAULTS);
	raise(SIGUSR1);
	assert_int_equal(task.slot_full, 0);
	dune_signal_setmask(&task, 0);
	assert_int_equal(take(), SIGUSR1);
}

static void test_hold(void)
{
	set_action(SIGUSR1, GUEST_HANDLER, 0);
	assert_int_equal(dune_signal_hold(&task), 0);
	raise(SIGUSR1);
	assert_int_equal(task.slot_full, 0);
	dune_signal_release(&task);
	assert_int_equal(task.slot_full, 1);
	assert_int_equal(dune_signal_hold(&task), -DUNE_ERESTART);
	take();
}

/* The C library's own signals are the guest's, too. */
static void test_all_signals(void)
{
	int sig;

	for (sig = 1; sig <= DUNE_NSIG; sig++) {
		if (DUNE_SIGBIT(sig) & DUNE_SIG_KERNEL)
			continue;
		set_action(sig, GUEST_HANDLER, 0);
		assert_int_equal(syscall(SYS_tgkill, getpid(),
					 syscall(SYS_gettid), sig), 0);
		assert_int_equal(take(), sig);
		set_action(sig, (uintptr_t)SIG_DFL, 0);
	}
}

static void *born(void *arg)
{
	struct dune_task *child = arg;

	dune_current = child;
	dune_signal_child(child);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 33);
	dune_current = NULL;
	return NULL;
}

/* pthread_create() must not keep the signal it takes for setuid(). */
static void test_threads_library(void)
{
	struct dune_task child = { .proc = &proc, .vcpu = &vcpu };
	pthread_t thread;

	set_action(33, GUEST_HANDLER, 0);
	assert_int_equal(dune_signal_hold(&task), 0);
	assert_int_equal(pthread_create(&thread, NULL, born, &child), 0);
	pthread_join(thread, NULL);
	dune_signal_release(&task);
	assert_int_equal(child.slot_full, 1);
	assert_int_equal(child.slot.si_signo, 33);
}

static void test_requeue(void)
{
	union sigval v = { .sival_int = 4711 };

	set_action(SIGRTMIN, GUEST_HANDLER, 0);
	assert_return_code(sigqueue(getpid(), SIGRTMIN, v), errno);
	assert_int_equal(task.slot_full, 1);
	dune_signal_requeue(&task.slot);
	task.sigmask = DUNE_SIGBIT(SIGRTMIN);
	task.slot_full = 0;
	dune_signal_open(&task);
	assert_int_equal(task.slot_full, 0);
	memset(&task.slot, 0, sizeof(task.slot));
	dune_signal_setmask(&task, 0);
	assert_int_equal(task.slot.si_value.sival_int, 4711);
	assert_int_equal(task.slot.si_code, SI_QUEUE);
	assert_int_equal(take(), SIGRTMIN);
}

static void test_sent_segv(void)
{
	/* blocked by the guest, though not on the host */
	set_action(SIGSEGV, GUEST_HANDLER, 0);
	dune_signal_setmask(&task, DUNE_SIGBIT(SIGSEGV));
	raise(SIGSEGV);
	assert_int_equal(task.slot_full, 0);
	assert_int_equal(task.held, 1);
	raise(SIGSEGV);
	dune_signal_setmask(&task, 0);
	assert_int_equal(take(), SIGSEGV);
	assert_int_equal(task.slot_full, 0);

	/* behind another one */
	set_action(SIGUSR1, GUEST_HANDLER, 0);
	raise(SIGUSR1);
	raise(SIGSEGV);
	raise(SIGBUS);
	assert_int_equal(take(), SIGUSR1);
	assert_int_equal(host_mask(), ALL_BUT_FAULTS);
	assert_int_equal(take(), SIGSEGV);
	assert_int_equal(take(), SIGBUS);
	assert_int_equal(host_mask(), 0);

	/* a mask for the time of a call lets it through */
	dune_signal_setmask(&task, DUNE_SIGBIT(SIGSEGV));
	raise(SIGSEGV);
	task.temp_mask = 0;
	task.temp_mask_set = true;
	assert_true(dune_signal_unhold(&task));
	task.temp_mask_set = false;
	assert_int_equal(take(), SIGSEGV);
	dune_signal_setmask(&task, 0);

	set_action(SIGSEGV, (uintptr_t)SIG_IGN, 0);
	raise(SIGSEGV);
	assert_int_equal(task.slot_full | task.held, 0);
	set_action(SIGSEGV, (uintptr_t)SIG_DFL, 0);
}

static void test_uaccess_fault(void)
{
	uint64_t v;

	assert_int_equal(dune_copy_in(&v, NOWHERE, sizeof(v)), -EFAULT);
	assert_int_equal(dune_copy_out(NOWHERE, &v, sizeof(v)), -EFAULT);
	/* also with everything blocked: a full slot, a guest that blocks it */
	dune_signal_setmask(&task, ~0ull);
	assert_int_equal(dune_copy_in(&v, NOWHERE, sizeof(v)), -EFAULT);
	dune_signal_setmask(&task, 0);
	assert_int_equal(task.slot_full | task.held, 0);
}

/* A fault elsewhere is ours: a line, and death by the very signal. */
static void test_monitor_bug(void)
{
	static const char want[] = "dune: bug: the monitor got SIGSEGV at rip";
	char line[256] = "";
	int fd[2], status;
	pid_t pid;

	assert_return_code(pipe(fd), errno);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], 2);
		*(volatile int *)(uintptr_t)NOWHERE = 1;
		_exit(0);
	}
	close(fd[1]);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_true(read(fd[0], line, sizeof(line) - 1) > 0);
	assert_memory_equal(line, want, sizeof(want) - 1);
	assert_non_null(strstr(line, "address 0x123000\n"));
	close(fd[0]);
}

static void storm(void)
{
	const struct itimerval every = { { 0, 100 }, { 0, 100 } };

	assert_return_code(setitimer(ITIMER_REAL, &every, NULL), errno);
}

/*
 * Nothing ever comes through the pipe. With a full slot no further signal
 * gets in, so one lost wake-up would be the end of the test.
 */
static void interrupted_reads(uint64_t flags, bool eintr)
{
	int i, fd[2], count[2] = { 0, 0 };
	char c;

	assert_return_code(pipe(fd), errno);
	set_action(SIGALRM, GUEST_HANDLER, flags);
	storm();
	for (i = 0; i < 5000; i++) {
		long r = dune_host_syscall(SYS_read, fd[0], (long)&c, 1, 0, 0,
					   0);

		assert_true(r == -DUNE_ERESTART || r == -EINTR);
		count[r == -EINTR]++;
		assert_int_equal(take(), SIGALRM);
	}
	assert_int_equal(count[1] > 0, eintr);
	close(fd[0]);
	close(fd[1]);
}

static void test_storm_eintr(void)
{
	interrupted_reads(0, true);
}

static void test_storm_restart(void)
{
	interrupted_reads(SA_RESTART, false);
}

#define NUMBERS 20000

static void *count_up(void *arg)
{
	int fd = *(int *)arg;
	uint32_t i;

	for (i = 0; i < NUMBERS; i++)
		if (write(fd, &i, sizeof(i)) != sizeof(i))
			break;
	close(fd);
	return NULL;
}

/* What was read is not read again, nor lost, however often interrupted. */
static void test_storm_keeps_data(void)
{
	pthread_t thread;
	sigset_t all, old;
	uint32_t got, want = 0;
	int fd[2];
	long r;

	assert_return_code(pipe(fd), errno);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	assert_int_equal(pthread_create(&thread, NULL, count_up, &fd[1]), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	set_action(SIGALRM, GUEST_HANDLER, 0);
	storm();
	for (;;) {
		r = dune_host_syscall(SYS_read, fd[0], (long)&got, sizeof(got),
				      0, 0, 0);
		if (task.slot_full)
			take();
		if (r == -DUNE_ERESTART || r == -EINTR)
			continue;
		if (r == 0)
			break;
		assert_int_equal(r, sizeof(got));
		assert_int_equal(got, want);
		want++;
	}
	assert_int_equal(want, NUMBERS);
	pthread_join(thread, NULL);
	close(fd[0]);
}

#define TEST(name) { #name, in_task, NULL, NULL, (void *)(name) }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_task),
		TEST(test_six_arguments),
		TEST(test_full_slot_stops_the_call),
		TEST(test_every_address),
		TEST(test_masks),
		TEST(test_hold),
		TEST(test_all_signals),
		TEST(test_threads_library),
		TEST(test_requeue),
		TEST(test_sent_segv),
		TEST(test_uaccess_fault),
		TEST(test_monitor_bug),
		TEST(test_storm_eintr),
		TEST(test_storm_restart),
		TEST(test_storm_keeps_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
