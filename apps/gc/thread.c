/*
 * Threads: who they are, where their roots are, how they are stopped.
 *
 * A thread is stopped when its state is not RUNNING. It is INSIDE when it has
 * asked for the lock, so all it may do until it has it is wait: who holds the
 * lock need not wait for it. It is PARKED by a signal, in whose handler it
 * waits until `stop` is 0 again. The signal leaves alone who is busy, or on
 * another stack than its own (a handler of traps or signals); it is then sent
 * again until it works. With GC_PRECISE_STACKS there is no signal: the thread
 * comes INSIDE by itself at its next safe point; or in a barrier, wherever it
 * is, and then its stack is scanned all the same.
 *
 * stop is written by the collector, state by the thread, and each then reads
 * the other's (sequentially consistent): one of them sees that they have met.
 */
#include "apps/gc/heap.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__thread struct gc_thread *gc_self
	__attribute__((tls_model("initial-exec")));

static void futex_wait(int *at, int value, long ns)
{
	struct timespec timeout = { 0, ns };

	syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, value,
		ns ? &timeout : NULL, NULL, 0);
}

static void futex_wake(int *at)
{
	syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void set_state(struct gc_thread *t, int state)
{
	__atomic_store_n(&t->state, state, __ATOMIC_SEQ_CST);
	if (state != GC_RUNNING &&
	    __atomic_load_n(&t->stop, __ATOMIC_SEQ_CST))
		futex_wake(&t->state);
}

/* ---- inside ---- */

/*
 * What callers have in registers that calls preserve must be saved before any
 * compiled code can reuse them: a prologue would push them below the frame
 * that is scanned, or into one that is gone when the thread blocks. So the
 * entries save them, and the stack pointer, into the first fields of gc_self.
 */
#define ENTRY(name, to)							\
	asm(".text\n"							\
	    ".globl " #name "\n"					\
	    ".type " #name ", @function\n"				\
	    #name ":\n"							\
	    "	movq	gc_self@gottpoff(%rip), %rax\n"		\
	    "	movq	%fs:(%rax), %rax\n"				\
	    "	testq	%rax, %rax\n"					\
	    "	je	1f\n"						\
	    "	movq	%rbx, 0(%rax)\n"				\
	    "	movq	%rbp, 8(%rax)\n"				\
	    "	movq	%r12, 16(%rax)\n"				\
	    "	movq	%r13, 24(%rax)\n"				\
	    "	movq	%r14, 32(%rax)\n"				\
	    "	movq	%r15, 40(%rax)\n"				\
	    "	movq	%rsp, 48(%rax)\n"				\
	    "1:	jmp	" #to "\n"					\
	    ".size " #name ", . - " #name "\n")
_Static_assert(offsetof(struct gc_thread, regs) == 0 &&
	       offsetof(struct gc_thread, sp) == 48, "ENTRY knows them");

ENTRY(gc_inside, gc_inside_saved);
ENTRY(gc_blocking_begin, gc_blocking_saved);

void gc_inside_saved(void (*fn)(void *), void *arg);
void gc_blocking_saved(void);

static void lock(struct gc_thread *t)
{
	if (t)
		set_state(t, GC_INSIDE);
	pthread_mutex_lock(&gc.lock);
}

static void unlock(struct gc_thread *t)
{
	if (t)
		__atomic_store_n(&t->state, GC_RUNNING, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&gc.lock);
}

void gc_inside_saved(void (*fn)(void *), void *arg)
{
	struct gc_thread *t = gc_self;

	lock(t);
	fn(arg);
	unlock(t);
}

void gc_blocking_saved(void)
{
	set_state(gc_self, GC_INSIDE);
}

#ifdef GC_TEST
bool gc_test_blind;
#define blind()	gc_test_blind
#else
#define blind()	false
#endif

/*
 * What pointed to something when marking began must not be lost: before the
 * page is written, all its objects point to is marked.
 */
static void barrier(void *addr)
{
	size_t page = ((uintptr_t)addr - (uintptr_t)gc.base) / GC_PAGE;
	struct gc_range range = { gc.base + page * GC_PAGE, GC_PAGE };

	if (gc.marking && !blind()) {
		gc.stats.faults++;
		gc_scan_page(page, gc.starts);
	}
	gc.os->protect(&range, 1, true);
}

__attribute__((noinline))
bool gc_fault(void *addr, const void *sp, const void *lo, const void *hi)
{
	struct gc_thread *t = gc_self;

	/* Not in the lock: nobody who has it writes to such blocks. */
	if (!(gc.block[gc_block_of(addr)].flags & GC_GUARDED))
		return false;
	/* What was interrupted has its registers in lo..hi, or above us. */
	if (t) {
		t->sp = sp ?: __builtin_frame_address(0);
		t->in_barrier = true;
		t->extra_lo = lo;
		t->extra_hi = hi;
	}
	lock(t);
	barrier(addr);
	unlock(t);
	if (t) {
		t->in_barrier = false;
		t->extra_lo = t->extra_hi = NULL;
	}
	return true;
}

static void nothing(void *arg)
{
	(void)arg;
}

void gc_safepoint(void)
{
	if (gc_self->stop)
		gc_inside(nothing, NULL);
}

void gc_blocking_end(void)
{
	pthread_mutex_lock(&gc.lock);
	unlock(gc_self);
}

/* ---- stopping ---- */

static void on_stop(int sig)
{
	const void *sp = __builtin_frame_address(0);
	struct gc_thread *t = gc_self;
	int saved = errno;

	(void)sig;
	if (!t || t->busy || t->state != GC_RUNNING ||
	    sp < t->stack_lo || sp >= t->stack_hi)
		return;
	t->sp = sp;
	while (__atomic_load_n(&t->stop, __ATOMIC_SEQ_CST)) {
		set_state(t, GC_PARKED);
		while (__atomic_load_n(&t->stop, __ATOMIC_SEQ_CST))
			futex_wait(&t->stop, 1, 0);
		/* Looked at again: the next stop may be under way. */
		set_state(t, GC_RUNNING);
	}
	errno = saved;
}

static void ask(struct gc_thread *t)
{
	if (!(gc.opt.flags & GC_PRECISE_STACKS))
		pthread_kill(t->id, gc.opt.signal);
}

void gc_stop_world(void)
{
	const long again = 2000000;	/* ns until the signal is sent again */
	struct gc_thread *t;

	for (t = gc.threads; t; t = t->next) {
		if (t == gc_self)
			continue;
		__atomic_store_n(&t->stop, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&t->state, __ATOMIC_SEQ_CST) == GC_RUNNING)
			ask(t);
	}
	for (t = gc.threads; t; t = t->next) {
		if (t == gc_self)
			continue;
		while (__atomic_load_n(&t->state, __ATOMIC_SEQ_CST) ==
		       GC_RUNNING) {
			futex_wait(&t->state, GC_RUNNING, again);
			if (__atomic_load_n(&t->state, __ATOMIC_SEQ_CST) ==
			    GC_RUNNING)
				ask(t);
		}
	}
}

void gc_start_world(void)
{
	struct gc_thread *t;

	for (t = gc.threads; t; t = t->next) {
		if (t == gc_self)
			continue;
		__atomic_store_n(&t->stop, 0, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&t->state, __ATOMIC_SEQ_CST) == GC_PARKED)
			futex_wake(&t->stop);
	}
}

