/* A box: one process with its channel, and how it ended. */
#include "libdune/sandbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kern/err.h"

/* A machine may be slow, but a runner that is not there by then never is. */
#define READY_SECONDS	60

#define STATUS_BROKEN	119	/* runner.c */
#define STATUS_OURS	125	/* the monitor */

static long futex(uint32_t *word, int op, uint32_t value,
		  const struct timespec *limit)
{
	return syscall(SYS_futex, word, op, value, limit, NULL, 0);
}

int dune_box_create(struct dune_family *f, size_t heap, struct dune_box **out)
{
	struct dune_box *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (b)
		b->text = malloc(DUNE_BOX_TEXT);
	if (!b || !b->text) {
		free(b);
		return dune_err(r, "sandbox: out of memory");
	}
	b->text[0] = '\0';
	b->sock = b->end.fd = -1;
	b->ch_size = DUNE_CH_HEAP + PAGE_UP(heap);
	b->ch_fd = dune_memfd("dune-channel", b->ch_size, F_SEAL_SEAL);
	b->ch = b->ch_fd < 0 ? MAP_FAILED :
		mmap(NULL, b->ch_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     b->ch_fd, 0);
	if (b->ch_fd < 0) {
		r = b->ch_fd;
	} else if (b->ch != MAP_FAILED) {
		r = dune_heap_init(&b->heap, b->ch_size - DUNE_CH_HEAP);
		if (!r)
			goto made;
		dune_heap_done(&b->heap);
		munmap(b->ch, b->ch_size);
	}
	if (b->ch_fd >= 0) {
		close(b->ch_fd);
		r = dune_err(-ENOMEM, "sandbox: no memory for a channel of "
			     "%zu bytes", b->ch_size);
	}
	free(b->text);
	free(b);
	return r;
made:
	b->family = f;
	b->next = f->boxes;
	f->boxes = b;
	f->count++;
	f->engine->boxes++;
	*out = b;
	return 0;
}

void dune_box_head(struct dune_box *b, uint32_t slots, uint64_t stack)
{
	b->ch->head.size = b->ch_size;
	b->ch->head.stack = stack;
	b->ch->head.slots = slots;
}

/* ---- its report ---- */

void dune_box_line(struct dune_box *b, const char *line, size_t len)
{
	static const char prefix[] = "dune-run: ";
	size_t room = DUNE_BOX_TEXT - 1 - b->text_len;

	if (len > sizeof(prefix) - 1 &&
	    !memcmp(line, prefix, sizeof(prefix) - 1)) {
		line += sizeof(prefix) - 1;
		len -= sizeof(prefix) - 1;
	}
	/* the latest counts: the first half goes, to the end of a line */
	if (len > room) {
		char *half = b->text + b->text_len / 2;
		char *cut = memchr(half, '\n', b->text + b->text_len - half);

		cut = cut ? cut + 1 : b->text + b->text_len;
		b->text_len -= cut - b->text;
		memmove(b->text, cut, b->text_len);
	}
	memcpy(b->text + b->text_len, line, len);
	b->text_len += len;
	b->text[b->text_len] = '\0';
}

/* The last line that starts with this, after it; NULL: none. */
static const char *find_line(const struct dune_box *b, const char *start)
{
	const char *p = b->text, *found = NULL;

	while ((p = strstr(p, start))) {
		p += strlen(start);
		found = p;
	}
	return found;
}

static void read_report(struct dune_box *b)
{
	const char *at = find_line(b, "  page fault at ");
	const char *rip = find_line(b, "  rip ");

	if (rip)
		b->pc = strtoull(rip, NULL, 16);
	if (at && (b->signal == SIGSEGV || b->signal == SIGBUS))
		b->address = strtoull(at, NULL, 16);
}

/* ---- its end ---- */

static const int errors[] = {
	[DUNE_CAUSE_NONE] = 0, [DUNE_CAUSE_FAULT] = -EFAULT,
	[DUNE_CAUSE_VIOLATION] = -EPERM, [DUNE_CAUSE_WALL_TIME] = -ETIMEDOUT,
	[DUNE_CAUSE_CPU_TIME] = -ETIMEDOUT, [DUNE_CAUSE_EXIT] = -ECHILD,
	[DUNE_CAUSE_KILLED] = -ECANCELED, [DUNE_CAUSE_PROTOCOL] = -EPROTO,
	[DUNE_CAUSE_MONITOR] = -EIO,
};

