/*
 * The runner: the program in a sandbox. Ordinary code for the system's C
 * library; it serves one channel and knows nothing of virtual machines. What it
 * does is for honest plugins only: a hostile one can do all of it as well.
 */
#include "libdune/sandbox/runner.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(offsetof(struct invoke, fn) == 8, "invoke.S");
_Static_assert(offsetof(struct invoke, gp) == 16, "invoke.S");
_Static_assert(offsetof(struct invoke, fp) == 64, "invoke.S");
_Static_assert(offsetof(struct invoke, stacks) == 128, "invoke.S");
_Static_assert(offsetof(struct invoke, rax) == 264, "invoke.S");
_Static_assert(offsetof(struct invoke, fps) == 288, "invoke.S");
_Static_assert(offsetof(struct callback, fp) == 48, "invoke.S");
_Static_assert(offsetof(struct callback, number) == 112, "invoke.S");
_Static_assert(sizeof(struct callback) == 144, "invoke.S");

/* What the host understands of statuses: it ended the sandbox itself. */
#define STATUS_BROKEN 119

static struct dune_ch *const ch = (struct dune_ch *)DUNE_CH_BASE;

/* A slot and the thread that serves it. */
struct lane {
	struct dune_ch_slot *slot;
	uint32_t seq;			/* of the host's latest turn */
	uint32_t looks;			/* for the next, before it sleeps */
	bool wake;			/* the host is to be woken then */
	struct invoke *innermost;	/* the call that runs */
	bool stop;
};

static struct lane lanes[DUNE_CH_SLOTS];
static __thread struct lane *lane;	/* NULL: a thread of the plugin's */
static bool freeze;
static int sock = DUNE_CH_SOCKET;

static void __attribute__((noreturn)) broken(void)
{
	_exit(STATUS_BROKEN);
}