void gc_each_stack(void (*range)(const void *lo, const void *hi))
{
	struct gc_thread *t;

	for (t = gc.threads; t; t = t->next) {
		if (gc.opt.flags & GC_PRECISE_STACKS && !t->in_barrier)
			continue;
		range(t->sp, t->stack_hi);
		if (t->state == GC_INSIDE)
			range(t->regs, t->regs + 6);
		if (t->extra_lo)
			range(t->extra_lo, t->extra_hi);
	}
}

/* ---- entering and leaving ---- */

static int find_stack(struct gc_thread *t)
{
	pthread_attr_t attr;
	void *lo;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr))
		return -ENOMEM;
	pthread_attr_getstack(&attr, &lo, &size);
	pthread_attr_destroy(&attr);
	t->stack_lo = lo;
	t->stack_hi = (uint8_t *)lo + size;
	return 0;
}

int gc_thread_enter(void)
{
	struct gc_thread *t;

	int r;

	if (gc_self)
		return -EBUSY;
	r = gc.os->enter ? gc.os->enter() : 0;
	if (r)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t || find_stack(t)) {
		free(t);
		return -ENOMEM;
	}
	t->id = pthread_self();
	pthread_mutex_lock(&gc.lock);
	t->next = gc.threads;
	gc.threads = t;
	gc_self = t;
	pthread_mutex_unlock(&gc.lock);
	return 0;
}