static enum dune_cause cause_of(struct dune_box *b, int code, int status)
{
	uint32_t killer = __atomic_load_n(&b->killer, __ATOMIC_ACQUIRE);

	if (code == CLD_EXITED) {
		b->status = status;
		if (status == STATUS_BROKEN)
			return DUNE_CAUSE_PROTOCOL;
		if (status == STATUS_OURS && b->text_len)
			return DUNE_CAUSE_MONITOR;
		return DUNE_CAUSE_EXIT;
	}
	if (status == SIGKILL)
		return killer ? killer : DUNE_CAUSE_KILLED;
	b->signal = status;
	return status == SIGSYS ? DUNE_CAUSE_VIOLATION : DUNE_CAUSE_FAULT;
}

/* What callers sleep on: it changes, so that none goes to sleep after this. */
static void wake_callers(struct dune_box *b)
{
	unsigned int i;

	for (i = 0; i < DUNE_CH_SLOTS; i++) {
		uint32_t *word = &b->ch->slot[i].to_host.seq;

		__atomic_fetch_add(word, 1u << 30, __ATOMIC_SEQ_CST);
		futex(word, FUTEX_WAKE, INT_MAX, NULL);
	}
	__atomic_store_n(&b->ch->head.ready, DUNE_CH_DEAD, __ATOMIC_SEQ_CST);
	futex(&b->ch->head.ready, FUTEX_WAKE, INT_MAX, NULL);
}

static void free_box(struct dune_box *b)
{
	struct dune_family *f = b->family;
	struct dune_box **p;
	int code, status;

	if (b->pid)
		dune_nanny_wait(f->engine->nanny, b->pid, false, &code,
				&status);
	for (p = &f->boxes; *p != b; p = &(*p)->next)
		;
	*p = b->next;
	if (f->stillborn == b)
		f->stillborn = NULL;
	if (f->pending == b || f->parent == b)
		dune_family_expect(f, NULL, NULL);
	if (b->end.fd >= 0)
		close(b->end.fd);
	if (b->sock >= 0)
		close(b->sock);
	close(b->ch_fd);
	munmap(b->ch, b->ch_size);
	dune_heap_done(&b->heap);
	free(b->text);
	free(b);
	f->engine->boxes--;
	if (--f->count == 0)
		dune_family_drop(f);
}

static void mark_dead(struct dune_box *b, enum dune_cause cause)
{
	b->cause = cause;
	b->error = errors[cause];
	read_report(b);
	__atomic_store_n(&b->dead, 1, __ATOMIC_RELEASE);
	wake_callers(b);
}

static void ended(struct dune_engine *e, struct dune_watch *w)
{
	struct dune_box *b = (void *)((char *)w -
				      offsetof(struct dune_box, end));
	struct dune_family *f = b->family;
	int code = CLD_KILLED, status = SIGKILL;

	dune_engine_unwatch(e, w);
	if (b->doomed) {
		free_box(b);
		return;
	}
	/* all it said lies there by now */
	dune_family_listen(f);
	/* its pid is kept, for who reads its memory */
	dune_nanny_wait(e->nanny, b->pid, true, &code, &status);
	mark_dead(b, cause_of(b, code, status));
	/* nobody is left to fork what was asked for */
	if (f->parent == b) {
		b = f->pending;
		dune_family_expect(f, NULL, NULL);
		mark_dead(b, DUNE_CAUSE_MONITOR);
	}
}

int dune_box_watch(struct dune_box *b, pid_t pid, int pidfd)
{
	b->end.fd = pidfd;
	b->end.ready = ended;
	__atomic_store_n(&b->pid, pid, __ATOMIC_RELEASE);
	return dune_engine_watch(b->family->engine, &b->end);
}

static void send_kill(struct dune_box *b)
{
	if (b->end.fd >= 0)
		syscall(SYS_pidfd_send_signal, b->end.fd, SIGKILL, NULL, 0);
}

static const struct timespec tenth = { .tv_nsec = 100000000 };