static long futex(uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* ---- turns ---- */

static uint32_t their_seq(const struct lane *l)
{
	return __atomic_load_n(&l->slot->to_guest.seq, __ATOMIC_ACQUIRE);
}

/* Unless the host's turn `next` is there; wakes the host first, if need be. */
static void sleep_until(struct lane *l, uint32_t next)
{
	struct dune_ch_slot *s = l->slot;

	__atomic_store_n(&s->guest_sleeps, 1, __ATOMIC_SEQ_CST);
	if (l->wake)
		syscall(DUNE_CH_PASS, &s->to_host.seq, &s->to_guest.seq,
			l->seq);
	else if (their_seq(l) != next)
		futex(&s->to_guest.seq, FUTEX_WAIT, l->seq);
	__atomic_store_n(&s->guest_sleeps, 0, __ATOMIC_RELAXED);
	l->wake = false;
}

/* Until the host's next turn. */
static const struct dune_ch_msg *wait_turn(struct lane *l)
{
	uint32_t next = l->seq + 1, i;
	struct dune_ch_slot *s = l->slot;

	for (i = 0; their_seq(l) != next; i++) {
		if (i < l->looks)
			__builtin_ia32_pause();
		else
			sleep_until(l, next);
	}
	l->seq = next;
	l->looks = s->to_guest.looks * DUNE_CH_LOOKS;
	return &s->to_guest;
}

/*
 * Ours is written: over to the host. A thread that is about to sleep wakes it
 * by the same exit.
 */
static void end_turn(struct lane *l)
{
	struct dune_ch_slot *s = l->slot;
	bool asleep;

	__atomic_exchange_n(&s->to_host.seq, l->seq, __ATOMIC_SEQ_CST);
	asleep = __atomic_load_n(&s->host_sleeps, __ATOMIC_RELAXED);
	l->wake = asleep && !l->looks && !l->stop;
	if (asleep && !l->wake)
		futex(&s->to_host.seq, FUTEX_WAKE, 1);
}

static void answer(struct lane *l, int kind, uint64_t gp0, uint64_t gp1)
{
	struct dune_ch_msg *m = &l->slot->to_host;

	m->kind = kind;
	m->gp[0] = gp0;
	m->gp[1] = gp1;
	end_turn(l);
}

/* ---- calls and callbacks ---- */

static void serve_call(struct lane *l, const struct dune_ch_msg *m)
{
	struct invoke *outer = l->innermost;
	struct invoke in;

	in.fn = m->fn;
	in.fps = m->fps;
	in.stacks = m->stacks;
	memcpy(in.gp, m->gp, sizeof(in.gp));
	if (m->fps)
		memcpy(in.fp, m->fp, sizeof(in.fp));
	if (m->stacks)
		memcpy(in.stack, m->stack, sizeof(in.stack));
	l->innermost = &in;
	if (runner_invoke(&in)) {
		l->innermost = outer;
		answer(l, DUNE_CH_FAILED, 0, 0);
		return;
	}
	l->innermost = outer;
	l->slot->to_host.gp[2] = in.xmm0;
	answer(l, DUNE_CH_RETURN, in.rax, in.rdx);
}

static void serve_op(struct lane *l, const struct dune_ch_msg *m);

/* Serves what the host asks for, until it answers the callback. */
void runner_callback(struct callback *cb)
{
	struct lane *l = lane;
	struct dune_ch_msg *to;
	const struct dune_ch_msg *m;

	if (!l || !l->innermost)
		broken();
	to = &l->slot->to_host;
	to->kind = DUNE_CH_CALLBACK;
	to->fn = cb->number;
	memcpy(to->gp, cb->gp, sizeof(to->gp));
	memcpy(to->fp, cb->fp, sizeof(to->fp));
	memcpy(to->stack, (void *)cb->sp, sizeof(to->stack));
	end_turn(l);
	for (;;) {
		m = wait_turn(l);
		switch (m->kind) {
		case DUNE_CH_CALL:
			serve_call(l, m);
			break;
		case DUNE_CH_OP:
			serve_op(l, m);
			break;
		case DUNE_CH_UNWIND:
			runner_unwind(l->innermost);
		default:
			cb->rax = m->gp[0];
			cb->xmm0 = m->gp[0];
			return;
		}
	}
}

/* ---- other wishes of the host ---- */

/*
 * One byte and one or two descriptors by the socket: how many, 0 when the host
 * is gone.
 */
static unsigned int receive(int fd[2])
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(2 * sizeof(int))];
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t got;

	do
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	c = CMSG_FIRSTHDR(&msg);
	if (got != 1 || !c)
		return 0;
	memcpy(fd, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

static void say(struct lane *l, const char *text)
{
	snprintf(l->slot->text, DUNE_CH_TEXT, "%s", text ? text : "");
}

/*
 * A constructor may call back, and a failing callback unwinds out of the
 * dynamic linker, whose locks are then held for ever: so it is called like a
 * function of the plugin, which is told apart by the host.
 */
static void *load(const char *path, int flags)
{
	return dlopen(path, flags);
}

static const char dots[] =
	"././././././././././././././././././././././././././././././././"
	"././././././././././././././././././././././././././././././././";

_Static_assert(sizeof(dots) > 2 * (DUNE_CH_IMAGES - 1), "a name for each");

static void op_load(struct lane *l, const struct dune_ch_msg *m, bool by_fd)
{
	char path[DUNE_CH_TEXT];
	struct invoke in = { .fn = (uint64_t)load };
	struct invoke *outer = l->innermost;
	int fd[2], unwound;

	memcpy(path, l->slot->text, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	in.gp[1] = m->gp[0];
	if (by_fd) {
		if (receive(fd) != 1)
			broken();
		/* each time another name, for the dynamic linker knows the
		 * objects it has by their names */
		snprintf(path, sizeof(path), "/proc/self/%.*sfd/%d",
			 (int)(m->gp[1] % DUNE_CH_IMAGES * 2), dots, fd[0]);
	}
	in.gp[0] = (uint64_t)path;
	l->innermost = &in;
	unwound = runner_invoke(&in);
	l->innermost = outer;
	if (by_fd)
		close(fd[0]);
	if (unwound) {
		answer(l, DUNE_CH_FAILED, 0, 0);
		return;
	}
	if (!in.rax)
		say(l, dlerror());
	answer(l, DUNE_CH_RETURN, in.rax, 0);
}

static void op_symbol(struct lane *l, const struct dune_ch_msg *m)
{
	char name[DUNE_CH_TEXT];
	void *p;

	memcpy(name, l->slot->text, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	dlerror();
	p = dlsym((void *)m->gp[0], name);
	answer(l, DUNE_CH_RETURN, !dlerror(), (uint64_t)p);
}

static void op_share(struct lane *l, const struct dune_ch_msg *m)
{
	void *p = (void *)m->gp[0];
	size_t size = m->gp[1];
	int prot = m->gp[2], fd[2];
	bool ok;

	if (receive(fd) != 1)
		broken();
	ok = mmap(p, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd[0],
		  0) == p;
	close(fd[0]);
	answer(l, DUNE_CH_RETURN, ok ? 0 : errno, 0);
}

/* A batch of calls: the host reads how far it got also where it died. */
static void op_batch(struct lane *l, struct dune_ch_batch *b)
{
	struct invoke *outer = l->innermost;
	struct invoke in = { 0 };
	bool stop = false;
	uint32_t i;

	l->innermost = &in;
	for (i = 0; i < b->calls && !stop; i++) {
		in.fn = b->call[i].fn;
		memcpy(in.gp, b->call[i].gp, sizeof(in.gp));
		if (runner_invoke(&in)) {
			l->innermost = outer;
			answer(l, DUNE_CH_FAILED, 0, 0);
			return;
		}
		b->call[i].result = in.rax;
		b->done = i + 1;
		stop = b->stop[((in.rax ^ b->value) & b->mask) == 0];
	}
	l->innermost = outer;
	answer(l, DUNE_CH_RETURN, 0, 0);
}

static void serve_op(struct lane *l, const struct dune_ch_msg *m)
{
	switch (m->fn) {
	case DUNE_OP_LOAD:
	case DUNE_OP_LOAD_FD:
		op_load(l, m, m->fn == DUNE_OP_LOAD_FD);
		break;
	case DUNE_OP_SYMBOL:
		op_symbol(l, m);
		break;
	case DUNE_OP_SHARE:
		op_share(l, m);
		break;
	case DUNE_OP_UNSHARE:
		munmap((void *)m->gp[0], m->gp[1]);
		answer(l, DUNE_CH_RETURN, 0, 0);
		break;
	case DUNE_OP_BATCH:
		op_batch(l, (void *)m->gp[0]);
		break;
	case DUNE_OP_FREEZE:
		freeze = true;
		/* fall through */
	case DUNE_OP_STOP:
		l->stop = true;
		answer(l, DUNE_CH_RETURN, 0, 0);
		break;
	default:
		answer(l, DUNE_CH_RETURN, ENOSYS, 0);
	}
}

/* ---- threads, templates ---- */

static void *serve(void *arg)
{
	struct lane *l = lane = arg;
	const struct dune_ch_msg *m;

	while (!l->stop) {
		m = wait_turn(l);
		if (m->kind == DUNE_CH_CALL)
			serve_call(l, m);
		else if (m->kind == DUNE_CH_OP)
			serve_op(l, m);
		else
			broken();
	}
	return NULL;
}

static void say_ready(void)
{
	ch->head.callback = (uint64_t)runner_callback_entry;
	__atomic_store_n(&ch->head.ready, DUNE_CH_READY, __ATOMIC_SEQ_CST);
	futex(&ch->head.ready, FUTEX_WAKE, 1);
}

/* The first slot is this thread's, each other one gets its own. */
static void start_lanes(void)
{
	uint32_t n = ch->head.slots, i;
	pthread_attr_t attr;
	pthread_t thread;

	if (n > DUNE_CH_SLOTS)
		broken();
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, ch->head.stack);
	memset(lanes, 0, sizeof(lanes));
	for (i = 0; i < n; i++) {
		lanes[i].slot = &ch->slot[i];
		if (i && pthread_create(&thread, &attr, serve, &lanes[i]))
			broken();
	}
	pthread_attr_destroy(&attr);
	freeze = false;
	lane = &lanes[0];
	say_ready();
}

/* size as the head says, which is the host's to write and not yet ours. */
static void map_channel(int fd)
{
	size_t size;

	if (mmap(ch, sizeof(*ch), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) != ch)
		broken();
	size = ch->head.size;
	if (mmap(ch, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0) != ch)
		broken();
	close(fd);
}

/* In the channel that a child would have had. */
static void say_no_fork(int fd)
{
	int err = errno;
	struct dune_ch_head *h = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_SHARED, fd, 0);

	if (h == MAP_FAILED)
		return;
	h->callback = err;
	__atomic_store_n(&h->ready, DUNE_CH_NO_FORK, __ATOMIC_SEQ_CST);
	futex(&h->ready, FUTEX_WAKE, 1);
	munmap(h, 4096);
}

/* They were there when the template froze, and nothing has run since. */
static void warm_up(void)
{
	struct dune_warm *w = &ch->head.warm;
	uint32_t i, n;

	for (i = 0; i < w->n && i < DUNE_WARM_RANGES; i++)
		for (n = 0; n < DUNE_WARM_COUNT(w->range[i]); n++) {
			volatile char *p = (char *)DUNE_WARM_ADDR(w->range[i])
					   + 4096 * n;
			char c = *p;

			if (DUNE_WARM_WRITE(w->range[i]))
				*p = c;
		}
	/* what another caller's calls have used is not for this one's */
	memset(w, 0, sizeof(*w));
}

/*
 * The monitor writes this process into a pipe. A process that is made of it
 * comes out of here as well, with descriptors like one that starts.
 */
static void save(int pipe)
{
	if (syscall(DUNE_CH_SAVE, pipe) == 1) {
		map_channel(DUNE_CH_FD);
		sock = DUNE_CH_SOCKET;
		say_ready();
	} else {
		close(pipe);
	}
}

/* Returns in the children that the host asks for; never in the template. */
static void be_template(void)
{
	unsigned int n;
	int fd[2];
	pid_t pid;

	for (;;) {
		n = receive(fd);
		if (!n)
			_exit(0);
		if (n == 1) {
			save(fd[0]);
			continue;
		}
		pid = fork();
		if (pid == 0)
			break;
		if (pid < 0)
			say_no_fork(fd[0]);
		close(fd[0]);
		close(fd[1]);
	}
	map_channel(fd[0]);
	close(sock);
	sock = fd[1];
	warm_up();
}

int main(void)
{
	/* while files may be opened */
	tzset();
	map_channel(DUNE_CH_FD);
	for (;;) {
		start_lanes();
		serve(lane);
		if (!freeze)
			return 0;
		be_template();
	}
}