static void leave(void *arg)
{
	struct gc_thread **at = &gc.threads;

	while (*at != arg)
		at = &(*at)->next;
	*at = (*at)->next;
}

void gc_thread_leave(void)
{
	struct gc_thread *t = gc_self;

	gc_inside(leave, t);
	/* A signal that was sent before may still come. */
	gc_self = NULL;
	free(t);
}

void gc_push(struct gc_frame *frame)
{
	frame->up = gc_self->frames;
	atomic_signal_fence(memory_order_seq_cst);
	gc_self->frames = frame;
}

void gc_pop(struct gc_frame *frame)
{
	gc_self->frames = frame->up;
}

/* ---- roots ---- */

struct add {
	struct gc_root root;
	int r;
};

static void add_root(void *arg)
{
	struct add *a = arg;

	a->r = -ENOSPC;
	if (gc.roots == sizeof(gc.root) / sizeof(*gc.root))
		return;
	gc.root[gc.roots++] = a->root;
	a->r = 0;
}

int gc_root_add(void *words, size_t n, int type)
{
	struct add a = { { words, n, type }, 0 };

	gc_inside(add_root, &a);
	return a.r;
}

static void remove_root(void *arg)
{
	struct add *a = arg;
	unsigned int i;

	a->r = -ENOENT;
	for (i = 0; a->r && i < gc.roots; i++) {
		if (gc.root[i].words != a->root.words)
			continue;
		gc.root[i] = gc.root[--gc.roots];
		a->r = 0;
	}
}

int gc_root_remove(void *words)
{
	struct add a = { { words, 0, 0 }, 0 };

	gc_inside(remove_root, &a);
	return a.r;
}

/* ---- fork ---- */

/* The heap is whole in the child, which is this thread alone. */
static void before_fork(void)
{
	if (!gc.base)
		return;
	if (gc_self)
		gc_blocking_begin();
	pthread_mutex_lock(&gc.lock);
}

static void after_fork(void)
{
	if (gc.base)
		unlock(gc_self);
}

static void in_child(void)
{
	struct gc_thread **at = &gc.threads, *t;

	if (!gc.base)
		return;
	while ((t = *at)) {
		if (t == gc_self) {
			t->stop = 0;
			at = &t->next;
			continue;
		}
		*at = t->next;
		free(t);
	}
	gc.all_dirty = true;
	if (gc.os->forked && gc.os->forked())
		gc.os = &gc_os_none;
	unlock(gc_self);
}

int gc_threads_begin(void)
{
	static bool forks;
	struct sigaction sa = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

	if (!gc.opt.signal)
		gc.opt.signal = SIGRTMIN + 5;
	sigfillset(&sa.sa_mask);
	/* A fault while it waits must still be one. */
	sigdelset(&sa.sa_mask, SIGSEGV);
	if (sigaction(gc.opt.signal, &sa, NULL))
		return -EINVAL;
	if (!forks && pthread_atfork(before_fork, after_fork, in_child))
		return -ENOMEM;
	forks = true;
	return gc_thread_enter();
}