int dune_box_kill(struct dune_box *b, enum dune_cause why)
{
	uint32_t none = 0, ready;

	__atomic_compare_exchange_n(&b->killer, &none, why, false,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	send_kill(b);
	while (!dune_box_dead(b)) {
		ready = __atomic_load_n(&b->ch->head.ready, __ATOMIC_ACQUIRE);
		if (!dune_box_dead(b))
			futex(&b->ch->head.ready, FUTEX_WAIT, ready, &tenth);
	}
	return b->error;
}

void dune_box_free(struct dune_box *b)
{
	if (b->pid && !dune_box_dead(b)) {
		b->doomed = true;
		send_kill(b);
	} else {
		free_box(b);
	}
}

int dune_box_free_job(struct dune_engine *e, void *box)
{
	(void)e;
	dune_box_free(box);
	return 0;
}

/* ---- its runner ---- */

/* restore.c and image.c */
static int saved_error(const char *why)
{
	if (!strncmp(why, "no room", 7))
		return -ENOMEM;
	return !strncmp(why, "damaged", 7) || !strncmp(why, "it ends", 7) ?
		-EINVAL : -ENOTSUP;
}

/* Why a monitor did not start: its own words, and the errno they stand for. */
static int start_error(struct dune_box *b)
{
	const char *why = find_line(b, "start: ");
	int err = b->error;

	if (!why)
		return dune_err(err, "sandbox: its process ended at the start "
				"(%s)", dune_cause_name(b->cause));
	if (!strncmp(why, "policy", 6))
		err = -EINVAL;
	else if (!strncmp(why, "saved sandbox: ", 15))
		err = saved_error(why + 15);
	else if (strstr(why, "Landlock: not"))
		err = -ENOTSUP;
	return dune_err(err, "sandbox: %.*s", (int)strcspn(why, "\n"), why);
}

bool dune_box_refused(const struct dune_box *b)
{
	return __atomic_load_n(&b->ch->head.ready, __ATOMIC_ACQUIRE) ==
	       DUNE_CH_NO_FORK;
}

int dune_box_ready(struct dune_box *b)
{
	const struct timespec second = { .tv_sec = 1 };
	int i;

	for (i = 0; i < READY_SECONDS; i++) {
		uint32_t ready = __atomic_load_n(&b->ch->head.ready,
						 __ATOMIC_ACQUIRE);

		if (dune_box_dead(b))
			return start_error(b);
		if (ready == DUNE_CH_NO_FORK)
			return dune_err(-EAGAIN, "sandbox: cannot be forked: "
					"%s; end other processes or raise "
					"ulimit -u",
					strerror(b->ch->head.callback & 4095));
		/* a fork may be there before the keeper was told of it */
		while (ready == DUNE_CH_READY && !dune_box_dead(b)) {
			if (__atomic_load_n(&b->pid, __ATOMIC_ACQUIRE)) {
				b->callback = b->ch->head.callback;
				return 0;
			}
			sched_yield();
		}
		futex(&b->ch->head.ready, FUTEX_WAIT, ready, &second);
	}
	if (b->pid)
		dune_box_kill(b, DUNE_CAUSE_PROTOCOL);
	return dune_err(-EIO, "sandbox: not ready after %d seconds",
			READY_SECONDS);
}

int dune_box_send(struct dune_box *b, const int *fd, unsigned int n)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(2 * sizeof(int))];
	} control = { .h = {
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(n * sizeof(int)),
	} };
	struct iovec iov = { .iov_base = (char *)"", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};

	memcpy(CMSG_DATA(&control.h), fd, n * sizeof(int));
	/* a runner that does not take them is not waited for */
	if (sendmsg(b->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
		return 0;
	return dune_err(-EPROTO, "sandbox: its runner takes no descriptors");
}

/* Newer KVMs have kernel threads that /proc shows with the process's own. */
static bool is_kernels(int dir, const char *tid)
{
	char path[300], name[5] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/comm", tid);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;	/* gone */
	if (read(fd, name, 4) < 0)
		name[0] = '\0';
	close(fd);
	return !strcmp(name, "kvm-");
}

int dune_box_threads(const struct dune_box *b)
{
	struct dirent *d;
	char path[48];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", b->pid);
	dir = opendir(path);
	if (!dir)
		return dune_err(-EIO, "%s: cannot be read; mount /proc", path);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.' && !is_kernels(dirfd(dir), d->d_name))
			n++;
	closedir(dir);
	return n;
}
